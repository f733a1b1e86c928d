// An LMDB environment as each thread of a store has it open, and the one transaction that writes steps.
// JavaScript, with its types in comments: Node's workers cannot load TypeScript, and tests run from src/.
//
// HAZARD: threads of one process share LMDB's environment. It maps a grown file anew beside the old map and never under a reader; but a
//         second writer waits for the first with its whole thread, so the main thread begins none while the other one writes.

import { open as openEnvironment } from 'lmdb';
import { rowReader } from './packed-row-reader.mjs';

/**
 * @typedef {import('../record/ids.ts').ShardId} ShardId
 * @typedef {import('./store.ts').StepOutcome} StepOutcome
 * @typedef {import('./packed-row-reader.mjs').PackedSteps} PackedSteps
 * @typedef {import('lmdb').Database<Buffer, Buffer>} Rows
 * @typedef {object} Environment
 * @property {import('lmdb').RootDatabase<Buffer, Buffer>} env
 * @property {Rows} cursors
 * @property {ReadonlyMap<ShardId, Rows>} shards
 */

const BINARY = /** @type {const} */ ({ encoding: 'binary', keyEncoding: 'binary' });
const OWN_DATABASES = 2;

/**
 * @param {string} path
 * @param {readonly ShardId[]} shards
 * @returns {Environment}
 */
export function openRows(path, shards) {
  /** @type {import('lmdb').RootDatabase<Buffer, Buffer>} */
  const env = openEnvironment({
    ...BINARY,
    path,
    noSubdir: true,
    noSync: true,
    maxDbs: shards.length + OWN_DATABASES,
  });
  /** @type {(name: string) => Rows} */
  const open = (name) => env.openDB({ ...BINARY, name });
  return { env, cursors: open('cursors'), shards: new Map(shards.map((shard) => [shard, open(`shard ${shard}`)])) };
}

/**
 * All steps in one transaction, each if its shard's cursor stands where it begins.
 * @param {Environment} environment
 * @param {PackedSteps} packed
 * @returns {StepOutcome[]}
 */
export function writeSteps({ env, cursors: cursorRows, shards }, { steps, chunks }) {
  /** @type {StepOutcome[]} */
  const outcomes = [];
  try {
    env.transactionSync(() => {
      // Cursors as of this transaction: it is what the fence stands on, whoever wrote last.
      /** @type {Map<ShardId, number>} */
      const cursors = new Map();
      const row = rowReader(chunks);
      for (const { shard, fromCursor, toCursor, rows } of steps) {
        const cursor = cursors.get(shard) ?? cursorOf(cursorRows.getBinary(Buffer.from(shard)));
        const into = /** @type {Rows} */ (shards.get(shard));
        const isDue = cursor === fromCursor;
        for (let i = 0; i < rows; i++) {
          row.next();
          if (!isDue) continue;
          if (row.value === null) void into.remove(row.key);
          else void into.put(row.key, row.value);
        }
        if (isDue) cursors.set(shard, toCursor);
        outcomes.push(isDue ? { kind: 'written' } : { kind: 'moved', cursor });
      }
      for (const [shard, cursor] of cursors) void cursorRows.put(Buffer.from(shard), cursorBytes(cursor));
    });
    return outcomes;
  } catch (error) {
    if (!isLmdbError(error)) throw error;
    // Aborted as a whole: a step that was refused stays refused, the others were not written.
    /** @type {StepOutcome} */
    const failed = { kind: 'failed', message: `LMDB: ${error.message}` };
    return steps.map((_, i) => (outcomes[i]?.kind === 'moved' ? outcomes[i] : failed));
  }
}

/** @param {Buffer | undefined} bytes */
export function cursorOf(bytes) {
  return bytes === undefined ? 0 : bytes.readDoubleLE(0);
}

/** @param {number} cursor */
export function cursorBytes(cursor) {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(cursor);
  return bytes;
}

/**
 * lmdb-js throws plain errors: those of LMDB have a number as their code, or its name in their text.
 * @param {unknown} error
 * @returns {error is Error}
 */
export function isLmdbError(error) {
  if (!(error instanceof Error) || error.name === 'CausewayError') return false;
  return typeof (/** @type {{ code?: unknown }} */ (error).code) === 'number' || /\bMDB_|database/i.test(error.message);
}
