// Where an origin's batches stand in one shard's log: the sparse index behind Log.find().
// Owns: peeking at a batch's origin and seqs, and the points (first seq → offset) kept of them.
// I12 at most POINTS_MAX points of 16 bytes are kept per origin, so at most 64 KiB for an origin however long its stream is:
//     at the bound every second point goes and the distance between points doubles. find() gets earlier, never wrong. How many
//     origins there are is bounded by what the log holds: an origin has at least one batch in it.

import { BATCH_HEADER_BYTES } from '../record/batch.ts';
import { originId, regionId, type OriginId } from '../record/ids.ts';

const STRIDE_FIRST = 32;
const POINTS_MAX = 4096;

export interface BatchPeek {
  readonly origin: OriginId;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

interface KnownOrigin {
  readonly region: Buffer;
  readonly origin: OriginId;
}

/**
 * Reads who wrote a batch and which seqs it has, nothing else: no checksum is verified (the writer made the bytes a moment
 * ago, and what is read from disk has the record's own CRC). Remembers origins, because making their text costs more than
 * everything else here.
 */
export class BatchPeeker {
  readonly #known = new Map<number, KnownOrigin>();

  /** undefined: not a batch that this version can index; it is stored and read all the same, find() does not know it. */
  peek(bytes: Uint8Array): BatchPeek | undefined {
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (buffer.length < BATCH_HEADER_BYTES || buffer.readUInt32LE(4) !== buffer.length) return undefined;
    const count = buffer.readUInt32LE(16);
    const firstSeq = buffer.readUInt32LE(28) * 0x1_0000_0000 + buffer.readUInt32LE(24);
    const regionEnd = BATCH_HEADER_BYTES + buffer[59]!;
    if (count === 0 || firstSeq < 1 || !Number.isSafeInteger(firstSeq + count) || regionEnd > buffer.length)
      return undefined;
    const incarnation = buffer.readUIntLE(48, 6);
    let known = this.#known.get(incarnation);
    // Incarnations are random, so two regions with the same one are all but impossible; the comparison makes it harmless.
    if (known === undefined || known.region.compare(buffer, BATCH_HEADER_BYTES, regionEnd) !== 0) {
      const region = Buffer.from(buffer.subarray(BATCH_HEADER_BYTES, regionEnd));
      try {
        known = { region, origin: originId(regionId(region.toString('latin1')), incarnation) };
      } catch {
        return undefined;
      }
      this.#known.set(incarnation, known);
    }
    return { origin: known.origin, firstSeq, lastSeq: firstSeq + count - 1 };
  }
}

class OriginPoints {
  /** Ascending, both. */
  readonly seqs: number[] = [];
  readonly offsets: number[] = [];
  lastSeq = 0;
  #stride = STRIDE_FIRST;
  #sincePoint = STRIDE_FIRST;

  add(peek: BatchPeek, offset: number): void {
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

  add(peek: BatchPeek, offset: number): void {
    let points = this.#origins.get(peek.origin);
    if (points === undefined) {
      points = new OriginPoints();
      this.#origins.set(peek.origin, points);
    }
    points.add(peek, offset);
  }

  find(origin: OriginId, seq: number): number | undefined {
    return this.#origins.get(origin)?.find(seq);
  }
}
