// Appends under way, with every fault of a log.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LogEntry } from '../../src/log/log.ts';
import { MemoryDisk, MemoryLog, type AppendFault } from '../../src/log/memory.ts';
import { AppendQueue, type AppendFailure } from '../../src/region/append-queue.ts';
import { Life, Scheduler } from '../../chaos/sim/scheduler.ts';
import { SeededRandom } from '../../chaos/sim/random.ts';
import { SimClock, simSystem } from '../../chaos/sim/system.ts';
import { SHARD } from '../support/shard-kit.ts';

interface Bench {
  readonly scheduler: Scheduler;
  readonly disk: MemoryDisk;
  readonly log: MemoryLog;
  readonly queue: AppendQueue;
  readonly durable: number[];
  readonly failures: AppendFailure[];
  faults: AppendFault[];
}

async function bench(disk = new MemoryDisk(), random = new SeededRandom(1)): Promise<Bench> {
  const scheduler = new Scheduler();
  const life = new Life('test');
  const system = simSystem(scheduler, new SimClock(scheduler), life, random);
  const log = new MemoryLog({
    disk,
    complete: (fn) => void scheduler.after(1 + random.float(), fn, life),
    fault: () => self.faults.shift() ?? 'none',
  });
  await log.open([SHARD]);
  const durable: number[] = [];
  const failures: AppendFailure[] = [];
  const queue = new AppendQueue(log, SHARD, system.timers, {
    durable: (offset) => durable.push(offset),
    failed: (failure) => failures.push(failure),
  });
  const self: Bench = { scheduler, disk, log, queue, durable, failures, faults: [] };
  return self;
}

function entry(text: string): LogEntry {
  return { kind: 'lease', bytes: Buffer.from(text) };
}

function content(disk: MemoryDisk): string[] {
  return disk.shard(SHARD).entries.map(({ bytes }) => Buffer.from(bytes).toString());
}

describe('an append', () => {
  test('I1: is told durable once, in order, when it is', async () => {
    const at = await bench();
    at.queue.append(1, [entry('a'), entry('b')]);
    at.queue.append(3, [entry('c')]);
    expect(at.durable).toEqual([]);
    await at.scheduler.run(100);
    expect(at.durable.at(-1)).toBe(3);
    expect(at.durable).toEqual(at.durable.toSorted((a, b) => a - b));
    expect(at.queue.length).toBe(0);
  });

  test.each<AppendFault>(['lost', 'lost-ack', 'late'])(
    'I1: %s is resolved, with others behind it and more to come',
    async (fault) => {
      const at = await bench();
      at.faults = ['none', fault];
      for (let i = 1; i <= 4; i++) at.queue.append(i, [entry(`e${i}`)]);
      await at.scheduler.run(3);
      // While the outcome is unknown.
      at.queue.append(5, [entry('e5')]);
      await at.scheduler.run(21);
      at.queue.append(6, [entry('e6'), entry('e7')]);
      await at.scheduler.run(400);
      at.disk.landLate();
      expect(at.failures).toEqual([]);
      expect(at.durable.at(-1)).toBe(7);
      expect(content(at.disk)).toEqual(['e1', 'e2', 'e3', 'e4', 'e5', 'e6', 'e7']);
    },
  );

  test('whose place another owner has taken ends the queue', async () => {
    const disk = new MemoryDisk();
    const at = await bench(disk);
    const other = await bench(disk);
    other.queue.append(1, [entry('other')]);
    await other.scheduler.run(10);
    at.queue.append(1, [entry('mine')]);
    await at.scheduler.run(100);
    expect(at.failures).toMatchObject([{ kind: 'deposed' }]);
    expect(at.durable).toEqual([]);
    expect(content(disk)).toEqual(['other']);
  });

  test('that is refused ends the queue; what may be there after all is not called unwritten', async () => {
    const plain = await bench();
    plain.disk.setReadOnly('no space');
    plain.queue.append(1, [entry('a')]);
    await plain.scheduler.run(100);
    expect(plain.failures).toMatchObject([{ kind: 'refused', reason: 'read-only', unknown: false }]);
    const tried = await bench();
    tried.faults = ['lost-ack'];
    tried.queue.append(1, [entry('a')]);
    await tried.scheduler.run(5);
    tried.disk.setReadOnly('no space');
    await tried.scheduler.run(100);
    expect(tried.failures).toMatchObject([{ kind: 'refused', reason: 'read-only', unknown: true }]);
    expect(content(tried.disk)).toEqual(['a']);
  });

  test('after close() nothing is told any more', async () => {
    const at = await bench();
    at.queue.append(1, [entry('a')]);
    at.queue.close();
    await at.scheduler.run(100);
    expect(at.durable).toEqual([]);
    expect(at.failures).toEqual([]);
  });
});

test('I1: whatever goes wrong, what is told durable is in the log, and the log is a prefix of what was appended', async () => {
  const fault = fc.constantFrom<AppendFault>('none', 'none', 'none', 'lost', 'lost-ack', 'late');
  await fc.assert(
    fc.asyncProperty(
      fc.array(fault, { maxLength: 40 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 30 })), {
        minLength: 1,
        maxLength: 12,
      }),
      fc.nat(),
      async (faults, appends, seed) => {
        const at = await bench(new MemoryDisk(), new SeededRandom(seed));
        at.faults = [...faults];
        const appended: string[] = [];
        for (const [count, waitMs] of appends) {
          const entries = Array.from({ length: count }, (_, i) => entry(`e${appended.length + i}`));
          at.queue.append(appended.length + 1, entries);
          appended.push(...entries.map(({ bytes }) => Buffer.from(bytes).toString()));
          await at.scheduler.run(at.scheduler.now + waitMs);
          if (waitMs % 7 === 0) at.disk.landLate();
          expect(at.disk.shard(SHARD).tail).toBeGreaterThanOrEqual(at.durable.at(-1) ?? 0);
        }
        await at.scheduler.run(at.scheduler.now + 5000);
        expect(at.failures).toEqual([]);
        expect(at.durable.at(-1)).toBe(appended.length);
        expect(content(at.disk)).toEqual(appended);
      },
    ),
    { numRuns: 150 },
  );
});
