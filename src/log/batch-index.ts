// Where an origin's batches stand in one shard's log: the sparse index behind Log.find().
// Owns: the points (first seq → offset) that are kept of an origin's batches.
// I12 at most POINTS_MAX points of 16 bytes are kept per origin, so at most 64 KiB for an origin however long its stream is:
//     at the bound every second point goes and the distance between points doubles. find() gets earlier, never wrong. How many
//     origins there are is bounded by what the log holds: an origin has at least one batch in it.

import type { OriginId } from '../record/ids.ts';
import type { BatchPeek } from '../record/peek.ts';

const STRIDE_FIRST = 32;
const POINTS_MAX = 4096;

class OriginPoints {
  /** Ascending, both. */
  readonly seqs: number[] = [];
  readonly offsets: number[] = [];
  lastSeq = 0;
  #stride = STRIDE_FIRST;
  #sincePoint = STRIDE_FIRST;

  add(peek: Omit<BatchPeek, 'region'>, offset: number): void {
    // A point says that all seqs before it stand before its offset too, so find() is never late. A batch that does not start
    // above everything before it (after a gap that was filled later) makes no point.
    const above = peek.firstSeq > this.lastSeq;
    if (peek.lastSeq > this.lastSeq) this.lastSeq = peek.lastSeq;
    if (++this.#sincePoint < this.#stride || !above) return;
    this.seqs.push(peek.firstSeq);
    this.offsets.push(offset);
    this.#sincePoint = 0;
    if (this.seqs.length > POINTS_MAX) this.#thin();
  }

  #thin(): void {
    const kept = Math.ceil(this.seqs.length / 2);
    for (let i = 0; i < kept; i++) {
      this.seqs[i] = this.seqs[i * 2]!;
      this.offsets[i] = this.offsets[i * 2]!;
    }
    this.seqs.length = kept;
    this.offsets.length = kept;
    this.#stride *= 2;
  }

  find(seq: number): number | undefined {
    if (seq > this.lastSeq) return undefined;
    return this.offsets[Math.max(0, lastAtMost(this.seqs, seq))];
  }
}

/** Index of the last element ≤ `value` of an ascending list, -1 when there is none. */
export function lastAtMost(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The index of one shard. Batches are added in the order of their offsets. */
export class BatchIndex {
  readonly #origins = new Map<OriginId, OriginPoints>();

  add(peek: Omit<BatchPeek, 'region'>, offset: number): void {
    let points = this.#origins.get(peek.origin);
    if (points === undefined) {
      points = new OriginPoints();
      this.#origins.set(peek.origin, points);
    }
    points.add(peek, offset);
  }

  origins(): OriginId[] {
    return [...this.#origins.keys()];
  }

  find(origin: OriginId, seq: number): number | undefined {
    return this.#origins.get(origin)?.find(seq);
  }
}
