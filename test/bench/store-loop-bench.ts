// How long a write to the embedded store holds the event loop, on the main thread and in the store's own.
// node dist/test/bench/store-loop-bench.js [--keys 400000] [--rows 100,1000,14000] [--writes 20]
// Method: `storeMs` is the longest that the store's code ran in one turn of the event loop. `heldMs` is the longest time between two turns, which is
// what a packet that arrives then waits: also while other processes have the cores. Each is the least, the median and the largest over the writes.
// It does not measure: what the rows cost before they come to the store.

import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { shardId } from '../../src/record/ids.ts';
import { LmdbStore } from '../../src/store/lmdb.ts';
import { PackedRows } from '../../src/store/packed-rows.ts';
import type { StoreStep } from '../../src/store/store.ts';
import { realSystem } from '../../src/system/real.ts';

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '400000' },
    rows: { type: 'string', default: '16,64,256,1000,4000,14000' },
    writes: { type: 'string', default: '20' },
  },
});
const system = realSystem();
const now = (): number => system.clock.monotonicMs();
const SHARDS = Array.from({ length: 8 }, (_, i) => shardId(1, i));
const VALUE = Buffer.alloc(120, 7);
const keys = Number(values.keys) / SHARDS.length;
const keyOf = (i: number): string => `kbench\u0000users#1\u0000key-${String(i).padStart(8, '0')}`;

async function measure(threadRowsMin: number, rows: number): Promise<object> {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'causeway-store-loop-'));
  let storeMs = 0;
  const timed = (fn: () => void): void => {
    const start = now();
    fn();
    storeMs = Math.max(storeMs, now() - start);
  };
  const store = new LmdbStore({ directory, logIdentity: 'bench/1', threadRowsMin });
  await store.open(SHARDS);
  const cursors = SHARDS.map(() => 0);
  const stepOf = (shard: number, indexes: Iterable<number>): StoreStep => ({
    shard: SHARDS[shard]!,
    fromCursor: cursors[shard]!,
    toCursor: ++cursors[shard]!,
    rows: PackedRows.of(Array.from(indexes, (i) => [keyOf(i), VALUE] as const)),
  });
  const write = (step: StoreStep): Promise<void> =>
    new Promise((resolve, reject) => {
      timed(() => {
        store.write([step], ([outcome]) =>
          outcome?.kind === 'written' ? resolve() : reject(new Error(JSON.stringify(outcome))),
        );
      });
    });
  const all = Array.from({ length: keys }, (_, i) => i);
  for (const i of SHARDS.keys()) await write(stepOf(i, all));

  let running = true;
  let last = now();
  let heldMs = 0;
  const turn = (): void => {
    heldMs = Math.max(heldMs, now() - last);
    last = now();
    if (running) system.timers.soon(turn);
  };
  const inStore: number[] = [];
  const held: number[] = [];
  const took: number[] = [];
  for (let i = 0; i < Number(values.writes); i++) {
    const indexes = new Set(Array.from({ length: rows }, () => Math.floor(system.random.float() * keys)));
    const step = stepOf(i % SHARDS.length, indexes);
    running = true;
    heldMs = 0;
    storeMs = 0;
    const start = now();
    last = start;
    system.timers.soon(turn);
    await write(step);
    took.push(now() - start);
    await new Promise<void>((resolve) => system.timers.soon(resolve));
    running = false;
    held.push(heldMs);
    inStore.push(storeMs);
    await new Promise((resolve) => void system.timers.after(20, () => resolve(undefined)));
  }
  await store.close();
  fs.rmSync(directory, { recursive: true });
  const round = (ms: number): number => Math.round(ms * 100) / 100;
  const spread = (of: number[]): number[] => {
    const sorted = of.toSorted((a, b) => a - b);
    return [0, sorted.length >> 1, sorted.length - 1].map((i) => round(sorted[i]!));
  };
  return {
    rows,
    where: threadRowsMin === Infinity ? 'main thread' : 'own thread',
    storeMs: spread(inStore),
    heldMs: spread(held),
    doneMs: spread(took),
  };
}

for (const rows of values.rows.split(',').map(Number)) {
  for (const threadRowsMin of [Infinity, 0]) console.log(JSON.stringify(await measure(threadRowsMin, rows)));
}
