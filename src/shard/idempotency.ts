// The idempotency table of one shard: which (producer, seq) and which callers' keys were applied, and with what result.
// Owns: telling a retry from a new op. Filled from every batch that is taken, own or remote, in log order; it never decides
// a merge.
//
// Bound: `entriesMax` entries, the oldest go first. What is forgotten leaves a horizon: an op that was first tried at or before
// it is refused (IDEMPOTENCY_WINDOW_PASSED) rather than applied a second time, because nobody can tell any more.

import { msOfStamp } from '../clock/hlc.ts';
import { findOps, readBatchHeader, type BatchHeader } from '../record/batch.ts';
import type { OriginId, Version } from '../record/ids.ts';
import type { LocatedOps } from '../record/located-ops.ts';
import type { Idempotency } from '../record/op.ts';
import { SeqRun } from './seq-run.ts';

export type Recognised =
  | { readonly kind: 'new' }
  | { readonly kind: 'duplicate'; readonly first: Version }
  | { readonly kind: 'forgotten'; readonly horizonMs: number };

const NEW: Recognised = { kind: 'new' };

interface Producer {
  /** Each with its place in the ring. */
  readonly seqs: SeqRun;
  /** The highest seq of this producer that was forgotten. */
  forgottenSeq: number;
}

/** A caller's key stands in this place; anything else is a producer's id. */
const CALLERS_KEY = -1;
/** Entries lie in blocks of so many. */
const BLOCK_BITS = 10;
const BLOCK_MASK = 2 ** BLOCK_BITS - 1;
// The numbers of an entry.
const PRODUCER = 0;
const PRODUCER_SEQ = 1;
const ORIGIN = 2;
const SEQ = 3;
const STAMP = 4;
/** Where in the shard's log the op stands. */
const OFFSET = 5;
const NUMBERS = 6;

/** A batch that has been open for longer takes no more ops: an op's stamp is at most so much before it came in. */
export const OPEN_BATCH_MS_MAX = 100;

export class IdempotencyTable {
  readonly #entriesMax: number;
  readonly #producers = new Map<number, Producer>();
  /** Caller's key → place in the ring. */
  readonly #keys = new Map<string, number>();
  readonly #origins: OriginId[] = [];
  readonly #originIndexes = new Map<OriginId, number>();
  // The ring, in numbers: with an object for each remembered op, collecting garbage costs more than all else here. An entry's place is its
  // position modulo entriesMax + 1, and blocks are added when a place is reached, so that nothing is ever moved.
  readonly #blocks: Float64Array[] = [];
  /** Callers' keys by place. */
  readonly #keyAt = new Map<number, string>();
  /** Position of the oldest entry that is remembered, and of the next one. */
  #head = 0;
  #next = 0;
  /** The highest stamp of anything forgotten, 0 = nothing was. */
  #horizonStamp: number;

  constructor(entriesMax: number, horizonStamp = 0) {
    this.#entriesMax = entriesMax;
    this.#horizonStamp = horizonStamp;
  }

  get size(): number {
    return this.#next - this.#head;
  }

  get horizonStamp(): number {
    return this.#horizonStamp;
  }

  /** What was stamped up to there may have been remembered once, and is not any more. */
  forgetUpTo(stamp: number): void {
    this.#horizonStamp = Math.max(this.#horizonStamp, stamp);
  }

  /** The log offset from which a restart must read to know all this again; undefined when the table is empty. */
  get firstOffset(): number | undefined {
    return this.size === 0 ? undefined : this.#number(this.#place(this.#head), OFFSET);
  }

  look(idempotency: Idempotency, issuedAtMs: number | undefined): Recognised {
    if (idempotency.kind === 'producer') {
      const producer = this.#producers.get(idempotency.producer);
      if (producer !== undefined) {
        const place = producer.seqs.find(idempotency.seq);
        if (place >= 0) return { kind: 'duplicate', first: this.#versionAt(place) };
        if (idempotency.seq <= producer.forgottenSeq) return this.#forgotten();
      }
    } else {
      const place = this.#keys.get(idempotency.key);
      if (place !== undefined) return { kind: 'duplicate', first: this.#versionAt(place) };
    }
    // The stamp is that of the batch's opening; the op may have been issued after it.
    const horizonMs = msOfStamp(this.#horizonStamp) + OPEN_BATCH_MS_MAX;
    if (this.#horizonStamp > 0 && issuedAtMs !== undefined && issuedAtMs <= horizonMs) {
      return this.#forgotten();
    }
    return NEW;
  }

  #forgotten(): Recognised {
    return { kind: 'forgotten', horizonMs: msOfStamp(this.#horizonStamp) + OPEN_BATCH_MS_MAX };
  }

  #place(position: number): number {
    return position % (this.#entriesMax + 1);
  }

  #versionAt(place: number): Version {
    return {
      origin: this.#origins[this.#number(place, ORIGIN)]!,
      seq: this.#number(place, SEQ),
      stamp: this.#number(place, STAMP),
    };
  }

  #number(place: number, which: number): number {
    return this.#blocks[place >>> BLOCK_BITS]![(place & BLOCK_MASK) * NUMBERS + which]!;
  }

  /** An entry of the shard's log. Throws MalformedBytes. */
  rememberEntry(offset: number, kind: 'batch' | 'lease' | 'barrier', bytes: Uint8Array): void {
    if (kind !== 'batch') return;
    const header = readBatchHeader(bytes);
    this.rememberBatch(header, findOps(bytes, header), offset);
  }

  rememberBatch({ origin, firstSeq, firstStamp }: BatchHeader, ops: LocatedOps, offset: number): void {
    for (let i = 0; i < ops.count; i++) {
      if (ops.hasProducer(i)) {
        this.recordProducer(ops.producer(i), ops.producerSeq(i), origin, firstSeq + i, firstStamp + i, offset);
      } else if (ops.hasCallersKey(i)) {
        const version = { origin, seq: firstSeq + i, stamp: firstStamp + i };
        this.record(ops.op(i).idempotency!, version, offset);
      }
    }
  }

  record(idempotency: Idempotency, version: Version, offset: number): void {
    if (idempotency.kind === 'producer') {
      const { origin, seq, stamp } = version;
      this.recordProducer(idempotency.producer, idempotency.seq, origin, seq, stamp, offset);
      return;
    }
    if (this.#keys.has(idempotency.key)) return;
    const place = this.#place(this.#next);
    this.#keys.set(idempotency.key, place);
    this.#keyAt.set(place, idempotency.key);
    this.#fill(place, CALLERS_KEY, 0, version.origin, version.seq, version.stamp, offset);
  }

  /** record() without an object for each argument. */
  recordProducer(
    producerId: number,
    producerSeq: number,
    origin: OriginId,
    seq: number,
    stamp: number,
    offset: number,
  ): void {
    let producer = this.#producers.get(producerId);
    if (producer === undefined) {
      producer = { seqs: new SeqRun(), forgottenSeq: 0 };
      this.#producers.set(producerId, producer);
    }
    // The same op, accepted in two regions that could not see each other: the first to arrive here is the one answered.
    if (producer.seqs.find(producerSeq) >= 0) return;
    const place = this.#place(this.#next);
    producer.seqs.add(producerSeq, place);
    this.#fill(place, producerId, producerSeq, origin, seq, stamp, offset);
  }

  #fill(
    place: number,
    producerId: number,
    producerSeq: number,
    origin: OriginId,
    seq: number,
    stamp: number,
    offset: number,
  ): void {
    const block = (this.#blocks[place >>> BLOCK_BITS] ??= new Float64Array(2 ** BLOCK_BITS * NUMBERS));
    const at = (place & BLOCK_MASK) * NUMBERS;
    block[at + PRODUCER] = producerId;
    block[at + PRODUCER_SEQ] = producerSeq;
    block[at + ORIGIN] = this.#originIndex(origin);
    block[at + SEQ] = seq;
    block[at + STAMP] = stamp;
    block[at + OFFSET] = offset;
    this.#next++;
    if (this.size > this.#entriesMax) this.#forgetOldest();
  }

  #originIndex(origin: OriginId): number {
    let index = this.#originIndexes.get(origin);
    if (index === undefined) {
      index = this.#origins.push(origin) - 1;
      this.#originIndexes.set(origin, index);
    }
    return index;
  }

  #forgetOldest(): void {
    const place = this.#place(this.#head);
    this.#head++;
    this.#horizonStamp = Math.max(this.#horizonStamp, this.#number(place, STAMP));
    const producerId = this.#number(place, PRODUCER);
    if (producerId === CALLERS_KEY) {
      this.#keys.delete(this.#keyAt.get(place)!);
      this.#keyAt.delete(place);
      return;
    }
    const producer = this.#producers.get(producerId)!;
    const seq = this.#number(place, PRODUCER_SEQ);
    producer.seqs.delete(seq);
    producer.forgottenSeq = Math.max(producer.forgottenSeq, seq);
    // A producer without entries costs nothing any more; the horizon answers for it.
    if (producer.seqs.size === 0) this.#producers.delete(producerId);
  }
}
