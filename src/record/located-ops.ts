// The ops of a batch where they lie: for each op where its key and its payload are in the batch's bytes, as columns of small numbers.
// Owns: walking and checking a batch's ops without making an object of each. What an op's bytes are is in op.ts; readOp() there makes an
// object of one, and test/record holds that both take and refuse the same bytes.
//
// Whoever takes a batch needs the key's bytes to find the key and the payload's to copy them. Two strings, two Buffers and two objects an
// op, most of them dead a millisecond later, were a third of what taking it cost.

import { ByteReader, MalformedBytes, utf8Text } from './bytes.ts';
import { keyHash, KEY_HASH_FIRST, keyHashNext } from './key-hash.ts';
import { KEY_BYTES_MAX } from './ids.ts';
import {
  FLAG_EXTENSIONS,
  FLAG_KEY,
  FLAG_PRODUCER,
  FLAG_SCHEMA,
  FLAG_TRACE,
  FLAGS_KNOWN,
  IDEMPOTENCY_KEY_BYTES_MAX,
  readExtras,
  skipExtensions,
  TRACE_BYTES,
  type CollectionRef,
  type Op,
} from './op.ts';

// The columns of one op.
const COLLECTION = 0;
const KEY_AT = 1;
const KEY_LENGTH = 2;
const KEY_HASH = 3;
const PAYLOAD_AT = 4;
const PAYLOAD_LENGTH = 5;
const FLAGS = 6;
const COLUMNS = 7;

export class LocatedOps {
  /** What the columns point into, from `base` on. */
  bytes: Buffer;
  base = 0;
  /** In the order of the batch's table; an op names them from 1. */
  readonly collections: readonly CollectionRef[];
  readonly #columns: number[] = [];
  #count = 0;

  constructor(bytes: Buffer, collections: readonly CollectionRef[]) {
    this.bytes = bytes;
    this.collections = collections;
  }

  get count(): number {
    return this.#count;
  }

  add(
    collection: number,
    keyAt: number,
    keyLength: number,
    hash: number,
    payloadAt: number,
    payloadLength: number,
    flags: number,
  ): void {
    this.#columns.push(collection, keyAt, keyLength, hash, payloadAt, payloadLength, flags);
    this.#count++;
  }

  /** 0: a control op; else one more than the index into `collections`. */
  collectionAt(i: number): number {
    return this.#columns[i * COLUMNS + COLLECTION]!;
  }

  keyAt(i: number): number {
    return this.base + this.#columns[i * COLUMNS + KEY_AT]!;
  }

  keyLength(i: number): number {
    return this.#columns[i * COLUMNS + KEY_LENGTH]!;
  }

  /** keyHash() of the key's bytes. */
  keyHash(i: number): number {
    return this.#columns[i * COLUMNS + KEY_HASH]!;
  }

  payloadAt(i: number): number {
    return this.base + this.#columns[i * COLUMNS + PAYLOAD_AT]!;
  }

  payloadLength(i: number): number {
    return this.#columns[i * COLUMNS + PAYLOAD_LENGTH]!;
  }

  hasProducer(i: number): boolean {
    return (this.#columns[i * COLUMNS + FLAGS]! & FLAG_PRODUCER) !== 0;
  }

  hasCallersKey(i: number): boolean {
    return (this.#columns[i * COLUMNS + FLAGS]! & FLAG_KEY) !== 0;
  }

  /** Of an op with hasProducer(). */
  producer(i: number): number {
    return this.bytes.readUIntLE(this.payloadAt(i) + this.payloadLength(i), 6);
  }

  /** Of an op with hasProducer(). */
  producerSeq(i: number): number {
    return varintAt(this.bytes, this.payloadAt(i) + this.payloadLength(i) + 6);
  }

  /** undefined: a control op. */
  collection(i: number): CollectionRef | undefined {
    const at = this.collectionAt(i);
    return at === 0 ? undefined : this.collections[at - 1];
  }

  key(i: number): string {
    const at = this.keyAt(i);
    return this.bytes.toString('utf8', at, at + this.keyLength(i));
  }

  /** A view. */
  payload(i: number): Buffer {
    const at = this.payloadAt(i);
    return this.bytes.subarray(at, at + this.payloadLength(i));
  }

  op(i: number): Op {
    const flags = this.#columns[i * COLUMNS + FLAGS]!;
    const extras = readExtras(new ByteReader(this.bytes, this.payloadAt(i) + this.payloadLength(i)), flags);
    return { collection: this.collection(i), key: this.key(i), payload: this.payload(i), ...extras };
  }

  all(): Op[] {
    return Array.from({ length: this.#count }, (_, i) => this.op(i));
  }
}

/** Of a canonical varint that was checked before. */
function varintAt(bytes: Uint8Array, from: number): number {
  let value = 0;
  let factor = 1;
  for (let at = from; ; at++) {
    const byte = bytes[at]!;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value;
    factor *= 0x80;
  }
}

/** Walks `count` ops, which must be all that is left. Throws MalformedBytes for whatever readOp() would refuse. */
export function locateOps(
  reader: ByteReader,
  bytes: Buffer,
  count: number,
  collections: readonly CollectionRef[],
): LocatedOps {
  const ops = new LocatedOps(bytes, collections);
  for (let i = 0; i < count; i++) {
    const length = reader.varint();
    if (length > reader.left) throw new MalformedBytes(`an op of ${length} bytes where ${reader.left} are left`);
    const end = reader.at + length;
    const flags = reader.u8();
    if ((flags & ~FLAGS_KNOWN) !== 0) throw new MalformedBytes(`op flags ${flags} are of a newer format`);
    if ((flags & FLAG_PRODUCER) !== 0 && (flags & FLAG_KEY) !== 0)
      throw new MalformedBytes('an op with two idempotency keys');
    const collection = reader.varint();
    if (collection > collections.length)
      throw new MalformedBytes(`an op of collection ${collection} of ${collections.length}`);
    const keyLength = reader.varint();
    if (keyLength > KEY_BYTES_MAX) throw new MalformedBytes(`a key of ${keyLength} bytes`);
    const keyAt = reader.at;
    reader.skip(keyLength);
    const hash = checkedHash(bytes, keyAt, keyLength);
    const payloadLength = reader.varint();
    const payloadAt = reader.at;
    reader.skip(payloadLength);
    if ((flags & FLAG_PRODUCER) !== 0) {
      reader.skip(6);
      reader.varint();
    } else if ((flags & FLAG_KEY) !== 0) {
      const keyBytes = reader.varint();
      if (keyBytes > IDEMPOTENCY_KEY_BYTES_MAX) throw new MalformedBytes(`an idempotency key of ${keyBytes} bytes`);
      utf8Text(reader.raw(keyBytes));
    }
    if ((flags & FLAG_TRACE) !== 0) reader.skip(TRACE_BYTES);
    if ((flags & FLAG_SCHEMA) !== 0) reader.varint();
    if ((flags & FLAG_EXTENSIONS) !== 0) skipExtensions(reader, 'op');
    if (reader.at !== end) throw new MalformedBytes('an op whose length and content disagree');
    ops.add(collection, keyAt, keyLength, hash, payloadAt, payloadLength, flags);
  }
  reader.end('a batch');
  return ops;
}

/** The key's hash. Throws MalformedBytes when it is not UTF-8. */
function checkedHash(bytes: Buffer, at: number, length: number): number {
  let hash = KEY_HASH_FIRST;
  for (let i = at; i < at + length; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x80) {
      utf8Text(bytes.subarray(at, at + length));
      return keyHash(bytes, at, length);
    }
    hash = keyHashNext(hash, byte);
  }
  return hash;
}
