// The cache of key states in front of the store.

import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { Digest } from '../../src/shard/digest.ts';
import { OpsWriter } from '../../src/record/ops-writer.ts';
import { stateKey } from '../../src/record/op.ts';
import { originId, type StateKey } from '../../src/record/ids.ts';
import { mergeOf } from '../../src/merge/merge.ts';
import { prepareHead } from '../../src/merge/register-lww.ts';
import { decodeState, StateCache, STATE_ROW } from '../../src/region/state-cache.ts';
import { MemoryStore, MemoryStoreDisk } from '../../src/store/memory.ts';
import { collection, EU, put, SHARD, textOf } from '../support/shard-kit.ts';

const ORIGIN = originId(EU, 1);
let seq = 0;

async function opened(bytesMax: number): Promise<{ cache: StateCache; store: MemoryStore; disk: MemoryStoreDisk }> {
  const disk = new MemoryStoreDisk();
  const store = new MemoryStore({ disk });
  await store.open([SHARD]);
  return { cache: new StateCache(SHARD, store, bytesMax), store, disk };
}

function write(cache: StateCache, disk: MemoryStoreDisk): void {
  const rows = cache.takeDirty();
  const at = disk.shard(SHARD);
  expect(disk.step({ shard: SHARD, fromCursor: at.cursor, toCursor: at.cursor + 1, rows })).toEqual({
    kind: 'written',
  });
  cache.written();
}

// Registers are in a table, keys of all other types are objects: both keep the same promises.
describe.each(['register-lww', 'register-mv'] as const)('%s', (type) => {
  const merge = mergeOf(type);

  function key(name: string): StateKey {
    return stateKey(collection(type), name);
  }

  /** As the engine does it: the state is new, then the cache hears of it. undefined: collected. */
  function set(cache: StateCache, name: string, value: string | undefined, collectableAt?: number): void {
    seq++;
    const version = { origin: ORIGIN, seq, stamp: seq };
    if (type === 'register-lww') {
      const { registers } = cache;
      const place = cache.registerAt(key(name));
      if (value === undefined) registers.clear(place, new Digest());
      else {
        const ops = new OpsWriter();
        ops.write({ collection: collection(type), key: name }, prepareHead(put(value)), Buffer.from(value));
        registers.land(place, ops.located, 0, registers.origin(ORIGIN), seq, seq, new Digest());
      }
      const due = { slot: undefined, key: key(name), type, collectableAt };
      cache.apply(collectableAt === undefined ? [] : [due]);
      return;
    }
    const slot = cache.slotAt(key(name), type);
    slot.state =
      value === undefined
        ? undefined
        : merge.apply(undefined, merge.prepare(undefined, put(value), { version, nowMs: 0 }), {
            version,
            seen: () => true,
          }).state;
    slot.forget();
    cache.apply([{ slot, key: slot.key, type, collectableAt }]);
  }

  function text(cache: StateCache, name: string): string | undefined {
    return textOf(merge.view(cache.get(key(name), type), 0));
  }

  function isHere(cache: StateCache, name: string): boolean {
    const getMany = vi.spyOn(MemoryStore.prototype, 'getMany');
    if (type === 'register-lww') cache.registerAt(key(name));
    else cache.slotAt(key(name), type);
    const here = getMany.mock.calls.length === 0;
    getMany.mockRestore();
    return here;
  }

  function crowd(cache: StateCache, count = 50): void {
    for (let i = 0; i < count; i++) cache.get(key(`crowd ${seq++}`), type);
  }

  test('I11: an entry that the store has may go, and comes back from there', async () => {
    const { cache, disk } = await opened(2000);
    set(cache, 'a', '1');
    write(cache, disk);
    expect(isHere(cache, 'a')).toBe(true);
    crowd(cache);
    expect(isHere(cache, 'a')).toBe(false);
    expect(text(cache, 'a')).toBe('1');
  });

  test('I11: an entry that the store does not have stays, whatever the bound', async () => {
    const { cache, disk } = await opened(2000);
    for (let i = 0; i < 100; i++) set(cache, `k${i}`, `${i}`);
    expect(cache.dirtyCount).toBe(100);
    crowd(cache);
    for (let i = 0; i < 100; i++) expect(text(cache, `k${i}`)).toBe(`${i}`);
    write(cache, disk);
    expect(cache.dirtyCount).toBe(0);
    crowd(cache);
    cache.load([], () => {});
    expect(cache.bytes).toBeLessThanOrEqual(2000);
  });

  test('I4: an entry with something in flight stays: batches point to it', async () => {
    const { cache } = await opened(2000);
    if (type === 'register-lww') cache.registers.setNewest(cache.registerAt(key('a')), 1);
    else cache.slotAt(key('a'), type).newest = { state: undefined };
    crowd(cache);
    expect(isHere(cache, 'a')).toBe(true);
  });

  test('I11: while a step is under way the old row is not read, whatever the bound', async () => {
    const { cache, disk } = await opened(2000);
    set(cache, 'a', 'old');
    write(cache, disk);
    set(cache, 'a', 'new');
    cache.takeDirty();
    crowd(cache);
    expect(text(cache, 'a')).toBe('new');
  });

  test('I9: a step that failed is made again, a key that was collected included', async () => {
    const { cache, disk } = await opened(2000);
    set(cache, 'gone', 'x');
    set(cache, 'changed', '1');
    write(cache, disk);
    set(cache, 'gone', undefined);
    set(cache, 'changed', '2');
    set(cache, 'due', '3', 77);
    cache.takeDirty();
    crowd(cache);
    set(cache, 'changed', '4');
    cache.putBack();
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

  test('I11: a step that is taken in slices is the state at its beginning, whatever lands in between', async () => {
    const name = fc.integer({ min: 0, max: 9 }).map((n) => `k${n}`);
    const change = fc.record({ name, value: fc.option(fc.string({ maxLength: 90 }), { nil: undefined }) });
    const between = fc.record({ changes: fc.array(change, { maxLength: 4 }), slice: fc.integer({ min: 0, max: 4 }) });
    const shape = [fc.array(change, { maxLength: 20 }), fc.array(between, { maxLength: 8 }), fc.boolean()] as const;
    await fc.assert(
      fc.asyncProperty(...shape, async (before, turns, isRefused) => {
        const { cache, disk } = await opened(2000);
        const states = new Map<string, string | undefined>();
        const make = ({ name: each, value }: { name: string; value: string | undefined }): void => {
          set(cache, each, value);
          states.set(STATE_ROW + key(each), value);
        };
        const expectStored = (expected: ReadonlyMap<string, string | undefined>): void => {
          const stored = new Map([...disk.shard(SHARD).rows].map(([row, bytes]) => [row, textOfRow(bytes)]));
          expect(stored).toEqual(new Map([...expected].filter(([, value]) => value !== undefined)));
        };
        before.forEach(make);
        const atBeginning = new Map(states);
        const rows = cache.beginTaking();
        for (const { changes, slice } of turns) {
          changes.forEach(make);
          crowd(cache);
          cache.takeMore(slice);
        }
        cache.takeMore(Infinity);
        expect(cache.isTaking).toBe(false);
        const rowKeys = new Set([...rows].map(([rowKey]) => rowKey));
        expect(rowKeys.size).toBe(rows.length);
        expect(rowKeys).toEqual(new Set(atBeginning.keys()));
        if (isRefused) cache.putBack();
        else {
          disk.step({ shard: SHARD, fromCursor: 0, toCursor: 1, rows });
          expectStored(atBeginning);
          cache.written();
        }
        write(cache, disk);
        expectStored(states);
      }),
    );
  });

  function textOfRow(row: Uint8Array): string | undefined {
    return textOf(merge.view(decodeState(row).state, 0));
  }

  test('a row key stands once in a step', async () => {
    const { cache } = await opened(2000);
    for (let i = 0; i < 5; i++) set(cache, 'a', `${i}`, 7);
    const rows = [...cache.takeDirty()].map(([rowKey]) => rowKey);
    expect(new Set(rows).size).toBe(rows.length);
  });

  test('what is asked for again outlives what is not', async () => {
    const { cache, disk } = await opened(8000);
    set(cache, 'often', '1');
    write(cache, disk);
    let reads = 0;
    for (let i = 0; i < 500; i++) {
      if (!isHere(cache, 'often')) reads++;
      cache.get(key(`crowd ${seq++}`), type);
    }
    expect(reads).toBe(0);
  });
});
