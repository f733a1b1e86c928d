// Segments that are there, full of zeros, before anything is written to them.

import { describe, expect, test } from 'vitest';
import { appendTo, contents, DURABLE, entry, readAll, SHARD_A, SHARDS } from '../contract/log.ts';
import { openOn, prove, segmentPath, until } from './segment-support.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const BYTES = 200_000;
const SPARED = { segmentBytes: BYTES, tailCacheBytes: 0 };
const SPARE = '/data/log/next.seg.tmp';
const kilobyte = (i: number): ReturnType<typeof entry> => entry('barrier', `${i}`.padEnd(1000, 'x'));

async function appending(disk = new SimulatedDisk(), options: object = SPARED) {
  const opened = await openOn(disk, options);
  await prove(opened.log);
  let next = 2;
  const append = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++, next++) {
      expect(await appendTo(opened.log, SHARD_A, next, kilobyte(next))).toEqual(DURABLE);
    }
  };
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  return { ...opened, disk, append, settle, written: () => next - 1 };
}

/** A region that writes enough to have a segment of zeros. */
async function spared(options: object = SPARED) {
  const at = await appending(new SimulatedDisk(), options);
  while (!at.disk.paths().includes(segmentPath(2))) {
    await at.append(5);
    await at.settle();
  }
  return at;
}

/** Where the fifth record begins. */
function recordBoundary(bytes: Buffer): number {
  let at = bytes.readUInt32LE(12);
  for (let i = 0; i < 4; i++) at += 32 + bytes.readUInt32LE(at + 8);
  return at;
}

describe('a segment of zeros', () => {
  test('is made while the one before fills, and is gone over to long before that is full', async () => {
    const { disk, log, append, written } = await spared();
    expect(disk.content(segmentPath(1)).length).toBeLessThan(BYTES / 2);
    expect(disk.content(segmentPath(2))).toHaveLength(BYTES);
    // Nothing that is written to it changes its length, and the next one is there when it is full.
    const left = Math.floor(BYTES / 1100);
    await append(left - 10);
    expect(disk.content(segmentPath(2))).toHaveLength(BYTES);
    expect(disk.content(SPARE)).toHaveLength(BYTES);
    await append(20);
    expect(disk.content(segmentPath(3))).toHaveLength(BYTES);
    expect(await readAll(log, SHARD_A)).toHaveLength(written());
    await log.close();
    expect(disk.openHandles).toBe(0);
    expect(disk.paths()).not.toContain(SPARE);
  });

  test('costs a region that hardly writes nothing', async () => {
    const { disk, settle } = await appending();
    await settle();
    expect(disk.paths().filter((path) => path.startsWith('/data/log/'))).toEqual([segmentPath(1)]);
  });

  test('goes on where it was after a clean shutdown, after kill -9, and after loss of power', async () => {
    for (const end of ['clean', 'kill', 'power'] as const) {
      const { disk, log, append, written } = await spared();
      await append(20);
      const before = contents(await readAll(log, SHARD_A));
      if (end === 'clean') await log.close();
      else if (end === 'kill') disk.crashProcess();
      else disk.crashMachine(() => false);
      const again = await openOn(disk, SPARED);
      expect(again.recovery).toEqual({ state: 'whole', findings: [], unproven: [], tornBytes: 0 });
      expect(disk.content(segmentPath(2))).toHaveLength(BYTES);
      expect(disk.paths()).not.toContain(SPARE);
      expect(contents(await readAll(again.log, SHARD_A))).toEqual(before);
      expect(await appendTo(again.log, SHARD_A, written() + 1, kilobyte(0))).toEqual(DURABLE);
      expect(disk.paths()).not.toContain(segmentPath(3));
    }
  });

  test('a torn commit in it is cut off with the zeros behind it', async () => {
    const { disk, log, append, written } = await spared();
    await append(1);
    let writes = 0;
    disk.fault = (call, path) => {
      // The process ends when the commit is in the page cache, before its fdatasync.
      if (call === 'fdatasync' && path === segmentPath(2) && writes++ === 0) disk.crashProcess();
      return undefined;
    };
    const many = Array.from({ length: 20 }, (_, i) => kilobyte(i));
    void appendTo(log, SHARD_A, written() + 1, ...many);
    await until(() => disk.openHandles === 0);
    let page = 0;
    // Of the pages of the commit every other one reaches the disk, the first one not.
    disk.crashMachine(() => page++ % 2 === 1);
    const { recovery, log: again } = await openOn(disk, SPARED);
    expect(recovery).toMatchObject({ state: 'whole', findings: [] });
    expect(recovery.tornBytes).toBeGreaterThan(4096);
    expect(disk.content(segmentPath(2)).length).toBeLessThan(BYTES);
    expect((await readAll(again, SHARD_A)).length).toBeGreaterThanOrEqual(written());
  });

  test('the last one with zeros where acknowledged entries were, and another segment behind it: damaged', async () => {
    const { disk, append } = await spared();
    while (!disk.paths().includes(segmentPath(3))) await append(5);
    disk.crashProcess();
    disk.tamper(segmentPath(2), (bytes) => bytes.fill(0, recordBoundary(bytes)));
    const { recovery } = await openOn(disk, SPARED);
    expect(recovery.state).toBe('damaged');
    expect(recovery.findings[0]).toMatch(/a segment that follows segment 2 of/);
  });
});

describe('a spare that cannot be made', () => {
  test('for want of space: all of the disk is for entries', async () => {
    const { disk, log, append, settle, written, system } = await appending();
    const used = disk.content(segmentPath(1)).length;
    disk.capacity = used + 60_000;
    // Some of these find the disk full of zeros, and are written all the same.
    await append(20);
    await settle();
    expect(disk.paths()).not.toContain(SPARE);
    let refused = 0;
    for (let i = written() + 1; refused === 0; i++) {
      if ((await appendTo(log, SHARD_A, i, kilobyte(i))).kind !== 'durable') refused = i;
    }
    expect(refused * 1032).toBeGreaterThan(60_000 - 2100);
    disk.capacity = Number.POSITIVE_INFINITY;
    system.advance(1000);
    await until(() => log.state().kind === 'ready');
    expect(await appendTo(log, SHARD_A, refused, kilobyte(refused))).toEqual(DURABLE);
  });

  for (const call of ['open', 'writev', 'fdatasync', 'close'] as const) {
    test(`because ${call} fails: only speed is lost`, async () => {
      const { disk, log, append, settle, fatal, written } = await appending();
      disk.fault = (at, path) => (at === call && path === SPARE ? 'EIO' : undefined);
      await append(250);
      await settle();
      expect(fatal).toEqual([]);
      expect(await readAll(log, SHARD_A)).toHaveLength(written());
      await log.close();
      expect((await openOn(disk, SPARED, SHARDS)).recovery).toMatchObject({ state: 'whole', tornBytes: 0 });
    });
  }
});
