// One lane of a producer: one WriteStream, over a connection of its own, and everything that delivery over it takes.
// - Batches grow by themselves: what is sent while messages are in flight travels together, a lonely op waits for nothing.
// - Every op carries (producer, seq); a retry in the same region is answered with the first result, so nothing is applied twice. Each
//   lane is a producer of its own to the regions.
// - Order: ops of a lane take effect in the order of send(). Messages of a stream are answered in any order, so after a
//   failure that may be retried the node refuses what came behind it (WriteStreamRequest.epoch), and everything that failed is
//   sent again in its order.
// - An op whose outcome is not known stays with its region (and so do later ops of its key) until the deadline, then fails as
//   INDETERMINATE. Other ops go on in the next region meanwhile.

import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';
import { CausewayError, toCausewayError } from '../../errors/errors.ts';
import type { WriteResponse__Output } from '../../proto/generated/causeway/v1/WriteResponse.ts';
import { messageType, rawCodec, wireMethod } from '../../proto/load.ts';
import { WireWriter } from '../../proto/wire.ts';
import type { TimerHandle } from '../../system/system.ts';
import { randomProducer, settledError } from '../calls.ts';
import { wireMethodOnce, type Endpoint } from '../endpoint.ts';
import { encodeOp } from '../op-encode.ts';
import { fromErrorDetail, fromServiceError, saidByNode, type DecodedErrorDetail } from '../status.ts';
import type { Op } from '../types.ts';
import { ackOf, failuresOf } from '../write-request.ts';
import { Batch, tell, type OnResult } from './batch.ts';
import type { ClientParts, ProducerSettings } from './options.ts';

const MIB = 1024 * 1024;
/** What a node takes as one message, less what stands around the ops. */
const MESSAGE_OPS_BYTES_MAX = 4 * MIB - 128 * 1024;
/** A node takes no more names in one request. */
const COLLECTIONS_MAX = 256;
/** An attempt is given up by the node after this, and retried. */
const ATTEMPT_MS = 10_000;
/** And the stream is given up when the node has not said so this much later. */
const ATTEMPT_GRACE_MS = 2000;
/** How often waiting batches are looked through for those whose time is over. */
const EXPIRY_LOOK_MS = 250;
const ACQUIRE_MS = 1000;
const BACKOFF_MS_MIN = 10;
const BACKOFF_MS_MAX = 1000;
/** Buffers of answered batches kept for the next ones. */
const SPARE_WRITERS = 16;

const STREAM_METHOD = wireMethodOnce('WriteStream', () =>
  wireMethod<Buffer, Buffer>('causeway.v1.Data', 'WriteStream', { request: rawCodec, response: rawCodec }),
);

interface Stream {
  readonly endpoint: Endpoint;
  readonly call: ClientDuplexStream<Buffer, Buffer>;
  epoch: number;
  /** A message has gone; the first one says what it comes after, so that a new region's stamps are above what was written before. */
  started: boolean;
}

interface FlushWaiter {
  readonly upTo: number;
  /** Not while something is held: that may take until its deadline. */
  readonly unlessHeld: boolean;
  readonly done: (flushed: boolean) => void;
}

/** What a lane tells its producer. */
export interface LaneEvents {
  /** One op failed for good. */
  failed(error: CausewayError, callback: OnResult | undefined): void;
  /** So much has its result, whichever. */
  settled(ops: number, bytes: number): void;
}

export class Lane {
  readonly #index: number;
  readonly #prefer: Endpoint | undefined;
  readonly #parts: ClientParts;
  readonly #settings: ProducerSettings;
  readonly #events: LaneEvents;
  readonly #id: number;

  #seq = 0;
  #order = 0;
  #requestId = 0;
  #dictionary: string[] = [];
  #dictionaryIndex = new Map<string, number>();

  /** The batch that is being filled. */
  #current: Batch | undefined;
  /** Closed and not sent, in order. */
  #queue: Batch[] = [];
  /** To be sent again, in order, before the queue. */
  #retry: Batch[] = [];
  /** By request id, in order. */
  readonly #inFlight = new Map<number, Batch>();
  /** Bound to a region that the stream does not go to, and what must stay behind them. */
  #held: Batch[] = [];
  readonly #heldKeys = new Set<string>();

  #stream: Stream | undefined;
  #opening = false;
  /** Nothing is sent until everything in flight is answered: after a failure, or before another endpoint. */
  #settling = false;
  #leaving = false;
  #pauseMs = 0;
  /** Why, when it is a failure; passed on to the endpoints once. */
  #noted: CausewayError | undefined;
  #noting = false;
  #pause: TimerHandle | undefined;
  #failuresInRow = 0;
  #pumpDue: TimerHandle | true | undefined;
  #expiry: TimerHandle | undefined;
  readonly #offChange: () => void;

  #pendingOps = 0;
  #acknowledgedOps = 0;
  #retriedOps = 0;
  #messages = 0;
  readonly #flushes: FlushWaiter[] = [];
  #flushCheckDue = false;
  readonly #spare: WireWriter[] = [];
  #closed: CausewayError | undefined;

  /** `index`: lanes have connections of their own by it. `prefer`: owner of what is sent over it, when its region is in use. */
  constructor(
    index: number,
    prefer: Endpoint | undefined,
    parts: ClientParts,
    settings: ProducerSettings,
    events: LaneEvents,
  ) {
    this.#index = index;
    this.#prefer = prefer;
    this.#parts = parts;
    this.#settings = settings;
    this.#events = events;
    this.#id = randomProducer(parts.system);
    this.#offChange = parts.endpoints.onChange(() => this.#endpointsChanged());
  }

  get acknowledgedOps(): number {
    return this.#acknowledgedOps;
  }

  /** Ops that were sent once more. */
  get retriedOps(): number {
    return this.#retriedOps;
  }

  get messages(): number {
    return this.#messages;
  }

  /** Where it sends to now. */
  get endpoint(): Endpoint | undefined {
    return this.#stream?.endpoint;
  }

  /** Everything has its result. */
  get isIdle(): boolean {
    return this.#pendingOps === 0;
  }

  /** Takes the op; returns its bytes. Throws CausewayError when no node can take it. `sinceMs`: when it was sent, if that was before. */
  add(op: Op, onResult: OnResult | undefined, sinceMs?: number): number {
    const collection = this.#collectionIndex(op.collection);
    let batch = (this.#current ??= this.#newBatch());
    const seq = ++this.#seq;
    let offset = batch.writer.length;
    encodeOrUndo(batch.writer, op, collection, seq);
    if (batch.writer.length > MESSAGE_OPS_BYTES_MAX) {
      const bytes = batch.writer.length - offset;
      if (bytes > MESSAGE_OPS_BYTES_MAX) {
        batch.writer.length = offset;
        throw new CausewayError('TOO_LARGE', `an op has at most ${MESSAGE_OPS_BYTES_MAX} bytes; this one has ${bytes}`);
      }
      if (batch.count > 0) {
        batch.writer.length = offset;
        this.#seal();
        batch = this.#current = this.#newBatch();
        offset = batch.writer.length;
        encodeOp(batch.writer, op, collection, seq);
      }
    }
    if (batch.count === 0) batch.createdMs = sinceMs ?? this.#parts.system.clock.monotonicMs();
    if (this.#expiry === undefined) this.#watchExpiry();
    batch.added(offset, onResult);
    this.#pendingOps += 1;
    const bytes = batch.writer.length - offset;

    if (batch.count >= this.#settings.maxBatchOps || batch.bytes >= this.#settings.maxBatchBytes) {
      this.#seal();
      this.#pump();
    } else if (this.#pumpDue === undefined) {
      this.#pumpLater();
    }
    return bytes;
  }

  /** Resolves when everything that was added before has its result. */
  async flush(): Promise<void> {
    await this.#flush(false);
  }

  /** The same; false as soon as an op is bound to a region that is away, which may last until its deadline. */
  drain(): Promise<boolean> {
    return this.#flush(true);
  }

  #flush(unlessHeld: boolean): Promise<boolean> {
    if (this.#closed !== undefined) return Promise.resolve(true);
    const upTo = this.#order;
    this.#seal();
    this.#pump();
    if (unlessHeld && this.#held.length > 0) return Promise.resolve(false);
    if (!this.#hasUpTo(upTo)) return Promise.resolve(true);
    return new Promise((done) => this.#flushes.push({ upTo, unlessHeld, done }));
  }

  /** Ends the stream; `now`: without waiting for what is on its way. What has no result fails with `error`. */
  end(error: CausewayError, now: boolean): void {
    if (this.#closed !== undefined) return;
    if (now) this.#stream?.call.cancel();
    else this.#stream?.call.end();
    this.#closed = error;
    this.#stream = undefined;
    this.#offChange();
    this.#pause?.cancel();
    this.#expiry?.cancel();
    if (this.#pumpDue !== true) this.#pumpDue?.cancel();
    const sent = [...this.#inFlight.values()];
    this.#inFlight.clear();
    for (const batch of sent) batch.open = true;
    const waiting = [...sent, ...this.#retry, ...this.#held, ...this.#queue];
    if (this.#current !== undefined) waiting.push(this.#current);
    this.#retry = [];
    this.#held = [];
    this.#queue = [];
    this.#current = undefined;
    for (const batch of waiting) {
      const outcome = batch.open ? 'unknown' : 'not-applied';
      this.#failBatch(batch, new CausewayError(error.code, error.message, { outcome, cause: error }));
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Filling

  #newBatch(): Batch {
    const batch = new Batch(this.#spare.pop() ?? new WireWriter(16 * 1024));
    batch.collections = this.#dictionary;
    batch.order = ++this.#order;
    return batch;
  }

  #collectionIndex(name: string): number {
    const index = this.#dictionaryIndex.get(name);
    if (index !== undefined) return index;
    if (this.#dictionary.length >= COLLECTIONS_MAX) {
      // Batches that are not answered keep the old one.
      this.#seal();
      this.#dictionary = [];
      this.#dictionaryIndex = new Map();
    }
    const next = this.#dictionary.push(name) - 1;
    this.#dictionaryIndex.set(name, next);
    return next;
  }

  #seal(): void {
    const batch = this.#current;
    if (batch === undefined || batch.count === 0) return;
    this.#current = undefined;
    this.#queue.push(batch);
  }

  #hasUpTo(order: number): boolean {
    const within = (batch: Batch | undefined): boolean =>
      batch !== undefined && batch.count > 0 && batch.order <= order;
    if (within(this.#current) || this.#queue.some(within) || this.#retry.some(within) || this.#held.some(within))
      return true;
    for (const batch of this.#inFlight.values()) if (within(batch)) return true;
    return false;
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Sending

  #pumpLater(): void {
    const { timers } = this.#parts.system;
    if (this.#settings.lingerMs > 0) {
      this.#pumpDue = timers.after(this.#settings.lingerMs, () => this.#pumpNow());
      return;
    }
    this.#pumpDue = true;
    timers.soon(() => this.#pumpNow());
  }

  #pumpNow(): void {
    this.#pumpDue = undefined;
    if (this.#closed !== undefined) return;
    // What is being filled has waited long enough, if it can go. If not, it waits on, and what comes meanwhile travels with it.
    const mayGo = this.#stream !== undefined && !this.#settling && this.#pause === undefined;
    if (mayGo && this.#inFlight.size < this.#settings.maxInFlightMessages) this.#seal();
    this.#pump();
  }

  #pump(): void {
    if (this.#closed !== undefined || this.#settling || this.#pause !== undefined) return;
    const stream = this.#stream;
    if (stream === undefined) {
      if (this.#pendingOps > 0) void this.#open();
      return;
    }
    while (this.#inFlight.size < this.#settings.maxInFlightMessages) {
      const batch = this.#next();
      if (batch === undefined) return;
      this.#transmit(stream, batch);
      if (this.#stream !== stream) return;
    }
  }

  #next(): Batch | undefined {
    const batch = this.#retry.shift() ?? this.#queue.shift();
    if (batch !== undefined) return batch;
    const current = this.#current;
    // While a linger runs, what is being filled is left to it.
    if (current === undefined || current.count === 0) return undefined;
    if (this.#pumpDue !== undefined) return undefined;
    this.#current = undefined;
    return current;
  }

  #transmit(stream: Stream, whole: Batch): void {
    const { clock } = this.#parts.system;
    const nowMs = clock.monotonicMs();
    if (nowMs >= whole.createdMs + this.#settings.deliveryTimeoutMs) {
      this.#expire(whole);
      return;
    }
    const batch = this.#unbound(stream, whole);
    if (batch === undefined) return;
    // In the region's time: what its idempotency table has forgotten is told by its own clock.
    if (batch.issuedAtMs === 0) batch.issuedAtMs = clock.nowMs() + stream.endpoint.clockOffsetMs;
    else this.#retriedOps += batch.count;
    const attemptMs = Math.min(ATTEMPT_MS, batch.createdMs + this.#settings.deliveryTimeoutMs - nowMs);
    batch.answerByMs = nowMs + attemptMs + ATTEMPT_GRACE_MS;
    const requestId = ++this.#requestId;
    const { session, defaults } = this.#parts;
    const message = batch.message(
      {
        namespace: defaults.namespace,
        collections: batch.collections,
        durability: this.#settings.durability,
        deadlineMs: attemptMs,
        after: session.forWrites(stream.started),
        producer: this.#id,
        issuedAtMs: batch.issuedAtMs,
        wantVersions: batch.wantsVersions,
      },
      requestId,
      stream.epoch,
    );
    stream.started = true;
    this.#inFlight.set(requestId, batch);
    this.#messages += 1;
    stream.call.write(message);
  }

  /** What of a batch may go to the stream's region; the rest is held. */
  #unbound(stream: Stream, batch: Batch): Batch | undefined {
    if (batch.near !== undefined && !stream.endpoint.sameRegionAs(batch.near)) {
      this.#hold(batch);
      return undefined;
    }
    if (this.#heldKeys.size === 0) return batch;
    const free: number[] = [];
    const behind: number[] = [];
    for (let i = 0; i < batch.count; i++) (this.#heldKeys.has(batch.keyOf(i)) ? behind : free).push(i);
    if (behind.length === 0) return batch;
    this.#hold(free.length === 0 ? batch : batch.subset(behind));
    return free.length === 0 ? undefined : batch.subset(free);
  }

  #hold(batch: Batch): void {
    this.#held.push(batch);
    this.#endFlushes(({ unlessHeld }) => unlessHeld, false);
    for (let i = 0; i < batch.count; i++) this.#heldKeys.add(batch.keyOf(i));
  }

  /** Held batches are looked at again, in their order. */
  #release(): void {
    if (this.#held.length > 0) this.#retry.push(...this.#held);
    this.#held = [];
    this.#heldKeys.clear();
    this.#retry.sort((a, b) => a.order - b.order);
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The stream

  async #open(): Promise<void> {
    if (this.#opening) return;
    this.#opening = true;
    const { endpoints, system } = this.#parts;
    try {
      while (this.#closed === undefined && this.#stream === undefined && this.#pendingOps > 0) {
        try {
          const near = this.#target()?.near;
          const endpoint = await endpoints.acquire({
            forWrites: true,
            endMs: system.clock.monotonicMs() + ACQUIRE_MS,
            near,
            prefer: this.#prefer,
          });
          if (this.#closed === undefined) this.#start(endpoint);
        } catch (error) {
          const reason = toCausewayError(error);
          for (const batch of [...this.#retry, ...this.#queue]) if (!batch.open) batch.error = reason;
          if (this.#current !== undefined) this.#current.error = reason;
          this.#expireAll();
        }
      }
    } finally {
      this.#opening = false;
    }
    this.#pump();
  }

  /** Where to go: to the region that something is bound to, when it is there; else home. */
  #target(): { endpoint: Endpoint; near: Endpoint | undefined } | undefined {
    const { endpoints } = this.#parts;
    for (const { near } of [...this.#retry, ...this.#held]) {
      const bound = near === undefined ? undefined : endpoints.best(true, near, this.#prefer);
      if (bound !== undefined) return { endpoint: bound, near };
    }
    const best = endpoints.best(true, undefined, this.#prefer);
    return best === undefined ? undefined : { endpoint: best, near: undefined };
  }

  #start(endpoint: Endpoint): void {
    const method = STREAM_METHOD();
    const call = endpoint
      .connection(this.#index)
      .makeBidiStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        new Metadata(),
      ) as ClientDuplexStream<Buffer, Buffer>;
    const stream: Stream = { endpoint, call, epoch: 0, started: false };
    this.#stream = stream;
    this.#settling = false;
    this.#leaving = false;
    this.#release();
    call.on('data', (bytes: Buffer) => this.#received(stream, bytes));
    call.on('error', (error: ServiceError) =>
      this.#broken(stream, fromServiceError(error, endpoint.address), saidByNode(error)),
    );
    call.on('end', () =>
      this.#broken(stream, new CausewayError('UNAVAILABLE', `${endpoint.address}: the stream ended`), false),
    );
  }

  #received(stream: Stream, bytes: Buffer): void {
    if (this.#stream !== stream) return;
    const { results } = messageType('causeway.v1.WriteStreamResponse').decode(bytes) as unknown as {
      results: { requestId: number; write?: WriteResponse__Output | null; error?: DecodedErrorDetail | null }[];
    };
    for (const result of results) {
      const batch = this.#inFlight.get(result.requestId);
      if (batch === undefined) continue;
      this.#inFlight.delete(result.requestId);
      if (result.error) this.#failed(stream, batch, fromErrorDetail(result.error));
      else if (result.write) this.#answered(stream, batch, result.write);
    }
    this.#settled();
  }

  #answered(stream: Stream, batch: Batch, response: WriteResponse__Output): void {
    this.#parts.session.merge(response.session);
    if (response.elsewhere) this.#parts.shardMap.look(stream.endpoint);
    if (response.failed.length === 0) {
      this.#failuresInRow = 0;
      this.#acknowledge(batch, response, undefined);
      return;
    }
    const failures = failuresOf(response);
    this.#acknowledge(batch, response, failures);
    const again: number[] = [];
    let open = batch.open;
    for (const [index, error] of failures) {
      if (index >= batch.count) continue;
      if (mayRetry(error)) {
        again.push(index);
        open ||= error.outcome === 'unknown';
        this.#note(error);
      } else {
        this.#failOp(batch, index, settledError(error, batch.open));
      }
    }
    const done = batch.count - again.length;
    if (again.length === 0) {
      this.#counted(done, batch.bytes);
      return;
    }
    const rest = done === 0 ? batch : batch.subset(again.toSorted((a, b) => a - b));
    rest.error = failures.get(again[0] as number);
    this.#retryLater(stream, rest, open);
    this.#counted(done, batch.bytes - rest.bytes);
  }

  /** The whole message. */
  #failed(stream: Stream, batch: Batch, error: CausewayError): void {
    if (mayRetry(error)) {
      this.#note(error);
      batch.error = error;
      this.#retryLater(stream, batch, batch.open || error.outcome === 'unknown');
    } else {
      this.#failBatch(batch, settledError(error, batch.open));
    }
  }

  #retryLater(stream: Stream, batch: Batch, open: boolean): void {
    batch.open = open;
    if (open && !this.#parts.defaults.moveIndeterminate) batch.near ??= stream.endpoint;
    this.#retry.push(batch);
  }

  /** A failure that is retried: nothing more is sent until all that is in flight is answered. */
  #note(error: CausewayError): void {
    if (!this.#settling) this.#failuresInRow += 1;
    this.#settling = true;
    this.#noted = error;
    this.#pauseMs = Math.max(this.#pauseMs, error.retryAfterMs ?? this.#backoffMs());
  }

  #backoffMs(): number {
    const fullMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(this.#failuresInRow - 1, 10));
    return fullMs * (0.5 + this.#parts.system.random.float() / 2);
  }

  /** After answers: goes on when there is nothing left to wait for. */
  #settled(): void {
    if (this.#closed !== undefined) return;
    if (!this.#settling) {
      this.#pump();
      return;
    }
    if (this.#inFlight.size > 0) return;
    this.#retry.sort((a, b) => a.order - b.order);
    const stream = this.#stream;
    const error = this.#noted;
    this.#noted = undefined;
    if (error !== undefined && stream !== undefined) {
      this.#noting = true;
      if (this.#parts.endpoints.failed(stream.endpoint, error)) this.#leaving = true;
      this.#noting = false;
    }
    if (this.#leaving && stream !== undefined) {
      // Another endpoint: no reason to wait for this one.
      this.#stream = undefined;
      stream.call.end();
      this.#settling = false;
      this.#leaving = false;
      this.#pauseMs = 0;
      this.#pump();
      return;
    }
    const pauseMs = this.#pauseMs;
    this.#pauseMs = 0;
    this.#pause = this.#parts.system.timers.after(pauseMs, () => {
      this.#pause = undefined;
      this.#settling = false;
      if (this.#stream !== undefined) this.#stream.epoch += 1;
      this.#pump();
    });
  }

  /** The stream is gone. `answered`: the node ended it, and then it has answered everything that it took. */
  #broken(stream: Stream, error: CausewayError, answered: boolean): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    const lost = [...this.#inFlight.values()];
    this.#inFlight.clear();
    const untried = answered && error.outcome === 'not-applied';
    if (answered && !error.retriable) {
      for (const batch of lost) this.#failBatch(batch, settledError(error, batch.open));
    } else {
      for (const batch of lost) {
        batch.error = error;
        // A connection that was never there has carried nothing.
        this.#retryLater(stream, batch, batch.open || !(untried || error.outcome === 'not-applied'));
      }
    }
    this.#retry.sort((a, b) => a.order - b.order);
    this.#settling = false;
    this.#leaving = false;
    this.#pauseMs = 0;
    const left = this.#parts.endpoints.failed(stream.endpoint, error);
    if (left || lost.length === 0 || this.#pause !== undefined) {
      this.#pump();
      return;
    }
    this.#failuresInRow += 1;
    this.#pause = this.#parts.system.timers.after(error.retryAfterMs ?? this.#backoffMs(), () => {
      this.#pause = undefined;
      this.#pump();
    });
  }

  #endpointsChanged(): void {
    const stream = this.#stream;
    if (stream === undefined || this.#noting || this.#closed !== undefined) return;
    const target = this.#target();
    if (target === undefined || target.endpoint === stream.endpoint) return;
    // Back home, or to where something is bound: when all that is in flight is answered.
    this.#settling = true;
    this.#leaving = true;
    if (this.#inFlight.size === 0 && this.#pause === undefined) this.#settled();
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Results

  #acknowledge(
    batch: Batch,
    response: WriteResponse__Output,
    failures: ReadonlyMap<number, CausewayError> | undefined,
  ): void {
    this.#acknowledgedOps += batch.count - (failures?.size ?? 0);
    if (batch.wantsVersions) {
      for (let i = 0; i < batch.count; i++) {
        if (failures?.has(i) === true) continue;
        const callback = batch.callback(i);
        if (callback !== undefined) tell(callback, undefined, ackOf(response, i));
      }
    }
    if (failures !== undefined) return;
    this.#counted(batch.count, batch.bytes);
    this.#recycle(batch);
  }

  #failOp(batch: Batch, index: number, error: CausewayError): void {
    this.#events.failed(error, batch.callback(index));
  }

  #failBatch(batch: Batch, error: CausewayError): void {
    for (let i = 0; i < batch.count; i++) this.#failOp(batch, i, error);
    this.#counted(batch.count, batch.bytes);
  }

  #counted(ops: number, bytes: number): void {
    this.#pendingOps -= ops;
    this.#events.settled(ops, bytes);
    if (this.#flushes.length > 0 && !this.#flushCheckDue) {
      // Afterwards: a batch may be between two lists just now.
      this.#flushCheckDue = true;
      queueMicrotask(() => this.#checkFlushes());
    }
    if (this.#pendingOps === 0) {
      this.#expiry?.cancel();
      this.#expiry = undefined;
    }
  }

  #checkFlushes(): void {
    this.#flushCheckDue = false;
    this.#endFlushes(({ upTo }) => !this.#hasUpTo(upTo), true);
  }

  #endFlushes(isOver: (waiter: FlushWaiter) => boolean, flushed: boolean): void {
    for (const waiter of this.#flushes.filter(isOver)) {
      this.#flushes.splice(this.#flushes.indexOf(waiter), 1);
      waiter.done(flushed);
    }
  }

  #recycle(batch: Batch): void {
    // A retry's buffer is of its own size; a large one would be kept for ever.
    const { buffer } = batch.writer;
    if (this.#spare.length < SPARE_WRITERS && buffer.length <= this.#settings.maxBatchBytes * 2)
      this.#spare.push(batch.writer);
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Time

  #watchExpiry(): void {
    this.#expiry = this.#parts.system.timers.after(EXPIRY_LOOK_MS, () => {
      this.#expiry = undefined;
      this.#expireAll();
      if (this.#pendingOps > 0 && this.#closed === undefined && this.#expiry === undefined) this.#watchExpiry();
    });
  }

  #expireAll(): void {
    const nowMs = this.#parts.system.clock.monotonicMs();
    const [oldest] = this.#inFlight.values();
    const stream = this.#stream;
    if (oldest !== undefined && stream !== undefined && nowMs > oldest.answerByMs) {
      const silent = new CausewayError('UNAVAILABLE', `${stream.endpoint.address}: a message was not answered in time`);
      stream.call.cancel();
      this.#broken(stream, silent, false);
    }
    const over = (batch: Batch): boolean => nowMs >= batch.createdMs + this.#settings.deliveryTimeoutMs;
    const expired = [...this.#retry, ...this.#queue, ...this.#held].filter(over);
    if (this.#current !== undefined && this.#stream === undefined && over(this.#current)) {
      expired.push(this.#current);
      this.#current = undefined;
    }
    if (expired.length === 0) return;
    const held = this.#held.length;
    this.#retry = this.#retry.filter((batch) => !over(batch));
    this.#queue = this.#queue.filter((batch) => !over(batch));
    this.#held = this.#held.filter((batch) => !over(batch));
    for (const batch of expired) this.#expire(batch);
    // Others may have waited behind those.
    if (this.#held.length !== held) this.#release();
    this.#pump();
  }

  #expire(batch: Batch): void {
    const reason = batch.error?.message ?? this.#parts.endpoints.trouble();
    const why = reason === undefined ? '' : `: ${reason}`;
    const message = `not delivered within ${this.#settings.deliveryTimeoutMs} ms${why}`;
    const options = { outcome: batch.open ? ('unknown' as const) : ('not-applied' as const), cause: batch.error };
    this.#failBatch(batch, settledError(new CausewayError('DEADLINE_EXCEEDED', message, options), batch.open));
  }
}

/** What has been applied here must not be sent again; what may not be retried will fail again. */
function mayRetry(error: CausewayError): boolean {
  return error.retriable && error.outcome !== 'applied-locally';
}

function encodeOrUndo(writer: WireWriter, op: Op, collection: number, seq: number): void {
  const { length } = writer;
  try {
    encodeOp(writer, op, collection, seq);
  } catch (error) {
    writer.length = length;
    throw error;
  }
}
