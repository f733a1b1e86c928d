// What every Log does, whatever it is made of. A new engine passes this suite before anything else is said about it.

import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { AppendOutcome, Log, LogEntry, LogEntryKind, ReadResult, StoredEntry } from '../../src/log/log.ts';
import { encodeBatch, NO_CHECKSUM, OrderedDeps } from '../../src/record/batch.ts';
import { originId, regionId, shardId, type OriginId, type ShardId } from '../../src/record/ids.ts';

export interface LogHarness {
  /** Not opened; each on the same disk as the ones before. */
  make(): Log;
  cleanup(): Promise<void>;
}

export const SHARD_A = shardId(1, 0);
export const SHARD_B = shardId(1, 1);
export const SHARDS: readonly ShardId[] = [SHARD_A, SHARD_B];

export function entry(kind: LogEntryKind, content: string | Uint8Array): LogEntry {
  return { kind, bytes: Buffer.from(content) };
}

export function appendTo(
  log: Log,
  shard: ShardId,
  expectOffset: number,
  ...entries: LogEntry[]
): Promise<AppendOutcome> {
  return new Promise((resolve) => log.append(shard, expectOffset, entries, resolve));
}

export function refreshed(log: Log, shard: ShardId): Promise<void> {
  return new Promise((resolve) => log.refresh(shard, resolve));
}

export function readFrom(log: Log, shard: ShardId, fromOffset: number, bytesMax = 1 << 20): Promise<ReadResult> {
  return new Promise((resolve) => log.read(shard, fromOffset, bytesMax, resolve));
}

/** All entries of a shard, however many reads that takes. */
export async function readAll(log: Log, shard: ShardId, fromOffset = 1, bytesMax = 1 << 20): Promise<StoredEntry[]> {
  const all: StoredEntry[] = [];
  for (;;) {
    const result = await readFrom(log, shard, fromOffset + all.length, bytesMax);
    if (result.kind !== 'entries') throw new Error(`expected entries, got ${JSON.stringify(result)}`);
    if (result.entries.length === 0) return all;
    all.push(...result.entries);
  }
}

export function contents(entries: readonly StoredEntry[]): string[] {
  return entries.map(({ offset, kind, bytes }) => `${offset} ${kind} ${Buffer.from(bytes).toString('latin1')}`);
}

export function originOf(region: string, incarnation: number): OriginId {
  return originId(regionId(region), incarnation);
}

export function batchEntry(shard: ShardId, origin: OriginId, firstSeq: number, count: number): LogEntry {
  const bytes = encodeBatch({
    shard,
    origin,
    firstSeq,
    firstStamp: firstSeq,
    deps: OrderedDeps.empty,
    depsBefore: undefined,
    previousChecksum: NO_CHECKSUM,
    ops: Array.from({ length: count }, (_, i) => ({
      collection: undefined,
      key: '',
      payload: Buffer.from([firstSeq + i]),
    })),
  });
  return { kind: 'batch', bytes };
}

export const DURABLE: AppendOutcome = { kind: 'durable' };

export function runLogContract(name: string, makeHarness: () => Promise<LogHarness>): void {
  describe(`the log contract: ${name}`, () => {
    const cleanups: (() => Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    /** A harness, and its first log, opened. */
    async function start(): Promise<{ harness: LogHarness; log: Log }> {
      const harness = await makeHarness();
      cleanups.push(() => harness.cleanup());
      const log = await reopen(harness);
      return { harness, log };
    }

    async function reopen(harness: LogHarness, shards = SHARDS): Promise<Log> {
      const log = harness.make();
      await log.open(shards);
      cleanups.push(() => log.close());
      return log;
    }

    test('refresh tells what it is told of, and changes nothing', async () => {
      const { log } = await start();
      await appendTo(log, SHARD_A, 1, entry('lease', 'one'));
      await refreshed(log, SHARD_A);
      await refreshed(log, SHARD_B);
      expect([log.tail(SHARD_A), log.tail(SHARD_B)]).toEqual([1, 0]);
      const appended = appendTo(log, SHARD_A, 2, entry('lease', 'two'));
      await refreshed(log, SHARD_A);
      expect(await appended).toEqual(DURABLE);
      expect(contents(await readAll(log, SHARD_A))).toEqual(['1 lease one', '2 lease two']);
    });

    test('I6: an empty directory is new, and stays new until every shard has a lease', async () => {
      const harness = await makeHarness();
      cleanups.push(() => harness.cleanup());
      const first = harness.make();
      expect(await first.open(SHARDS)).toEqual({ state: 'new', findings: [], tornBytes: 0, unproven: SHARDS });
      expect([first.tail(SHARD_A), first.start(SHARD_A)]).toEqual([0, 1]);
      expect(await readFrom(first, SHARD_A, 1)).toEqual({ kind: 'entries', entries: [] });
      // What others wrote proves nothing about what this region stamped.
      await appendTo(first, SHARD_A, 1, batchEntry(SHARD_A, originOf('us-east', 7), 1, 3));
      await first.close();

      const second = harness.make();
      expect(await second.open(SHARDS)).toMatchObject({ state: 'new', unproven: SHARDS });
      await appendTo(second, SHARD_A, 2, entry('lease', 'bound'));
      await second.close();

      const third = harness.make();
      expect(await third.open(SHARDS)).toMatchObject({ state: 'new', unproven: [SHARD_B] });
      await appendTo(third, SHARD_B, 1, entry('lease', 'bound'));
      await third.close();

      const fourth = harness.make();
      expect(await fourth.open(SHARDS)).toEqual({ state: 'whole', findings: [], tornBytes: 0, unproven: [] });
      await fourth.close();

      const grown = harness.make();
      const added = shardId(2, 0);
      expect(await grown.open([...SHARDS, added])).toMatchObject({ state: 'new', unproven: [added] });
      await grown.close();
    });

    test('I1: what was durable is there, with kind and bytes, now and after closing and opening', async () => {
      const { harness, log } = await start();
      expect(await appendTo(log, SHARD_A, 1, entry('lease', 'one'), entry('barrier', ''))).toEqual(DURABLE);
      expect(await appendTo(log, SHARD_B, 1, entry('lease', 'other shard'))).toEqual(DURABLE);
      expect(await appendTo(log, SHARD_A, 3, entry('batch', 'not really one'))).toEqual(DURABLE);
      const expected = ['1 lease one', '2 barrier ', '3 batch not really one'];
      expect(contents(await readAll(log, SHARD_A))).toEqual(expected);
      expect([log.tail(SHARD_A), log.tail(SHARD_B)]).toEqual([3, 1]);
      expect(log.bytes()).toBeGreaterThan(0);
      await log.close();

      const again = await reopen(harness);
      expect(contents(await readAll(again, SHARD_A))).toEqual(expected);
      expect(contents(await readAll(again, SHARD_B))).toEqual(['1 lease other shard']);
      expect(await appendTo(again, SHARD_A, 4, entry('lease', 'two'))).toEqual(DURABLE);
    });

    test('an append at any other offset than the next is fenced, writes nothing and names the tail', async () => {
      const { log } = await start();
      await appendTo(log, SHARD_A, 1, entry('lease', 'a'), entry('lease', 'b'));
      for (const offset of [1, 2, 4, 5]) {
        expect(await appendTo(log, SHARD_A, offset, entry('lease', 'x'))).toEqual({ kind: 'fenced', tail: 2 });
      }
      expect(contents(await readAll(log, SHARD_A))).toEqual(['1 lease a', '2 lease b']);
    });

    test('appends in flight at once: outcomes come in order, and what follows a refused one is refused with it', async () => {
      const { log } = await start();
      const outcomes: string[] = [];
      const waits: Promise<void>[] = [];
      const append = (offset: number, content: string): void => {
        waits.push(
          new Promise((resolve) => {
            log.append(SHARD_A, offset, [entry('lease', content)], (outcome) => {
              outcomes.push(`${content} ${outcome.kind}`);
              resolve();
            });
          }),
        );
      };
      for (let i = 1; i <= 20; i++) append(i, `entry${i}`);
      append(30, 'gap');
      append(31, 'behind');
      append(32, 'behind that');
      await Promise.all(waits);
      const durable = Array.from({ length: 20 }, (_, i) => `entry${i + 1} durable`);
      expect(outcomes).toEqual([...durable, 'gap fenced', 'behind fenced', 'behind that fenced']);
      append(21, 'entry21');
      await Promise.all(waits);
      expect(outcomes.at(-1)).toBe('entry21 durable');
      expect(log.tail(SHARD_A)).toBe(21);
    });

    test('a callback may append again, at the next offset', async () => {
      const { log } = await start();
      await new Promise<void>((resolve) => {
        const next = (offset: number): void => {
          if (offset > 50) return resolve();
          log.append(SHARD_A, offset, [entry('lease', `${offset}`)], (outcome) => {
            expect(outcome).toEqual(DURABLE);
            expect(log.tail(SHARD_A)).toBe(offset);
            next(offset + 1);
          });
        };
        next(1);
      });
      expect(await readAll(log, SHARD_A)).toHaveLength(50);
    });

    test('I6: the same bytes sent again are stored once', async () => {
      const { log } = await start();
      const bytes = entry('barrier', 'who am I');
      await appendTo(log, SHARD_A, 1, bytes);
      const again = await appendTo(log, SHARD_A, 1, bytes);
      if (again.kind !== 'durable') expect(again).toEqual({ kind: 'fenced', tail: 1 });
      expect(log.tail(SHARD_A)).toBe(1);
    });

    test('I1: a reader is never shown what is not durable yet', async () => {
      const { log } = await start();
      let durable = 0;
      const done: Promise<void>[] = [];
      for (let i = 1; i <= 30; i++) {
        done.push(
          new Promise((resolve) => {
            log.append(SHARD_A, i, [entry('lease', `${i}`)], () => {
              durable = i;
              resolve();
            });
          }),
        );
        // Answered later perhaps, but never with more than was durable when it is answered.
        log.read(SHARD_A, 1, 1 << 20, (result) => {
          if (result.kind === 'entries')
            expect(result.entries.length).toBeLessThanOrEqual(Math.max(durable, log.tail(SHARD_A)));
        });
        expect(log.tail(SHARD_A)).toBeGreaterThanOrEqual(durable);
      }
      await Promise.all(done);
    });

    test('the caller may use its buffer again after the outcome', async () => {
      const { log } = await start();
      const bytes = Buffer.from('first');
      await appendTo(log, SHARD_A, 1, { kind: 'lease', bytes });
      bytes.fill('x');
      expect(contents(await readAll(log, SHARD_A))).toEqual(['1 lease first']);
    });

    test('a read takes about bytesMax, at least one entry, and starts where it is asked to', async () => {
      const { log } = await start();
      const sized = Array.from({ length: 10 }, (_, i) => entry('lease', `${i}`.repeat(100)));
      await appendTo(log, SHARD_A, 1, ...sized);
      const lengths = async (from: number, bytesMax: number): Promise<number[]> => {
        const result = await readFrom(log, SHARD_A, from, bytesMax);
        return result.kind === 'entries' ? result.entries.map(({ offset }) => offset) : [];
      };
      expect(await lengths(1, 0)).toEqual([1]);
      expect(await lengths(4, 250)).toEqual([4, 5]);
      expect(await lengths(9, 1e6)).toEqual([9, 10]);
      expect(await lengths(11, 1e6)).toEqual([]);
      expect(await lengths(99, 1e6)).toEqual([]);
      expect(await readFrom(log, SHARD_A, 0)).toEqual({ kind: 'trimmed', start: 1 });
    });

    test('an entry may be large, and empty', async () => {
      const { harness, log } = await start();
      const large = Buffer.alloc(3 << 20, 'causeway ');
      await appendTo(log, SHARD_A, 1, entry('lease', large), entry('barrier', ''), entry('lease', 'z'));
      await log.close();
      const again = await reopen(harness);
      const [first, ...rest] = await readAll(again, SHARD_A);
      expect(large.equals(Buffer.from(first!.bytes))).toBe(true);
      expect(contents(rest)).toEqual(['2 barrier ', '3 lease z']);
    });

    test('I8: find gives where to start reading for a seq: never late, and nothing when it is not here', async () => {
      const { harness, log } = await start();
      const [east, west] = [originOf('us-east', 1), originOf('us-west', 2)];
      const stood: { offset: number; origin: OriginId; firstSeq: number; lastSeq: number }[] = [];
      let offset = 1;
      const next = new Map([
        [east, 1],
        [west, 100],
      ]);
      const appends: Promise<AppendOutcome>[] = [];
      for (let i = 0; i < 200; i++) {
        const origin = i % 3 === 0 ? west : east;
        const count = 1 + (i % 4);
        const firstSeq = next.get(origin)!;
        stood.push({ offset, origin, firstSeq, lastSeq: firstSeq + count - 1 });
        appends.push(appendTo(log, SHARD_A, offset++, batchEntry(SHARD_A, origin, firstSeq, count)));
        // A hole, as after a skipped stretch.
        next.set(origin, firstSeq + count + (i === 100 ? 50 : 0));
      }
      await Promise.all(appends);
      const check = (of: Log): void => {
        for (const origin of [east, west]) {
          for (let seq = 1; seq < 700; seq++) {
            const exact = stood.find((batch) => batch.origin === origin && batch.lastSeq >= seq)?.offset;
            const found = of.find(SHARD_A, origin, seq);
            if (exact === undefined) expect(found).toBeUndefined();
            else expect(found).toSatisfy((at: number) => at >= 1 && at <= exact);
          }
        }
        expect(of.find(SHARD_A, originOf('eu-west', 3), 1)).toBeUndefined();
        expect(of.origins(SHARD_A).toSorted()).toEqual([east, west].toSorted());
        expect(of.origins(SHARD_B)).toEqual([]);
        expect(of.find(SHARD_B, east, 1)).toBeUndefined();
      };
      check(log);
      await log.close();
      check(await reopen(harness));
    });

    test('close finishes what is in flight; an append after it is refused', async () => {
      const { harness, log } = await start();
      const outcomes: AppendOutcome[] = [];
      for (let i = 1; i <= 10; i++) {
        log.append(SHARD_A, i, [entry('lease', `${i}`)], (outcome) => outcomes.push(outcome));
      }
      await log.close();
      expect(outcomes).toEqual(Array.from({ length: 10 }, () => DURABLE));
      expect(await appendTo(log, SHARD_A, 11, entry('lease', 'late'))).toMatchObject({
        kind: 'refused',
        reason: 'failed',
      });
      await log.close();
      // Readers that have not noticed yet are answered, with what is there or with nothing.
      expect(await readFrom(log, SHARD_A, 1)).toMatchObject({ kind: 'entries' });
      expect(await readAll(await reopen(harness), SHARD_A)).toHaveLength(10);
    });

    test('I1, I6: against a model, under random appends, fences, reads and reopening', async () => {
      type Step =
        | { do: 'append'; shard: number; ahead: number; sizes: number[] }
        | { do: 'read'; shard: number; from: number; bytesMax: number }
        | { do: 'reopen' };
      const step: fc.Arbitrary<Step> = fc.oneof(
        {
          weight: 10,
          arbitrary: fc.record({
            do: fc.constant('append' as const),
            shard: fc.integer({ min: 0, max: 2 }),
            ahead: fc.constantFrom(0, 0, 0, 0, 0, 1, -1),
            sizes: fc.array(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constant(9000)), {
              minLength: 1,
              maxLength: 4,
            }),
          }),
        },
        {
          weight: 5,
          arbitrary: fc.record({
            do: fc.constant('read' as const),
            shard: fc.integer({ min: 0, max: 2 }),
            from: fc.integer({ min: 1, max: 60 }),
            bytesMax: fc.integer({ min: 0, max: 20_000 }),
          }),
        },
        { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
      );
      const shards = [SHARD_A, SHARD_B, shardId(9, 4000)];
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
          const harness = await makeHarness();
          let log = harness.make();
          await log.open(shards);
          const model = shards.map((): string[] => []);
          const pending: Promise<void>[] = [];
          // Written or about to be: appends are not waited for one by one.
          const assigned = shards.map(() => 0);
          let content = 0;
          try {
            for (const next of steps) {
              if (next.do === 'append') {
                const shard = shards[next.shard]!;
                const entries = next.sizes.map((size) => entry('lease', `${content++}`.padEnd(size, '.')));
                const expectOffset = assigned[next.shard]! + 1 + next.ahead;
                const fits = next.ahead === 0;
                // What stands behind an append that will be refused is refused with it: nobody makes it on purpose.
                if (!fits) await Promise.all(pending.splice(0));
                if (fits) assigned[next.shard]! += entries.length;
                pending.push(
                  appendTo(log, shard, expectOffset, ...entries).then((outcome) => {
                    expect(outcome.kind).toBe(fits ? 'durable' : 'fenced');
                    if (fits)
                      model[next.shard]!.push(...entries.map(({ bytes }) => Buffer.from(bytes).toString('latin1')));
                  }),
                );
                if (!fits) await Promise.all(pending.splice(0));
              } else if (next.do === 'read') {
                await Promise.all(pending.splice(0));
                const shard = shards[next.shard]!;
                const result = await readFrom(log, shard, next.from, next.bytesMax);
                const here = model[next.shard]!;
                if (result.kind !== 'entries') throw new Error(JSON.stringify(result));
                const got = result.entries.map(({ bytes }) => Buffer.from(bytes).toString('latin1'));
                expect(got).toEqual(here.slice(next.from - 1, next.from - 1 + got.length));
                expect(got.length > 0).toBe(next.from <= here.length);
                expect(result.entries.map(({ offset }) => offset)).toEqual(got.map((_, i) => next.from + i));
                if (got.length > 1) expect(got.join('').length).toBeLessThanOrEqual(next.bytesMax);
              } else {
                await log.close();
                await Promise.all(pending.splice(0));
                log = harness.make();
                await log.open(shards);
              }
            }
            await Promise.all(pending);
            for (const [i, shard] of shards.entries()) {
              const all = await readAll(log, shard, 1, 10_000);
              expect(all.map(({ bytes }) => Buffer.from(bytes).toString('latin1'))).toEqual(model[i]);
              expect(log.tail(shard)).toBe(model[i]!.length);
            }
          } finally {
            await log.close();
            await harness.cleanup();
          }
        }),
        { numRuns: 40 },
      );
    }, 120_000);
  });
}
