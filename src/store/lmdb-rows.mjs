// Steps on their way to the thread that writes them: their rows are packed into few buffers, which change hands without a copy. As objects,
// each row would be cloned, on the main thread.
//
// A row is u16 bytes of key, u32 bytes of value or DELETED, key, value; little-endian. None lies across two chunks.

/**
 * @typedef {import('../record/ids.ts').ShardId} ShardId
 * @typedef {{ readonly shard: ShardId, readonly fromCursor: number, readonly toCursor: number, readonly rows: number }} PackedStep
 * @typedef {{ readonly steps: readonly PackedStep[], readonly chunks: readonly Buffer[] }} PackedSteps the chunks hold the rows of all steps, in order
 */

const HEADER_BYTES = 6;
const DELETED = 0xffff_ffff;
/** Of UTF-8, at most, for a UTF-16 code unit. */
const UNIT_BYTES_MAX = 3;

/**
 * A chunk at a time, of about `rowsMax` rows or `bytesMax` bytes at most. Rows must not change until the last one is there.
 * @param {readonly import('./store.ts').StoreStep[]} steps
 * @param {number} rowsMax
 * @param {number} bytesMax
 * @returns {Generator<Buffer<ArrayBuffer>, void, undefined>}
 */
export function* packRows(steps, rowsMax, bytesMax) {
  const rows = steps.length === 1 && steps[0] !== undefined ? steps[0].rows : steps.flatMap((step) => step.rows);
  for (let from = 0; from < rows.length;) {
    let bytes = 0;
    let to = from;
    for (; to < rows.length && to - from < rowsMax && bytes < bytesMax; to++) {
      const [rowKey, value] = /** @type {(typeof rows)[number]} */ (rows[to]);
      bytes += HEADER_BYTES + rowKey.length * UNIT_BYTES_MAX + (value?.length ?? 0);
    }
    // Not from the pool: another's bytes would go with it.
    const chunk = Buffer.allocUnsafeSlow(bytes);
    let at = 0;
    for (; from < to; from++) {
      const [rowKey, value] = /** @type {(typeof rows)[number]} */ (rows[from]);
      const keyBytes = chunk.write(rowKey, at + HEADER_BYTES);
      chunk.writeUInt16LE(keyBytes, at);
      chunk.writeUInt32LE(value === null ? DELETED : value.length, at + 2);
      at += HEADER_BYTES + keyBytes;
      if (value === null) continue;
      chunk.set(value, at);
      at += value.length;
    }
    yield chunk.subarray(0, at);
  }
}

/**
 * The rows of chunks, one after the other; valid until the next.
 * @param {readonly Buffer[]} chunks
 */
export function rowReader(chunks) {
  /** @type {Buffer} */
  let chunk = Buffer.alloc(0);
  let chunksRead = 0;
  let at = 0;
  const row = {
    key: chunk,
    value: /** @type {Buffer | null} */ (null),
    next() {
      if (at === chunk.length) {
        chunk = /** @type {Buffer} */ (chunks[chunksRead++]);
        at = 0;
      }
      const keyAt = at + HEADER_BYTES;
      const valueAt = keyAt + chunk.readUInt16LE(at);
      const valueBytes = chunk.readUInt32LE(at + 2);
      const isDeleted = valueBytes === DELETED;
      at = isDeleted ? valueAt : valueAt + valueBytes;
      row.key = chunk.subarray(keyAt, valueAt);
      row.value = isDeleted ? null : chunk.subarray(valueAt, at);
    },
  };
  return row;
}
