// The simulator's log: the same contract as the real one, and the faults that it offers.

import { describe, expect, test } from 'vitest';
import type { AppendOutcome, LogState } from '../../src/log/log.ts';
import { MemoryDisk, MemoryLog, type AppendFault, type MemoryLogOptions } from '../../src/log/memory.ts';
import {
  appendTo,
  batchEntry,
  contents,
  DURABLE,
  entry,
  originOf,
  readAll,
  readFrom,
  runLogContract,
  SHARD_A,
  SHARD_B,
  SHARDS,
} from '../contract/log.ts';

runLogContract('memory', () => {
  const disk = new MemoryDisk();
  return Promise.resolve({ make: () => new MemoryLog({ disk }), cleanup: () => Promise.resolve() });
});

runLogContract('memory, slow and out of order', () => {
  const disk = new MemoryDisk();
  // Appends arrive when they like, reads too; a shard's appends still land in order.
  let turn = 0;
  const complete = (fn: () => void): void => later(fn, (turn = (turn + 7) % 11));
  return Promise.resolve({
    make: () => new MemoryLog({ disk, complete, completeRead: complete }),
    cleanup: () => Promise.resolve(),
  });
});

function later(fn: () => void, turns: number): void {
  if (turns === 0) fn();
  else setImmediate(() => later(fn, turns - 1));
}

/** Appends arrive when the test says so. */
class Held {
  readonly held: (() => void)[] = [];
  readonly complete = (fn: () => void): void => void this.held.push(fn);
  release(count = this.held.length): void {
    for (const fn of this.held.splice(0, count)) fn();
  }
}

async function opened(disk: MemoryDisk, options: Omit<MemoryLogOptions, 'disk'> = {}): Promise<MemoryLog> {
  const log = new MemoryLog({ disk, ...options });
  await log.open(SHARDS);
  return log;
}

async function proven(disk: MemoryDisk): Promise<void> {
  const log = await opened(disk);
  for (const shard of SHARDS) await appendTo(log, shard, 1, entry('lease', 'bound'));
  await log.close();
}

describe('a crash', () => {
  for (const [keep, kept] of [
    ['none', 1],
    ['all', 7],
  ] as const) {
    test(`I1: keeps ${keep} of what was in flight, calls nobody, and is whole`, async () => {
      const disk = new MemoryDisk();
      await proven(disk);
      const held = new Held();
      const log = await opened(disk, held);
      const outcomes: AppendOutcome[] = [];
      for (let i = 2; i <= 6; i += 2) {
        log.append(SHARD_A, i, [entry('lease', `${i}`), entry('lease', `${i + 1}`)], (outcome) =>
          outcomes.push(outcome),
        );
      }
      expect(log.inFlight).toBe(3);
      log.crash({ keep, torn: true });
      held.release();
      expect(outcomes).toEqual([]);
      const again = new MemoryLog({ disk });
      expect(await again.open(SHARDS)).toMatchObject({ state: 'whole', tornBytes: 17 });
      expect(again.tail(SHARD_A)).toBe(kept);
      await again.close();
      expect(await again.open(SHARDS)).toMatchObject({ tornBytes: 0 });
    });
  }

  test('I1: keeps a random part, in order, the same for the same dice; never less than what was acknowledged', async () => {
    const tails = new Set<number>();
    for (let die = 0; die < 20; die++) {
      const run = async (): Promise<number[]> => {
        const disk = new MemoryDisk();
        await proven(disk);
        const held = new Held();
        const log = await opened(disk, { complete: held.complete, random: () => die / 20 });
        for (let i = 2; i <= 11; i++) log.append(SHARD_A, i, [entry('lease', `${i}`)], () => undefined);
        held.release(3);
        expect(log.tail(SHARD_A)).toBe(4);
        log.crash({ keep: 'random' });
        const again = await opened(disk);
        expect(again.tail(SHARD_A)).toBeGreaterThanOrEqual(4);
        return (await readAll(again, SHARD_A)).map(({ offset }) => offset);
      };
      const first = await run();
      expect(await run()).toEqual(first);
      tails.add(first.length);
    }
    expect(tails.size).toBeGreaterThan(4);
  });
});

describe('an outcome that is not told', () => {
  async function withFault(fault: AppendFault): Promise<{ disk: MemoryDisk; log: MemoryLog }> {
    const disk = new MemoryDisk();
    const faults: AppendFault[] = [fault];
    const log = await opened(disk, { fault: () => faults.shift() ?? 'none' });
    return { disk, log };
  }

  test('I6: lost ack: it is there; sent again it is refused with the tail, and stored once', async () => {
    const { log } = await withFault('lost-ack');
    expect(await appendTo(log, SHARD_A, 1, entry('barrier', 'x'))).toEqual({ kind: 'unknown' });
    expect(await appendTo(log, SHARD_A, 1, entry('barrier', 'x'))).toEqual({ kind: 'fenced', tail: 1 });
    expect(contents(await readAll(log, SHARD_A))).toEqual(['1 barrier x']);
  });

  test('lost: it is not there; sent again it is durable', async () => {
    const { log } = await withFault('lost');
    expect(await appendTo(log, SHARD_A, 1, entry('barrier', 'x'))).toEqual({ kind: 'unknown' });
    expect(log.tail(SHARD_A)).toBe(0);
    expect(await appendTo(log, SHARD_A, 1, entry('barrier', 'x'))).toEqual(DURABLE);
  });

  test('late: it lands when the test says so, if its offset still fits, after a crash too', async () => {
    const { disk, log } = await withFault('late');
    expect(await appendTo(log, SHARD_A, 1, entry('barrier', 'late'))).toEqual({ kind: 'unknown' });
    expect([log.tail(SHARD_A), disk.lateCount]).toEqual([0, 1]);
    log.crash();
    const successor = await opened(disk);
    expect(disk.landLate()).toBe(1);
    expect(contents(await readAll(successor, SHARD_A))).toEqual(['1 barrier late']);
  });

  test('late, and fenced off by what came in between', async () => {
    const { disk, log } = await withFault('late');
    await appendTo(log, SHARD_A, 1, entry('barrier', 'late'));
    expect(await appendTo(log, SHARD_A, 1, entry('barrier', 'fence'))).toEqual(DURABLE);
    expect(disk.landLate()).toBe(0);
    expect(contents(await readAll(log, SHARD_A))).toEqual(['1 barrier fence']);
  });
});

describe('two owners on one disk', () => {
  test('I6: whoever is behind is fenced, and sees what the other wrote', async () => {
    const disk = new MemoryDisk();
    const held = new Held();
    const deposed = await opened(disk, held);
    const successor = await opened(disk);
    const outcome = appendTo(deposed, SHARD_A, 1, entry('lease', 'old owner'));
    expect(await appendTo(successor, SHARD_A, 1, entry('barrier', 'fence'))).toEqual(DURABLE);
    held.release();
    expect(await outcome).toEqual({ kind: 'fenced', tail: 1 });
    expect(deposed.tail(SHARD_A)).toBe(1);
    expect(contents(await readAll(deposed, SHARD_A))).toEqual(['1 barrier fence']);
  });
});

describe('a disk that', () => {
  test('is full: refused, states told, and ready again', async () => {
    const disk = new MemoryDisk();
    const log = await opened(disk);
    const states: LogState[] = [];
    log.onState((state) => states.push(state));
    disk.setReadOnly('no space');
    expect(await appendTo(log, SHARD_A, 1, entry('lease', 'x'))).toEqual({
      kind: 'refused',
      reason: 'read-only',
      message: 'no space',
    });
    disk.setReadOnly(undefined);
    expect(states).toEqual([{ kind: 'read-only', reason: 'no space' }, { kind: 'ready' }]);
    expect(await appendTo(log, SHARD_A, 1, entry('lease', 'x'))).toEqual(DURABLE);
  });

  test('fails: what was in flight is unknown, everything after it refused', async () => {
    const held = new Held();
    const log = await opened(new MemoryDisk(), held);
    const inFlight = appendTo(log, SHARD_A, 1, entry('lease', 'x'));
    log.fail('fdatasync failed');
    expect(await inFlight).toEqual({ kind: 'unknown' });
    const after = appendTo(log, SHARD_A, 1, entry('lease', 'x'));
    held.release();
    expect(await after).toMatchObject({ kind: 'refused', reason: 'failed' });
    expect(log.state()).toEqual({ kind: 'failed', reason: 'fdatasync failed' });
    log.crash();
  });

  test('I6: is lost, with or without the marker beside it', async () => {
    for (const marker of [true, false]) {
      const disk = new MemoryDisk();
      await proven(disk);
      disk.wipe({ marker });
      const log = new MemoryLog({ disk });
      const expected = { state: marker ? 'damaged' : 'new', unproven: SHARDS };
      expect(await log.open(SHARDS)).toMatchObject(expected);
      expect(log.tail(SHARD_A)).toBe(0);
      // A crash before the members were asked changes nothing.
      log.crash();
      expect(await log.open(SHARDS)).toMatchObject(expected);
      for (const shard of SHARDS) await appendTo(log, shard, 1, entry('lease', 'asked'));
      await log.close();
      expect(await log.open(SHARDS)).toMatchObject({ state: 'whole', findings: [] });
    }
  });

  test('I6: is damaged: the prefix is served, until leases it stays damaged', async () => {
    const disk = new MemoryDisk();
    await proven(disk);
    const log = await opened(disk);
    const origin = originOf('us-east', 5);
    for (let i = 0; i < 100; i++) await appendTo(log, SHARD_A, i + 2, batchEntry(SHARD_A, origin, i + 1, 1));
    expect(log.find(SHARD_A, origin, 100)).toBeDefined();
    await log.close();
    disk.damage(SHARD_A, 50);
    const recovery = await log.open(SHARDS);
    expect(recovery).toMatchObject({ state: 'damaged', unproven: SHARDS });
    expect(recovery.findings).toEqual(['shard 1/0: offsets 50 to 101 cannot be read']);
    expect([log.tail(SHARD_A), log.tail(SHARD_B)]).toEqual([49, 1]);
    expect(log.find(SHARD_A, origin, 49)).toBeUndefined();
    expect(log.find(SHARD_A, origin, 48)).toBeDefined();
  });

  test('I6: is put back to an older copy: it looks whole, which is why peers compare', async () => {
    const disk = new MemoryDisk();
    await proven(disk);
    const image = disk.snapshot();
    const log = await opened(disk);
    await appendTo(log, SHARD_A, 2, entry('lease', 'forgotten'));
    await log.close();
    disk.restore(image);
    expect(await log.open(SHARDS)).toMatchObject({ state: 'whole' });
    expect(log.tail(SHARD_A)).toBe(1);
    expect(image.shards.get(SHARD_A)!.entries).toHaveLength(1);
  });

  test('is trimmed: reading before the start says so', async () => {
    const disk = new MemoryDisk();
    const log = await opened(disk);
    for (let i = 1; i <= 5; i++) await appendTo(log, SHARD_A, i, entry('barrier', `${i}`));
    disk.trim(SHARD_A, 4);
    expect(await readFrom(log, SHARD_A, 3)).toEqual({ kind: 'trimmed', start: 4 });
    expect([log.start(SHARD_A), log.tail(SHARD_A)]).toEqual([4, 5]);
    expect(contents(await readAll(log, SHARD_A, 4))).toEqual(['4 barrier 4', '5 barrier 5']);
  });
});
