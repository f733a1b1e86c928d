// The cache of key states in front of the store.

import { expect, test } from 'vitest';
import type { StateChange } from '../../src/shard/engine.ts';
import { stateKey } from '../../src/record/op.ts';
import { originId, type StateKey } from '../../src/record/ids.ts';
import { mergeOf, type AnyState } from '../../src/merge/merge.ts';
import { StateCache, STATE_ROW } from '../../src/region/state-cache.ts';
import { MemoryStore, MemoryStoreDisk } from '../../src/store/memory.ts';
import { collection, EU, SHARD, textOf } from '../support/shard-kit.ts';

const TYPE = 'register-lww';
const merge = mergeOf(TYPE);
let seq = 0;

function key(name: string): StateKey {
  return stateKey(collection(TYPE), name);
}

function stateOf(value: string): AnyState {
  seq++;
  const version = { origin: originId(EU, 1), seq, stamp: seq };
  const payload = merge.prepare(undefined, { kind: 'put', value: Buffer.from(value) }, { version, nowMs: 0 });
  return merge.apply(undefined, payload, { version, seen: () => true }).state!;
}

async function opened(bytesMax: number): Promise<{ cache: StateCache; store: MemoryStore; disk: MemoryStoreDisk }> {
  const disk = new MemoryStoreDisk();
  const store = new MemoryStore({ disk });
  await store.open([SHARD]);
  return { cache: new StateCache(SHARD, store, bytesMax), store, disk };
}

/** As the engine does it: the slot's state is new, then the cache hears of it. */
function set(cache: StateCache, name: string, state: AnyState | undefined, collectableAt?: number): void {
  const slot = cache.slotAt(key(name), TYPE);
  slot.state = state;
  slot.contribution.forget();
  const change: StateChange = { slot, collectableAt };
  cache.apply([change]);
}

function text(cache: StateCache, name: string): string | undefined {
  return textOf(merge.view(cache.get(key(name), TYPE), 0));
}

function write(cache: StateCache, disk: MemoryStoreDisk): void {
  const rows = cache.takeDirty();
  const at = disk.shard(SHARD);
  expect(disk.step({ shard: SHARD, fromCursor: at.cursor, toCursor: at.cursor + 1, rows })).toEqual({
    kind: 'written',
  });
  cache.written();
}

function crowd(cache: StateCache, count = 50): void {
  for (let i = 0; i < count; i++) cache.get(key(`crowd ${seq++}`), TYPE);
}

test('I11: an entry that the store has may go, and comes back from there', async () => {
  const { cache, disk } = await opened(2000);
  set(cache, 'a', stateOf('1'));
  write(cache, disk);
  const before = cache.slotAt(key('a'), TYPE);
  crowd(cache);
  expect(text(cache, 'a')).toBe('1');
  expect(cache.slotAt(key('a'), TYPE)).not.toBe(before);
});

test('I11: an entry that the store does not have stays, whatever the bound', async () => {
  const { cache, disk } = await opened(2000);
  for (let i = 0; i < 100; i++) set(cache, `k${i}`, stateOf(`${i}`));
  expect(cache.dirtyCount).toBe(100);
  crowd(cache);
  for (let i = 0; i < 100; i++) expect(text(cache, `k${i}`)).toBe(`${i}`);
  write(cache, disk);
  expect(cache.dirtyCount).toBe(0);
  crowd(cache);
  expect(cache.bytes).toBeLessThanOrEqual(2000);
});

test('I4: an entry with something in flight stays: batches point to it', async () => {
  const { cache } = await opened(2000);
  const slot = cache.slotAt(key('a'), TYPE);
  slot.newest = { state: undefined };
  crowd(cache);
  expect(cache.slotAt(key('a'), TYPE)).toBe(slot);
});

test('I11: while a step is under way the old row is not read, whatever the bound', async () => {
  const { cache, disk } = await opened(2000);
  set(cache, 'a', stateOf('old'));
  write(cache, disk);
  set(cache, 'a', stateOf('new'));
  cache.takeDirty();
  crowd(cache);
  expect(text(cache, 'a')).toBe('new');
});

test('I9: a step that failed is made again, a key that was collected included', async () => {
  const { cache, disk } = await opened(2000);
  set(cache, 'gone', stateOf('x'));
  set(cache, 'changed', stateOf('1'));
  write(cache, disk);
  set(cache, 'gone', undefined);
  set(cache, 'changed', stateOf('2'));
  set(cache, 'due', stateOf('3'), 77);
  const failed = cache.takeDirty();
  crowd(cache);
  set(cache, 'changed', stateOf('4'));
  cache.putBack(failed);
  expect(cache.dirtyCount).toBe(3);
  crowd(cache);
  expect(text(cache, 'gone')).toBeUndefined();
  write(cache, disk);
  const { rows } = disk.shard(SHARD);
  expect(rows.has(STATE_ROW + key('gone'))).toBe(false);
  crowd(cache);
  expect(text(cache, 'changed')).toBe('4');
  expect([...rows.keys()].filter((row) => row.startsWith('t'))).toHaveLength(1);
});

test('a row key stands once in a step', async () => {
  const { cache } = await opened(2000);
  for (let i = 0; i < 5; i++) set(cache, 'a', stateOf(`${i}`), 7);
  const rows = cache.takeDirty().map(([rowKey]) => rowKey);
  expect(new Set(rows).size).toBe(rows.length);
});
