// The endpoints of a client, home first: which one to use now, and when to come back.
// An endpoint that failed is left at once and asked in the background, with jittered back-off, whether it is ready again; live
// calls never find that out the hard way. So the first ready endpoint in the list is always the one in use; and while none of a region is
// ready, a node of that region of which its endpoints have told.

import {
  Client,
  connectivityState,
  credentials,
  Metadata,
  type ChannelOptions,
  type ClientUnaryCall,
} from '@grpc/grpc-js';
import { CausewayError, type ErrorCode } from '../errors/errors.ts';
import { objectCodec, wireMethod, type WireMethod } from '../proto/load.ts';
import type { GetTopologyRequest } from '../proto/generated/causeway/v1/GetTopologyRequest.ts';
import type { GetTopologyResponse__Output } from '../proto/generated/causeway/v1/GetTopologyResponse.ts';
import { handshakeHint } from '../security/handshake.ts';
import type { System, TimerHandle } from '../system/system.ts';
import { fromServiceError } from './status.ts';
import { SERVICE_CONFIG } from './service-config.ts';
import type { ClientTls } from './tls.ts';
import { isAddress, isNode, ToldNodes } from './told-nodes.ts';

/** Of a channel. A read of 1000 large values fits; more is asked for in pieces. */
const RECEIVE_BYTES_MAX = 64 * 1024 * 1024;
const PROBE_TIMEOUT_MS = 1000;
/** For a call that is only to say why there is no connection. */
const WHY_NOT_MS = 1000;
const HEALTH_PATH = '/grpc.health.v1.Health/Check';
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 2000;
/** The answer should come from the node, so the wire's deadline is later than the one that the node is told. */
export const DEADLINE_GRACE_MS = 500;

/** Without these grpc-js would retry by itself what must not be, and hold on to connections between clients. */
const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_channelz': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  // A node that is frozen keeps its connections and answers nothing: after these two it counts as gone, and calls go elsewhere. Node answers
  // a ping whenever its event loop turns, so one that is only busy is not taken for it.
  'grpc.keepalive_time_ms': 2000,
  'grpc.keepalive_timeout_ms': 2500,
  'grpc.max_receive_message_length': RECEIVE_BYTES_MAX,
  // A subscription over a long fat pipe fills only as large a window as this side opens.
  'grpc-node.flow_control_window': 8 * 1024 * 1024,
  'grpc.service_config_disable_resolution': 1,
};

export interface CallLimits {
  /** By the monotonic clock. */
  readonly endMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** `no-writes`: the node says that it takes none; reads go on. */
export type EndpointState = 'up' | 'no-writes' | 'down';

/** What a node that says so cannot do now, and another endpoint can. Anything else is the request's affair. */
const STATE_AFTER: Partial<Record<ErrorCode, EndpointState>> = {
  UNAVAILABLE: 'down',
  NOT_READY: 'down',
  STORE_AWAY: 'down',
  DRAINING: 'down',
  READ_ONLY: 'no-writes',
  CLOCK_UNSYNCED: 'no-writes',
};

/** A node whose store is away says that it is ready, for the keys that it has in memory: who has somewhere else to go tries it again only then. */
const RETURN_AFTER_MS: Partial<Record<ErrorCode, number>> = { STORE_AWAY: 1000 };

export const TOPOLOGY_METHOD = wireMethodOnce('GetTopology', () =>
  wireMethod<GetTopologyRequest, GetTopologyResponse__Output>('causeway.v1.Data', 'GetTopology', {
    request: objectCodec('causeway.v1.GetTopologyRequest') as never,
    response: objectCodec('causeway.v1.GetTopologyResponse') as never,
  }),
);

/** The .proto files are parsed at the first call and not at the first import. */
export function wireMethodOnce<Req, Res>(_name: string, make: () => WireMethod<Req, Res>): () => WireMethod<Req, Res> {
  let made: WireMethod<Req, Res> | undefined;
  return () => (made ??= make());
}

export class Endpoint {
  readonly address: string;
  /** Its place among the client's; one of which others told comes behind those of its region. */
  readonly index: number;
  readonly client: Client;
  /** To the same address as `client`, by their index; the first is `client`. */
  readonly #connections: Client[];
  readonly #connect: () => Client;
  readonly #system: System;
  readonly #withTls: boolean;
  state: EndpointState = 'up';
  failures = 0;
  lastError: CausewayError | undefined;
  probe: TimerHandle | undefined;
  /** Once learnt. */
  region: string | undefined;
  /** Name of the node that answered there last. */
  node: string | undefined;
  /** The node's clock minus ours. */
  clockOffsetMs = 0;
  /** What it answers when it is asked who is there. */
  onTopology: ((topology: GetTopologyResponse__Output) => void) | undefined;
  #learning: Promise<void> | undefined;

  /** `readsOnly`: nothing is written over it, so gRPC may try again by itself. */
  constructor(address: string, index: number, system: System, tls?: ClientTls, readsOnly = false) {
    this.address = address;
    this.index = index;
    this.#system = system;
    this.#withTls = tls !== undefined;
    const secured = tls?.channel(address);
    this.#connect = () =>
      new Client(address, secured?.credentials ?? credentials.createInsecure(), {
        ...CHANNEL_OPTIONS,
        ...(readsOnly ? { 'grpc.enable_retries': 1, 'grpc.service_config': JSON.stringify(SERVICE_CONFIG) } : {}),
        ...secured?.options,
      });
    this.client = this.#connect();
    this.#connections = [this.client];
  }

  /** One of several connections to the address, made when it is first asked for: each has flow control of its own. */
  connection(index: number): Client {
    return (this.#connections[index] ??= this.#connect());
  }

  /** Two endpoints of one region share its idempotency table. Until its region is known, an endpoint is alone. */
  sameRegionAs(other: Endpoint): boolean {
    return this === other || (this.region !== undefined && this.region === other.region);
  }

  /** Resolves when the connection stands; else CausewayError UNAVAILABLE, not applied: nothing was sent. */
  connected(limits: CallLimits, connectTimeoutMs: number): Promise<void> {
    const channel = this.client.getChannel();
    if (channel.getConnectivityState(true) === connectivityState.READY) return Promise.resolve();
    const { clock, timers } = this.#system;
    const waitMs = Math.min(connectTimeoutMs, limits.endMs - clock.monotonicMs());
    return new Promise((resolve, reject) => {
      let settled = false;
      const settle = (failure: string | undefined): void => {
        if (settled) return;
        settled = true;
        timer.cancel();
        if (failure === undefined) resolve();
        else {
          const message = `${this.address}: ${failure}`;
          const hint = handshakeHint(failure, this.#withTls) ?? 'is a node listening there?';
          reject(new CausewayError('UNAVAILABLE', message, { outcome: 'not-applied', hint }));
        }
      };
      const timer = timers.after(Math.max(0, waitMs), () =>
        settle(`no connection within ${Math.round(Math.max(0, waitMs))} ms`),
      );
      const watch = (): void => {
        if (settled) return;
        const state = channel.getConnectivityState(true);
        if (state === connectivityState.READY) settle(undefined);
        else if (state === connectivityState.TRANSIENT_FAILURE) void this.#whyNot().then(settle);
        else if (state === connectivityState.SHUTDOWN) settle('the client is closed');
        else channel.watchConnectivityState(state, Infinity, watch);
      };
      watch();
    });
  }

  /** A channel does not say why it has no connection; a call over it does, at once, unless it is one that gRPC tries again. */
  #whyNot(): Promise<string> {
    const deadline = this.#system.clock.nowMs() + WHY_NOT_MS;
    const same = (bytes: Buffer): Buffer => bytes;
    return new Promise((resolve) => {
      this.client.makeUnaryRequest(HEALTH_PATH, same, same, Buffer.alloc(0), new Metadata(), { deadline }, (error) => {
        const cause = /Last error: (?<cause>.*?)[.\s]*(?:Resolution note:.*)?$/s.exec(error?.details ?? '')?.groups?.[
          'cause'
        ];
        resolve(cause === undefined ? 'no connection could be made' : `no connection could be made: ${cause}`);
      });
    });
  }

  unary<Req, Res>(
    method: WireMethod<Req, Res>,
    request: Req,
    limits: CallLimits,
    metadata = new Metadata(),
  ): Promise<Res> {
    const { clock } = this.#system;
    const { signal } = limits;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(new CausewayError('CANCELLED', 'aborted before it was sent', { outcome: 'not-applied' }));
        return;
      }
      const leftMs = limits.endMs - clock.monotonicMs();
      let call: ClientUnaryCall | undefined = undefined;
      const abort = (): void => call?.cancel();
      const serialize = method.requestSerialize;
      const deserialize = method.responseDeserialize;
      const deadline = clock.nowMs() + leftMs + DEADLINE_GRACE_MS;
      call = this.client.makeUnaryRequest(
        method.path,
        serialize,
        deserialize,
        request,
        metadata,
        { deadline },
        (error, response) => {
          signal?.removeEventListener('abort', abort);
          if (error !== null) reject(fromServiceError(error, this.address));
          else resolve(response as Res);
        },
      );
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Asks who is there. */
  async topology(namespace: string, limits: CallLimits): Promise<GetTopologyResponse__Output> {
    const { clock } = this.#system;
    const sentMs = clock.nowMs();
    const topology = await this.unary(TOPOLOGY_METHOD(), { namespace }, limits);
    this.region = topology.region;
    this.node = topology.node;
    if (topology.nowMs > 0) this.clockOffsetMs = Math.round(topology.nowMs - (sentMs + clock.nowMs()) / 2);
    this.onTopology?.(topology);
    return topology;
  }

  /**
   * Asks once who is there: retries need to know which endpoints are one region, and writes say in the region's time when they were
   * first tried. Resolves also when there was no answer: a call that matters finds out what is wrong.
   */
  learn(): Promise<void> {
    if (this.region !== undefined) return Promise.resolve();
    this.#learning ??= this.topology('', { endMs: this.#system.clock.monotonicMs() + PROBE_TIMEOUT_MS }).then(
      () => undefined,
      () => {
        this.#learning = undefined;
      },
    );
    return this.#learning;
  }

  close(): void {
    this.probe?.cancel();
    for (const connection of Object.values(this.#connections)) connection.close();
  }
}

export interface AcquireOptions extends CallLimits {
  readonly forWrites: boolean;
  /** Only endpoints of this one's region. */
  readonly near?: Endpoint | undefined;
  /** This one, where one of its region would be used. */
  readonly prefer?: Endpoint | undefined;
  /** This one and no other. */
  readonly only?: Endpoint | undefined;
}

export class Endpoints {
  readonly all: readonly Endpoint[];
  readonly #system: System;
  readonly #connectTimeoutMs: number;
  readonly #tls: ClientTls | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #told: ToldNodes;
  #closed = false;

  constructor(addresses: readonly string[], system: System, connectTimeoutMs: number, tls?: ClientTls) {
    if (addresses.length === 0)
      throw new CausewayError('INVALID_ARGUMENT', 'connect() needs at least one endpoint, host:port');
    this.#system = system;
    this.#tls = tls;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.all = addresses.map((address, index) => {
      if (!isAddress(address)) {
        throw new CausewayError('INVALID_ARGUMENT', `an endpoint has the form host:port; got '${address}'`);
      }
      return this.#listening(new Endpoint(address, index, system, tls));
    });
    this.#told = new ToldNodes((address, region) => {
      const last = this.all.findLast((endpoint) => endpoint.region === region) ?? this.all.at(-1)!;
      return this.#listening(new Endpoint(address, last.index + 0.5, system, tls));
    });
  }

  #listening(endpoint: Endpoint): Endpoint {
    endpoint.onTopology = (topology) => this.#told.note(topology);
    return endpoint;
  }

  /** The first that is usable now; or `prefer`, when it is of the same region and usable. */
  best(forWrites: boolean, near?: Endpoint, prefer?: Endpoint): Endpoint | undefined {
    const first = this.#first((one) => this.isUsable(one, forWrites) && (near === undefined || one.sameRegionAs(near)));
    const other = prefer !== undefined && first !== undefined && prefer.sameRegionAs(first);
    return other && this.isUsable(prefer, forWrites) ? prefer : first;
  }

  /** Those of the list, and behind the last of a region those of which it told. */
  #first(fits: (endpoint: Endpoint) => boolean): Endpoint | undefined {
    for (const [i, endpoint] of this.all.entries()) {
      if (fits(endpoint)) return endpoint;
      const { region } = endpoint;
      if (region === undefined || this.all.some((later, at) => at > i && later.region === region)) continue;
      for (const told of this.#told.of(region)) if (fits(told)) return told;
    }
    return undefined;
  }

  /** Where a node is reached: at its own address, or at an endpoint that has answered by its name; undefined: at neither. */
  async ofNode(region: string, node: string, address: string, timeoutMs: number): Promise<Endpoint | undefined> {
    const endMs = this.#system.clock.monotonicMs() + timeoutMs;
    const listed = this.all.find((endpoint) => endpoint.address === address);
    if (listed !== undefined) {
      // A name that leads elsewhere from here is answered by somebody else.
      if (!isNode(listed, region, node)) await listed.topology('', { endMs }).catch(() => undefined);
      if (isNode(listed, region, node)) return listed;
    } else if (!this.#closed) {
      const told = await this.#told.find(region, node, address, endMs);
      if (told !== undefined) return told;
    }
    return this.all.find((endpoint) => isNode(endpoint, region, node));
  }

  isUsable({ state }: Endpoint, forWrites: boolean): boolean {
    return state === 'up' || (state === 'no-writes' && !forWrites);
  }

  /** What the first endpoint that failed has failed with, for messages. */
  trouble(): string | undefined {
    return this.all.find((endpoint) => endpoint.lastError !== undefined)?.lastError?.message;
  }

  /** Called when an endpoint changes its state. Returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * A connected endpoint, the first that is usable. Waits for one until the end. Throws CausewayError, not applied: what the last
   * endpoint failed with, CANCELLED when aborted.
   */
  async acquire(options: AcquireOptions): Promise<Endpoint> {
    const { clock } = this.#system;
    for (;;) {
      if (this.#closed) throw closedError();
      if (options.signal?.aborted === true) {
        throw new CausewayError('CANCELLED', 'aborted before it was sent', { outcome: 'not-applied' });
      }
      const endpoint = this.#choose(options);
      if (endpoint === undefined) {
        if (clock.monotonicMs() >= options.endMs) throw this.#noneLeft(options);
        if (options.near !== undefined) this.#learnOthers();
        await this.#changed(options);
        continue;
      }
      try {
        await endpoint.connected(options, this.#connectTimeoutMs);
        const learnt = endpoint.learn();
        if (options.forWrites) await learnt;
        return endpoint;
      } catch (error) {
        if (!(error instanceof CausewayError)) throw error;
        // No time was left to try it: that says nothing about the endpoint.
        if (clock.monotonicMs() >= options.endMs && options.endMs > 0 && endpoint.lastError === undefined) throw error;
        this.failed(endpoint, error);
      }
    }
  }

  #choose({ forWrites, near, only, prefer }: AcquireOptions): Endpoint | undefined {
    if (only === undefined) return this.best(forWrites, near, prefer);
    return this.isUsable(only, forWrites) ? only : undefined;
  }

  /** Perhaps another endpoint is of the region that is looked for. */
  #learnOthers(): void {
    for (const endpoint of this.all) {
      if (endpoint.region !== undefined || endpoint.state === 'down') continue;
      void endpoint.learn().then(() => {
        if (endpoint.region !== undefined) this.#changedNow();
      });
    }
  }

  #noneLeft(options: AcquireOptions): CausewayError {
    const tried = this.all
      .filter((endpoint) => options.near === undefined || endpoint.sameRegionAs(options.near))
      .map((endpoint) => endpoint.lastError?.message ?? `${endpoint.address}: not tried`);
    const last = this.all.find((endpoint) => endpoint.lastError !== undefined)?.lastError;
    return new CausewayError(last?.code ?? 'UNAVAILABLE', `no endpoint is usable: ${[...new Set(tried)].join('; ')}`, {
      outcome: 'not-applied',
      retriable: true,
      cause: last,
    });
  }

  /** Resolves at the next change, at the end, or when aborted. */
  #changed(limits: CallLimits): Promise<void> {
    const { clock, timers } = this.#system;
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        off();
        limits.signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = timers.after(Math.max(0, limits.endMs - clock.monotonicMs()), done);
      const off = this.onChange(done);
      limits.signal?.addEventListener('abort', done, { once: true });
    });
  }

  /** Takes note of an error of a call. True: another endpoint may do better. */
  failed(endpoint: Endpoint, error: CausewayError): boolean {
    const state = STATE_AFTER[error.code];
    if (state === undefined || this.#closed) return false;
    endpoint.lastError = error;
    // Down is stronger: a node that cannot be reached serves no reads either.
    if (endpoint.state !== 'down') endpoint.state = state;
    this.#lookForOthers(endpoint);
    const returnAfterMs = this.best(true) === undefined ? 0 : RETURN_AFTER_MS[error.code];
    if (endpoint.probe === undefined) this.#probeLater(endpoint, error.retryAfterMs ?? returnAfterMs);
    this.#changedNow();
    return true;
  }

  /** Of the region of one that has failed: nodes that it told of. */
  #lookForOthers({ region }: Endpoint): void {
    if (region === undefined) return;
    this.#told.findAll(region, this.#system.clock.monotonicMs() + PROBE_TIMEOUT_MS, () => this.#changedNow());
  }

  #probeLater(endpoint: Endpoint, retryAfterMs = 0): void {
    const { timers, random } = this.#system;
    const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(endpoint.failures, 10));
    endpoint.failures += 1;
    const delayMs = Math.max(retryAfterMs, backoffMs * (0.5 + random.float() / 2));
    endpoint.probe = timers.after(delayMs, () => {
      endpoint.probe = undefined;
      void this.#probe(endpoint);
    });
  }

  async #probe(endpoint: Endpoint): Promise<void> {
    const limits = { endMs: this.#system.clock.monotonicMs() + PROBE_TIMEOUT_MS };
    let ready = false;
    try {
      await endpoint.connected(limits, PROBE_TIMEOUT_MS);
      const topology = await endpoint.topology('', limits);
      ready = topology.ready;
      if (!ready) {
        endpoint.lastError = new CausewayError(
          'NOT_READY',
          `${endpoint.address}: ${topology.readyReason || 'not ready'}`,
        );
      }
    } catch (error) {
      if (error instanceof CausewayError) endpoint.lastError = error;
    }
    if (this.#closed) return;
    if (!ready) {
      this.#probeLater(endpoint);
      return;
    }
    endpoint.state = 'up';
    endpoint.failures = 0;
    endpoint.lastError = undefined;
    this.#changedNow();
  }

  #changedNow(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  close(): void {
    this.#closed = true;
    for (const endpoint of this.all) endpoint.close();
    this.#told.close();
    this.#tls?.close();
    this.#changedNow();
  }
}

/** What calls and subscriptions need of a client's endpoints. */
export type EndpointSource = Pick<Endpoints, 'acquire' | 'failed' | 'best' | 'onChange'>;

/** One endpoint alone: who uses it never finds itself in another region. While it cannot be used, acquire() waits. */
export class PinnedEndpoint implements EndpointSource {
  readonly #endpoints: Endpoints;
  readonly #endpoint: Endpoint;

  constructor(endpoints: Endpoints, endpoint: Endpoint) {
    this.#endpoints = endpoints;
    this.#endpoint = endpoint;
  }

  acquire(options: AcquireOptions): Promise<Endpoint> {
    return this.#endpoints.acquire({ ...options, near: undefined, only: this.#endpoint });
  }

  failed(endpoint: Endpoint, error: CausewayError): boolean {
    // Nobody here can go elsewhere, so a back-off is due whatever becomes of the endpoint.
    this.#endpoints.failed(endpoint, error);
    return false;
  }

  best(forWrites: boolean): Endpoint | undefined {
    return this.#endpoints.isUsable(this.#endpoint, forWrites) ? this.#endpoint : undefined;
  }

  onChange(listener: () => void): () => void {
    return this.#endpoints.onChange(listener);
  }
}

export function closedError(): CausewayError {
  return new CausewayError('CANCELLED', 'the client is closed', { outcome: 'not-applied' });
}
