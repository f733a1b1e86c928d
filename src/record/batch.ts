// The batch: ops of one shard and origin that were committed together. Encoded once, by the owner that sequenced it; the
// same bytes lie in every region's log, cross every link and are relayed. Only who applies it decodes the ops.
//
// Fixed header, 64 bytes, little-endian (docs/PROTOCOL.md has the table and the rules for newer versions):
//    0 u8  format version (1)              24 u64 first seq
//    1 u8  reserved, 0                     32 u64 first stamp (op i has first + i)
//    2 u16 required feature bits           40 8B  checksum of the origin's previous batch, 0 for its first
//    4 u32 length of the whole batch       48 u48 incarnation
//    8 8B  checksum64 of bytes 16..end     54 u16 placement id
//   16 u32 number of ops                   56 u16 shard index
//   20 u32 offset of the first op          58 u8  flags: 1 deps are full   59 u8 length of region   60 u32 reserved, 0
// Then: region; deps; collection table; header extensions (tag 2 is reserved for an authenticator of the origin); ops.
//
// I4  deps are the vector on which the ops were prepared, own origin left out (it is first seq - 1).
// HAZARD: deps are relative to the origin's previous batch unless flag 1 is set. Whoever decodes them must hold the deps of
// exactly that batch; the engine does, because it takes batches of an origin in order only (I2).

import { ByteReader, ByteWriter, MalformedBytes } from './bytes.ts';
import { checksum64 } from './hash.ts';
import { locateOps, type LocatedOps } from './located-ops.ts';
import { OpsWriter } from './ops-writer.ts';
import {
  NAME_PATTERN,
  originId,
  originIncarnation,
  originRegion,
  regionId,
  shardId,
  shardParts,
  type OriginId,
  type ShardId,
} from './ids.ts';
import {
  DEFINITIONS,
  MERGE_TYPE_CODES,
  mergeTypeOfCode,
  opMatches,
  readOp,
  runTimeIdParts,
  skipOp,
  skipExtensions,
  type CollectionRef,
  type Op,
} from './op.ts';
import type { ReadonlyVector } from './vector.ts';

export const BATCH_FORMAT_VERSION = 1;
/** Required features that this version knows. A batch with any other bit is refused as `newer`, never half-read. */
export const BATCH_FEATURES_KNOWN = 0;
export const BATCH_HEADER_BYTES = 64;
export const BATCH_BYTES_MAX = 16 * 1024 * 1024;
export const BATCH_OPS_MAX = 65_536;
export const NO_CHECKSUM = Buffer.alloc(8);
const FLAG_DEPS_FULL = 1;
const STAMP_MAX = Number.MAX_SAFE_INTEGER;

/** What the fixed header says; reading it touches no op and allocates next to nothing. */
export interface BatchHeader {
  readonly shard: ShardId;
  readonly origin: OriginId;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly firstStamp: number;
  readonly lastStamp: number;
  readonly count: number;
  /** Of this batch (8 bytes). */
  readonly checksum: Buffer;
  /** Of the origin's previous batch in this shard (8 bytes, zero for the first). */
  readonly previousChecksum: Buffer;
}

export interface Batch extends BatchHeader {
  readonly deps: OrderedDeps;
  readonly located: LocatedOps;
}

/** A vector with the order in which its origins were first named; deltas refer to positions in it. */
export class OrderedDeps {
  readonly origins: readonly OriginId[];
  readonly seqs: readonly number[];

  constructor(origins: readonly OriginId[], seqs: readonly number[]) {
    this.origins = origins;
    this.seqs = seqs;
  }

  static readonly empty = new OrderedDeps([], []);

  get(origin: OriginId): number {
    const at = this.origins.indexOf(origin);
    return at < 0 ? 0 : this.seqs[at]!;
  }

  /** Continues this order with the entries of `vector` except `own`: kept, raised, appended; those that are gone are dropped. */
  next(vector: ReadonlyVector, own: OriginId): OrderedDeps {
    const origins: OriginId[] = [];
    const seqs: number[] = [];
    for (const origin of this.origins) {
      const seq = vector.get(origin);
      if (seq === undefined || seq === 0 || origin === own) continue;
      origins.push(origin);
      seqs.push(seq);
    }
    for (const [origin, seq] of vector) {
      if (origin === own || seq === 0 || this.origins.includes(origin)) continue;
      origins.push(origin);
      seqs.push(seq);
    }
    return new OrderedDeps(origins, seqs);
  }

  toVector(): Map<OriginId, number> {
    return new Map(this.origins.map((origin, i) => [origin, this.seqs[i]!]));
  }
}

function writeOrigin(writer: ByteWriter, origin: OriginId): void {
  writer.text(originRegion(origin)).u48(originIncarnation(origin));
}

function readOrigin(reader: ByteReader): OriginId {
  const region = reader.text();
  const incarnation = reader.u48();
  try {
    return originId(regionId(region), incarnation);
  } catch (cause) {
    throw new MalformedBytes('a badly named origin', { cause });
  }
}

function writeFullDeps(writer: ByteWriter, deps: OrderedDeps): void {
  writer.varint(deps.origins.length);
  deps.origins.forEach((origin, i) => {
    writeOrigin(writer, origin);
    writer.varint(deps.seqs[i]!);
  });
}

function writeDepsDelta(writer: ByteWriter, before: OrderedDeps, deps: OrderedDeps): void {
  // `deps` came from `before.next()`: first what is left of `before` in its order, then what is new.
  const removed: number[] = [];
  const raised: [index: number, by: number][] = [];
  let at = 0;
  before.origins.forEach((origin, i) => {
    if (deps.origins[at] !== origin) {
      removed.push(i);
      return;
    }
    const by = deps.seqs[at]! - before.seqs[i]!;
    // It would be left out, and the reader would keep the higher one.
    if (by < 0) throw new RangeError(`deps never go back: ${origin} from ${before.seqs[i]} to ${deps.seqs[at]}`);
    if (by > 0) raised.push([i, by]);
    at++;
  });
  writer.varint(raised.length);
  for (const [index, by] of raised) writer.varint(index).varint(by);
  writer.varint(deps.origins.length - at);
  for (; at < deps.origins.length; at++) {
    writeOrigin(writer, deps.origins[at]!);
    writer.varint(deps.seqs[at]!);
  }
  writer.varint(removed.length);
  for (const index of removed) writer.varint(index);
}

function countOf(reader: ByteReader, what: string): number {
  const count = reader.varint();
  if (count > reader.left) throw new MalformedBytes(`${count} ${what} in ${reader.left} bytes`);
  return count;
}

function readFullDeps(reader: ByteReader): OrderedDeps {
  const origins: OriginId[] = [];
  const seqs: number[] = [];
  for (let left = countOf(reader, 'deps'); left > 0; left--) {
    origins.push(readOrigin(reader));
    seqs.push(reader.varint());
  }
  return checkedDeps(origins, seqs);
}

function readDepsDelta(reader: ByteReader, before: OrderedDeps): OrderedDeps {
  const seqs = [...before.seqs];
  for (let left = countOf(reader, 'raised deps'); left > 0; left--) {
    const index = reader.varint();
    const by = reader.varint();
    const seq = seqs[index];
    if (seq === undefined) throw new MalformedBytes(`deps entry ${index} of ${seqs.length}`);
    seqs[index] = seq + by;
  }
  const added: [OriginId, number][] = [];
  for (let left = countOf(reader, 'added deps'); left > 0; left--) added.push([readOrigin(reader), reader.varint()]);
  const removed = new Set<number>();
  for (let left = countOf(reader, 'removed deps'); left > 0; left--) {
    const index = reader.varint();
    if (index >= before.origins.length)
      throw new MalformedBytes(`removed deps entry ${index} of ${before.origins.length}`);
    removed.add(index);
  }
  const keep = <T>(_: T, i: number): boolean => !removed.has(i);
  return checkedDeps(
    [...before.origins.filter(keep), ...added.map(([origin]) => origin)],
    [...seqs.filter(keep), ...added.map(([, seq]) => seq)],
  );
}

function skipDepsDelta(reader: ByteReader): void {
  for (let left = countOf(reader, 'raised deps'); left > 0; left--) {
    reader.varint();
    reader.varint();
  }
  for (let left = countOf(reader, 'added deps'); left > 0; left--) {
    readOrigin(reader);
    reader.varint();
  }
  for (let left = countOf(reader, 'removed deps'); left > 0; left--) reader.varint();
}

function checkedDeps(origins: OriginId[], seqs: number[]): OrderedDeps {
  if (new Set(origins).size !== origins.length) throw new MalformedBytes('deps that name an origin twice');
  if (seqs.some((seq) => seq < 1 || !Number.isSafeInteger(seq)))
    throw new MalformedBytes('deps with a seq out of range');
  return new OrderedDeps(origins, seqs);
}

export interface BatchHead {
  readonly shard: ShardId;
  readonly origin: OriginId;
  readonly firstSeq: number;
  readonly firstStamp: number;
  readonly deps: OrderedDeps;
  /** Deps of the origin's previous batch; undefined writes them full. */
  readonly depsBefore: OrderedDeps | undefined;
  readonly previousChecksum: Uint8Array;
}

export interface BatchToEncode extends BatchHead {
  readonly ops: readonly Op[];
}

const writer = new ByteWriter(1024);

/** Of ops that are at hand as objects. */
export function encodeBatch(batch: BatchToEncode): Buffer {
  const ops = new OpsWriter();
  for (const op of batch.ops) ops.add(op);
  return sealBatch(batch, ops).bytes;
}

/** Puts the header in front of what was written, and leaves the writer empty. */
export function sealBatch(batch: BatchHead, ops: OpsWriter): { readonly bytes: Buffer; readonly located: LocatedOps } {
  if (ops.count === 0 || ops.count > BATCH_OPS_MAX) {
    throw new RangeError(`a batch holds 1 to ${BATCH_OPS_MAX} ops; got ${ops.count}`);
  }
  const region = originRegion(batch.origin);
  const { placementId, index } = shardParts(batch.shard);
  writer.reset();
  writer.u8(BATCH_FORMAT_VERSION).u8(0).u16(0).u32(0).raw(NO_CHECKSUM);
  writer.u32(ops.count).u32(0).u64(batch.firstSeq).u64(batch.firstStamp).raw(batch.previousChecksum);
  writer.u48(originIncarnation(batch.origin)).u16(placementId).u16(index);
  writer
    .u8(batch.depsBefore === undefined ? FLAG_DEPS_FULL : 0)
    .u8(region.length)
    .u32(0);
  writer.raw(Buffer.from(region, 'latin1'));
  if (batch.depsBefore === undefined) writeFullDeps(writer, batch.deps);
  else writeDepsDelta(writer, batch.depsBefore, batch.deps);

  writer.varint(ops.collections.length);
  for (const collection of ops.collections) {
    writer.text(collection.namespace).text(collection.name).varint(collection.id).u8(MERGE_TYPE_CODES[collection.type]);
  }
  writer.varint(0); // header extensions
  const opsAt = writer.length;
  const length = opsAt + ops.length;
  if (length > BATCH_BYTES_MAX) throw new RangeError(`a batch of ${length} bytes, above ${BATCH_BYTES_MAX}`);
  writer.patchU32(4, length);
  writer.patchU32(20, opsAt);
  const bytes = Buffer.allocUnsafe(length);
  bytes.set(writer.view(), 0);
  bytes.set(ops.view(), opsAt);
  checksum64(bytes.subarray(16)).copy(bytes, 8);
  return { bytes, located: ops.moveTo(bytes, opsAt) };
}

export class NewerFormat extends Error {
  override readonly name = 'NewerFormat';
}

/** At the bound it starts anew, which costs time and nothing else. */
const ORIGINS_KNOWN_MAX = 4096;
/** Checking and making an origin's text costs more than the rest of a header, and there are few origins. */
const originsKnown = new Map<number, { readonly region: string; readonly origin: OriginId }>();

/** Throws MalformedBytes for a badly named region. */
export function originOf(region: string, incarnation: number): OriginId {
  const known = originsKnown.get(incarnation);
  if (known?.region === region) return known.origin;
  let origin: OriginId;
  try {
    origin = originId(regionId(region), incarnation);
  } catch (cause) {
    throw new MalformedBytes('a batch of a badly named region', { cause });
  }
  if (originsKnown.size >= ORIGINS_KNOWN_MAX) originsKnown.clear();
  originsKnown.set(incarnation, { region, origin });
  return origin;
}

/** Which shard a batch says it is of, before anything is checked; undefined when it is too short to say. */
export function peekShard(bytes: Uint8Array): ShardId | undefined {
  if (bytes.length < BATCH_HEADER_BYTES) return undefined;
  return shardId(bytes[54]! + bytes[55]! * 256, bytes[56]! + bytes[57]! * 256);
}

/**
 * Reads and checks the fixed header, the checksum included. Throws MalformedBytes, or NewerFormat for what only a newer node can read.
 * `verified`: the bytes come from our own log, whose records have their own checksum; this one was checked when they were taken.
 */
export function readBatchHeader(input: Uint8Array, verified = false): BatchHeader {
  const bytes = Buffer.isBuffer(input) ? input : Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  if (bytes.length < BATCH_HEADER_BYTES) throw new MalformedBytes(`a batch of ${bytes.length} bytes`);
  if (bytes.readUInt32LE(4) !== bytes.length) {
    throw new MalformedBytes(`a batch that says ${bytes.readUInt32LE(4)} bytes and has ${bytes.length}`);
  }
  if (bytes.length > BATCH_BYTES_MAX) throw new MalformedBytes(`a batch of ${bytes.length} bytes`);
  const version = bytes[0]!;
  const features = bytes.readUInt16LE(2);
  if (version === 0) throw new MalformedBytes('batch format version 0');
  const checksum = bytes.subarray(8, 16);
  if (!verified && !checksum64(bytes.subarray(16)).equals(checksum))
    throw new MalformedBytes('a batch whose checksum is wrong');
  if (version > BATCH_FORMAT_VERSION || (features & ~BATCH_FEATURES_KNOWN) !== 0) {
    throw new NewerFormat(
      `batch format ${version} with features ${features}; this node reads up to ${BATCH_FORMAT_VERSION} with ${BATCH_FEATURES_KNOWN}`,
    );
  }
  // Whatever gives these a meaning comes with a feature bit or a version, so here they can only be damage; byte 1 is not under
  // the checksum.
  if (bytes[1] !== 0 || bytes.readUInt32LE(60) !== 0 || (bytes[58]! & ~FLAG_DEPS_FULL) !== 0) {
    throw new MalformedBytes('a batch header with reserved bits set');
  }
  const reader = new ByteReader(bytes, 16);
  const count = reader.u32();
  const opsAt = reader.u32();
  const firstSeq = reader.u64();
  const firstStamp = reader.u64();
  const previousChecksum = reader.raw(8);
  const incarnation = reader.u48();
  const shard = shardId(reader.u16(), reader.u16());
  reader.u8();
  const regionBytes = reader.u8();
  reader.u32();
  const region = reader.raw(regionBytes).toString('latin1');
  if (count === 0 || count > BATCH_OPS_MAX) throw new MalformedBytes(`a batch of ${count} ops`);
  if (firstSeq < 1 || firstSeq + count > STAMP_MAX) throw new MalformedBytes(`a batch from seq ${firstSeq}`);
  if (firstStamp < 1 || firstStamp + count > STAMP_MAX) throw new MalformedBytes(`a batch from stamp ${firstStamp}`);
  if (opsAt < BATCH_HEADER_BYTES + regionBytes || opsAt > bytes.length) throw new MalformedBytes(`ops at ${opsAt}`);
  const origin = originOf(region, incarnation);
  return {
    shard,
    origin,
    firstSeq,
    lastSeq: firstSeq + count - 1,
    firstStamp,
    lastStamp: firstStamp + count - 1,
    count,
    checksum,
    previousChecksum,
  };
}

/**
 * Decodes the ops alone, without the deps of the origin's previous batch: for the feed and for whoever only needs to know
 * which ops are in a batch that was judged before.
 */
export function decodeOps(input: Uint8Array, header: BatchHeader): Op[] {
  const bytes = Buffer.isBuffer(input) ? input : Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  const reader = new ByteReader(bytes, BATCH_HEADER_BYTES + bytes[59]!);
  if ((bytes[58]! & FLAG_DEPS_FULL) !== 0) readFullDeps(reader);
  else skipDepsDelta(reader);
  return readOps(reader, bytes, header);
}

/** decodeOps without an object for each op. */
export function findOps(input: Uint8Array, header: BatchHeader): LocatedOps {
  const bytes = Buffer.isBuffer(input) ? input : Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  const reader = new ByteReader(bytes, BATCH_HEADER_BYTES + bytes[59]!);
  if ((bytes[58]! & FLAG_DEPS_FULL) !== 0) readFullDeps(reader);
  else skipDepsDelta(reader);
  return locateOps(reader, bytes, header.count, readCollections(reader, bytes));
}

/** Which ops a walk stops at. */
export interface OpFilter {
  /** Asked once for each collection of a batch. */
  wants(collection: CollectionRef): boolean;
  /** UTF-8; empty: every key. */
  readonly keyPrefix: Uint8Array;
}

/** decodeOps for who wants few of them: the others are stepped over, undecoded. Control ops are never wanted. */
export function walkOps(
  input: Uint8Array,
  header: BatchHeader,
  filter: OpFilter,
  visit: (op: Op, index: number) => void,
): void {
  const bytes = Buffer.isBuffer(input) ? input : Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  const reader = new ByteReader(bytes, BATCH_HEADER_BYTES + bytes[59]!);
  if ((bytes[58]! & FLAG_DEPS_FULL) !== 0) readFullDeps(reader);
  else skipDepsDelta(reader);
  const collections = readCollections(reader, bytes);
  const wanted = collections.map((collection) => filter.wants(collection));
  if (!wanted.includes(true)) return;
  for (let i = 0; i < header.count; i++) {
    if (opMatches(reader, wanted, filter.keyPrefix)) visit(readOp(reader, collections), i);
    else skipOp(reader);
  }
}

/** Reads the rest of a batch whose header was read, and finds its ops. `before` are the deps of the origin's previous batch. */
export function decodeBatch(input: Uint8Array, header: BatchHeader, before: OrderedDeps): Batch {
  const bytes = Buffer.isBuffer(input) ? input : Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  const reader = new ByteReader(bytes, BATCH_HEADER_BYTES + bytes[59]!);
  const deps = (bytes[58]! & FLAG_DEPS_FULL) !== 0 ? readFullDeps(reader) : readDepsDelta(reader, before);
  if (deps.origins.includes(header.origin)) throw new MalformedBytes('deps that name their own origin');
  return { ...header, deps, located: locateOps(reader, bytes, header.count, readCollections(reader, bytes)) };
}

function readOps(reader: ByteReader, bytes: Buffer, header: BatchHeader): Op[] {
  const collections = readCollections(reader, bytes);
  const ops: Op[] = [];
  for (let i = 0; i < header.count; i++) ops.push(readOp(reader, collections));
  reader.end('a batch');
  return ops;
}

function readCollections(reader: ByteReader, bytes: Buffer): CollectionRef[] {
  const collections: CollectionRef[] = [];
  for (let left = countOf(reader, 'collections'); left > 0; left--) collections.push(readCollection(reader));
  skipExtensions(reader, 'batch');
  if (reader.at !== bytes.readUInt32LE(20)) throw new MalformedBytes('a batch header of another length than it says');
  return collections;
}

/** At the bound it starts anew. */
const COLLECTIONS_KNOWN_MAX = 4096;
/** One object for each collection: whoever keeps something by collection then finds it by identity. */
const collectionsKnown = new Map<string, CollectionRef>();

function readCollection(reader: ByteReader): CollectionRef {
  const namespace = reader.text();
  const name = reader.text();
  const id = reader.varint();
  const code = reader.u8();
  const type = mergeTypeOfCode(code);
  if (type === undefined) throw new MalformedBytes(`merge type ${code} is not known here`);
  const known = collectionsKnown.get(`${namespace}/${name}#${id} ${code}`);
  if (known !== undefined) return known;
  if (!NAME_PATTERN.test(namespace) || !NAME_PATTERN.test(name)) throw new MalformedBytes('a badly named collection');
  const typeOfId = runTimeIdParts(id)?.typeCode ?? code;
  if (typeOfId !== code) throw new MalformedBytes(`collection ${id} is of merge type ${typeOfId}, not ${code}`);
  const { namespace: system, name: definitions } = DEFINITIONS;
  const defines = namespace === system && name === definitions && id === DEFINITIONS.id && type === DEFINITIONS.type;
  const collection = defines ? DEFINITIONS : { namespace, name, id, type };
  if (collectionsKnown.size >= COLLECTIONS_KNOWN_MAX) collectionsKnown.clear();
  collectionsKnown.set(`${namespace}/${name}#${id} ${code}`, collection);
  return collection;
}
