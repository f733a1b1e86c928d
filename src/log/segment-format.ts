// The bytes of a segment file. Pure: makes and judges bytes, reads no file.
//
// A segment is a header and records, all integers little-endian.
//
// Header:
//    0 8B  magic                                    40 u64 number of this segment
//    8 u16 format version (1)                       48 u32 epoch (counts how often this log was found damaged)
//   10 u16 required feature bits                    52 u32 count of shards
//   12 u32 length of the header                     56 u64 number of the previous segment, 0 = none
//   16 u32 crc32 of the header without this field   64 u64 length of the previous segment
//   20 u32 salt, random                             72 u32 salt of the previous segment
//   24 16B id of the log                            76 u32 flags: 1 salvaged
//   then for each shard, 16 bytes: u16 placement, u16 index, u32 flags (1 = proven), u64 offset of its next entry
// What it says about the previous segment and the shards makes a missing, swapped or shortened file visible.
//
// Record:
//    0 u32 crc32 of the rest, started from the segment's salt   16 u16 placement, 18 u16 index of the shard
//    4 u32 magic                                                20 u32 position at which its commit began
//    8 u32 length of the payload                                24 u64 offset in the shard
//   12 u8 version (1), 13 u8 kind, 14 u16 required feature bits  32 payload
// The salt makes bytes of another file, or of an older use of the same disk blocks, fail the CRC. The start of the commit tells
// recovery whether a bad record can be part of a commit that was never acknowledged (segment-recovery.ts).

import { crc32 } from 'node:zlib';
import { LOG_ENTRY_BYTES_MAX, LOG_ENTRY_KINDS, type LogEntryKind } from './log.ts';

const SEGMENT_FORMAT_VERSION = 1;
const SEGMENT_FEATURES_KNOWN = 0;
const RECORD_VERSION = 1;
const RECORD_FEATURES_KNOWN = 0;

const SEGMENT_MAGIC = Buffer.from([0x43, 0x57, 0x53, 0x45, 0x47, 0x0d, 0x0a, 0x00]); // CWSEG: CR LF NUL catch text transfers
const HEADER_FIXED_BYTES = 80;
const SHARD_BYTES = 16;
/** A reader that found more would be allocating for garbage. */
const SEGMENT_HEADER_BYTES_MAX = HEADER_FIXED_BYTES + SHARD_BYTES * 1024 * 1024;
const FLAG_SALVAGED = 1;
const FLAG_PROVEN = 1;

export const RECORD_MAGIC = 0x31525743; // 'CWR1' in the file
export const RECORD_MAGIC_BYTES = Buffer.from('CWR1', 'latin1');
export const RECORD_MAGIC_AT = 4;
export const RECORD_HEADER_BYTES = 32;

/** A shard's number in files and in the maps of the hot path. */
export function shardKey(placement: number, index: number): number {
  return placement * 0x1_0000 + index;
}

export interface ShardMark {
  readonly placement: number;
  readonly index: number;
  /** Offset of the shard's next entry at the start of the segment. */
  readonly next: number;
  /** A lease was appended to it in this epoch. */
  readonly proven: boolean;
}

export interface SegmentHeader {
  readonly salt: number;
  /** 32 hex digits. */
  readonly log: string;
  readonly number: number;
  readonly epoch: number;
  readonly previous: { readonly number: number; readonly length: number; readonly salt: number };
  /** Its records were copied out of damaged files: leases among them prove nothing. */
  readonly salvaged: boolean;
  readonly shards: readonly ShardMark[];
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_FIXED_BYTES + SHARD_BYTES * header.shards.length);
  SEGMENT_MAGIC.copy(bytes, 0);
  bytes.writeUInt16LE(SEGMENT_FORMAT_VERSION, 8);
  bytes.writeUInt32LE(bytes.length, 12);
  bytes.writeUInt32LE(header.salt, 20);
  bytes.write(header.log, 24, 16, 'hex');
  writeU64(bytes, header.number, 40);
  bytes.writeUInt32LE(header.epoch, 48);
  bytes.writeUInt32LE(header.shards.length, 52);
  writeU64(bytes, header.previous.number, 56);
  writeU64(bytes, header.previous.length, 64);
  bytes.writeUInt32LE(header.previous.salt, 72);
  bytes.writeUInt32LE(header.salvaged ? FLAG_SALVAGED : 0, 76);
  header.shards.forEach((shard, i) => {
    const at = HEADER_FIXED_BYTES + SHARD_BYTES * i;
    bytes.writeUInt16LE(shard.placement, at);
    bytes.writeUInt16LE(shard.index, at + 2);
    bytes.writeUInt32LE(shard.proven ? FLAG_PROVEN : 0, at + 4);
    writeU64(bytes, shard.next, at + 8);
  });
  bytes.writeUInt32LE(headerCrc(bytes), 16);
  return bytes;
}

export type HeaderVerdict =
  | { readonly kind: 'good'; readonly header: SegmentHeader; readonly length: number }
  /** The file must have so many bytes before its header can be judged. */
  | { readonly kind: 'needs'; readonly bytes: number }
  | { readonly kind: 'newer'; readonly message: string }
  | { readonly kind: 'bad'; readonly message: string };

/** `bytes` are the first of the file. */
export function decodeSegmentHeader(bytes: Buffer): HeaderVerdict {
  if (bytes.length < HEADER_FIXED_BYTES) return { kind: 'needs', bytes: HEADER_FIXED_BYTES };
  if (bytes.compare(SEGMENT_MAGIC, 0, SEGMENT_MAGIC.length, 0, SEGMENT_MAGIC.length) !== 0) {
    return {
      kind: 'bad',
      message: `expected a segment's magic, found ${bytes.toString('hex', 0, SEGMENT_MAGIC.length)}`,
    };
  }
  const length = bytes.readUInt32LE(12);
  if (length < HEADER_FIXED_BYTES || length > SEGMENT_HEADER_BYTES_MAX) {
    return { kind: 'bad', message: `a segment header says that it has ${length} bytes` };
  }
  if (bytes.length < length) return { kind: 'needs', bytes: length };
  const head = bytes.subarray(0, length);
  const crc = headerCrc(head);
  if (crc !== head.readUInt32LE(16)) {
    return { kind: 'bad', message: `expected header checksum ${hex(crc)}, found ${hex(head.readUInt32LE(16))}` };
  }
  const version = head.readUInt16LE(8);
  const features = head.readUInt16LE(10);
  if (version > SEGMENT_FORMAT_VERSION || (features & ~SEGMENT_FEATURES_KNOWN) !== 0) {
    return { kind: 'newer', message: `segment format ${version} with features ${features}` };
  }
  const count = head.readUInt32LE(52);
  if (length !== HEADER_FIXED_BYTES + SHARD_BYTES * count) {
    return { kind: 'bad', message: `a segment header of ${length} bytes with ${count} shards` };
  }
  const shards: ShardMark[] = [];
  for (let at = HEADER_FIXED_BYTES; at < length; at += SHARD_BYTES) {
    shards.push({
      placement: head.readUInt16LE(at),
      index: head.readUInt16LE(at + 2),
      proven: (head.readUInt32LE(at + 4) & FLAG_PROVEN) !== 0,
      next: readU64(head, at + 8),
    });
  }
  return {
    kind: 'good',
    length,
    header: {
      salt: head.readUInt32LE(20),
      log: head.toString('hex', 24, 40),
      number: readU64(head, 40),
      epoch: head.readUInt32LE(48),
      previous: { number: readU64(head, 56), length: readU64(head, 64), salt: head.readUInt32LE(72) },
      salvaged: (head.readUInt32LE(76) & FLAG_SALVAGED) !== 0,
      shards,
    },
  };
}

const KIND_OF_CODE = new Map<number, LogEntryKind>(
  Object.entries(LOG_ENTRY_KINDS).map(([kind, code]) => [code, kind as LogEntryKind]),
);

/** Writes a record at `at` and returns where it ends. There is room for RECORD_HEADER_BYTES + payload. */
export function writeRecord(
  into: Buffer,
  at: number,
  salt: number,
  commitStart: number,
  placement: number,
  index: number,
  offset: number,
  kind: LogEntryKind,
  payload: Uint8Array,
): number {
  const end = at + RECORD_HEADER_BYTES + payload.length;
  into.writeUInt32LE(RECORD_MAGIC, at + 4);
  into.writeUInt32LE(payload.length, at + 8);
  into[at + 12] = RECORD_VERSION;
  into[at + 13] = LOG_ENTRY_KINDS[kind];
  into.writeUInt16LE(0, at + 14);
  into.writeUInt16LE(placement, at + 16);
  into.writeUInt16LE(index, at + 18);
  into.writeUInt32LE(commitStart, at + 20);
  writeU64(into, offset, at + 24);
  into.set(payload, at + RECORD_HEADER_BYTES);
  into.writeUInt32LE(crc32(into.subarray(at + 4, end), salt), at);
  return end;
}

/** Length of the whole record that begins at `at`, undefined when no record begins there. The header is in `bytes`. */
export function recordLength(bytes: Buffer, at: number): number | undefined {
  if (bytes.readUInt32LE(at + RECORD_MAGIC_AT) !== RECORD_MAGIC) return undefined;
  const payload = bytes.readUInt32LE(at + 8);
  return payload > LOG_ENTRY_BYTES_MAX ? undefined : RECORD_HEADER_BYTES + payload;
}

/** Whether the whole record at `at` is what was written. */
export function recordIsGood(bytes: Buffer, at: number, length: number, salt: number): boolean {
  return crc32(bytes.subarray(at + 4, at + length), salt) === bytes.readUInt32LE(at);
}

// Fields of a record that was found good. Functions and not an object: recovery reads millions of them.
export const recordShardKey = (bytes: Buffer, at: number): number =>
  shardKey(bytes.readUInt16LE(at + 16), bytes.readUInt16LE(at + 18));
export const recordOffset = (bytes: Buffer, at: number): number => readU64(bytes, at + 24);
export const recordCommitStart = (bytes: Buffer, at: number): number => bytes.readUInt32LE(at + 20);

/** undefined: a record of a newer version; `recordNews` says what it is. */
export function recordKind(bytes: Buffer, at: number): LogEntryKind | undefined {
  if (bytes[at + 12] !== RECORD_VERSION || (bytes.readUInt16LE(at + 14) & ~RECORD_FEATURES_KNOWN) !== 0)
    return undefined;
  return KIND_OF_CODE.get(bytes[at + 13]!);
}

export function recordNews(bytes: Buffer, at: number): string {
  return `record version ${bytes[at + 12]}, kind ${bytes[at + 13]}, features ${bytes.readUInt16LE(at + 14)}`;
}

function headerCrc(header: Buffer): number {
  return crc32(header.subarray(20), crc32(header.subarray(0, 16)));
}

function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % 0x1_0000_0000, at);
  bytes.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

/** Above 2^53 it is inexact, and then no offset or length that anybody expects. */
function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * 0x1_0000_0000 + bytes.readUInt32LE(at);
}

export function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

const SEGMENT_NAME = /^(\d{16})\.seg$/;
/** Of damaged files too: their numbers are not used again. */
const SEGMENT_NAME_ANY = /^(\d{16})\.seg/;

export function segmentName(number: number): string {
  return `${String(number).padStart(16, '0')}.seg`;
}

export function segmentNumber(name: string): number | undefined {
  const match = SEGMENT_NAME.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export function segmentNumberAny(name: string): number | undefined {
  const match = SEGMENT_NAME_ANY.exec(name);
  return match === null ? undefined : Number(match[1]);
}
