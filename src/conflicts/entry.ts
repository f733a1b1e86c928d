// An entry of the conflict journal (DESIGN 6): its words, its place, and its row in the store.
// Owns: the row format. Whoever reads a row of a version that it does not know says so, and the shard is rebuilt from its log (I11).
//
// Row key: `c`, the offset of the winner's batch in the shard's log as 14 hex digits, the verdict's index in that batch as 6.
// Both come out the same whenever the log is read again, so an entry that is judged twice is one row.
//
// Row
//   u8      version (1)
//   u64     Unix ms of the verdict
//   text    namespace, text name, varint id, u8 merge type, text key
//   u8      flags: 1 a field, 2 a value (else the loser was a delete), 4 an expiry, 8 the winner was a delete
//   text    field, where there is one
//   version of the loser, version of the winner: text origin, varint seq, u64 stamp
//   u64     Unix ms of the expiry, where there is one
//   raw     the value, where there is one

import { ByteReader, ByteWriter, MalformedBytes } from '../record/bytes.ts';
import { isOriginId, type Dot, type ShardId, type Version } from '../record/ids.ts';
import { mergeTypeOfCode, MERGE_TYPE_CODES, type CollectionRef } from '../record/op.ts';
import type { LandedConflict } from '../shard/engine.ts';

/** Where an entry stands in its shard's journal; in the order in which they were judged. */
export interface ConflictPlace {
  /** Of the winner's batch in this region's log of the shard. */
  readonly offset: number;
  readonly index: number;
}

/** A verdict of DESIGN 6: `loser` was the current value here when `winner`, which had not seen it, displaced it. */
export interface Conflict extends LandedConflict {
  /** When it was judged. After the store was rebuilt from the log: when the log says it was, to within a lease. */
  readonly atMs: number;
  readonly shard: ShardId;
}

export const ENTRY_ROWS = 'c';
/** Behind every entry's row key. */
export const ENTRY_ROWS_END = 'd';

const ENTRY_VERSION = 1;
const FLAG_FIELD = 1;
const FLAG_VALUE = 2;
const FLAG_EXPIRY = 4;
const FLAG_WINNER_DELETES = 8;

export function comparePlaces(a: ConflictPlace, b: ConflictPlace): number {
  return a.offset - b.offset || a.index - b.index;
}

export function sameDot(a: Dot, b: Dot): boolean {
  return a.seq === b.seq && a.origin === b.origin;
}

export function entryRowKey({ offset, index }: ConflictPlace): string {
  return `${ENTRY_ROWS}${offset.toString(16).padStart(14, '0')}${index.toString(16).padStart(6, '0')}`;
}

/** The place that a row key names. */
export function placeOfRowKey(rowKey: string): ConflictPlace {
  return { offset: Number.parseInt(rowKey.slice(1, 15), 16), index: Number.parseInt(rowKey.slice(15), 16) };
}

export function encodeEntry(conflict: Conflict): Buffer {
  const { collection, field, loserValue, loserExpiresAtMs } = conflict;
  const writer = new ByteWriter(128 + (loserValue?.length ?? 0));
  writer.u8(ENTRY_VERSION).u64(conflict.atMs);
  writer.text(collection.namespace).text(collection.name).varint(collection.id).u8(MERGE_TYPE_CODES[collection.type]);
  writer.text(conflict.key);
  writer.u8(
    (field === undefined ? 0 : FLAG_FIELD) |
      (loserValue === undefined ? 0 : FLAG_VALUE) |
      (loserExpiresAtMs === undefined ? 0 : FLAG_EXPIRY) |
      (conflict.winnerDeletes ? FLAG_WINNER_DELETES : 0),
  );
  if (field !== undefined) writer.text(field);
  writeVersion(writer, conflict.loser);
  writeVersion(writer, conflict.winner);
  if (loserExpiresAtMs !== undefined) writer.u64(loserExpiresAtMs);
  if (loserValue !== undefined) writer.raw(loserValue);
  return writer.finish();
}

/** Throws MalformedBytes. The value is a view on `row`. */
export function decodeEntry(shard: ShardId, rowKey: string, row: Uint8Array): Conflict {
  const reader = new ByteReader(row);
  const version = reader.u8();
  if (version !== ENTRY_VERSION) throw new MalformedBytes(`a conflict's row of version ${version}`);
  const atMs = reader.u64();
  const collection = readCollection(reader);
  const key = reader.text();
  const flags = reader.u8();
  const field = (flags & FLAG_FIELD) === 0 ? undefined : reader.text();
  const loser = readVersion(reader);
  const winner = readVersion(reader);
  const loserExpiresAtMs = (flags & FLAG_EXPIRY) === 0 ? undefined : reader.u64();
  const loserValue = (flags & FLAG_VALUE) === 0 ? undefined : reader.raw(reader.left);
  reader.end("a conflict's row");
  const winnerDeletes = (flags & FLAG_WINNER_DELETES) !== 0;
  const place = placeOfRowKey(rowKey);
  return { ...place, atMs, shard, collection, key, field, loser, loserValue, loserExpiresAtMs, winner, winnerDeletes };
}

function readCollection(reader: ByteReader): CollectionRef {
  const namespace = reader.text();
  const name = reader.text();
  const id = reader.varint();
  const type = mergeTypeOfCode(reader.u8());
  if (type === undefined) throw new MalformedBytes("a conflict's row of an unknown merge type");
  return { namespace, name, id, type };
}

function writeVersion(writer: ByteWriter, { origin, seq, stamp }: Version): void {
  writer.text(origin).varint(seq).u64(stamp);
}

function readVersion(reader: ByteReader): Version {
  const origin = reader.text();
  if (!isOriginId(origin)) throw new MalformedBytes(`'${origin}' is no origin`);
  return { origin, seq: reader.varint(), stamp: reader.u64() };
}
