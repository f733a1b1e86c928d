// The pieces that the byte forms of all merge types share: origins, versions, sets of dots, expiries.
// Owns: their bytes, and the checks that make hostile input end as MalformedBytes.
//
//   origin    text region, u48 incarnation
//   origins   varint count, that many origins, none twice; what follows names them by index
//   version   origin, varint seq, u64 stamp
//   dots      varint count of origins, each: origin, varint count of seqs, the first seq, then the distance to each next one
//   expiry    varint Unix ms at which it stops being live; 0 = never

import { stampOfMs, EPOCH_MS, STAMPS_PER_MS } from '../clock/hlc.ts';
import { MalformedBytes, type ByteReader, ByteWriter } from '../record/bytes.ts';
import {
  isRegionName,
  originId,
  originIncarnation,
  originRegion,
  type Dot,
  type OriginId,
  type Version,
} from '../record/ids.ts';
import { EXPIRY_GRACE_MS } from './types.ts';

/** Beyond it the stamp at which the version could be collected would not be a safe integer: the year 2089. */
export const EXPIRY_MS_MAX = EPOCH_MS + Math.floor(Number.MAX_SAFE_INTEGER / STAMPS_PER_MS) - EXPIRY_GRACE_MS;

const ORIGINS_CACHED_MAX = 4096;
const ORIGIN_BYTES_MIN = 8; // length, one letter, incarnation

// A shard meets a few dozen origins and reads each of them millions of times: one string object per origin saves most of
// the decoding, and makes `===` a comparison of pointers. Emptied when full, so that hostile input cannot make them grow.
const originBytes = new Map<OriginId, Buffer>();
const originsByBytes = new Map<string, OriginId>();

export function writeOrigin(writer: ByteWriter, origin: OriginId): void {
  let bytes = originBytes.get(origin);
  if (bytes === undefined) {
    bytes = new ByteWriter(40).text(originRegion(origin)).u48(originIncarnation(origin)).finish();
    if (originBytes.size >= ORIGINS_CACHED_MAX) originBytes.clear();
    originBytes.set(origin, bytes);
  }
  writer.raw(bytes);
}

export function readOrigin(reader: ByteReader): OriginId {
  const regionBytes = reader.varint();
  if (regionBytes > 32) throw new MalformedBytes(`a region's name of ${regionBytes} bytes`);
  const bytes = reader.raw(regionBytes + 6);
  const key = bytes.toString('latin1');
  let origin = originsByBytes.get(key);
  if (origin === undefined) {
    const region = key.slice(0, regionBytes);
    if (!isRegionName(region)) throw new MalformedBytes('an origin of a badly named region');
    origin = originId(region, bytes.readUIntLE(regionBytes, 6));
    if (originsByBytes.size >= ORIGINS_CACHED_MAX) originsByBytes.clear();
    originsByBytes.set(key, origin);
  }
  return origin;
}

/** Gives each origin of a state or payload its index, in the order of first use. */
export class OriginTable {
  readonly #indexes = new Map<OriginId, number>();

  add(origin: OriginId): void {
    if (!this.#indexes.has(origin)) this.#indexes.set(origin, this.#indexes.size);
  }

  index(origin: OriginId): number {
    return this.#indexes.get(origin)!;
  }

  write(writer: ByteWriter): void {
    writer.varint(this.#indexes.size);
    for (const origin of this.#indexes.keys()) writeOrigin(writer, origin);
  }
}

export function readOrigins(reader: ByteReader): OriginId[] {
  const origins: OriginId[] = [];
  for (let left = readCount(reader, ORIGIN_BYTES_MIN, 'origins'); left > 0; left--) origins.push(readOrigin(reader));
  // A set costs more than the rest of decoding a small state.
  const isOnce = (origin: OriginId, i: number): boolean => origins.indexOf(origin) === i;
  if (origins.length > 16 ? new Set(origins).size !== origins.length : !origins.every(isOnce))
    throw new MalformedBytes('a table that names an origin twice');
  return origins;
}

export function readOriginIndex(reader: ByteReader, origins: readonly OriginId[]): OriginId {
  const index = reader.varint();
  const origin = origins[index];
  if (origin === undefined) throw new MalformedBytes(`origin ${index} of ${origins.length}`);
  return origin;
}

/** A count of things of at least `bytesEach` bytes, checked against what is left before anything is allocated for them. */
export function readCount(reader: ByteReader, bytesEach: number, what: string): number {
  const count = reader.varint();
  if (count * bytesEach > reader.left) throw new MalformedBytes(`${count} ${what} in ${reader.left} bytes`);
  return count;
}

/** A seq of an op: 1 or more. */
export function readSeq(reader: ByteReader): number {
  const seq = reader.varint();
  if (seq === 0) throw new MalformedBytes('a dot with seq 0');
  return seq;
}

export function readStamp(reader: ByteReader): number {
  const stamp = reader.u64();
  if (stamp === 0) throw new MalformedBytes('a version with stamp 0');
  return stamp;
}

export function writeVersion(writer: ByteWriter, version: Version): void {
  writeOrigin(writer, version.origin);
  writer.varint(version.seq).u64(version.stamp);
}

export function readVersion(reader: ByteReader): Version {
  return { origin: readOrigin(reader), seq: readSeq(reader), stamp: readStamp(reader) };
}

export function writeExpiry(writer: ByteWriter, expiresAtMs: number | undefined): void {
  writer.varint(expiresAtMs ?? 0);
}

export function readExpiry(reader: ByteReader): number | undefined {
  const expiresAtMs = reader.varint();
  if (expiresAtMs > EXPIRY_MS_MAX) throw new MalformedBytes(`an expiry at ${expiresAtMs} ms`);
  return expiresAtMs === 0 ? undefined : expiresAtMs;
}

/** By origin, then by seq. */
export function compareDots(a: Dot, b: Dot): number {
  if (a.origin === b.origin) return a.seq - b.seq;
  return a.origin < b.origin ? -1 : 1;
}

export function sameDot(a: Dot, b: Dot): boolean {
  return a.seq === b.seq && a.origin === b.origin;
}

/** Dots by origin, for asking "is this one of them?". */
export class DotSet {
  readonly #seqs = new Map<OriginId, Set<number>>();

  static of(dots: Iterable<Dot>): DotSet {
    const set = new DotSet();
    for (const dot of dots) set.add(dot.origin, dot.seq);
    return set;
  }

  add(origin: OriginId, seq: number): void {
    const seqs = this.#seqs.get(origin);
    if (seqs === undefined) this.#seqs.set(origin, new Set([seq]));
    else seqs.add(seq);
  }

  has(dot: Dot): boolean {
    return this.#seqs.get(dot.origin)?.has(dot.seq) ?? false;
  }

  write(writer: ByteWriter): void {
    writer.varint(this.#seqs.size);
    for (const [origin, seqs] of this.#seqs) {
      writeOrigin(writer, origin);
      writer.varint(seqs.size);
      let before = 0;
      for (const seq of [...seqs].sort((a, b) => a - b)) {
        writer.varint(seq - before);
        before = seq;
      }
    }
  }

  static read(reader: ByteReader): DotSet {
    const set = new DotSet();
    for (let left = readCount(reader, ORIGIN_BYTES_MIN + 2, 'origins'); left > 0; left--) {
      const origin = readOrigin(reader);
      if (set.#seqs.has(origin)) throw new MalformedBytes('dots that name an origin twice');
      const seqs = new Set<number>();
      let seq = 0;
      for (let dotsLeft = readCount(reader, 1, 'dots'); dotsLeft > 0; dotsLeft--) {
        seq += readSeq(reader);
        if (!Number.isSafeInteger(seq)) throw new MalformedBytes('a dot above 2^53-1');
        seqs.add(seq);
      }
      if (seqs.size === 0) throw new MalformedBytes('an origin without dots');
      set.#seqs.set(origin, seqs);
    }
    return set;
  }
}

/** A copy of `bytes` from `start` on. States are kept for long; a view would keep the whole batch that it came in alive. */
export function copyFrom(bytes: Uint8Array, start = 0): Buffer {
  const copy = Buffer.allocUnsafe(bytes.length - start);
  copy.set(start === 0 ? bytes : bytes.subarray(start));
  return copy;
}

/** The bytes from `start` on as characters 0 to 255. */
export function textOf(bytes: Uint8Array, start: number): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString('latin1', start);
}

export function isLive(expiresAtMs: number | undefined, nowMs: number): boolean {
  return expiresAtMs === undefined || expiresAtMs > nowMs;
}

/** The stamp from which an expiring part may be collected. */
export function expiryCollectableAt(expiresAtMs: number): number {
  return stampOfMs(expiresAtMs + EXPIRY_GRACE_MS);
}

/** The lower of two stamps of which either may be missing. */
export function lowest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined || a < b ? a : b;
}

/** One writer for all encoders: each of them runs to its end before another begins. */
export function scratchWriter(): ByteWriter {
  scratch.reset();
  return scratch;
}

const scratch = new ByteWriter(4096);

/** Reads the first byte of a state, `stateVersion` or lower. */
export function readStateVersion(reader: ByteReader, stateVersion: number, type: string): number {
  const version = reader.u8();
  if (version === 0 || version > stateVersion) {
    throw new MalformedBytes(`a ${type} state of version ${version}; this node reads up to ${stateVersion}`);
  }
  return version;
}
