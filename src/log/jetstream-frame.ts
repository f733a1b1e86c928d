// What a message of a shard's stream holds: the entries that were appended together, and where they stand.
// Little-endian:
//   4 bytes  "CWJ1"
//   u32      crc32 of everything behind it
//   u48      incarnation of the stream that it was made for
//   u16      0
//   u48      offset of the first entry; the others follow it
//   u32      how many
//   then each entry: u8 kind (LOG_ENTRY_KINDS), u32 length, bytes
//
// A message's header `Causeway` repeats what an index needs, so that a start reads headers and no payloads:
//   <first offset> <count> <0 or 1: a lease is among them> <origin>:<first seq>-<last seq>,…

import { crc32 } from 'node:zlib';
import { isOriginId, type OriginId } from '../record/ids.ts';
import type { BatchPeek, BatchPeeker } from '../record/peek.ts';
import { LOG_ENTRY_KINDS, type LogEntry, type LogEntryKind, type StoredEntry } from './log.ts';

const MAGIC = Buffer.from('CWJ1');
const HEADER_BYTES = 26;
const ENTRY_BYTES = 5;
const KIND_OF_CODE: ReadonlyMap<number, LogEntryKind> = new Map(
  Object.entries(LOG_ENTRY_KINDS).map(([kind, code]) => [code, kind as LogEntryKind]),
);

/** What the longest message has beside the bytes of one entry, the lines of its headers included. */
export const MESSAGE_OVERHEAD_BYTES = 64 * 1024;

export const INDEX_HEADER = 'Causeway';

export interface Frame {
  readonly payload: Buffer;
  /** Views of the payload. */
  readonly entries: readonly StoredEntry[];
}

export function entryBytes(entry: LogEntry): number {
  return ENTRY_BYTES + entry.bytes.length;
}

export function encodeFrame(incarnation: number, firstOffset: number, entries: readonly LogEntry[]): Frame {
  const length = entries.reduce((sum, entry) => sum + entryBytes(entry), HEADER_BYTES);
  const payload = Buffer.allocUnsafe(length);
  MAGIC.copy(payload);
  payload.writeUIntLE(incarnation, 8, 6);
  payload.writeUInt16LE(0, 14);
  payload.writeUIntLE(firstOffset, 16, 6);
  payload.writeUInt32LE(entries.length, 22);
  let at = HEADER_BYTES;
  const stored = entries.map(({ kind, bytes }, i): StoredEntry => {
    payload.writeUInt8(LOG_ENTRY_KINDS[kind], at);
    payload.writeUInt32LE(bytes.length, at + 1);
    const start = at + ENTRY_BYTES;
    payload.set(bytes, start);
    at = start + bytes.length;
    return { kind, bytes: payload.subarray(start, at), offset: firstOffset + i };
  });
  payload.writeUInt32LE(crc32(payload.subarray(8)), 4);
  return { payload, entries: stored };
}

/** A sentence when the bytes are not a frame of this incarnation, undamaged. */
export function decodeFrame(bytes: Uint8Array, incarnation: number): readonly StoredEntry[] | string {
  const payload = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (payload.length < HEADER_BYTES || !payload.subarray(0, 4).equals(MAGIC)) return 'it is no log message of Causeway';
  if (payload.readUInt32LE(4) !== crc32(payload.subarray(8))) return 'its checksum is wrong';
  const found = payload.readUIntLE(8, 6);
  if (found !== incarnation) return `it is of incarnation ${found.toString(16)} of the stream`;
  const firstOffset = payload.readUIntLE(16, 6);
  const count = payload.readUInt32LE(22);
  const entries: StoredEntry[] = [];
  let at = HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    const start = at + ENTRY_BYTES;
    const kind = start > payload.length ? undefined : KIND_OF_CODE.get(payload.readUInt8(at));
    if (kind === undefined) return `its entry ${i} has a kind that is not known here`;
    at = start + payload.readUInt32LE(start - 4);
    if (at > payload.length) return `its entry ${i} is cut off`;
    entries.push({ kind, bytes: payload.subarray(start, at), offset: firstOffset + i });
  }
  return at === payload.length && count > 0 ? entries : 'its length is wrong';
}

/** What is known of a message without its payload. */
export interface FrameIndex {
  readonly firstOffset: number;
  readonly count: number;
  readonly hasLease: boolean;
  /** One an origin; the seqs of one origin may have holes between them. */
  readonly batches: readonly Omit<BatchPeek, 'region'>[];
}

export function indexOf(entries: readonly StoredEntry[], peeker: BatchPeeker): FrameIndex {
  const spans = new Map<OriginId, { firstSeq: number; lastSeq: number }>();
  let hasLease = false;
  for (const { kind, bytes } of entries) {
    if (kind === 'lease') hasLease = true;
    const peek = kind === 'batch' ? peeker.peek(bytes) : undefined;
    if (peek === undefined) continue;
    const span = spans.get(peek.origin);
    if (span === undefined) spans.set(peek.origin, { firstSeq: peek.firstSeq, lastSeq: peek.lastSeq });
    else {
      span.firstSeq = Math.min(span.firstSeq, peek.firstSeq);
      span.lastSeq = Math.max(span.lastSeq, peek.lastSeq);
    }
  }
  const batches = [...spans].map(([origin, span]) => ({ origin, ...span }));
  return { firstOffset: entries[0]!.offset, count: entries.length, hasLease, batches };
}

export function encodeIndex({ firstOffset, count, hasLease, batches }: FrameIndex): string {
  const spans = batches.map(({ origin, firstSeq, lastSeq }) => `${origin}:${firstSeq}-${lastSeq}`);
  return `${firstOffset} ${count} ${Number(hasLease)} ${spans.join(',')}`;
}

/** undefined: not such a header. */
export function decodeIndex(text: string): FrameIndex | undefined {
  const found = /^(\d+) (\d+) ([01])(?: (.*))?$/.exec(text);
  if (found === null) return undefined;
  const batches: Omit<BatchPeek, 'region'>[] = [];
  for (const span of (found[4] ?? '').split(',').filter((each) => each !== '')) {
    const parts = /^(.+):(\d+)-(\d+)$/.exec(span);
    if (parts === null || !isOriginId(parts[1]!)) return undefined;
    batches.push({ origin: parts[1], firstSeq: Number(parts[2]), lastSeq: Number(parts[3]) });
  }
  return { firstOffset: Number(found[1]), count: Number(found[2]), hasLease: found[3] === '1', batches };
}
