// Reads packed rows (packed-rows.ts), here and in the thread of an LMDB store: Node's workers cannot load TypeScript, and tests run from src/.

/**
 * @typedef {import('../record/ids.ts').ShardId} ShardId
 * @typedef {{ readonly shard: ShardId, readonly fromCursor: number, readonly toCursor: number, readonly rows: number }} PackedStep
 * @typedef {{ readonly steps: readonly PackedStep[], readonly chunks: readonly Buffer[] }} PackedSteps the chunks hold the rows of all steps, in order
 */

export const HEADER_BYTES = 6;
export const DELETED = 0xffff_ffff;

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
