// One op: a prepared change of one key, as it stands in a batch, in every log and on every link.
// Owns: the op's byte form. What the payload means is the merge type's business (src/merge).
//
//   varint length of the rest
//   u8     flags: 1 producer, 2 caller's key, 4 trace, 8 schema, 16 extensions; higher bits are refused
//   varint index into the batch's collection table; 0 = control op (origins' life, see control.ts)
//   text   key
//   blob   payload (first byte: the merge type's effect)
//   then, in the order of the flags: u48 producer + varint seq | text caller's key | 25 bytes trace | varint schema |
//   varint count of extensions, each varint tag + blob. An even tag may be skipped by who does not know it, an odd
//   tag makes the op undecodable for such a node (which quarantines the stream: it never guesses).

import { MalformedBytes, type ByteReader } from './bytes.ts';
import { KEY_BYTES_MAX, SYSTEM_NAMESPACE, type StateKey } from './ids.ts';

/** Merge types and their codes in records. A code is never used again for something else. */
export const MERGE_TYPE_CODES = {
  'register-lww': 1,
  'register-mv': 2,
  'counter-pn': 3,
  'set-aw': 4,
  'map-lww': 5,
} as const;

export type MergeTypeName = keyof typeof MERGE_TYPE_CODES;

const MERGE_TYPE_NAMES = new Map<number, MergeTypeName>(
  Object.entries(MERGE_TYPE_CODES).map(([name, code]) => [code, name as MergeTypeName]),
);

export function mergeTypeOfCode(code: number): MergeTypeName | undefined {
  return MERGE_TYPE_NAMES.get(code);
}

/** A collection as records name it. (namespace, name, id) fixes the merge type for ever; the type travels along, so that
 *  a region can apply ops of a collection whose definition it has not seen. */
export interface CollectionRef {
  readonly namespace: string;
  readonly name: string;
  /** Below RUN_TIME_ID_MIN for collections of the config, 1 unless it says otherwise; runTimeId() of one created at run time. */
  readonly id: number;
  readonly type: MergeTypeName;
}

/** Where collections of run time are defined. Decoded ops name it by this very object, so that they are told by a pointer. */
export const DEFINITIONS: CollectionRef = { namespace: SYSTEM_NAMESPACE, name: 'collections', id: 1, type: 'map-lww' };

/** The ids of collections created at run time: from here, 256 a generation, and the low byte is the code of the merge type. */
export const RUN_TIME_ID_MIN = 2 ** 31;
export const GENERATION_MAX = 2 ** 23 - 1;
const IDS_PER_GENERATION = 256;

/** `generation`: 1 for the first collection of a name, one more each time that it is created again after it was dropped. */
export function runTimeId(generation: number, type: MergeTypeName): number {
  if (!(generation >= 1 && generation <= GENERATION_MAX)) throw new RangeError(`a generation of ${generation}`);
  return RUN_TIME_ID_MIN + generation * IDS_PER_GENERATION + MERGE_TYPE_CODES[type];
}

/** undefined: not an id of a collection created at run time. */
export function runTimeIdParts(id: number): { readonly generation: number; readonly typeCode: number } | undefined {
  if (id < RUN_TIME_ID_MIN) return undefined;
  return {
    generation: Math.floor((id - RUN_TIME_ID_MIN) / IDS_PER_GENERATION),
    typeCode: id % IDS_PER_GENERATION,
  };
}

export function stateKeyPrefix(collection: CollectionRef): string {
  return `${collection.namespace}\u0000${collection.name}#${collection.id}\u0000`;
}

export function stateKey(collection: CollectionRef, key: string): StateKey {
  return (stateKeyPrefix(collection) + key) as StateKey;
}

/** What stateKey put together. */
export function splitStateKey(stateKey: StateKey): { readonly prefix: string; readonly key: string } {
  const at = stateKey.indexOf('\u0000', stateKey.indexOf('\u0000') + 1) + 1;
  return { prefix: stateKey.slice(0, at), key: stateKey.slice(at) };
}

/** What makes a retry recognisable. */
export type Idempotency =
  | { readonly kind: 'producer'; /** random, 48 bits */ readonly producer: number; readonly seq: number }
  | { readonly kind: 'key'; /** e.g. `order-17/batch-4`, at most 128 bytes */ readonly key: string };

export const IDEMPOTENCY_KEY_BYTES_MAX = 128;
export const TRACE_BYTES = 25; // 16 trace id, 8 span id, 1 flags (W3C trace context)

export interface Op {
  /** undefined: a control op. */
  readonly collection: CollectionRef | undefined;
  readonly key: string;
  readonly payload: Uint8Array;
  readonly idempotency?: Idempotency | undefined;
  readonly trace?: Uint8Array | undefined;
  readonly schemaId?: number | undefined;
}

export const FLAG_PRODUCER = 1;
export const FLAG_KEY = 2;
export const FLAG_TRACE = 4;
export const FLAG_SCHEMA = 8;
export const FLAG_EXTENSIONS = 16;
export const FLAGS_KNOWN = 31;

export function readOp(reader: ByteReader, collections: readonly CollectionRef[]): Op {
  const end = reader.varint();
  if (end > reader.left) throw new MalformedBytes(`an op of ${end} bytes where ${reader.left} are left`);
  const leftAfter = reader.left - end;
  const flags = reader.u8();
  if ((flags & ~FLAGS_KNOWN) !== 0) throw new MalformedBytes(`op flags ${flags} are of a newer format`);
  if ((flags & FLAG_PRODUCER) !== 0 && (flags & FLAG_KEY) !== 0)
    throw new MalformedBytes('an op with two idempotency keys');
  const index = reader.varint();
  const collection = index === 0 ? undefined : collections[index - 1];
  if (index !== 0 && collection === undefined)
    throw new MalformedBytes(`an op of collection ${index} of ${collections.length}`);
  const key = shortText(reader, KEY_BYTES_MAX, 'a key');
  const payload = reader.blob();
  const extras = readExtras(reader, flags);
  if (reader.left !== leftAfter) throw new MalformedBytes('an op whose length and content disagree');
  return { collection, key, payload, ...extras };
}

/** What stands behind an op's payload. */
export function readExtras(reader: ByteReader, flags: number): Pick<Op, 'idempotency' | 'trace' | 'schemaId'> {
  let idempotency: Idempotency | undefined;
  if ((flags & FLAG_PRODUCER) !== 0) {
    idempotency = { kind: 'producer', producer: reader.u48(), seq: reader.varint() };
  } else if ((flags & FLAG_KEY) !== 0) {
    idempotency = { kind: 'key', key: shortText(reader, IDEMPOTENCY_KEY_BYTES_MAX, 'an idempotency key') };
  }
  const trace = (flags & FLAG_TRACE) !== 0 ? reader.raw(TRACE_BYTES) : undefined;
  const schemaId = (flags & FLAG_SCHEMA) !== 0 ? reader.varint() : undefined;
  if ((flags & FLAG_EXTENSIONS) !== 0) skipExtensions(reader, 'op');
  return { idempotency, trace, schemaId };
}

/** Whether the op that begins here is of a wanted collection (by its place in the table) and its key begins with `prefix`. Reads nothing. */
export function opMatches(reader: ByteReader, wanted: readonly boolean[], prefix: Uint8Array): boolean {
  const { at } = reader;
  reader.varint();
  reader.u8();
  const index = reader.varint();
  const matches = index > 0 && wanted[index - 1] === true && reader.startsWith(reader.varint(), prefix);
  reader.rewind(at);
  return matches;
}

export function skipOp(reader: ByteReader): void {
  reader.skip(reader.varint());
}

/** Bounded in bytes and not in characters: stores have bounds on a row's key that no batch may lead past. */
function shortText(reader: ByteReader, bytesMax: number, what: string): string {
  const start = reader.at;
  const text = reader.text();
  // Both bounds have a length of two bytes in front, and a varint is never longer than it needs to be.
  const bytes = reader.at - start - 2;
  if (bytes > bytesMax) throw new MalformedBytes(`${what} of ${bytes} bytes`);
  return text;
}

/** Reads past extensions that this version does not know, or refuses those that must be known. */
export function skipExtensions(reader: ByteReader, what: string): void {
  const count = reader.varint();
  if (count > reader.left) throw new MalformedBytes(`${count} extensions in ${reader.left} bytes`);
  for (let i = 0; i < count; i++) {
    const tag = reader.varint();
    reader.blob();
    if (tag % 2 === 1) throw new MalformedBytes(`${what} extension ${tag} must be understood and is not known here`);
  }
}
