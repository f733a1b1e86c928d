// The simulator's store: the same contract as the real one, and the faults that it offers.

import { expect, test } from 'vitest';
import { MemoryStore, MemoryStoreDisk } from '../../src/store/memory.ts';
import { getFrom, runStoreContract, SHARD_A, SHARD_B, SHARDS, stepOf, writeTo, WRITTEN } from '../contract/store.ts';

runStoreContract('memory', () => {
  const disk = new MemoryStoreDisk();
  return Promise.resolve({ make: () => new MemoryStore({ disk }), cleanup: () => Promise.resolve() });
});

runStoreContract('memory, slow', () => {
  const disk = new MemoryStoreDisk();
  const make = (): MemoryStore => new MemoryStore({ disk, complete: (fn) => void setImmediate(fn) });
  return Promise.resolve({ make, cleanup: () => Promise.resolve() });
});

async function opened(disk: MemoryStoreDisk, options: object = {}): Promise<MemoryStore> {
  const store = new MemoryStore({ disk, ...options });
  await store.open(SHARDS);
  return store;
}

test('I11: kill -9 keeps what had taken effect and loses what was under way', async () => {
  const disk = new MemoryStoreDisk();
  const held: (() => void)[] = [];
  const store = await opened(disk, { complete: (fn: () => void) => held.push(fn) });
  const first = writeTo(store, stepOf(SHARD_A, 0, 1, { a: '1' }));
  let second = false;
  store.write([stepOf(SHARD_A, 1, 2, { a: '2' })], () => (second = true));
  held.shift()!();
  expect(await first).toEqual([WRITTEN]);
  store.crash('process');
  for (const fn of held) fn();
  expect(second).toBe(false);
  const again = await opened(disk);
  expect(again.cursor(SHARD_A)).toBe(1);
  expect(await getFrom(again, SHARD_A, 'a')).toEqual(['1']);
});

test('I11: loss of power keeps rows only when nothing was written since the last checkpoint', async () => {
  const disk = new MemoryStoreDisk();
  let store = await opened(disk);
  await writeTo(store, stepOf(SHARD_A, 0, 1, { a: '1' }));
  await store.checkpoint();
  store.crash('machine');
  store = await opened(disk);
  expect(store.cursor(SHARD_A)).toBe(1);
  await writeTo(store, stepOf(SHARD_B, 0, 1, { b: '1' }));
  store.crash('machine');
  store = await opened(disk);
  expect([store.cursor(SHARD_A), store.cursor(SHARD_B)]).toEqual([0, 0]);
  expect(await getFrom(store, SHARD_A, 'a')).toEqual([undefined]);
});

test('I11: rows of another log are dropped', async () => {
  const disk = new MemoryStoreDisk();
  const store = await opened(disk, { logIdentity: 'log/1' });
  await writeTo(store, stepOf(SHARD_A, 0, 1, { a: '1' }));
  await store.close();
  expect((await opened(disk, { logIdentity: 'log/2' })).cursor(SHARD_A)).toBe(0);
});

test('I11: a flush under a running node is seen by the next step', async () => {
  const disk = new MemoryStoreDisk();
  const store = await opened(disk);
  await writeTo(store, stepOf(SHARD_A, 0, 5, { a: '1' }));
  disk.clear();
  expect(await writeTo(store, stepOf(SHARD_A, 5, 6, { b: '2' }))).toEqual([{ kind: 'moved', cursor: 0 }]);
});

test('writes fail while the test says so', async () => {
  const disk = new MemoryStoreDisk();
  const store = await opened(disk);
  disk.failWrites('no space');
  expect(await writeTo(store, stepOf(SHARD_A, 0, 1, { a: '1' }))).toEqual([{ kind: 'failed', message: 'no space' }]);
  disk.failWrites(undefined);
  expect(await writeTo(store, stepOf(SHARD_A, 0, 1, { a: '1' }))).toEqual([WRITTEN]);
});
