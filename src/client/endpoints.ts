// The endpoints of a client, home first: which one to use now, and when to come back.
// An endpoint that failed is left at once and asked in the background, with jittered back-off, whether it is ready again; live
// calls never find that out the hard way. So the first ready endpoint in the list is always the one in use; and while none of a region is
// ready, a node of that region of which its endpoints have told.

import { CausewayError, type ErrorCode } from '../errors/errors.ts';
import type { System } from '../system/system.ts';
import { Endpoint, PROBE_TIMEOUT_MS, type CallLimits, type EndpointState } from './endpoint.ts';
import { isAddress, isNode, ToldNodes } from './told-nodes.ts';
import type { ClientTls } from './tls.ts';

const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 2000;

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
