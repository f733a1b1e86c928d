// One address at which a node answers: the connections to it, one call over them, and what is known of who is there.

import {
  Client,
  connectivityState,
  credentials,
  Metadata,
  type ChannelOptions,
  type ClientUnaryCall,
} from '@grpc/grpc-js';
import { CausewayError } from '../errors/errors.ts';
import { objectCodec, wireMethod, type WireMethod } from '../proto/load.ts';
import type { GetTopologyRequest } from '../proto/generated/causeway/v1/GetTopologyRequest.ts';
import type { GetTopologyResponse__Output } from '../proto/generated/causeway/v1/GetTopologyResponse.ts';
import { handshakeHint } from '../security/handshake.ts';
import type { System, TimerHandle } from '../system/system.ts';
import { fromServiceError } from './status.ts';
import { SERVICE_CONFIG } from './service-config.ts';
import type { ClientTls } from './tls.ts';

/** Of a channel. A read of 1000 large values fits; more is asked for in pieces. */
const RECEIVE_BYTES_MAX = 64 * 1024 * 1024;
/** For the question who is there. */
export const PROBE_TIMEOUT_MS = 1000;
/** For a call that is only to say why there is no connection. */
const WHY_NOT_MS = 1000;
const HEALTH_PATH = '/grpc.health.v1.Health/Check';
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
