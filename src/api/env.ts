// What the services of one node share.

import type { Metadata } from '@grpc/grpc-js';
import { CausewayError } from '../errors/errors.ts';
import type { MetricSink } from '../metrics/sink.ts';
import type { Region } from '../region/region.ts';
import type { System } from '../system/system.ts';
import type { Trace } from '../tracing/span.ts';
import type { Tracing } from '../tracing/tracing.ts';
import type { Catalog } from './catalog.ts';
import type { Access, Action, Identity, IncomingCall } from './identity.ts';
import type { ApiLimits } from './limits.ts';
import type { Signals } from './signals.ts';

/** In the metadata of a call that another node of the region has passed on: it is answered here, whoever owns the shard by now. */
export const FORWARDED_KEY = 'causeway-forwarded';

export interface ServiceEnv {
  readonly region: Region;
  /** For what another node has passed on; of a region of one node the same. */
  readonly ownRegion: Region;
  readonly system: System;
  readonly limits: ApiLimits;
  readonly access: Access;
  readonly catalog: Catalog;
  /** Stands in tokens and cursors; empty: they are not tied to a cluster. */
  readonly clusterId: string;
  readonly load: Load;
  /** What the node's TLS shows and trusts, and until when. */
  readonly certificates: () => readonly CertificateStatus[];
  /** What the services count of their calls. */
  readonly signals: Signals;
  /** What else the node measures. */
  readonly metrics: (into: MetricSink) => void;
  /** undefined: no write is traced. */
  readonly tracing: Tracing | undefined;
  /** What this node knows of the traces that something was added to last, newest first; none while tracing is off. */
  readonly recentTraces: (limit: number) => readonly Trace[];
}

export function isForwarded(call: { readonly metadata: Metadata }): boolean {
  return call.metadata.get(FORWARDED_KEY).length > 0;
}

export function regionFor(env: ServiceEnv, call: { readonly metadata: Metadata }): Region {
  return isForwarded(call) ? env.ownRegion : env.region;
}

/** All metrics of the node, as they are at this moment. */
export function tellMetrics({ metrics, signals, load, limits }: ServiceEnv, into: MetricSink): void {
  metrics(into);
  signals.export(into);
  into.value('causeway_api_pending_bytes', load.pendingBytes);
  into.value('causeway_api_pending_bytes_max', limits.pendingBytesMax);
}

export interface CertificateStatus {
  /** Where in the configuration its file stands: `listeners.clients`, `listeners.peers`, `links`. */
  readonly use: string;
  readonly part: 'cert' | 'ca';
  readonly subject: string;
  readonly notAfterMs: number;
}

/** Why the node sheds: what all calls together hold. */
export class Load {
  readonly #limits: ApiLimits;
  #pendingBytes = 0;
  #draining = false;
  readonly #streams = new Set<Drainable>();

  constructor(limits: ApiLimits) {
    this.#limits = limits;
  }

  /** Why a request of this size is refused now, or undefined. */
  refusal(bytes: number): CausewayError | undefined {
    if (this.#draining) return draining();
    if (this.#pendingBytes + bytes > this.#limits.pendingBytesMax) {
      return new CausewayError('OVERLOADED', `${this.#pendingBytes} bytes of requests wait for their answers already`, {
        details: { limit: this.#limits.pendingBytesMax, pending: this.#pendingBytes },
        retryAfterMs: 50,
      });
    }
    return undefined;
  }

  /** Counts it until release(). */
  hold(bytes: number): void {
    this.#pendingBytes += bytes;
  }

  release(bytes: number): void {
    this.#pendingBytes -= bytes;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** From now on everything new is refused, and long-lived calls end when what they hold is answered. */
  drain(): void {
    this.#draining = true;
    for (const stream of this.#streams) stream.drain();
  }

  add(stream: Drainable): void {
    this.#streams.add(stream);
    if (this.#draining) stream.drain();
  }

  remove(stream: Drainable): void {
    this.#streams.delete(stream);
  }

  /** Open WriteStreams and subscriptions. */
  get streams(): number {
    return this.#streams.size;
  }
}

/** A call that lives long and must be told that the node goes. */
export interface Drainable {
  drain(): void;
}

export function draining(): CausewayError {
  return new CausewayError('DRAINING', 'the node is shutting down and takes nothing new', {
    hint: 'go to another endpoint',
  });
}

/** Made once per call: a stream asks with each of its messages. */
const identities = new WeakMap<IncomingCall, Identity>();

/** Throws CausewayError when the caller may not. */
export function authorize(env: ServiceEnv, call: IncomingCall, action: Action, namespace: string | undefined): void {
  let identity = identities.get(call);
  if (identity === undefined) {
    identity = env.access.identify(call);
    identities.set(call, identity);
  }
  const refusal = env.access.check(identity, action, namespace);
  if (refusal !== undefined) throw refusal;
}
