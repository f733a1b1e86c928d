// What a shard knows of each origin: how far it is taken and durable, its promises, and its life (open, frozen, closed).
//
// Two fronts move through the log: *taken* (handed to the log, speculative) and *durable*. Decisions about what comes next are
// made on the taken front, everything that others are told on the durable one (DESIGN 4).
//
// I2  taken is contiguous per origin; durable follows it in log order.
// I14 a watermark counts only once durable has reached its seq.

import { NO_CHECKSUM, OrderedDeps, type BatchHeader } from '../record/batch.ts';
import { originRegion, type OriginId, type RegionId } from '../record/ids.ts';
import type { VersionVector } from '../record/vector.ts';
import type { Watermark } from './beat.ts';
import { GUARDS } from './guards.ts';

/** Promises whose seq is not reached yet. At the bound the second newest goes: the newest is passed on, and the oldest are the ones that
 *  will be reached first. (Were those to go, none would ever count while ops lag behind promises by more than the bound holds.) */
const PENDING_WATERMARKS_MAX = 8;
/** So long a region that said what it begins is taken at its word. It opens within half of this, and then says for good, in its first
 *  batch, that its earlier origins are over; one that was mistaken about being the owner does not hold up the true one for longer. */
const BEGINNING_MS = 10_000;

export interface Hold {
  readonly kind: 'clock' | 'fork' | 'quarantine';
  readonly sinceMs: number;
  readonly message: string;
  /** clock: the stamp that is too far ahead. */
  readonly stamp: number;
}

export interface Origin {
  readonly id: OriginId;
  readonly region: RegionId;
  takenSeq: number;
  takenStamp: number;
  takenChecksum: Uint8Array;
  takenDeps: OrderedDeps;
  seq: number;
  stamp: number;
  checksum: Uint8Array;
  deps: OrderedDeps;
  /** The highest promise that counts: every op that may still come has a stamp above it. Infinity at the end. */
  counted: number;
  /** Promises that wait for `seq`. */
  pending: Watermark[];
  /** The newest promise heard of; gossiped on. */
  latest: Watermark | undefined;
  frozenTaken: boolean;
  /** The first stamp of the batch with the freeze; 0 while it is not frozen. */
  frozenAt: number;
  frozen: boolean;
  /** Set when the close is taken. */
  end: { readonly seq: number; readonly stamp: number } | undefined;
  /** The close is durable. */
  closed: boolean;
  /** Every member has reached the end: left out of deps and reports. */
  folded: boolean;
  foldedDurable: boolean;
  /** Some member was known to hold the origin's ops up to here, durably; it may have lost its disk since. */
  proven: number;
  /** Of these the members' reports will tell: a frozen origin is taken up to it, no further. */
  vouched: number;
  hold: Hold | undefined;
}

/** What a region was told when it asked where a new incarnation may begin. */
interface Beginning {
  readonly bound: number;
  readonly atMs: number;
  /** Its origins that were known here. Others are later ones: a log that is whole begins without asking. */
  readonly over: ReadonlySet<OriginId>;
}

/** Who said how far it holds an origin, and when. */
export interface Witness {
  readonly region: RegionId;
  /** Of what it said so with: the first of its batch, or that of its report. 0: it has none that could be believed. */
  readonly stamp: number;
}

export class OriginTable {
  readonly #origins = new Map<OriginId, Origin>();
  readonly #taken: VersionVector = new Map();
  readonly #durable: VersionVector = new Map();
  /** Per region. In memory: what could still come from before has crossed links that end with this process. */
  readonly #beginnings = new Map<RegionId, Beginning>();

  /** Live views: they change as the shard moves on. */
  get taken(): ReadonlyMap<OriginId, number> {
    return this.#taken;
  }

  get durable(): ReadonlyMap<OriginId, number> {
    return this.#durable;
  }

  get(id: OriginId): Origin | undefined {
    return this.#origins.get(id);
  }

  all(): IterableIterator<Origin> {
    return this.#origins.values();
  }

  ensure(id: OriginId): Origin {
    let origin = this.#origins.get(id);
    if (origin === undefined) {
      origin = {
        id,
        region: originRegion(id),
        takenSeq: 0,
        takenStamp: 0,
        takenChecksum: NO_CHECKSUM,
        takenDeps: OrderedDeps.empty,
        seq: 0,
        stamp: 0,
        checksum: NO_CHECKSUM,
        deps: OrderedDeps.empty,
        counted: 0,
        pending: [],
        latest: undefined,
        frozenTaken: false,
        frozenAt: 0,
        frozen: false,
        end: undefined,
        closed: false,
        folded: false,
        foldedDurable: false,
        proven: 0,
        vouched: 0,
        hold: undefined,
      };
      this.#origins.set(id, origin);
    }
    return origin;
  }

  /** A batch was handed to the log. */
  take(header: BatchHeader, deps: OrderedDeps): Origin {
    const origin = this.ensure(header.origin);
    origin.takenSeq = Math.max(origin.takenSeq, header.lastSeq);
    origin.takenStamp = Math.max(origin.takenStamp, header.lastStamp);
    origin.takenChecksum = header.checksum;
    origin.takenDeps = deps;
    origin.proven = Math.max(origin.proven, header.lastSeq);
    this.#taken.set(origin.id, origin.takenSeq);
    return origin;
  }

  /**
   * A member holds `seq` of the origin, durably. Its own report will say as much before the origin ends, with one exception: it is the
   * origin's own region, and loses its disk. What freezes the origin then is a later incarnation, of another log: what the region said
   * before the freeze says nothing of that log, and what the freeze and later batches stand on does.
   */
  prove(id: OriginId, seq: number, by: Witness): void {
    const origin = this.ensure(id);
    if (seq > origin.proven) origin.proven = seq;
    const isItsOwn = by.region === origin.region && GUARDS.vouchedTail;
    if (isItsOwn && (!origin.frozenTaken || by.stamp < origin.frozenAt)) return;
    if (seq > origin.vouched) origin.vouched = seq;
  }

  /** A batch became durable. */
  land(header: BatchHeader, deps: OrderedDeps): void {
    const origin = this.ensure(header.origin);
    origin.checksum = header.checksum;
    origin.deps = deps;
    origin.seq = Math.max(origin.seq, header.lastSeq);
    origin.stamp = Math.max(origin.stamp, header.lastStamp);
    this.#durable.set(origin.id, origin.seq);
    this.#count(origin, header.lastStamp);
  }

  /** Counts every promise whose seq is reached. */
  #count(origin: Origin, stamp: number): void {
    let counted = Math.max(origin.counted, stamp);
    if (origin.pending.length > 0) {
      const waiting: Watermark[] = [];
      for (const promise of origin.pending) {
        if (promise.seq <= origin.seq || !GUARDS.watermarkSeq) counted = Math.max(counted, promise.stamp);
        else waiting.push(promise);
      }
      origin.pending = waiting;
    }
    if (origin.closed && origin.seq >= origin.end!.seq) counted = Infinity;
    origin.counted = counted;
  }

  /**
   * The region of `origin` asks where it may begin, and is told `bound`. The answer is a promise: of its earlier origins nothing counts here any
   * more above it, and no op is taken that nobody is known to hold. Else what they have said and is still on its way (with a clock
   * that ran ahead, from a process that is dead) would lie above the first ops of the new one (I9, I14).
   */
  begin(origin: OriginId, bound: number, nowMs: number): void {
    const region = originRegion(origin);
    const over = new Set<OriginId>();
    for (const other of this.#origins.values()) {
      if (other.region === region && other.id !== origin) over.add(other.id);
    }
    this.#beginnings.set(region, { bound, atMs: nowMs, over });
  }

  /** Up to where promises of an origin count now. */
  #countsUpTo(id: OriginId, nowMs: number): number {
    const beginning = this.#beginnings.get(originRegion(id));
    if (beginning?.over.has(id) !== true || !GUARDS.bindingBeginning) return Infinity;
    return Math.abs(nowMs - beginning.atMs) < BEGINNING_MS ? beginning.bound : Infinity;
  }

  /** May a promise or a report with this stamp be believed? Of an origin that is frozen its successor speaks. */
  credible(id: OriginId, stamp: number, nowMs: number): boolean {
    const origin = this.#origins.get(id);
    return stamp <= (origin?.frozen === true ? origin.counted : this.#countsUpTo(id, nowMs));
  }

  /** A promise was heard, from whomever. */
  promise(watermark: Watermark): void {
    const origin = this.ensure(watermark.origin);
    if (origin.latest === undefined || watermark.stamp > origin.latest.stamp) origin.latest = watermark;
    if (watermark.stamp <= origin.counted || origin.pending.some(({ stamp }) => stamp === watermark.stamp)) return;
    origin.pending.push(watermark);
    this.#count(origin, 0);
    if (origin.pending.length > PENDING_WATERMARKS_MAX) {
      origin.pending.sort((a, b) => a.stamp - b.stamp).splice(-2, 1);
    }
  }

  /** `stamp`: the first of the batch that the freeze stands in. */
  freezeTaken(id: OriginId, stamp: number): void {
    const origin = this.ensure(id);
    // Of several the first: up to there the origin was taken without asking who holds it.
    if (origin.frozenTaken) return;
    origin.frozenTaken = true;
    origin.frozenAt = stamp;
  }

  freeze(id: OriginId): void {
    const origin = this.ensure(id);
    origin.frozenTaken = true;
    origin.frozen = true;
  }

  closeTaken(id: OriginId, seq: number, stamp: number): void {
    const origin = this.ensure(id);
    origin.frozenTaken = true;
    // Two members may close one origin; all members were frozen before, so both computed the same end.
    origin.end ??= { seq, stamp };
  }

  close(id: OriginId, seq: number, stamp: number): void {
    this.closeTaken(id, seq, stamp);
    const origin = this.ensure(id);
    origin.frozen = true;
    origin.closed = true;
    // What was held for its stamp lies beyond the end: nobody will ever take it, so nothing is held any more.
    if (origin.hold?.kind === 'clock' && origin.hold.stamp > stamp) origin.hold = undefined;
    this.#count(origin, 0);
  }

  fold(id: OriginId): void {
    this.ensure(id).folded = true;
  }

  /** How far ops of an origin are accepted now. */
  acceptedUpTo(id: OriginId, nowMs: number): number {
    const origin = this.#origins.get(id);
    if (origin?.end !== undefined) return origin.end.seq;
    if (origin?.frozenTaken !== true && this.#countsUpTo(id, nowMs) === Infinity) return Infinity;
    return origin === undefined ? 0 : Math.max(origin.takenSeq, origin.vouched);
  }

  /** The taken vector without folded origins: what a batch that is sealed now depends on. */
  depsVector(): VersionVector {
    const vector: VersionVector = new Map();
    for (const origin of this.#origins.values()) {
      if (!origin.folded && origin.takenSeq > 0) vector.set(origin.id, origin.takenSeq);
    }
    return vector;
  }

  /**
   * The lowest stamp that anybody might still know nothing of: over all origins, what counts here and what `others` say has
   * passed at them. `own` stands in for our live origin; without one nothing is passed.
   */
  floor(own: Watermark | undefined, others: (origin: OriginId) => number): number {
    if (own === undefined) return 0;
    let floor = own.stamp;
    for (const origin of this.#origins.values()) {
      if (origin.folded) continue;
      if (origin.id !== own.origin) floor = Math.min(floor, origin.counted);
      floor = Math.min(floor, others(origin.id));
    }
    return floor;
  }

  /** Puts back what a restart read from the store's checkpoint. */
  restore(origin: Origin): void {
    this.#origins.set(origin.id, origin);
    if (origin.takenSeq > 0) {
      this.#taken.set(origin.id, origin.takenSeq);
      this.#durable.set(origin.id, origin.seq);
    }
  }
}
