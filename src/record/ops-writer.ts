// The ops of a batch that is being filled: each is written as it comes, and can be found again like those of a batch that was read.
// Owns: an op's bytes on the way out. test/record has the plain way to write one, and holds that both write the same.
//
// The memory is used again for the next batch: what a batch becomes is copied out of it once (encodeBatch).

import { varintLength, writeVarint } from './bytes.ts';
import { KEY_HASH_FIRST, keyHash, keyHashNext } from './key-hash.ts';
import { LocatedOps } from './located-ops.ts';
import {
  FLAG_KEY,
  FLAG_PRODUCER,
  FLAG_SCHEMA,
  FLAG_TRACE,
  type CollectionRef,
  type Idempotency,
  type Op,
} from './op.ts';

export interface OpParts {
  /** undefined: a control op. */
  readonly collection: CollectionRef | undefined;
  readonly key: string;
  readonly idempotency?: Idempotency | undefined;
  readonly trace?: Uint8Array | undefined;
  readonly schemaId?: number | undefined;
}

const NOTHING = new Uint8Array(0);
/** What an op has around its key, payload and caller's key at most: six varints, flags, producer, trace. */
const AROUND_BYTES_MAX = 6 * 8 + 1 + 6 + 25;
const BYTES_FIRST = 16 * 1024;
/** A buffer that grew beyond it for one large batch is not kept. */
const BYTES_KEPT_MAX = 4 * 1024 * 1024;

export class OpsWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(BYTES_FIRST);
  #length = 0;
  #collections: CollectionRef[] = [];
  #located = new LocatedOps(this.#buffer, this.#collections);

  get count(): number {
    return this.#located.count;
  }

  /** Of the ops' bytes. */
  get length(): number {
    return this.#length;
  }

  get collections(): readonly CollectionRef[] {
    return this.#collections;
  }

  /** Where what was written lies, also after more has been written. */
  get located(): LocatedOps {
    return this.#located;
  }

  add(op: Op): void {
    this.write(op, op.payload, NOTHING);
  }

  /** The payload comes in two pieces, so that nobody needs to put a byte in front of a value. Returns the key's hash. */
  write(op: OpParts, payloadHead: Uint8Array, payloadTail: Uint8Array): number {
    const { collection, key, idempotency, trace, schemaId } = op;
    this.#reserve(
      key.length * 3 +
        payloadHead.length +
        payloadTail.length +
        (idempotency?.kind === 'key' ? idempotency.key.length * 3 : 0) +
        AROUND_BYTES_MAX,
    );
    const index = collection === undefined ? 0 : this.#indexOf(collection);
    let flags = 0;
    if (idempotency !== undefined) flags |= idempotency.kind === 'producer' ? FLAG_PRODUCER : FLAG_KEY;
    if (trace !== undefined) flags |= FLAG_TRACE;
    if (schemaId !== undefined) flags |= FLAG_SCHEMA;
    const keyLength = utf8Length(key);
    const payloadLength = payloadHead.length + payloadTail.length;
    let length = 1 + varintLength(index) + varintLength(keyLength) + keyLength;
    length += varintLength(payloadLength) + payloadLength;
    let callersKeyLength = 0;
    if (idempotency?.kind === 'producer') length += 6 + varintLength(idempotency.seq);
    else if (idempotency !== undefined) {
      callersKeyLength = Buffer.byteLength(idempotency.key);
      length += varintLength(callersKeyLength) + callersKeyLength;
    }
    if (trace !== undefined) length += trace.length;
    if (schemaId !== undefined) length += varintLength(schemaId);

    const buffer = this.#buffer;
    let at = writeVarint(buffer, this.#length, length);
    buffer[at++] = flags;
    at = writeVarint(buffer, at, index);
    at = writeVarint(buffer, at, keyLength);
    const keyAt = at;
    let hash = KEY_HASH_FIRST;
    if (keyLength === key.length) {
      for (let i = 0; i < keyLength; i++) {
        const byte = key.charCodeAt(i);
        buffer[at++] = byte;
        hash = keyHashNext(hash, byte);
      }
    } else {
      at += buffer.write(key, at, keyLength, 'utf8');
      hash = keyHash(buffer, keyAt, keyLength);
    }
    at = writeVarint(buffer, at, payloadLength);
    const payloadAt = at;
    at = put(buffer, at, payloadHead);
    at = put(buffer, at, payloadTail);
    if (idempotency?.kind === 'producer') {
      buffer.writeUIntLE(idempotency.producer, at, 6);
      at = writeVarint(buffer, at + 6, idempotency.seq);
    } else if (idempotency !== undefined) {
      at = writeVarint(buffer, at, callersKeyLength);
      at += buffer.write(idempotency.key, at, callersKeyLength, 'utf8');
    }
    if (trace !== undefined) at = put(buffer, at, trace);
    if (schemaId !== undefined) at = writeVarint(buffer, at, schemaId);
    this.#length = at;
    this.#located.add(index, keyAt, keyLength, hash, payloadAt, payloadLength, flags);
    return hash;
  }

  /** The ops' bytes, as they are until the next write. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Begins anew. What was written is from now on where the caller has copied it: in `into`, from `base` on. */
  moveTo(into: Buffer, base: number): LocatedOps {
    const moved = this.#located;
    moved.bytes = into;
    moved.base = base;
    if (this.#buffer.length > BYTES_KEPT_MAX) this.#buffer = Buffer.allocUnsafeSlow(BYTES_FIRST);
    this.#length = 0;
    this.#collections = [];
    this.#located = new LocatedOps(this.#buffer, this.#collections);
    return moved;
  }

  #indexOf(collection: CollectionRef): number {
    const at = this.#collections.indexOf(collection);
    return at >= 0 ? at + 1 : this.#collections.push(collection);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, this.#length);
      this.#buffer = grown;
      this.#located.bytes = grown;
    }
  }
}

function put(into: Buffer, at: number, bytes: Uint8Array): number {
  if (bytes.length < 16) for (let i = 0; i < bytes.length; i++) into[at + i] = bytes[i]!;
  else into.set(bytes, at);
  return at + bytes.length;
}

/** Keys are nearly always ASCII. */
function utf8Length(text: string): number {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return Buffer.byteLength(text);
  return text.length;
}
