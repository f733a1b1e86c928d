// How the store's writer puts steps together: a few rows in each turn of the event loop, and what comes in between.

import { expect, test } from 'vitest';
import { shardId, type ShardId } from '../../src/record/ids.ts';
import type { ShardRunner } from '../../src/region/shard-runner.ts';
import { StoreWriter } from '../../src/region/store-writer.ts';
import { PackedRows } from '../../src/store/packed-rows.ts';
import type { StepOutcome, Store, StoreStep } from '../../src/store/store.ts';
import { SeededRandom } from '../../chaos/sim/random.ts';

/** As much of a runner as the writer asks for: rows that wait, and those of the step under way, which come as they are asked for. */
class Rows {
  readonly recovered = true;
  readonly stopped = false;
  readonly unstoredBytes = 0;
  readonly journal = { waiting: 0 };
  readonly shard: ShardId;
  #rows = new PackedRows();
  #dirty: number;
  #left = 0;
  #isTaken = false;
  isWritten = false;

  constructor(partition: number, count: number) {
    this.shard = shardId(1, partition);
    this.#dirty = count;
  }

  get cache(): { readonly dirtyCount: number } {
    return { dirtyCount: this.#dirty };
  }

  /** Rows that are not in the step yet. */
  get left(): number {
    return this.#dirty + this.#left;
  }

  add(rows: number): void {
    this.#dirty += rows;
  }

  takeStep(): StoreStep | undefined {
    if (this.#dirty === 0 || this.#isTaken) return undefined;
    this.#isTaken = true;
    this.#rows = new PackedRows();
    [this.#left, this.#dirty] = [this.#dirty, 0];
    return { shard: this.shard, fromCursor: 0, toCursor: 1, rows: this.#rows };
  }

  takeRows(rowsMax: number): { taken: number; isWhole: boolean } {
    const taken = Math.min(rowsMax, this.#left);
    for (let i = 0; i < taken; i++) this.#rows.push(`${this.#rows.length}`, null);
    this.#left -= taken;
    return { taken, isWhole: this.#left === 0 };
  }

  stepWritten(): void {
    this.#isTaken = false;
    this.isWritten = true;
  }
}

function made(...runners: Rows[]) {
  const soon: (() => void)[] = [];
  const written: (readonly number[])[] = [];
  /** What was left at the end of each transaction. */
  const wrote: number[] = [];
  const left = (): number => runners.reduce((sum, runner) => sum + runner.left, 0);
  const store = {
    write(steps: readonly StoreStep[], done: (outcomes: readonly StepOutcome[]) => void) {
      written.push(steps.map(({ rows }) => rows.length));
      done(steps.map(() => ({ kind: 'written' })));
    },
  } as unknown as Store;
  const timers = {
    soon: (fn: () => void) => void soon.push(fn),
    after: (_ms: number, fn: () => void) => {
      soon.push(fn);
      return { cancel: () => void soon.splice(soon.indexOf(fn) >>> 0, 1) };
    },
    every: () => ({ cancel: () => undefined }),
  };
  const writer = new StoreWriter(
    store,
    { timers, random: new SeededRandom(1) },
    { flushMs: 1000, backlogMax: 100_000 },
    () => runners as unknown as ShardRunner[],
    { wrote: () => void wrote.push(left()), failed: (message) => expect.fail(message) },
  );
  return { writer, soon, written, wrote, left };
}

test('no turn makes more than 512 rows, over all shards, and the store gets them all in one transaction', () => {
  const { writer, soon, written, left } = made(new Rows(0, 5000), new Rows(1, 3), new Rows(2, 700));
  let isDrained = false;
  let before = left();
  writer.drain(() => (isDrained = true));
  expect(before - left()).toBeLessThanOrEqual(512);
  while (soon.length > 0) {
    before = left();
    soon.shift()!();
    expect(before - left()).toBeLessThanOrEqual(512);
  }
  expect(written).toEqual([[5000, 3, 700]]);
  expect(isDrained).toBe(true);
});

test('I12: where more lands in a turn of the event loop than its rows are, turns make more, and what waits stays bounded', () => {
  const runner = new Rows(0, 0);
  const { writer, soon, written, left } = made(runner);
  const perTurn = 2000;
  let most = 0;
  for (let turn = 0; turn < 1000; turn++) {
    runner.add(perTurn);
    writer.dirty(runner as unknown as ShardRunner);
    soon.shift()?.();
    most = Math.max(most, left());
  }
  while (soon.length > 0) soon.shift()!();
  const rows = written.flat().reduce((sum, count) => sum + count, 0);
  expect(rows).toBe(1000 * perTurn);
  expect(most).toBeLessThan(150 * perTurn);
});

test('tells of the end of each transaction, when what it has written waits no longer, and of one that had nothing to write', () => {
  const runner = new Rows(0, 700);
  const { writer, soon, wrote } = made(runner);
  writer.drain(() => undefined);
  while (soon.length > 0) soon.shift()!();
  expect(wrote).toEqual([0, 0]);
});

test('I11: who begins to read a shard waits for a step that is being put together', () => {
  const runner = new Rows(0, 5000);
  const { writer, soon } = made(runner);
  writer.drain(() => undefined);
  let asWritten: boolean | undefined;
  writer.afterStepOf(runner.shard, () => (asWritten = runner.isWritten));
  expect(asWritten).toBeUndefined();
  while (soon.length > 0) soon.shift()!();
  expect(asWritten).toBe(true);
});

test('a writer that is stopped while it puts a step together leaves the store alone, and lets go of the shard', () => {
  const runner = new Rows(0, 5000);
  const { writer, soon, written } = made(runner);
  writer.drain(() => undefined);
  let isLetGo = false;
  writer.afterStepOf(runner.shard, () => (isLetGo = true));
  writer.stop();
  while (soon.length > 0) soon.shift()!();
  expect(written).toEqual([]);
  expect(isLetGo).toBe(true);
});
