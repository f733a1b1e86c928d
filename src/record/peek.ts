// A glance at a batch: who wrote it and which seqs it has, nothing else.
// For those who handle batches that were checked before and only pass them on: a log that indexes them, a link that serves
// them. No checksum is verified here; whoever takes a batch from outside uses readBatchHeader.
// I12 the memory of origins is at most ORIGINS_MAX entries; at the bound it starts anew, which costs time and nothing else.

import { BATCH_HEADER_BYTES } from './batch.ts';
import { originId, regionId, type OriginId, type RegionId } from './ids.ts';

const ORIGINS_MAX = 4096;

export interface BatchPeek {
  readonly origin: OriginId;
  readonly region: RegionId;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

interface KnownOrigin {
  readonly bytes: Buffer;
  readonly region: RegionId;
  readonly origin: OriginId;
}

export class BatchPeeker {
  /** Making an origin's text costs more than everything else here. */
  readonly #known = new Map<number, KnownOrigin>();

  /** undefined: not a batch that this version can look at. */
  peek(bytes: Uint8Array): BatchPeek | undefined {
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (buffer.length < BATCH_HEADER_BYTES || buffer.readUInt32LE(4) !== buffer.length) return undefined;
    const count = buffer.readUInt32LE(16);
    const firstSeq = buffer.readUInt32LE(28) * 0x1_0000_0000 + buffer.readUInt32LE(24);
    const regionEnd = BATCH_HEADER_BYTES + buffer.readUInt8(59);
    if (count === 0 || firstSeq < 1 || !Number.isSafeInteger(firstSeq + count)) return undefined;
    if (regionEnd > buffer.length) return undefined;
    const incarnation = buffer.readUIntLE(48, 6);
    let known = this.#known.get(incarnation);
    // Incarnations are random, so two regions with the same one are all but impossible; the comparison makes it harmless.
    if (known === undefined || known.bytes.compare(buffer, BATCH_HEADER_BYTES, regionEnd) !== 0) {
      const region = Buffer.from(buffer.subarray(BATCH_HEADER_BYTES, regionEnd));
      try {
        const name = regionId(region.toString('latin1'));
        known = { bytes: region, region: name, origin: originId(name, incarnation) };
      } catch {
        return undefined;
      }
      if (this.#known.size >= ORIGINS_MAX) this.#known.clear();
      this.#known.set(incarnation, known);
    }
    return { origin: known.origin, region: known.region, firstSeq, lastSeq: firstSeq + count - 1 };
  }
}
