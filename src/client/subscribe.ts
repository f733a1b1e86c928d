// A subscription: the changes of a region, in causal order, followed across failures.
// It keeps a position (per shard, a vector) and starts again from it, in another region if need be: nothing is missed, and at
// most what was under way is seen twice by a consumer that saves cursors less often than it handles events.
// Bounds (I12): at most bufferBytes of messages that the consumer has not taken; beyond, the stream is not read, flow control
// stops the node, and the node keeps a cursor.

import { Metadata, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import { CausewayError, toCausewayError } from '../errors/errors.ts';
import { wireMethod } from '../proto/load.ts';
import type { System } from '../system/system.ts';
import { cursorMessage, decodeCursor, encodeCursor, type Position } from './cursor.ts';
import { wireMethodOnce, type Endpoint } from './endpoint.ts';
import type { EndpointSource } from './endpoints.ts';
import { opOf, type DecodedEvent, type FeedOp } from './feed-op.ts';
import { shardIndexes } from './shards.ts';
import { fromServiceError } from './status.ts';
import { endProcess, processSpans, type ClientTracer } from './tracer.ts';
import type { MergeType, Version, View } from './types.ts';
import { mergeTypeOf, viewOf } from './views.ts';

/** Where to begin: a string is the cursor of an event. */
export type FeedStart = 'beginning' | 'now' | Date | { readonly cursor: string } | (string & {});

export interface SubscribeOptions {
  /** Default: all of the namespace. */
  readonly collections?: readonly string[];
  /** Default: 'now'. */
  readonly from?: FeedStart;
  /** `op` (default): what each op did. `value`: also the merged value that the region holds. */
  readonly form?: 'op' | 'value';
  readonly keyPrefix?: string;
  /** Only these shards, `placement/index`. Default: all. */
  readonly shards?: readonly string[];
  /** Messages received and not taken, in bytes. Default 1 MiB. */
  readonly bufferBytes?: number;
  /** Ends the subscription. */
  readonly signal?: AbortSignal;
  /**
   * Instead of iterating: called with the events as they come, many at a time. The next call waits for the promise. What it
   * throws ends the subscription with that error.
   */
  readonly onEvents?: (batch: FeedBatch) => void | Promise<void>;
  /** Told of every failure after which the subscription goes on by itself. */
  readonly onRetry?: (error: CausewayError) => void;
}

export interface FeedEvent {
  readonly collection: string;
  readonly type: MergeType;
  readonly key: string;
  /** `placement/index`. */
  readonly shard: string;
  readonly version: Version;
  readonly op: FeedOp;
  /** With `form: 'value'`: the merged value, undefined when the key is absent. */
  readonly value: View | undefined;
  /** W3C trace context of the write. */
  readonly trace: Uint8Array | undefined;
  /** Start from here to get what comes after this event. Made when it is asked for. */
  readonly cursor: string;
}

export interface FeedBatch {
  /** Never empty. */
  readonly events: readonly FeedEvent[];
  /** After the last of them. */
  readonly cursor: string;
}

export interface SubscriptionParts {
  readonly endpoints: EndpointSource;
  readonly system: System;
  readonly namespace: string;
  readonly tracer?: ClientTracer | undefined;
}

const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 2000;
/** After a failure a `now` or a time is taken up again from this much earlier, when the node had not told a whole position. */
const RESTART_MARGIN_MS = 1000;
const ACQUIRE_MS = 5000;

const SUBSCRIBE_METHOD = wireMethodOnce('Subscribe', () =>
  wireMethod<object, DecodedResponse>('causeway.v1.Data', 'Subscribe'),
);

interface DecodedShard {
  readonly shard: string;
  readonly events: readonly DecodedEvent[];
  readonly cursorOrigins: readonly number[];
  readonly cursorSeqs: readonly number[];
}

interface DecodedResponse {
  readonly origins: readonly string[];
  readonly collections: readonly { readonly name: string; readonly mergeType: number }[];
  readonly shards: readonly DecodedShard[];
}

interface Sized {
  readonly response: DecodedResponse;
  readonly bytes: number;
}

/** One message of the node, and where the consumer stood before it. Positions within it are worked out when asked for. */
class Message {
  readonly #before: Position;
  readonly #response: DecodedResponse;
  readonly #namespace: string;
  readonly #clusterId: string;
  readonly bytes: number;
  readonly events: FeedEvent[] = [];
  readonly after: Position;

  constructor(before: Position, response: DecodedResponse, bytes: number, namespace: string, clusterId: string) {
    this.#before = before;
    this.#response = response;
    this.#namespace = namespace;
    this.#clusterId = clusterId;
    this.bytes = bytes;
    response.shards.forEach((shard, shardAt) => {
      shard.events.forEach((event, eventAt) => {
        this.events.push(new Event(this, response, shard, event, shardAt, eventAt));
      });
    });
    this.after = this.#positionAt(response.shards.length, 0);
  }

  /** After all of the first `shardAt` entries, and the first `events` events of the next. */
  #positionAt(shardAt: number, events: number): Position {
    const { origins, shards } = this.#response;
    const position = new Map(this.#before);
    const advanced = new Map<string, Map<string, number>>();
    const vectorOf = (shard: string): Map<string, number> => {
      let vector = advanced.get(shard);
      if (vector === undefined) {
        vector = new Map(position.get(shard));
        advanced.set(shard, vector);
        position.set(shard, vector);
      }
      return vector;
    };
    const advance = (vector: Map<string, number>, origin: string | undefined, seq: number): void => {
      if (origin !== undefined && seq > (vector.get(origin) ?? 0)) vector.set(origin, seq);
    };
    for (let i = 0; i <= shardAt && i < shards.length; i++) {
      const entry = shards[i] as DecodedShard;
      const vector = vectorOf(entry.shard);
      const count = i < shardAt ? entry.events.length : events;
      // A later seq of an origin says that its earlier ones were sent or did not match.
      for (let j = 0; j < count; j++) {
        const event = entry.events[j] as DecodedEvent;
        advance(vector, origins[event.origin], event.seq);
      }
      if (i === shardAt) break;
      entry.cursorOrigins.forEach((origin, j) => advance(vector, origins[origin], entry.cursorSeqs[j] ?? 0));
    }
    return position;
  }

  cursorAfter(shardAt: number, eventAt: number): string {
    return encodeCursor(this.#positionAt(shardAt, eventAt + 1), this.#namespace, this.#clusterId);
  }

  get cursor(): string {
    return encodeCursor(this.after, this.#namespace, this.#clusterId);
  }
}

class Event implements FeedEvent {
  readonly collection: string;
  readonly type: MergeType;
  readonly key: string;
  readonly shard: string;
  readonly version: Version;
  readonly op: FeedOp;
  readonly value: View | undefined;
  readonly trace: Uint8Array | undefined;
  readonly #message: Message;
  readonly #shardAt: number;
  readonly #eventAt: number;

  constructor(
    message: Message,
    response: DecodedResponse,
    shard: DecodedShard,
    event: DecodedEvent,
    shardAt: number,
    eventAt: number,
  ) {
    const collection = response.collections[event.collection];
    this.#message = message;
    this.#shardAt = shardAt;
    this.#eventAt = eventAt;
    this.collection = collection?.name ?? '';
    this.type = mergeTypeOf(collection?.mergeType ?? 0);
    this.key = event.key;
    this.shard = shard.shard;
    this.version = { origin: response.origins[event.origin] ?? '', seq: event.seq, stamp: event.stamp };
    this.op = opOf(event);
    this.value = event.value ? viewOf(event.value) : undefined;
    this.trace = event.trace.length === 0 ? undefined : event.trace;
  }

  get cursor(): string {
    return this.#message.cursorAfter(this.#shardAt, this.#eventAt);
  }
}

export class Subscription implements AsyncIterable<FeedEvent> {
  readonly #parts: SubscriptionParts;
  readonly #options: SubscribeOptions;
  readonly #onClosed: () => void;
  readonly #shards: readonly number[];
  readonly #bufferBytes: number;
  readonly #giveUp = new AbortController();
  #position: Position = new Map();
  #clusterId = '';
  /** The position covers every shard: it was given whole, or starts at the beginning. */
  #whole: boolean;
  /** Of the placement; 0: not known. */
  #shardsExpected = 0;
  #startedAtMs: number;
  #queue: Message[] = [];
  #queueBytes = 0;
  #wake: (() => void) | undefined;
  #onPosition: (() => void) | undefined;
  #call: ClientReadableStream<Sized> | undefined;
  #paused = false;
  #ended = false;
  #error: CausewayError | undefined;
  #iterating = false;
  /** What the consumer has come back from. */
  #lastEvent: FeedEvent | undefined;
  #lastMessage: Message | undefined;
  #endpoint: Endpoint | undefined;
  /** Resolves when the subscription has ended by close(), abort or signal; rejects with what it failed with. */
  readonly done: Promise<void>;
  #resolveDone: () => void = () => undefined;
  #rejectDone: (error: CausewayError) => void = () => undefined;

  constructor(parts: SubscriptionParts, options: SubscribeOptions, onClosed: () => void) {
    this.#parts = parts;
    this.#options = options;
    this.#onClosed = onClosed;
    this.#shards = shardIndexes(options.shards);
    this.#bufferBytes = options.bufferBytes ?? 1024 * 1024;
    this.#startedAtMs = parts.system.clock.nowMs();
    this.done = new Promise((resolve, reject) => {
      this.#resolveDone = resolve;
      this.#rejectDone = reject;
    });
    // Whoever iterates gets the error there; `done` must not be the reason for a crash as well.
    this.done.catch(() => undefined);
    const { from = 'now', signal } = options;
    this.#whole = from === 'beginning';
    const cursor = cursorOf(from);
    if (cursor !== undefined) {
      const decoded = decodeCursor(cursor);
      if (decoded.namespace !== '' && decoded.namespace !== parts.namespace) {
        throw new CausewayError(
          'CURSOR_INVALID',
          `the cursor is of namespace '${decoded.namespace}', not '${parts.namespace}'`,
        );
      }
      this.#position = decoded.position;
      this.#clusterId = decoded.clusterId;
      this.#whole = true;
    } else if (from instanceof Date && Number.isNaN(from.getTime())) {
      throw new CausewayError('INVALID_ARGUMENT', 'from is an invalid Date');
    }
    signal?.addEventListener('abort', () => this.close(), { once: true });
    if (signal?.aborted === true) this.close();
    else this.#run().catch((error: unknown) => this.abort(toCausewayError(error)));
    if (options.onEvents !== undefined) void this.#deliver(options.onEvents);
  }

  /** After the last event that was taken, to start from later; undefined before the first. */
  get cursor(): string | undefined {
    return this.#lastEvent?.cursor ?? this.#lastMessage?.cursor;
  }

  /** Where `now` is, once the node has told it of every shard. Rejects when the subscription ends before. For this package. */
  whole(): Promise<Position> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.#shardsExpected === 0 || this.#position.size < this.#shardsExpected) return;
        this.#onPosition = undefined;
        resolve(this.#position);
      };
      this.#onPosition = look;
      look();
      this.done.then(() => reject(new CausewayError('CANCELLED', 'the subscription was closed')), reject);
    });
  }

  /** The endpoint that it reads from now. */
  get address(): string | undefined {
    return this.#call === undefined ? undefined : this.#endpoint?.address;
  }

  /** Ends it; an iteration then ends as well, after what was received. */
  close(): void {
    this.#end(undefined);
  }

  /** Ends it at once, with an error for whoever waits. */
  abort(error: CausewayError): void {
    this.#queue = [];
    this.#end(error);
  }

  #end(error: CausewayError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#giveUp.abort();
    this.#call?.cancel();
    this.#call = undefined;
    this.#wakeUp();
    if (error === undefined) this.#resolveDone();
    else this.#rejectDone(error);
    this.#onClosed();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FeedEvent, void, undefined> {
    if (this.#options.onEvents !== undefined || this.#iterating) {
      throw new CausewayError(
        'INVALID_ARGUMENT',
        'a subscription has one consumer: iterate it once, or give it onEvents',
      );
    }
    this.#iterating = true;
    try {
      for (;;) {
        const message = await this.#next();
        if (message === undefined) return;
        for (const event of message.events) {
          const spans = this.#spans([event]);
          try {
            yield event;
          } finally {
            endProcess(spans);
          }
          this.#lastEvent = event;
        }
        this.#lastEvent = undefined;
        this.#lastMessage = message;
      }
    } finally {
      this.close();
    }
  }

  async #deliver(onEvents: (batch: FeedBatch) => void | Promise<void>): Promise<void> {
    try {
      for (;;) {
        const message = await this.#next();
        if (message === undefined) return;
        if (message.events.length > 0) await this.#hand(message, onEvents);
        this.#lastMessage = message;
      }
    } catch (error) {
      this.abort(toCausewayError(error));
    }
  }

  async #hand(message: Message, onEvents: (batch: FeedBatch) => void | Promise<void>): Promise<void> {
    const spans = this.#spans(message.events);
    try {
      await onEvents(message);
      endProcess(spans);
    } catch (error) {
      endProcess(spans, { error });
      throw error;
    }
  }

  #spans(events: readonly FeedEvent[]): ReturnType<typeof processSpans> {
    return processSpans(this.#parts.tracer, this.#parts.namespace, events);
  }

  /** The next message; undefined when the subscription was closed. Throws what it failed with. */
  async #next(): Promise<Message | undefined> {
    for (;;) {
      const message = this.#queue.shift();
      if (message !== undefined) {
        this.#queueBytes -= message.bytes;
        if (this.#paused && this.#queueBytes <= this.#bufferBytes / 2) {
          this.#paused = false;
          this.#call?.resume();
        }
        return message;
      }
      if (this.#ended) {
        if (this.#error !== undefined) throw this.#error;
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Reads from one endpoint after the other until the end. */
  async #run(): Promise<void> {
    const { endpoints, system } = this.#parts;
    for (let failures = 0; !this.#ended;) {
      let endpoint: Endpoint;
      try {
        const endMs = system.clock.monotonicMs() + ACQUIRE_MS;
        endpoint = await endpoints.acquire({ forWrites: false, endMs, signal: this.#giveUp.signal });
      } catch (error) {
        if (this.#ended) return;
        const failure = toCausewayError(error);
        // The client was closed; to ask it again and again would stop the process, since it answers without waiting.
        if (failure.code === 'CANCELLED') {
          this.#end(failure);
          return;
        }
        this.#options.onRetry?.(failure);
        continue;
      }
      const { error, progress } = await this.#follow(endpoint);
      if (this.#ended) return;
      if (!error.retriable && error.code !== 'CANCELLED') {
        this.#end(error);
        return;
      }
      failures = progress ? 1 : failures + 1;
      this.#options.onRetry?.(error);
      const left = endpoints.failed(endpoint, error);
      const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 10));
      const pauseMs = error.retryAfterMs ?? (left ? 0 : backoffMs * (0.5 + system.random.float() / 2));
      if (pauseMs > 0) await this.#sleep(pauseMs);
    }
  }

  #sleep(ms: number): Promise<void> {
    const { signal } = this.#giveUp;
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.#parts.system.timers.after(ms, done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Resolves when the stream has ended. */
  async #follow(endpoint: Endpoint): Promise<{ error: CausewayError; progress: boolean }> {
    try {
      if (!this.#whole && this.#shardsExpected === 0) await this.#learnShards(endpoint);
    } catch (error) {
      return { error: toCausewayError(error), progress: false };
    }
    if (this.#ended) return { error: new CausewayError('CANCELLED', 'closed'), progress: false };
    return new Promise((resolve) => {
      const method = SUBSCRIBE_METHOD();
      const deserialize = (buffer: Buffer): Sized => ({
        response: method.responseDeserialize(buffer),
        bytes: buffer.length,
      });
      const call = endpoint.client.makeServerStreamRequest(
        method.path,
        method.requestSerialize,
        deserialize,
        this.#request(),
        new Metadata(),
      );
      this.#call = call;
      this.#endpoint = endpoint;
      this.#paused = false;
      let progress = false;
      let settled = false;
      const settle = (error: CausewayError): void => {
        if (settled) return;
        settled = true;
        off();
        if (this.#call === call) this.#call = undefined;
        resolve({ error, progress });
      };
      // An earlier endpoint is ready again: go back to it, from where we stand.
      const off = this.#parts.endpoints.onChange(() => {
        const best = this.#parts.endpoints.best(false);
        if (best === undefined || best.index >= endpoint.index) return;
        settle(new CausewayError('CANCELLED', `going back to ${best.address}`));
        call.cancel();
      });
      limitReadAhead(call);
      call.on('data', (message: Sized) => {
        if (settled || this.#ended) return;
        progress = true;
        this.#received(message);
      });
      call.on('error', (error: ServiceError) => settle(fromServiceError(error, endpoint.address)));
      call.on('end', () => settle(new CausewayError('UNAVAILABLE', `${endpoint.address}: the feed ended`)));
    });
  }

  async #learnShards(endpoint: Endpoint): Promise<void> {
    const endMs = this.#parts.system.clock.monotonicMs() + ACQUIRE_MS;
    const topology = await endpoint.topology(this.#parts.namespace, { endMs, signal: this.#giveUp.signal });
    this.#shardsExpected = this.#shards.length || (topology.namespaces[0]?.shards ?? 0);
    // A start by our clock is told to a node by its own.
    this.#startedAtMs = this.#parts.system.clock.nowMs() + endpoint.clockOffsetMs;
  }

  #request(): object {
    const { collections = [], keyPrefix = '', form = 'op', from = 'now' } = this.#options;
    return {
      namespace: this.#parts.namespace,
      collections,
      keyPrefix,
      form: form === 'value' ? 2 : 1,
      shards: this.#shards,
      ...this.#start(from),
    };
  }

  #start(from: FeedStart): object {
    const known = this.#position.size > 0;
    if (known && (this.#whole || this.#position.size >= this.#shardsExpected)) {
      return { cursor: cursorMessage(this.#position, this.#parts.namespace, this.#clusterId) };
    }
    if (from === 'beginning') return { beginning: true };
    if (from instanceof Date) return { fromTimeMs: Math.max(0, from.getTime()) };
    // `now`, interrupted before a position was known for every shard: rather something twice than something missed.
    if (known) return { fromTimeMs: Math.max(0, this.#startedAtMs - RESTART_MARGIN_MS) };
    return { now: true };
  }

  #received({ response, bytes }: Sized): void {
    if (response.shards.length === 0) return;
    const message = new Message(this.#position, response, bytes, this.#parts.namespace, this.#clusterId);
    this.#position = message.after;
    this.#onPosition?.();
    this.#queue.push(message);
    this.#queueBytes += bytes;
    if (!this.#paused && this.#queueBytes >= this.#bufferBytes) {
      this.#paused = true;
      this.#call?.pause();
    }
    this.#wakeUp();
  }
}

function cursorOf(from: FeedStart): string | undefined {
  if (from instanceof Date || from === 'beginning' || from === 'now') return undefined;
  return typeof from === 'string' ? from : from.cursor;
}

/** grpc-js gives its streams Node's 16 objects of read-ahead, whatever their size. The field is Node's own; should it go away, the
 *  buffer is 16 messages larger. */
function limitReadAhead(call: ClientReadableStream<Sized>): void {
  const state = (call as unknown as { _readableState?: { highWaterMark: number } })._readableState;
  if (state !== undefined) state.highWaterMark = 1;
}
