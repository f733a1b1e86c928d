// One shard that a member reads: the feed, what of it has been handed over and handled, and the lease under which it is read.
// One subscription per shard, so that a shard that is paused, lost or begun anew holds up no other. What is handed over waits in the
// subscription's bounded buffer (I12); its region keeps a cursor.

import { toCausewayError, type CausewayError } from '../../errors/errors.ts';
import {
  Subscription,
  type FeedBatch,
  type FeedEvent,
  type SubscribeOptions,
  type SubscriptionParts,
} from '../subscribe.ts';
import type { Version } from '../types.ts';
import { cursorOf, joinVectors, vectorIn, type Progress, type Vector } from './progress.ts';

export interface ReaderHost {
  /** There is something to hand over. */
  ready(): void;
  failed(reader: ShardReader, error: CausewayError): void;
}

export interface ReaderOptions {
  readonly shard: string;
  /** Where to begin; a Date where nothing has been committed. */
  readonly from: Progress | Date;
  readonly lease: Version;
  readonly leaseEndMs: number;
  readonly parts: SubscriptionParts;
  readonly subscribe: SubscribeOptions;
}

const NOWHERE: Progress = { epoch: 0, vector: new Map() };

export class ShardReader {
  readonly shard: string;
  readonly epoch: number;
  readonly lease: Version;
  /** By the monotonic clock: nothing is handed over from then on, unless it is renewed. */
  leaseEndMs: number;
  /** Is to be given up, when what was handed over has been handled. */
  leaving = false;
  /** Committed by this member. */
  committed: Progress | undefined;
  readonly #subscription: Subscription;
  readonly #host: ReaderHost;
  readonly #start: Vector;
  #batch: FeedBatch | undefined;
  /** Of the batch: how many were handed over, and how many of those were handled. */
  #handed = 0;
  #handled = 0;
  #nextBatch: (() => void) | undefined;
  /** What the consumer has said by itself: commit(event). */
  #said: Vector = new Map();
  /** Handled before the batch that is in hand. */
  #before: (() => string) | undefined;
  #closed = false;

  constructor(options: ReaderOptions, host: ReaderHost) {
    const { shard, from, lease, leaseEndMs, parts, subscribe } = options;
    const progress = from instanceof Date ? NOWHERE : from;
    this.shard = shard;
    this.epoch = progress.epoch;
    this.lease = lease;
    this.leaseEndMs = leaseEndMs;
    this.#host = host;
    this.#start = progress.vector;
    this.#subscription = new Subscription(
      parts,
      {
        ...subscribe,
        shards: [shard],
        from: from instanceof Date ? from : cursorOf(shard, from.vector, parts.namespace),
        onEvents: (batch) => this.#take(batch),
      },
      () => undefined,
    );
    this.#subscription.done.catch((error: unknown) => {
      if (!this.#closed) host.failed(this, toCausewayError(error));
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Something waits to be handed over. */
  get hasNext(): boolean {
    return !this.#closed && this.#batch !== undefined && this.#handed < this.#batch.events.length;
  }

  /** Nothing of what is here was handed over. */
  get isFresh(): boolean {
    return this.#handed === 0;
  }

  /** Everything that was handed over has been handled. */
  get isIdle(): boolean {
    return this.#handed === this.#handled;
  }

  /** The oldest event that is here and was not handled. */
  get oldest(): FeedEvent | undefined {
    return this.#batch?.events[this.#handled];
  }

  /** Hands over up to `max` events; handled() follows when they have been. */
  next(max: number): readonly FeedEvent[] {
    const events = this.#batch?.events.slice(this.#handed, this.#handed + max) ?? [];
    this.#handed += events.length;
    return events;
  }

  /** Everything that was handed over has been handled. */
  handled(): void {
    this.#handled = this.#handed;
    const batch = this.#batch;
    if (batch === undefined || this.#handled < batch.events.length) return;
    this.#before = () => batch.cursor;
    this.#batch = undefined;
    this.#handed = 0;
    this.#handled = 0;
    this.#nextBatch?.();
  }

  /** The consumer says that it has handled this event and what came before it in the shard. */
  say(event: FeedEvent): void {
    this.#said = joinVectors(this.#said, vectorIn(event.cursor, this.shard));
  }

  /** All that has been handled. */
  get progress(): Progress {
    const inHand = this.#handled > 0 ? this.#batch?.events[this.#handled - 1]?.cursor : undefined;
    let vector = joinVectors(this.#start, this.#said);
    // The subscription's own goes on while nothing matches; it is never ahead of what has been handled.
    for (const cursor of [this.#subscription.cursor, this.#before?.(), inHand]) {
      if (cursor !== undefined) vector = joinVectors(vector, vectorIn(cursor, this.shard));
    }
    return { epoch: this.epoch, vector };
  }

  /** What was handed over may still be handled(), and progress says so. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription.close();
  }

  #take(batch: FeedBatch): Promise<void> {
    this.#batch = batch;
    this.#host.ready();
    return new Promise((resolve) => {
      this.#nextBatch = resolve;
    });
  }
}
