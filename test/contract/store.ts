// What every Store does, whatever it is made of.

import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { shardId, type ShardId } from '../../src/record/ids.ts';
import { PackedRows, ROW_KEY_BYTES_MAX } from '../../src/store/packed-rows.ts';
import { type StepOutcome, type Store, type StoreRow, type StoreStep } from '../../src/store/store.ts';

export interface StoreHarness {
  /** Not opened; each on the same disk as the ones before, and made from the same log. */
  make(): Store;
  cleanup(): Promise<void>;
}

export const SHARD_A = shardId(1, 0);
export const SHARD_B = shardId(1, 1);
export const SHARDS: readonly ShardId[] = [SHARD_A, SHARD_B];
export const WRITTEN: StepOutcome = { kind: 'written' };

export function stepOf(
  shard: ShardId,
  fromCursor: number,
  toCursor: number,
  rows: Readonly<Record<string, string | null>>,
): StoreStep {
  return {
    shard,
    fromCursor,
    toCursor,
    rows: PackedRows.of(
      Object.entries(rows).map(([key, value]) => [key, value === null ? null : Buffer.from(value)] as const),
    ),
  };
}

export function refreshed(store: Store, shard: ShardId): Promise<void> {
  return new Promise((resolve) => store.refresh(shard, resolve));
}

export const LARGE_ROWS = 20_000;

/** Every row of it says where its cursor went. */
export function largeStep(shard: ShardId, fromCursor: number, toCursor: number): StoreStep {
  const value = Buffer.from(`value ${toCursor}`);
  return {
    shard,
    fromCursor,
    toCursor,
    rows: PackedRows.of(Array.from({ length: LARGE_ROWS }, (_, i) => [`k${i}`, value] as const)),
  };
}

export function writeTo(store: Store, ...steps: StoreStep[]): Promise<readonly StepOutcome[]> {
  return new Promise((resolve) => store.write(steps, resolve));
}

export function getFrom(store: Store, shard: ShardId, ...keys: string[]): Promise<(string | undefined)[]> {
  return new Promise((resolve) => {
    store.getMany(shard, keys, (values) =>
      resolve(values.map((value) => (value === undefined ? undefined : Buffer.from(value).toString()))),
    );
  });
}

export function scanFrom(
  store: Store,
  shard: ShardId,
  from: string,
  to: string,
  limit: number,
): Promise<readonly StoreRow[]> {
  return new Promise((resolve) => store.scan(shard, from, to, limit, resolve));
}

async function keysOf(store: Store, shard: ShardId, from = '', to = '\u{10ffff}', limit = 1e6): Promise<string[]> {
  return (await scanFrom(store, shard, from, to, limit)).map(({ rowKey }) => rowKey);
}

export function peekAt(store: Store, shard: ShardId, rowKey: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    store.peek(shard, rowKey, (value) => resolve(value === undefined ? undefined : Buffer.from(value).toString()));
  });
}

function resetOf(store: Store, shard: ShardId): Promise<void> {
  return new Promise((resolve) => store.reset(shard, resolve));
}

export function runStoreContract(name: string, makeHarness: () => Promise<StoreHarness>): void {
  describe(`the store contract: ${name}`, () => {
    const cleanups: (() => Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    async function start(): Promise<{ harness: StoreHarness; store: Store }> {
      const harness = await makeHarness();
      cleanups.push(() => harness.cleanup());
      return { harness, store: await reopen(harness) };
    }

    async function reopen(harness: StoreHarness): Promise<Store> {
      const store = harness.make();
      await store.open(SHARDS);
      cleanups.push(() => store.close());
      return store;
    }

    test('I11: a new store has cursor 0 and no rows', async () => {
      const { store } = await start();
      expect(SHARDS.map((shard) => store.cursor(shard))).toEqual([0, 0]);
      expect(await getFrom(store, SHARD_A, 'a')).toEqual([undefined]);
      expect(await keysOf(store, SHARD_A)).toEqual([]);
    });

    test('I11: rows and cursor move together, and are there after closing and opening', async () => {
      const { harness, store } = await start();
      expect(await writeTo(store, stepOf(SHARD_A, 0, 7, { a: '1', b: '2', empty: '' }))).toEqual([WRITTEN]);
      expect(await writeTo(store, stepOf(SHARD_A, 7, 9, { a: '3', b: null, c: '4' }))).toEqual([WRITTEN]);
      const check = async (of: Store): Promise<void> => {
        expect(of.cursor(SHARD_A)).toBe(9);
        expect(of.cursor(SHARD_B)).toBe(0);
        expect(await getFrom(of, SHARD_A, 'c', 'b', 'a', 'empty', 'a')).toEqual(['4', undefined, '3', '', '3']);
        expect(await getFrom(of, SHARD_B, 'a')).toEqual([undefined]);
      };
      await check(store);
      await store.close();
      await check(await reopen(harness));
    });

    test('a step from another cursor than the present one is refused, and changes nothing', async () => {
      const { store } = await start();
      await writeTo(store, stepOf(SHARD_A, 0, 5, { a: '1' }));
      for (const from of [0, 4, 6]) {
        expect(await writeTo(store, stepOf(SHARD_A, from, 10, { a: 'x', b: 'x' }))).toEqual([
          { kind: 'moved', cursor: 5 },
        ]);
      }
      expect(await getFrom(store, SHARD_A, 'a', 'b')).toEqual(['1', undefined]);
      expect(store.cursor(SHARD_A)).toBe(5);
    });

    test('steps of several shards share a write; their outcomes are their own', async () => {
      const { store } = await start();
      const outcomes = await writeTo(
        store,
        stepOf(SHARD_A, 0, 1, { k: 'a1' }),
        stepOf(SHARD_B, 3, 4, { k: 'refused' }),
        stepOf(SHARD_A, 1, 2, { k: 'a2' }),
        stepOf(SHARD_A, 1, 3, { k: 'refused' }),
        stepOf(SHARD_B, 0, 9, { k: 'b1' }),
      );
      expect(outcomes).toEqual([WRITTEN, { kind: 'moved', cursor: 0 }, WRITTEN, { kind: 'moved', cursor: 2 }, WRITTEN]);
      expect(await getFrom(store, SHARD_A, 'k')).toEqual(['a2']);
      expect(await getFrom(store, SHARD_B, 'k')).toEqual(['b1']);
      expect([store.cursor(SHARD_A), store.cursor(SHARD_B)]).toEqual([2, 9]);
    });

    test('refresh: the shard as it is, once more', async () => {
      const { store } = await start();
      await writeTo(store, stepOf(SHARD_A, 0, 5, { a: '1' }));
      await refreshed(store, SHARD_A);
      await refreshed(store, SHARD_B);
      expect([store.cursor(SHARD_A), store.cursor(SHARD_B)]).toEqual([5, 0]);
      expect(await getFrom(store, SHARD_A, 'a')).toEqual(['1']);
      expect(await writeTo(store, stepOf(SHARD_A, 5, 6, { a: '2' }))).toEqual([WRITTEN]);
    });

    test('peek: one row, as it was written last', async () => {
      const { store } = await start();
      expect(await peekAt(store, SHARD_A, 'a')).toBeUndefined();
      await writeTo(store, stepOf(SHARD_A, 0, 5, { a: '1' }));
      expect(await peekAt(store, SHARD_A, 'a')).toBe('1');
      expect(await peekAt(store, SHARD_A, 'b')).toBeUndefined();
      expect(await peekAt(store, SHARD_B, 'a')).toBeUndefined();
      await resetOf(store, SHARD_A);
      expect(await peekAt(store, SHARD_A, 'a')).toBeUndefined();
    });

    test('answers as it says it does: at once, or later', async () => {
      const { store } = await start();
      await writeTo(store, stepOf(SHARD_A, 0, 1, { a: '1' }));
      let answers = 0;
      store.getMany(SHARD_A, ['a'], () => answers++);
      store.scan(SHARD_A, 'a', 'b', 9, () => answers++);
      expect(answers).toBe(store.answersAtOnce ? 2 : 0);
      await vi.waitFor(() => expect(answers).toBe(2));
    });

    test('a read that was asked for before a write is answered before it, with the rows of before', async () => {
      const { store } = await start();
      await writeTo(store, stepOf(SHARD_A, 0, 1, { a: '1' }));
      const order: string[] = [];
      const told = (what: string) => (values: readonly (Uint8Array | undefined)[]) =>
        order.push(`${what} ${Buffer.from(values[0]!).toString()}`);
      store.getMany(SHARD_A, ['a'], told('before'));
      const written = new Promise<void>((resolve) => {
        store.write([stepOf(SHARD_A, 1, 2, { a: '2' })], () => {
          order.push('written');
          resolve();
        });
      });
      await written;
      store.getMany(SHARD_A, ['a'], told('after'));
      await vi.waitFor(() => expect(order).toEqual(['before 1', 'written', 'after 2']));
    });

    test('a step without rows moves the cursor; a write without steps does nothing', async () => {
      const { store } = await start();
      expect(await writeTo(store)).toEqual([]);
      expect(await writeTo(store, stepOf(SHARD_A, 0, 3, {}), stepOf(SHARD_B, 0, 1, { gone: null }))).toEqual([
        WRITTEN,
        WRITTEN,
      ]);
      expect(store.cursor(SHARD_A)).toBe(3);
    });

    test('a scan is in the order of UTF-8 bytes, from included, to excluded, at most limit', async () => {
      const { store } = await start();
      // In UTF-16 code units '\u{1f600}' comes before '\uffee'; in UTF-8 after it.
      const keys = ['a', 'a\u0000', 'a\u0000b', 'ab', 'b', 'é', '\uffee', '\u{1f600}'];
      await writeTo(
        store,
        stepOf(SHARD_A, 0, 1, Object.fromEntries([...keys].reverse().map((key) => [key, `<${key}>`]))),
      );
      await writeTo(store, stepOf(SHARD_B, 0, 1, { aa: 'other shard' }));
      expect(await keysOf(store, SHARD_A)).toEqual(keys);
      expect(await keysOf(store, SHARD_A, 'a\u0000', 'b')).toEqual(['a\u0000', 'a\u0000b', 'ab']);
      expect(await keysOf(store, SHARD_A, 'aa', '\uffee', 2)).toEqual(['ab', 'b']);
      expect(await keysOf(store, SHARD_A, 'b', 'b')).toEqual([]);
      expect(await keysOf(store, SHARD_A, '', 'z', 0)).toEqual([]);
      expect(await keysOf(store, SHARD_A, '\u{1f601}')).toEqual([]);
      const [row] = await scanFrom(store, SHARD_A, 'ab', 'ac', 10);
      expect(Buffer.from(row!.value).toString()).toBe('<ab>');
    });

    test('the largest row key and a large value', async () => {
      const { store } = await start();
      const key = 'ü'.repeat(ROW_KEY_BYTES_MAX / 2);
      const value = Buffer.alloc(2 << 20, 'causeway ');
      await writeTo(store, { shard: SHARD_A, fromCursor: 0, toCursor: 1, rows: PackedRows.of([[key, value]]) });
      const [row] = await scanFrom(store, SHARD_A, 'a', '\uffff', 9);
      expect(row!.rowKey).toBe(key);
      expect(value.equals(Buffer.from(row!.value))).toBe(true);
    });

    test('values that were read stay what they were, whatever is read and written later', async () => {
      const { store } = await start();
      const sizes = [0, 1, 10, 100, 5000, 70_000, 300_000];
      const rows = sizes.map((size, i) => [`k${i}`, Buffer.alloc(size, i + 1)] as const);
      await writeTo(store, { shard: SHARD_A, fromCursor: 0, toCursor: 1, rows: PackedRows.of(rows) });
      // What the caller gave is the caller's again.
      for (const [, value] of rows) value.fill(99);
      const read = await new Promise<readonly (Uint8Array | undefined)[]>((resolve) => {
        store.getMany(
          SHARD_A,
          rows.map(([key]) => key),
          resolve,
        );
      });
      const scanned = await scanFrom(store, SHARD_A, 'k', 'l', 100);
      await writeTo(store, {
        shard: SHARD_A,
        fromCursor: 1,
        toCursor: 2,
        rows: PackedRows.of(rows.map(([key]) => [key, Buffer.alloc(50, 77)])),
      });
      await getFrom(store, SHARD_A, ...rows.map(([key]) => key));
      for (const [i, size] of sizes.entries()) {
        const expected = Buffer.alloc(size, i + 1);
        expect(expected.equals(read[i]!)).toBe(true);
        expect(expected.equals(scanned[i]!.value)).toBe(true);
      }
    });

    test('I11: reset drops the rows of one shard, and it is built again from cursor 0', async () => {
      const { harness, store } = await start();
      await writeTo(store, stepOf(SHARD_A, 0, 5, { a: '1', b: '2' }), stepOf(SHARD_B, 0, 6, { a: 'b' }));
      await resetOf(store, SHARD_A);
      expect([store.cursor(SHARD_A), store.cursor(SHARD_B)]).toEqual([0, 6]);
      expect(await keysOf(store, SHARD_A)).toEqual([]);
      expect(await getFrom(store, SHARD_B, 'a')).toEqual(['b']);
      expect(await writeTo(store, stepOf(SHARD_A, 5, 6, { a: 'x' }))).toEqual([{ kind: 'moved', cursor: 0 }]);
      expect(await writeTo(store, stepOf(SHARD_A, 0, 1, { a: 'again' }))).toEqual([WRITTEN]);
      await store.close();
      const again = await reopen(harness);
      expect(await keysOf(again, SHARD_A)).toEqual(['a']);
      expect(again.cursor(SHARD_A)).toBe(1);
    });

    test('a large step: until it is done reads see the rows as they were, and from then on the new ones', async () => {
      const { store } = await start();
      await writeTo(store, largeStep(SHARD_A, 0, 1));
      const keys = ['k0', `k${LARGE_ROWS - 1}`];
      let done = false;
      const outcomes = new Promise<readonly StepOutcome[]>((resolve) => {
        store.write([largeStep(SHARD_A, 1, 2)], (of) => {
          done = true;
          // At once, in the same turn.
          store.getMany(SHARD_A, keys, (values) => {
            expect(values.map((value) => Buffer.from(value!).toString())).toEqual(['value 2', 'value 2']);
            resolve(of);
          });
        });
      });
      while (!done) {
        const values = await getFrom(store, SHARD_A, ...keys);
        const [row] = await scanFrom(store, SHARD_A, 'k0', 'k1', 1);
        const cursor = store.cursor(SHARD_A);
        // It may have been done while this was asked.
        if (!done) expect([values, String(row!.value), cursor]).toEqual([['value 1', 'value 1'], 'value 1', 1]);
        await new Promise((resolve) => void setImmediate(resolve));
      }
      expect(await outcomes).toEqual([WRITTEN]);
      expect(store.cursor(SHARD_A)).toBe(2);
      const rows = await scanFrom(store, SHARD_A, 'k', 'l', 1e6);
      expect(rows).toHaveLength(LARGE_ROWS);
      expect(new Set(rows.map(({ value }) => String(value)))).toEqual(new Set(['value 2']));
    });

    test('writes take effect in their order, large ones, small ones, refused ones and resets', async () => {
      const { store } = await start();
      const order: string[] = [];
      const named = async (name: string, of: Promise<unknown>): Promise<unknown> => {
        const outcome = await of;
        order.push(name);
        return outcome;
      };
      const outcomes = await Promise.all([
        named('large', writeTo(store, largeStep(SHARD_A, 0, 1), stepOf(SHARD_B, 0, 1, { a: 'b1' }))),
        named('small', writeTo(store, stepOf(SHARD_A, 1, 2, { k0: 'small' }))),
        named('refused', writeTo(store, largeStep(SHARD_A, 1, 3), stepOf(SHARD_B, 1, 2, { a: 'b2' }))),
        named('behind it', writeTo(store, largeStep(SHARD_A, 2, 4))),
        named('checkpoint', store.checkpoint()),
        named('reset', resetOf(store, SHARD_B)),
        named('again', writeTo(store, stepOf(SHARD_B, 0, 7, { a: 'again' }))),
      ]);
      expect(order.filter((name) => name !== 'checkpoint')).toEqual([
        'large',
        'small',
        'refused',
        'behind it',
        'reset',
        'again',
      ]);
      expect(outcomes).toEqual([
        [WRITTEN, WRITTEN],
        [WRITTEN],
        [{ kind: 'moved', cursor: 2 }, WRITTEN],
        [WRITTEN],
        undefined,
        undefined,
        [WRITTEN],
      ]);
      expect([store.cursor(SHARD_A), store.cursor(SHARD_B)]).toEqual([4, 7]);
      expect(await getFrom(store, SHARD_A, 'k0')).toEqual(['value 4']);
      expect(await getFrom(store, SHARD_B, 'a')).toEqual(['again']);
    });

    test('closing waits for the writes under way', async () => {
      const { harness, store } = await start();
      const order: string[] = [];
      const writes = [1, 2].map(async (to) => {
        expect(await writeTo(store, largeStep(SHARD_A, to - 1, to))).toEqual([WRITTEN]);
        order.push(`written ${to}`);
      });
      const closed = store.close().then(() => order.push('closed'));
      await Promise.all([...writes, closed]);
      expect(order).toEqual(['written 1', 'written 2', 'closed']);
      const again = await reopen(harness);
      expect(again.cursor(SHARD_A)).toBe(2);
      expect(await getFrom(again, SHARD_A, 'k7')).toEqual(['value 2']);
    });

    test('a checkpoint changes nothing that can be read', async () => {
      const { store } = await start();
      await writeTo(store, stepOf(SHARD_A, 0, 5, { a: '1' }));
      await store.checkpoint();
      await store.checkpoint();
      expect(await writeTo(store, stepOf(SHARD_A, 5, 6, { b: '2' }))).toEqual([WRITTEN]);
      expect(await getFrom(store, SHARD_A, 'a', 'b')).toEqual(['1', '2']);
      expect(store.bytes()).toBeGreaterThan(0);
    });

    test('I11: against a model, under random steps, resets and reopening', async () => {
      const key = fc.constantFrom('a', 'b', 'c', 'ab', 'a\u0000', 'é', '\uffee', '\u{1f600}', 'k'.repeat(500));
      const step = fc.oneof(
        {
          weight: 10,
          arbitrary: fc.record({
            do: fc.constant('write' as const),
            shard: fc.integer({ min: 0, max: 1 }),
            wrong: fc.constantFrom(false, false, false, true),
            rows: fc.dictionary(key, fc.option(fc.string({ maxLength: 40 }), { nil: null }), { maxKeys: 5 }),
          }),
        },
        {
          weight: 3,
          arbitrary: fc.record({
            do: fc.constant('scan' as const),
            shard: fc.integer({ min: 0, max: 1 }),
            from: key,
            to: key,
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({
            do: fc.constantFrom('reset' as const, 'reopen' as const, 'checkpoint' as const),
            shard: fc.integer({ min: 0, max: 1 }),
          }),
        },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const harness = await makeHarness();
          let store = harness.make();
          await store.open(SHARDS);
          const model = SHARDS.map(() => ({ cursor: 0, rows: new Map<string, string>() }));
          try {
            for (const next of steps) {
              const shard = SHARDS[next.shard]!;
              const here = model[next.shard]!;
              if (next.do === 'write') {
                const from = here.cursor + (next.wrong ? 1 : 0);
                const [outcome] = await writeTo(store, stepOf(shard, from, here.cursor + 3, next.rows));
                expect(outcome).toEqual(next.wrong ? { kind: 'moved', cursor: here.cursor } : WRITTEN);
                if (next.wrong) continue;
                here.cursor += 3;
                for (const [rowKey, value] of Object.entries(next.rows)) {
                  if (value === null) here.rows.delete(rowKey);
                  else here.rows.set(rowKey, value);
                }
              } else if (next.do === 'scan') {
                const inRange = (rowKey: string): boolean =>
                  Buffer.from(rowKey).compare(Buffer.from(next.from)) >= 0 &&
                  Buffer.from(rowKey).compare(Buffer.from(next.to)) < 0;
                const expected = [...here.rows].filter(([rowKey]) => inRange(rowKey));
                expected.sort(([a], [b]) => Buffer.from(a).compare(Buffer.from(b)));
                const rows = await scanFrom(store, shard, next.from, next.to, 3);
                expect(rows.map(({ rowKey, value }) => [rowKey, Buffer.from(value).toString()])).toEqual(
                  expected.slice(0, 3),
                );
              } else if (next.do === 'reset') {
                await resetOf(store, shard);
                here.cursor = 0;
                here.rows.clear();
              } else if (next.do === 'checkpoint') {
                await store.checkpoint();
              } else {
                await store.close();
                store = harness.make();
                await store.open(SHARDS);
              }
              expect(store.cursor(shard)).toBe(here.cursor);
              const keys = [...here.rows.keys(), 'absent'];
              expect(await getFrom(store, shard, ...keys)).toEqual([...here.rows.values(), undefined]);
            }
          } finally {
            await store.close();
            await harness.cleanup();
          }
        }),
        { numRuns: 40 },
      );
    }, 120_000);
  });
}
