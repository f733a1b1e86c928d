// Unary reads and writes: which endpoint, how often, and what may be tried again.
// A write is tried again when it is certain that it was not applied, anywhere; or when that is not known, with the same
// idempotency key in the same region, which then answers with the first result. What is still not known at the deadline is
// INDETERMINATE. With `moveIndeterminate` it is tried in other regions too: at least once, harmless for registers and sets.

import { CausewayError, toCausewayError } from '../errors/errors.ts';
import { messageType, rawCodec, wireMethod, type WireMethod } from '../proto/load.ts';
import { WireWriter } from '../proto/wire.ts';
import type { ReadResponse__Output } from '../proto/generated/causeway/v1/ReadResponse.ts';
import type { ScanResponse__Output } from '../proto/generated/causeway/v1/ScanResponse.ts';
import type { SessionToken__Output } from '../proto/generated/causeway/v1/SessionToken.ts';
import type { System } from '../system/system.ts';
import { wireMethodOnce, type CallLimits, type Endpoint } from './endpoint.ts';
import type { EndpointSource } from './endpoints.ts';
import { encodeOp } from './op-encode.ts';
import { READ_RETRIES } from './service-config.ts';
import type { ShardMap } from './shard-map.ts';
import type { Session } from './session.ts';
import { endSend, sendSpan, type ClientTracer } from './tracer.ts';
import { shardIndexes } from './shards.ts';
import type {
  CallOptions,
  Consistency,
  Durability,
  Op,
  ReadOptions,
  ScanOptions,
  Topology,
  View,
  WriteAck,
  WriteOptions,
} from './types.ts';
import { topologyOf, viewOf, type DecodedView } from './views.ts';
import { ackOf, checkDurability, decodeWriteResponse, encodeWriteHeader, failuresOf } from './write-request.ts';

const BACKOFF_MS_MIN = 20;
const BACKOFF_MS_MAX = 1000;
/** Beside the deadline: a call that could never end would be tried for ever by mistake. */
const ATTEMPTS_MAX = 100;

const WRITE_METHOD = wireMethodOnce('Write', () =>
  wireMethod<Buffer, Buffer>('causeway.v1.Data', 'Write', { request: rawCodec, response: rawCodec }),
);
const WRITE_ATOMIC_METHOD = wireMethodOnce('WriteAtomic', () =>
  wireMethod<Buffer, Buffer>('causeway.v1.Data', 'WriteAtomic', { request: rawCodec, response: rawCodec }),
);
const READ_METHOD = wireMethodOnce('Read', () =>
  wireMethod<object, ReadResponse__Output>('causeway.v1.Data', 'Read', {}),
);

const SCAN_METHOD = wireMethodOnce('Scan', () =>
  wireMethod<object, ScanResponse__Output>('causeway.v1.Data', 'Scan', {}),
);

export interface CallDefaults {
  readonly namespace: string;
  readonly deadlineMs: number;
  readonly durability: Durability;
  readonly consistency: Consistency;
  readonly moveIndeterminate: boolean;
  /** undefined: nothing is traced. */
  readonly tracer: ClientTracer | undefined;
}

export interface ReadAnswer {
  /** One per key, undefined = absent. */
  readonly views: readonly (View | undefined)[];
  readonly stale: boolean;
  /** `maxStaleMs`: every write at or below this stamp is in the answer. `stable`: every one, and none above. */
  readonly asOfStamp: number | undefined;
}

/** One page of a scan. */
export interface ScanAnswer {
  /** In the order of their keys (UTF-8 bytes); may be empty with more to come. */
  readonly entries: readonly { readonly key: string; readonly view: View }[];
  /** Empty: that was the last page. */
  readonly nextPageToken: string;
  readonly stale: boolean;
  /** As of a read; `stable`: each page is a cut of its own. */
  readonly asOfStamp: number | undefined;
}

/** What one op still has to go through. */
interface PendingOp {
  readonly op: Op;
  readonly seq: number;
  readonly index: number;
  /** It may have been applied, and it is not known. */
  open: boolean;
  /** Where: it is bound to that region. */
  near: Endpoint | undefined;
  error: CausewayError | undefined;
}

export class Calls {
  readonly #endpoints: EndpointSource;
  readonly #system: System;
  readonly #session: Session;
  readonly #defaults: CallDefaults;
  readonly #shardMap: ShardMap | undefined;
  /** Makes retries of unary writes recognisable. */
  readonly #producer: number;
  #seq = 0;

  /** `shardMap`: who is asked is the owner of the first key, when that is known. */
  constructor(
    endpoints: EndpointSource,
    system: System,
    session: Session,
    defaults: CallDefaults,
    shardMap?: ShardMap,
  ) {
    this.#shardMap = shardMap;
    this.#endpoints = endpoints;
    this.#system = system;
    this.#session = session;
    this.#defaults = defaults;
    this.#producer = randomProducer(system);
  }

  /** The acknowledgement, or throws what the op failed with. */
  async writeOne(op: Op, options: WriteOptions = {}): Promise<WriteAck> {
    const [result] = await this.write([op], options);
    if (result === undefined || result instanceof CausewayError)
      throw result ?? new CausewayError('INTERNAL', 'no result');
    return result;
  }

  /** One result per op. Throws only for what concerns all of them before anything was sent. */
  write(ops: readonly Op[], options: WriteOptions = {}): Promise<(WriteAck | CausewayError)[]> {
    return this.#write(WRITE_METHOD, ops, options);
  }

  /** All ops or none. Throws what none was written for, in the words of the op that was refused. */
  async writeAtomic(ops: readonly Op[], options: WriteOptions = {}): Promise<WriteAck[]> {
    if (ops.length === 0) throw new CausewayError('INVALID_ARGUMENT', 'an atomic write has at least one op');
    if (options.idempotencyKey !== undefined && ops.length > 1) {
      throw new CausewayError('INVALID_ARGUMENT', 'one idempotency key cannot stand for several ops', {
        hint: 'give each op its own; without any the client sees to retries by itself',
      });
    }
    const acks: WriteAck[] = [];
    let failure: CausewayError | undefined;
    // A node that does not know the method refuses it: with a field in Write it would write the ops one by one.
    for (const result of await this.#write(WRITE_ATOMIC_METHOD, ops, options)) {
      if (!(result instanceof CausewayError)) acks.push(result);
      else if (failure?.details?.['failedOp'] !== undefined || failure === undefined) failure = result;
    }
    if (failure !== undefined) throw failure;
    return acks;
  }

  async #write(
    method: () => WireMethod<Buffer, Buffer>,
    ops: readonly Op[],
    options: WriteOptions,
  ): Promise<(WriteAck | CausewayError)[]> {
    const { tracer } = this.#defaults;
    if (tracer === undefined) return this.#attempts(method, ops, options);
    const traced = ops.map((op) => withOptions(op, options));
    const spans = traced.map((op) => sendSpan(tracer, this.#defaults.namespace, op));
    const all = (results: readonly (WriteAck | CausewayError)[]): void =>
      spans.forEach((span, i) => span !== undefined && endSend(span, results[i]!));
    try {
      const recorded = traced.map((op, i) => ({ ...op, trace: spans[i]?.context ?? op.trace }));
      const { trace: _, ...rest } = options;
      const results = await this.#attempts(method, recorded, rest);
      all(results);
      return results;
    } catch (error) {
      all(ops.map(() => toCausewayError(error)));
      throw error;
    }
  }

  async #attempts(
    method: () => WireMethod<Buffer, Buffer>,
    ops: readonly Op[],
    options: WriteOptions,
  ): Promise<(WriteAck | CausewayError)[]> {
    const limits = this.#limits(options);
    const durability = checkDurability(options.durability ?? this.#defaults.durability);
    const results = new Array<WriteAck | CausewayError>(ops.length);
    let pending: PendingOp[] = ops.map((op, index) => ({
      op: withOptions(op, options),
      seq: ++this.#seq,
      index,
      open: false,
      near: undefined,
      error: undefined,
    }));
    const firstMs = this.#system.clock.nowMs();

    for (let attempt = 1; pending.length > 0; attempt++) {
      // One that is bound to a region keeps the others there: their order counts.
      const near = pending.find((one) => one.near !== undefined)?.near;
      let endpoint: Endpoint;
      try {
        const { collection, key } = pending[0]!.op;
        const prefer = this.#shardMap?.ownerOfKey(collection, key);
        endpoint = await this.#endpoints.acquire({ ...limits, forWrites: true, near, prefer });
      } catch (error) {
        settleAll(pending, results, toCausewayError(error));
        break;
      }
      const issuedAtMs = firstMs + endpoint.clockOffsetMs;
      const bytes = this.#encodeWrite(pending, durability, limits, issuedAtMs, options.returnValue ?? false);
      let pushbackMs = 0;
      const again: PendingOp[] = [];
      const failed = (one: PendingOp, error: CausewayError): void => {
        one.error = error;
        if (error.outcome === 'unknown') {
          one.open = true;
          if (!this.#defaults.moveIndeterminate) one.near = endpoint;
        }
        if (error.retriable && error.outcome !== 'applied-locally') again.push(one);
        else results[one.index] = finalError(one);
        pushbackMs = Math.max(pushbackMs, error.retryAfterMs ?? 0);
      };
      try {
        const response = decodeWriteResponse(await endpoint.unary(method(), bytes, limits));
        this.#session.merge(response.session);
        if (response.elsewhere) this.#shardMap?.look(endpoint);
        const failures = failuresOf(response);
        pending.forEach((one, i) => {
          const error = failures.get(i);
          if (error === undefined) results[one.index] = ackOf(response, i);
          else failed(one, error);
        });
      } catch (thrown) {
        const error = toCausewayError(thrown);
        for (const one of pending) failed(one, error);
      }
      pending = again;
      if (pending.length === 0) break;
      const last = pending[0]?.error as CausewayError;
      // Back-off is for an endpoint that stays the first choice; one that was left is not waited for.
      const left = this.#endpoints.failed(endpoint, last);
      const pauseMs = left && pushbackMs === 0 ? 0 : Math.max(pushbackMs, this.#backoffMs(attempt));
      if (attempt >= ATTEMPTS_MAX || !(await this.#pause(pauseMs, limits))) {
        for (const one of pending) results[one.index] = finalError(one);
        break;
      }
    }
    return results;
  }

  async read(collection: string, keys: readonly string[], options: ReadOptions = {}): Promise<ReadAnswer> {
    const prefer = (): Endpoint | undefined =>
      keys[0] === undefined ? undefined : this.#shardMap?.ownerOfKey(collection, keys[0]);
    const response = await this.#query(READ_METHOD, options, { collection, keys }, prefer);
    return {
      views: response.views.map((view) => viewOf(view as unknown as DecodedView)),
      stale: response.stale,
      asOfStamp: response.asOfStamp === 0 ? undefined : response.asOfStamp,
    };
  }

  /** One page; `deadlineMs` is its own. */
  async scan(collection: string, options: ScanOptions = {}): Promise<ScanAnswer> {
    const { prefix = '', pageSize = 0, pageToken = '' } = options;
    if (!Number.isSafeInteger(pageSize) || pageSize < 0) {
      throw new CausewayError('INVALID_ARGUMENT', `pageSize is a whole number from 1; got ${pageSize}`);
    }
    const shards = shardIndexes(options.shards);
    const response = await this.#query(SCAN_METHOD, options, { collection, prefix, pageSize, pageToken, shards });
    const entries: { key: string; view: View }[] = [];
    for (const { key, view } of response.entries) {
      const seen = viewOf(view as unknown as DecodedView);
      // A view of a kind that this client does not know is left out, as a read leaves it out.
      if (seen !== undefined) entries.push({ key, view: seen });
    }
    return {
      entries,
      nextPageToken: response.nextPageToken,
      stale: response.stale,
      asOfStamp: response.asOfStamp === 0 ? undefined : response.asOfStamp,
    };
  }

  /** A call that changes nothing: tried again, here or in another region, until its deadline. */
  async #query<Answer extends { readonly session: SessionToken__Output | null; readonly elsewhere?: boolean }>(
    method: () => WireMethod<object, Answer>,
    options: ReadOptions,
    what: object,
    prefer: () => Endpoint | undefined = () => undefined,
  ): Promise<Answer> {
    const limits = this.#limits(options);
    const consistency = options.consistency ?? this.#defaults.consistency;
    if (consistency === 'causal') this.#session.ask();
    let last: Endpoint | undefined;
    let here = 0;
    for (let attempt = 1; ; attempt++) {
      const endpoint = await this.#endpoints.acquire({ ...limits, forWrites: false, prefer: prefer() });
      here = endpoint === last ? here + 1 : 1;
      last = endpoint;
      try {
        const causal = consistency === 'causal' && !this.#session.isEmpty;
        const request = {
          ...what,
          namespace: this.#defaults.namespace,
          ...levelOf(consistency, causal),
          ...(causal ? { session: messageType('causeway.v1.SessionToken').decode(this.#session.encode()) } : {}),
          allowStale: options.allowStale ?? false,
          deadlineMs: this.#leftMs(limits),
        };
        const response = await endpoint.unary(method(), request, limits);
        this.#session.merge(response.session);
        if (response.elsewhere === true) this.#shardMap?.look(endpoint);
        return response;
      } catch (thrown) {
        const error = toCausewayError(thrown);
        // Perhaps something on the way had a hiccup: that is no reason to go to another region.
        const hiccupMs = hiccupPauseMs(error, here, this.#system.random.float());
        if (hiccupMs !== undefined && (await this.#pause(hiccupMs, limits))) continue;
        const left = this.#endpoints.failed(endpoint, error);
        if (!error.retriable || attempt >= ATTEMPTS_MAX) throw error;
        const pauseMs = left ? (error.retryAfterMs ?? 0) : Math.max(error.retryAfterMs ?? 0, this.#backoffMs(attempt));
        if (!(await this.#pause(pauseMs, limits))) throw error;
      }
    }
  }

  async topology(options: CallOptions = {}): Promise<Topology> {
    const limits = this.#limits(options);
    const endpoint = await this.#endpoints.acquire({ ...limits, forWrites: false });
    return topologyOf(await endpoint.topology(this.#defaults.namespace, limits));
  }

  #limits(options: CallOptions): CallLimits {
    const deadlineMs = options.deadlineMs ?? this.#defaults.deadlineMs;
    if (!(deadlineMs > 0)) throw new CausewayError('INVALID_ARGUMENT', `deadlineMs is above 0; got ${deadlineMs}`);
    return { endMs: this.#system.clock.monotonicMs() + deadlineMs, signal: options.signal };
  }

  #leftMs(limits: CallLimits): number {
    return Math.max(1, Math.round(Math.min(60_000, limits.endMs - this.#system.clock.monotonicMs())));
  }

  #encodeWrite(
    pending: readonly PendingOp[],
    durability: Durability,
    limits: CallLimits,
    issuedAtMs: number,
    wantValues: boolean,
  ): Buffer {
    const out = new WireWriter(512);
    const collections: string[] = [];
    for (const { op, seq } of pending) {
      let collection = collections.indexOf(op.collection);
      if (collection === -1) collection = collections.push(op.collection) - 1;
      encodeOp(out, op, collection, seq);
    }
    encodeWriteHeader(out, {
      namespace: this.#defaults.namespace,
      collections,
      durability,
      deadlineMs: this.#leftMs(limits),
      after: this.#session.forWrites(),
      producer: this.#producer,
      issuedAtMs,
      wantVersions: true,
      wantValues,
    });
    return out.view();
  }

  #backoffMs(attempt: number): number {
    const fullMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(attempt - 1, 10));
    return fullMs * (0.5 + this.#system.random.float() / 2);
  }

  /** False: there is no time for it, or the caller gave up. */
  #pause(ms: number, limits: CallLimits): Promise<boolean> {
    const { clock, timers } = this.#system;
    const { signal } = limits;
    if (signal?.aborted === true || clock.monotonicMs() + ms >= limits.endMs) return Promise.resolve(false);
    if (ms === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal?.removeEventListener('abort', done);
        resolve(signal?.aborted !== true);
      };
      const timer = timers.after(ms, done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }
}

/** How long to wait before the same endpoint is asked again, as gRPC would by the service config; undefined: not again. */
function hiccupPauseMs(error: CausewayError, tries: number, random: number): number | undefined {
  const { attemptsMax, backoffMsMin, backoffMsMax, multiplier } = READ_RETRIES;
  if (error.code !== 'UNAVAILABLE' || !error.retriable || tries >= attemptsMax) return undefined;
  return error.retryAfterMs ?? Math.min(backoffMsMax, backoffMsMin * multiplier ** (tries - 1)) * (0.8 + random * 0.4);
}

/** Numbers of causeway.v1.Consistency. A session that has seen nothing asks for nothing. */
function levelOf(consistency: Consistency, causal: boolean): { consistency: number; maxStaleMs?: number } {
  if (consistency === 'stable') return { consistency: 4 };
  if (typeof consistency === 'object') return { consistency: 3, maxStaleMs: consistency.maxStaleMs };
  return { consistency: causal ? 2 : 1 };
}

/** A producer's id: 48 random bits, not 0. */
export function randomProducer(system: System): number {
  return system.random.uint48() || 1;
}

function withOptions(op: Op, options: WriteOptions): Op {
  const { idempotencyKey, issuedAtMs, trace } = options;
  if (idempotencyKey === undefined && issuedAtMs === undefined && trace === undefined) return op;
  return {
    ...op,
    idempotencyKey: idempotencyKey ?? op.idempotencyKey,
    issuedAtMs: issuedAtMs ?? op.issuedAtMs,
    trace: trace ?? op.trace,
  };
}

function settleAll(pending: readonly PendingOp[], results: (WriteAck | CausewayError)[], error: CausewayError): void {
  for (const one of pending) {
    // What an attempt left open stays open, whatever the later one that was not made would have said.
    if (!one.open) one.error = error;
    results[one.index] = finalError(one);
  }
}

function finalError(one: PendingOp): CausewayError {
  return settledError(one.error ?? new CausewayError('INTERNAL', 'an op without a result'), one.open);
}

/**
 * What a caller is told at the end. An op whose outcome was once unknown (`open`) stays so, unless the last answer is a verdict on
 * the op itself: that came from the region that would have recognised it.
 */
export function settledError(error: CausewayError, open: boolean): CausewayError {
  const verdict = !error.retriable && error.outcome !== 'unknown';
  if (verdict || (!open && error.outcome !== 'unknown')) return error;
  if (error.code === 'CANCELLED' || error.code === 'IDEMPOTENCY_WINDOW_PASSED' || error.code === 'INDETERMINATE')
    return error;
  return new CausewayError('INDETERMINATE', `the write may or may not have been applied: ${error.message}`, {
    cause: error,
    hint: 'read the key, or send it again with the same idempotency key',
  });
}
