// The rows of a step, packed into few chunks of memory from the moment they are taken: thousands of them wait for a large transaction, and as
// objects they would outlive V8's young generation and make it mark the whole heap (decision 35). The chunks change hands without a copy when a
// thread of the store's own writes them.
//
// A row is u16 bytes of key, u32 bytes of value or DELETED, key, value; little-endian. None lies across two chunks. packed-row-reader.mjs reads them.

import { invariant } from '../errors/errors.ts';
import { DELETED, HEADER_BYTES, rowReader } from './packed-row-reader.mjs';

export const ROW_KEY_BYTES_MAX = 1400;

export function checkRowKeyBytes(bytes: number): void {
  if (bytes > 0 && bytes <= ROW_KEY_BYTES_MAX) return;
  invariant(false, `a row key has 1 to ${ROW_KEY_BYTES_MAX} bytes; got ${bytes}`);
}

/** Of UTF-8, at most, for a UTF-16 code unit. */
const UNIT_BYTES_MAX = 3;
/** The first chunk; each is four times the one before. */
const CHUNK_BYTES_FIRST = 4 * 1024;
const CHUNK_BYTES_MAX = 1024 * 1024;

export class PackedRows implements Iterable<readonly [rowKey: string, value: Uint8Array | null]> {
  readonly #full: Buffer<ArrayBuffer>[] = [];
  #chunk: Buffer<ArrayBuffer> | undefined;
  #used = 0;
  #length = 0;
  #valueBytes = 0;

  static of(rows: Iterable<readonly [rowKey: string, value: Uint8Array | null]>): PackedRows {
    const packed = new PackedRows();
    for (const [rowKey, value] of rows) packed.push(rowKey, value);
    return packed;
  }

  /** How many rows. */
  get length(): number {
    return this.#length;
  }

  get valueBytes(): number {
    return this.#valueBytes;
  }

  /** `value` is copied; null deletes. A row key stands at most once in a step. */
  push(rowKey: string, value: Uint8Array | null): void {
    const bytesMax = HEADER_BYTES + rowKey.length * UNIT_BYTES_MAX + (value?.length ?? 0);
    let chunk = this.#chunk;
    if (chunk === undefined || chunk.length - this.#used < bytesMax) chunk = this.#nextChunk(bytesMax);
    const at = this.#used;
    const keyBytes = chunk.write(rowKey, at + HEADER_BYTES);
    checkRowKeyBytes(keyBytes);
    const valueAt = at + HEADER_BYTES + keyBytes;
    chunk.writeUInt16LE(keyBytes, at);
    chunk.writeUInt32LE(value === null ? DELETED : value.length, at + 2);
    if (value !== null) chunk.set(value, valueAt);
    this.#used = valueAt + (value?.length ?? 0);
    this.#length++;
    this.#valueBytes += value?.length ?? 0;
  }

  #nextChunk(bytesMin: number): Buffer<ArrayBuffer> {
    const before = this.#chunk;
    const bytes = before === undefined ? CHUNK_BYTES_FIRST : Math.min(CHUNK_BYTES_MAX, before.length * 4);
    if (before !== undefined && this.#used > 0) this.#full.push(before.subarray(0, this.#used));
    // Not from the pool: another's bytes would go with it.
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(bytes, bytesMin));
    this.#used = 0;
    return this.#chunk;
  }

  /** The memory itself. Whoever hands it to a thread has no rows afterwards. */
  chunks(): readonly Buffer<ArrayBuffer>[] {
    return this.#chunk === undefined ? [] : [...this.#full, this.#chunk.subarray(0, this.#used)];
  }

  /** Views, valid while the chunks are. */
  each(visit: (rowKey: Buffer, value: Buffer | null) => void): void {
    const row = rowReader(this.chunks());
    for (let i = 0; i < this.#length; i++) {
      row.next();
      visit(row.key, row.value);
    }
  }

  *[Symbol.iterator](): Iterator<readonly [rowKey: string, value: Uint8Array | null]> {
    const row = rowReader(this.chunks());
    for (let i = 0; i < this.#length; i++) {
      row.next();
      yield [row.key.toString('utf8'), row.value];
    }
  }
}
