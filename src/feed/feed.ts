// The change feed: what one consumer gets of one region, read from the region's own log (DESIGN 8).
// Owns: the position of each subscription in each shard's log, and what is passed over (what the cursor covers, other collections).
//
// A slow consumer costs a position in the log and nothing else (I8): nothing is read for a sink that said false until resume().
// Only what has landed is shown. Order per shard is the log's, which is causal; so it is per key and per origin too.
// HAZARD: a cursor from another region may be ahead of this one; then ops that it covers are passed over when they arrive, and the
// value form waits until this region has everything that the consumer has seen.

import { CausewayError } from '../errors/errors.ts';
import type { Log, StoredEntry } from '../log/log.ts';
import { mergeOf } from '../merge/merge.ts';
import type { View } from '../merge/types.ts';
import { stampOfMs } from '../clock/hlc.ts';
import { readBatchHeader, walkOps, type BatchHeader, type OpFilter } from '../record/batch.ts';
import type { OriginId, ShardId } from '../record/ids.ts';
import type { CollectionRef, Op } from '../record/op.ts';
import { dominates } from '../record/vector.ts';
import type { System } from '../system/system.ts';
import type { FeedEvent, FeedSink, FeedStart, FeedSubscription, SubscribeRequest } from './types.ts';

/** Read at once per shard. */
const READ_BYTES = 256 * 1024;
/** Looked through in one turn of the event loop: a busy node's turns are long, and a read a turn would make its feeds slow just then. */
const TURN_BYTES = 1024 * 1024;
const TURN_READS = 64;
/** A consumer whose filter passes everything over gets its cursor moved at least every so many ops. */
const CURSOR_EVERY_OPS = 1000;

/** What the feed needs of a shard. */
export interface FeedShard {
  readonly shard: ShardId;
  /** The last offset that has landed. */
  landedOffset(): number;
  durable(): ReadonlyMap<OriginId, number>;
  /** The last op of an origin that was closed; undefined while it is not. */
  endOf(origin: OriginId): number | undefined;
  /** The merged values as of what has landed, `offset` included; loads them first if it must. undefined: the shard has not that much now. */
  views(ops: readonly Op[], offset: number, done: (views: readonly (View | undefined)[] | undefined) => void): void;
}

interface Position {
  readonly source: FeedShard;
  cursor: Map<OriginId, number>;
  nextOffset: number;
  /** The consumer's cursor while it is ahead of this region; undefined once the shard's durable vector covers it. */
  ahead: ReadonlyMap<OriginId, number> | undefined;
  /** The consumer lacks ops that the log has no more. */
  gone: CausewayError | undefined;
  silentOps: number;
}

export class Feed {
  readonly #log: Log;
  readonly #system: System;
  readonly #passedOver: (collection: CollectionRef) => boolean;
  readonly #subscriptions = new Set<Subscription>();

  /** `passedOver`: of a collection that its name does not mean any more; asked once for each collection of a batch. */
  constructor(log: Log, system: System, passedOver: (collection: CollectionRef) => boolean = () => false) {
    this.#log = log;
    this.#system = system;
    this.#passedOver = passedOver;
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  subscribe(request: SubscribeRequest, sources: readonly FeedShard[], sink: FeedSink): FeedSubscription {
    const ended = (): void => void this.#subscriptions.delete(subscription);
    const subscription = new Subscription(request, sources, sink, this.#log, this.#system, this.#passedOver, ended);
    this.#subscriptions.add(subscription);
    subscription.resume();
    return subscription;
  }

  /** A shard's landed front moved. */
  landed(): void {
    for (const subscription of this.#subscriptions) subscription.wake();
  }

  /** The shard, or all of them, is no longer served here. */
  fail(error: CausewayError, shard?: ShardId): void {
    for (const subscription of [...this.#subscriptions]) {
      if (shard === undefined || subscription.follows(shard)) subscription.fail(error);
    }
  }
}

class Subscription implements FeedSubscription {
  readonly #request: SubscribeRequest;
  readonly #filter: OpFilter;
  readonly #positions: Position[];
  readonly #sink: FeedSink;
  readonly #log: Log;
  readonly #system: System;
  readonly #ended: () => void;
  readonly #afterStamp: number;
  #paused = true;
  #busy = false;
  #over = false;
  #turn = 0;
  #turnBytes = 0;
  #turnReads = 0;

  constructor(
    request: SubscribeRequest,
    sources: readonly FeedShard[],
    sink: FeedSink,
    log: Log,
    system: System,
    passedOver: (collection: CollectionRef) => boolean,
    ended: () => void,
  ) {
    this.#request = request;
    const names = new Set(request.collections);
    this.#filter = {
      wants: (collection) =>
        collection.namespace === request.namespace &&
        (names.size === 0 || names.has(collection.name)) &&
        !passedOver(collection),
      keyPrefix: Buffer.from(request.keyPrefix),
    };
    this.#sink = sink;
    this.#log = log;
    this.#system = system;
    this.#ended = ended;
    this.#afterStamp = request.start.kind === 'time' ? stampOfMs(request.start.unixMs) : 0;
    this.#positions = sources.map((source) => this.#position(source, request.start));
  }

  #position(source: FeedShard, start: FeedStart): Position {
    const position: Position = {
      source,
      cursor: new Map(),
      nextOffset: this.#log.start(source.shard),
      ahead: undefined,
      gone: undefined,
      silentOps: 0,
    };
    if (start.kind === 'now') {
      for (const [origin, seq] of source.durable()) position.cursor.set(origin, seq);
      position.nextOffset = source.landedOffset() + 1;
    }
    if (start.kind === 'beginning') {
      for (const [origin, seq] of source.durable()) {
        if (seq > 0 && this.#log.find(source.shard, origin, 1) === undefined)
          position.gone = goneOf(origin, 1, seq, source.shard);
      }
    }
    if (start.kind === 'cursor') {
      const cursor = start.cursor.get(source.shard) ?? new Map<OriginId, number>();
      for (const [origin, seq] of cursor) position.cursor.set(origin, seq);
      // The first batch that the consumer lacks, of whichever origin; those that are not here yet come behind our tail anyway.
      let first = source.landedOffset() + 1;
      for (const [origin, seq] of source.durable()) {
        const have = cursor.get(origin) ?? 0;
        const offset = this.#log.find(source.shard, origin, have + 1);
        if (offset !== undefined) first = Math.min(first, offset);
        // With nothing of the origin left behind the gap, no batch would ever show it.
        else if (have < seq) position.gone = goneOf(origin, have + 1, seq, source.shard);
      }
      position.nextOffset = first;
      position.ahead = cursor;
    }
    return position;
  }

  follows(shard: ShardId): boolean {
    return this.#positions.some(({ source }) => source.shard === shard);
  }

  resume(): void {
    if (this.#over) return;
    this.#paused = false;
    this.wake();
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#ended();
  }

  fail(error: CausewayError): void {
    if (this.#over) return;
    this.cancel();
    this.#sink.failed(error);
  }

  wake(): void {
    if (this.#busy || this.#paused || this.#over) return;
    this.#busy = true;
    // Out of the caller's turn: a subscriber must never lengthen a commit.
    this.#nextTurn();
  }

  #nextTurn(): void {
    this.#turnBytes = 0;
    this.#turnReads = 0;
    this.#system.timers.soon(() => this.#next());
  }

  /** One read of one shard, the shards in turn. */
  #next(): void {
    if (this.#over || this.#paused) {
      this.#busy = false;
      return;
    }
    for (let i = 0; i < this.#positions.length; i++) {
      const position = this.#positions[(this.#turn + i) % this.#positions.length]!;
      if (position.gone !== undefined) {
        this.fail(position.gone);
        return;
      }
      if (position.ahead !== undefined) {
        const lost = lostOf(position.ahead, position.source);
        if (lost !== undefined) {
          this.fail(lost);
          return;
        }
        if (dominates(position.source.durable(), position.ahead)) position.ahead = undefined;
        // A value from before what the consumer has seen would be older than what it has.
        else if (this.#request.form === 'value') continue;
      }
      if (position.nextOffset > position.source.landedOffset()) continue;
      this.#turn = (this.#turn + i + 1) % this.#positions.length;
      this.#log.read(position.source.shard, position.nextOffset, READ_BYTES, (result) => {
        if (this.#over) return;
        if (result.kind === 'entries') this.#deliver(position, result.entries);
        else if (result.kind === 'trimmed') {
          this.fail(
            new CausewayError(
              'CURSOR_INVALID',
              `the log of shard ${position.source.shard} begins at ${result.start}, after your position`,
              {
                hint: 'start again from the beginning',
              },
            ),
          );
        } else this.fail(new CausewayError('CORRUPT', result.message));
      });
      return;
    }
    this.#busy = false;
  }

  #deliver(position: Position, entries: readonly StoredEntry[]): void {
    const landed = position.source.landedOffset();
    const before = { cursor: new Map(position.cursor), nextOffset: position.nextOffset, silentOps: position.silentOps };
    const events: FeedEvent[] = [];
    const ops: Op[] = [];
    for (const entry of entries) {
      if (entry.offset > landed) break;
      position.nextOffset = entry.offset + 1;
      this.#turnBytes += entry.bytes.length;
      if (entry.kind !== 'batch') continue;
      const header = readBatchHeader(entry.bytes, true);
      const have = position.cursor.get(header.origin) ?? 0;
      if (header.lastSeq <= have) continue;
      if (header.firstSeq > have + 1 && this.#request.start.kind !== 'time') {
        // The log is trimmed, and what the consumer lacks is gone from it: to go on would be to miss it silently.
        this.fail(goneOf(header.origin, have + 1, header.firstSeq - 1, position.source.shard));
        return;
      }
      position.cursor.set(header.origin, header.lastSeq);
      position.silentOps += header.count;
      if (header.lastStamp < this.#afterStamp) continue;
      this.#collect(position.source.shard, header, entry.bytes, have, events, ops);
    }
    if (this.#request.form === 'value' && ops.length > 0) {
      position.source.views(ops, position.nextOffset - 1, (views) => {
        if (views === undefined) {
          // Back to before: the shard says landed() when it has it again.
          Object.assign(position, before);
          this.#busy = false;
          return;
        }
        this.#send(
          position,
          events.map((event, i) => ({ ...event, view: views[i] })),
        );
      });
      return;
    }
    this.#send(position, events);
  }

  #collect(shard: ShardId, header: BatchHeader, batch: Uint8Array, have: number, events: FeedEvent[], ops: Op[]): void {
    walkOps(batch, header, this.#filter, (op, i) => {
      const seq = header.firstSeq + i;
      const stamp = header.firstStamp + i;
      if (seq <= have || op.collection === undefined || stamp < this.#afterStamp) return;
      ops.push(op);
      events.push({
        shard,
        version: { origin: header.origin, seq, stamp },
        collection: op.collection,
        key: op.key,
        op: mergeOf(op.collection.type).describe(op.payload),
        trace: op.trace,
        view: undefined,
      });
    });
  }

  #send(position: Position, events: readonly FeedEvent[]): void {
    if (this.#over) return;
    if (events.length > 0 || position.silentOps >= CURSOR_EVERY_OPS) {
      position.silentOps = 0;
      // The whole cursor, a few entries: what moved while a filter kept us silent is then told too.
      if (!this.#sink.events(events, position.source.shard, new Map(position.cursor))) this.#paused = true;
    }
    if (this.#turnBytes < TURN_BYTES && ++this.#turnReads < TURN_READS) this.#next();
    else this.#nextTurn();
  }
}

function goneOf(origin: OriginId, from: number, to: number, shard: ShardId): CausewayError {
  return new CausewayError(
    'CURSOR_INVALID',
    `ops ${from} to ${to} of ${origin} are no longer in the log of shard ${shard}`,
    { hint: 'read the state, then subscribe from now' },
  );
}

/** What a cursor has seen may be gone: its region lost its disk before anybody had a copy, and the origin was closed without it. */
function lostOf(cursor: ReadonlyMap<OriginId, number>, source: FeedShard): CausewayError | undefined {
  for (const [origin, seq] of cursor) {
    const end = source.endOf(origin);
    if (end === undefined || seq <= end) continue;
    return new CausewayError(
      'CURSOR_INVALID',
      `the cursor has ops of ${origin} up to ${seq} in shard ${source.shard}, and the origin ended at ${end}: what it has seen beyond is lost in all regions`,
      { hint: 'drop what was made of those ops and start again from the beginning' },
    );
  }
  return undefined;
}
