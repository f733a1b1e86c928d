// A process that uses an LMDB store and is then killed, or dies of it (lmdb.test.ts).
// Arguments: directory, boot id, then what to do: `write` (one more step), `large` (one more, of many rows), `checkpoint`, `scan`, `die` (kill -9
// of itself), `die-in-large` and `exit-in-large` (kill -9, or process.exit, so many ms after a large step has begun), `leave` (without closing).
// Prints one line of JSON for each.

import fs from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { LmdbStore } from '../../src/store/lmdb.ts';
import type { StoreStep } from '../../src/store/store.ts';
import { largeStep, SHARD_A, SHARDS, scanFrom, stepOf, writeTo } from '../contract/store.ts';

const [directory, bootId, ...doings] = process.argv.slice(2) as [string, string, ...string[]];
const say = (line: unknown): void => void fs.writeSync(1, `${JSON.stringify(line)}\n`);

const store = new LmdbStore({ directory, logIdentity: 'log/1', bootId });
await store.open(SHARDS);
say({ findings: store.findings });
for (const doing of doings) {
  if (doing === 'write') {
    const cursor = store.cursor(SHARD_A);
    const rows = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [`key ${i}`, `value ${cursor + 1}`.padEnd(200)]),
    );
    say(await writeTo(store, stepOf(SHARD_A, cursor, cursor + 1, rows)));
  }
  if (doing === 'checkpoint') say(await store.checkpoint());
  if (doing === 'scan') say({ rows: (await scanFrom(store, SHARD_A, 'a', 'z', 1e6)).length });
  if (doing === 'large') say(await writeTo(store, nextLarge()));
  if (doing === 'die') process.kill(process.pid, 'SIGKILL');
  const [how, afterMs] = doing.split(':');
  if (how === 'die-in-large' || how === 'exit-in-large') {
    store.write([nextLarge()], say);
    await setTimeout(Number(afterMs));
    if (how === 'exit-in-large') process.exit(0);
    process.kill(process.pid, 'SIGKILL');
  }
  if (doing === 'leave') store.write([nextLarge()], say);
}
if (!doings.includes('leave')) await store.close();

function nextLarge(): StoreStep {
  const cursor = store.cursor(SHARD_A);
  return largeStep(SHARD_A, cursor, cursor + 1);
}
