// The embedded log as an engine: group commit, a full or failing disk, rolling, the tail cache, what cannot be opened.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { isCausewayError, type CausewayError } from '../../src/errors/errors.ts';
import { LOG_ENTRY_BYTES_MAX, type AppendOutcome, type LogState } from '../../src/log/log.ts';
import { SegmentLog, type SegmentLogOptions } from '../../src/log/segment.ts';
import { realSystem } from '../../src/system/real.ts';
import {
  appendTo,
  contents,
  DURABLE,
  entry,
  readAll,
  readFrom,
  runLogContract,
  SHARD_A,
  SHARD_B,
  SHARDS,
} from '../contract/log.ts';
import { DATA, manualSystem, openOn, prove, segmentPath, until } from './segment-support.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true, force: true });
});

function temporary(): string {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'causeway-log-'));
  directories.push(directory);
  return directory;
}

function onDisk(directory: string, options: Partial<SegmentLogOptions> = {}): SegmentLog {
  const onFatal = (error: CausewayError): void => {
    throw error;
  };
  return new SegmentLog({ directory, clusterId: 'test', system: realSystem(), onFatal, ...options });
}

for (const [name, options] of Object.entries({
  'segment files': {},
  'segment files, small and uncached': { segmentBytes: 4096, tailCacheBytes: 0 },
})) {
  runLogContract(name, () => {
    const directory = temporary();
    return Promise.resolve({ make: () => onDisk(directory, options), cleanup: () => Promise.resolve() });
  });
}

runLogContract('segment files on the simulated disk', () => {
  const disk = new SimulatedDisk();
  const make = (): SegmentLog =>
    new SegmentLog({
      directory: DATA,
      clusterId: 'test',
      system: manualSystem(),
      onFatal: () => undefined,
      files: disk.process(),
      segmentBytes: 20_000,
      tailCacheBytes: 0,
    });
  return Promise.resolve({
    make,
    cleanup: () => {
      expect(disk.openHandles).toBe(0);
      return Promise.resolve();
    },
  });
});

describe('group commit', () => {
  test('I1: what arrives together shares one write and one fdatasync; what arrives meanwhile shares the next', async () => {
    const disk = new SimulatedDisk();
    const { log } = await openOn(disk);
    const { counts } = disk;
    counts.writes = 0;
    counts.syncs = 0;
    const outcomes: AppendOutcome[] = [];
    const append = (shard: typeof SHARD_A, offset: number): void => {
      log.append(shard, offset, [entry('lease', `${shard} ${offset}`)], (outcome) => outcomes.push(outcome));
    };
    for (let i = 1; i <= 50; i++) {
      append(SHARD_A, i);
      append(SHARD_B, i);
    }
    await until(() => counts.writes === 1);
    for (let i = 51; i <= 90; i++) append(SHARD_A, i);
    expect(outcomes).toHaveLength(0);
    await until(() => outcomes.length === 140);
    expect(counts).toMatchObject({ writes: 2, syncs: 2 });
    expect(outcomes.every(({ kind }) => kind === 'durable')).toBe(true);
  });

  test('I1: nothing is acknowledged, shown or counted before its fdatasync has returned', async () => {
    const disk = new SimulatedDisk();
    const { log } = await openOn(disk);
    let acknowledged = false;
    let seenAtSync: [boolean, number] | undefined;
    disk.fault = (call) => {
      if (call === 'fdatasync') seenAtSync = [acknowledged, log.tail(SHARD_A)];
      return undefined;
    };
    await appendTo(log, SHARD_A, 1, entry('lease', 'x')).then(() => (acknowledged = true));
    expect(seenAtSync).toEqual([false, 0]);
    expect(log.tail(SHARD_A)).toBe(1);
  });

  test('I12: a commit takes about 8 MiB; the rest is in the next, in order', async () => {
    const disk = new SimulatedDisk();
    const { log } = await openOn(disk, { tailCacheBytes: 0 });
    let syncs = 0;
    disk.fault = (call, path) => {
      if (call === 'fdatasync' && path === segmentPath(1)) syncs++;
      return undefined;
    };
    const large = Buffer.alloc(3 << 20);
    const outcomes = await Promise.all(
      Array.from({ length: 7 }, (_, i) => appendTo(log, SHARD_A, i + 1, { kind: 'barrier', bytes: large })),
    );
    expect(outcomes.every(({ kind }) => kind === 'durable')).toBe(true);
    expect(syncs).toBe(3);
  });

  test('I12: an entry above the bound is a bug of the caller', async () => {
    const { log } = await openOn(new SimulatedDisk());
    const bytes = Buffer.alloc(LOG_ENTRY_BYTES_MAX + 1);
    expect(() => log.append(SHARD_A, 1, [{ kind: 'batch', bytes }], () => undefined)).toThrow(/above/);
    expect(() => log.append(SHARD_A, 1, [], () => undefined)).toThrow(/at least one/);
  });
});

describe('a full disk', () => {
  async function full(
    room: number,
    options: Partial<SegmentLogOptions> = {},
  ): Promise<Awaited<ReturnType<typeof openOn>> & { disk: SimulatedDisk; states: LogState[]; used: number }> {
    const disk = new SimulatedDisk();
    const opened = await openOn(disk, options);
    await prove(opened.log);
    const states: LogState[] = [];
    opened.log.onState((state) => states.push(state));
    const used = disk.paths().reduce((sum, path) => sum + disk.content(path).length, 0);
    disk.capacity = used + room;
    return { ...opened, disk, states, used };
  }

  for (const room of [0, 1, 100, 5000]) {
    test(`I1: ${room} bytes left: refused as read-only, cut back, served on, and ready again when there is space`, async () => {
      const { log, disk, states, system, fatal, used } = await full(room);
      const before = Buffer.from(disk.content(segmentPath(1)));
      const large = entry('barrier', 'x'.repeat(10_000));
      const outcomes = await Promise.all([
        appendTo(log, SHARD_A, 2, large),
        appendTo(log, SHARD_A, 3, large),
        appendTo(log, SHARD_B, 2, large),
      ]);
      for (const outcome of outcomes) expect(outcome).toMatchObject({ kind: 'refused', reason: 'read-only' });
      expect(states).toMatchObject([{ kind: 'read-only', reason: expect.stringMatching(/ENOSPC/) }]);
      expect(log.state().kind).toBe('read-only');
      expect(disk.content(segmentPath(1))).toEqual(before);
      expect(contents(await readAll(log, SHARD_A))).toHaveLength(1);
      // Refused at once from now on, without asking the disk.
      disk.counts.writes = 0;
      expect(await appendTo(log, SHARD_A, 2, entry('lease', 'small'))).toMatchObject({ reason: 'read-only' });
      expect(disk.counts.writes).toBe(0);

      // Still none a second later, and then there is.
      const { syncs } = disk.counts;
      system.advance(1000);
      await until(() => disk.counts.syncs > syncs);
      await new Promise((resolve) => setImmediate(resolve));
      expect(disk.content(segmentPath(1))).toEqual(before);
      expect(log.state().kind).toBe('read-only');
      disk.capacity = used + 1_000_000;
      system.advance(999);
      expect(states).toHaveLength(1);
      system.advance(1);
      await until(() => log.state().kind === 'ready');
      expect(states).toHaveLength(2);
      expect(disk.content(segmentPath(1))).toEqual(before);
      expect(await appendTo(log, SHARD_A, 2, large)).toEqual(DURABLE);
      expect(await appendTo(log, SHARD_B, 2, entry('lease', 'b'))).toEqual(DURABLE);
      // It does not go on asking.
      disk.counts.writes = 0;
      system.advance(10_000);
      await log.close();
      expect(fatal).toEqual([]);
      expect((await openOn(disk)).recovery).toMatchObject({ state: 'whole', tornBytes: 0 });
    });
  }

  test('I1: no room for the next segment', async () => {
    const { log, disk, system, states, used } = await full(150, { segmentBytes: 200 });
    expect(await appendTo(log, SHARD_A, 2, entry('barrier', 'x'.repeat(100)))).toMatchObject({ reason: 'read-only' });
    expect(states).toHaveLength(1);
    disk.capacity = used + 1_000_000;
    system.advance(1000);
    await until(() => log.state().kind === 'ready');
    expect(await appendTo(log, SHARD_A, 2, entry('barrier', 'x'.repeat(100)))).toEqual(DURABLE);
    await log.close();
    const { log: again, recovery } = await openOn(disk);
    expect(recovery.state).toBe('whole');
    expect(await readAll(again, SHARD_A)).toHaveLength(2);
  });

  test('I1: closing and starting while it is full', async () => {
    const { log, disk } = await full(10);
    expect(await appendTo(log, SHARD_A, 2, entry('barrier', 'x'.repeat(100)))).toMatchObject({ reason: 'read-only' });
    await log.close();
    await expect(openOn(disk)).rejects.toSatisfy(
      (error) => isCausewayError(error, 'CONFIG_INVALID') && /with space, found ENOSPC/.test(error.message),
    );
    disk.capacity = 1_000_000;
    expect((await openOn(disk)).recovery).toMatchObject({ state: 'whole', tornBytes: 0 });
  });

  test('I1: a real file system that is full', async ({ skip }) => {
    const mountPoint = temporary();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mountPoint], { encoding: 'utf8' });
    // Only root may mount; the simulated disk above holds the same invariant everywhere.
    if (mounted.status !== 0) skip(`no tmpfs can be mounted here: ${mounted.stderr ?? mounted.error?.message}`);
    try {
      const system = manualSystem();
      const log = onDisk(mountPoint, { system });
      await log.open(SHARDS);
      await prove(log);
      const large = entry('barrier', 'x'.repeat(100_000));
      let durable = 0;
      let outcome: AppendOutcome = DURABLE;
      for (let i = 2; outcome.kind === 'durable'; i++) {
        outcome = await appendTo(log, SHARD_A, i, large);
        if (outcome.kind === 'durable') durable++;
      }
      expect(durable).toBeGreaterThan(3);
      expect(outcome).toMatchObject({ kind: 'refused', reason: 'read-only' });
      expect(spawnSync('mount', ['-o', 'remount,size=4m', mountPoint]).status).toBe(0);
      system.advance(1000);
      await until(() => log.state().kind === 'ready');
      expect(await appendTo(log, SHARD_A, durable + 2, large)).toEqual(DURABLE);
      await log.close();
      const again = onDisk(mountPoint);
      expect(await again.open(SHARDS)).toMatchObject({ state: 'whole', tornBytes: 0 });
      expect(await readAll(again, SHARD_A)).toHaveLength(durable + 2);
      await again.close();
    } finally {
      expect(spawnSync('umount', [mountPoint]).status).toBe(0);
    }
  });
});

describe('a failing disk', () => {
  test('I1: a failed fdatasync ends the process: nothing is acknowledged, fdatasync is not tried again', async () => {
    const disk = new SimulatedDisk();
    const { log, fatal } = await openOn(disk);
    await prove(log);
    const states: LogState[] = [];
    log.onState((state) => states.push(state));
    disk.fault = (call) => (call === 'fdatasync' ? 'EIO' : undefined);
    disk.counts.syncs = 0;
    const first = appendTo(log, SHARD_A, 2, entry('lease', 'in the commit'));
    await until(() => disk.counts.writes > 0);
    const second = appendTo(log, SHARD_A, 3, entry('lease', 'behind it'));
    // Whether the first is on the disk nobody knows; the second is not.
    expect(await first).toEqual({ kind: 'unknown' });
    expect(await second).toMatchObject({ kind: 'refused', reason: 'failed' });
    expect(fatal.map(({ message }) => message)).toEqual([expect.stringMatching(/^fdatasync of .* failed: EIO/)]);
    expect(states).toMatchObject([{ kind: 'failed' }]);
    expect(await appendTo(log, SHARD_A, 2, entry('lease', 'again'))).toMatchObject({
      kind: 'refused',
      reason: 'failed',
    });
    expect(disk.counts.syncs).toBe(1);
    expect(log.tail(SHARD_A)).toBe(1);
    // Not a clean shutdown: the next start must look.
    disk.fault = () => undefined;
    await log.close();
    expect((await openOn(disk)).recovery.state).toBe('whole');
  });

  test('I1: a write that fails for another reason than space ends the process too', async () => {
    const disk = new SimulatedDisk();
    const { log, fatal } = await openOn(disk);
    disk.fault = (call) => (call === 'writev' ? 'EIO' : undefined);
    expect(await appendTo(log, SHARD_A, 1, entry('lease', 'x'))).toEqual({ kind: 'unknown' });
    expect(fatal).toHaveLength(1);
    expect(log.state().kind).toBe('failed');
  });

  test('I1: cutting back fails after a full disk', async () => {
    const disk = new SimulatedDisk();
    const { log, fatal } = await openOn(disk);
    disk.fault = (call) => ({ writev: 'ENOSPC', ftruncate: 'EIO' })[call as string];
    expect(await appendTo(log, SHARD_A, 1, entry('lease', 'x'))).toMatchObject({ kind: 'refused', reason: 'failed' });
    expect(fatal).toHaveLength(1);
  });

  test('I1: the next segment cannot be made', async () => {
    const disk = new SimulatedDisk();
    const { log, fatal } = await openOn(disk, { segmentBytes: 100 });
    await prove(log);
    disk.fault = (call) => (call === 'rename' ? 'EIO' : undefined);
    expect(await appendTo(log, SHARD_A, 2, entry('lease', 'x'))).toMatchObject({ kind: 'refused', reason: 'failed' });
    expect(fatal.map(({ message }) => message)).toEqual([expect.stringMatching(/beginning a segment/)]);
  });

  test('I1: what rots after it was opened is not served', async () => {
    const disk = new SimulatedDisk();
    const { log } = await openOn(disk, { tailCacheBytes: 0 });
    await prove(log);
    const large = 'x'.repeat(70_000);
    for (let i = 2; i <= 6; i++) await appendTo(log, SHARD_A, i, entry('barrier', large));
    disk.tamper(segmentPath(1), (bytes) => {
      bytes[150_000]! ^= 1;
      return bytes;
    });
    // Up to the entry before it is served: a reader gets as far as it can.
    expect(await readFrom(log, SHARD_A, 1, 80_000)).toMatchObject({ kind: 'entries' });
    expect(await readFrom(log, SHARD_A, 1)).toMatchObject({
      kind: 'corrupt',
      message: expect.stringContaining(segmentPath(1)),
    });
    disk.fault = (call) => (call === 'read' ? 'EIO' : undefined);
    expect(await readFrom(log, SHARD_A, 1)).toMatchObject({ kind: 'corrupt', message: expect.stringMatching(/EIO/) });
  });
});

describe('segments', () => {
  test('reads cross them, from the files and from the cache, also while it is being written', async () => {
    const disk = new SimulatedDisk();
    const { log } = await openOn(disk, { segmentBytes: 3000, tailCacheBytes: 128 * 1024 });
    await prove(log);
    const written: string[] = ['lease of 1/0'];
    const appends: Promise<unknown>[] = [];
    for (let i = 2; i <= 600; i++) {
      const text = `${i} `.padEnd(100 + (i % 7) * 90, '.');
      written.push(text);
      appends.push(appendTo(log, SHARD_A, i, entry('barrier', text)));
      if (i % 3 === 0) appends.push(appendTo(log, SHARD_B, i / 3 + 1, entry('barrier', `b${i}`)));
      if (i % 50 === 0) {
        await Promise.all(appends.splice(0));
        const all = await readAll(log, SHARD_A, 1, 5000);
        expect(all.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(written);
      }
    }
    expect(disk.paths().length).toBeGreaterThan(10);
    expect(await readAll(log, SHARD_B, 1, 1)).toHaveLength(201);
    await log.close();
    const again = await openOn(disk, { segmentBytes: 3000 });
    expect(again.recovery.state).toBe('whole');
    expect((await readAll(again.log, SHARD_A, 300, 999)).map(({ offset }) => offset)).toEqual(
      Array.from({ length: 301 }, (_, i) => 300 + i),
    );
    await again.log.close();
    expect(disk.openHandles).toBe(0);
  });

  test('I12: the tail is served from memory within its bound, what is older from files', async () => {
    const disk = new SimulatedDisk();
    const { log } = await openOn(disk, { tailCacheBytes: 1 << 20 });
    const bytes = Buffer.alloc(1000, 7);
    const count = 3000;
    await Promise.all(
      Array.from({ length: count }, (_, i) => appendTo(log, SHARD_A, i + 1, { kind: 'barrier', bytes })),
    );
    disk.counts.reads = 0;
    // More than two thirds of the bound must be of use, with what entries cost beside their bytes.
    expect(await readAll(log, SHARD_A, count - 600)).toHaveLength(601);
    expect(disk.counts.reads).toBe(0);
    expect(await readAll(log, SHARD_A, 1)).toHaveLength(count);
    expect(disk.counts.reads).toBeGreaterThan(0);
  });

  test('I8: a reader that goes on where it stopped reads each part of a file about once', async () => {
    const disk = new SimulatedDisk();
    const { log } = await openOn(disk, { tailCacheBytes: 0 });
    const bytes = Buffer.alloc(1000, 7);
    await Promise.all(
      Array.from({ length: 4000 }, (_, i) => appendTo(log, SHARD_A, i + 1, { kind: 'barrier', bytes })),
    );
    disk.counts.reads = 0;
    expect(await readAll(log, SHARD_A, 1, 64_000)).toHaveLength(4000);
    // 4 MB in reads of 64 KB: one buffer of 256 KiB each, now and then two.
    expect(disk.counts.reads).toBeLessThan(140);
  });
});

describe('what cannot be opened says so', () => {
  test('I6: a directory that another log has, in this process', async () => {
    const directory = temporary();
    const log = onDisk(directory);
    await log.open(SHARDS);
    const other = onDisk(directory);
    await expect(other.open(SHARDS)).rejects.toSatisfy(
      (error) => isCausewayError(error, 'FENCED') && error.message.includes(`process ${process.pid} has it`),
    );
    expect(await appendTo(log, SHARD_A, 1, entry('lease', 'still mine'))).toEqual(DURABLE);
    await log.close();
    await other.open(SHARDS);
    expect(other.tail(SHARD_A)).toBe(1);
    await other.close();
  });

  test('a file in its place', async () => {
    const file = join(temporary(), 'file');
    fs.writeFileSync(file, '');
    for (const directory of [file, join(file, 'below')]) {
      await expect(onDisk(directory).open(SHARDS)).rejects.toSatisfy(
        (error) =>
          isCausewayError(error, 'CONFIG_INVALID') && /to be a directory, found (ENOTDIR|EEXIST)/.test(error.message),
      );
    }
  });

  for (const [code, says] of Object.entries({
    EACCES: /may write to, found EACCES/,
    EROFS: /can be written to, found EROFS/,
    ENOSPC: /with space, found ENOSPC/,
  })) {
    test(`a directory that gives ${code}`, async () => {
      for (const call of ['makeDirectory', 'writev', 'open'] as const) {
        const disk = new SimulatedDisk();
        disk.fault = (at) => (at === call ? code : undefined);
        await expect(openOn(disk)).rejects.toSatisfy(
          (error) => isCausewayError(error, 'CONFIG_INVALID') && says.test(error.message) && error.hint !== undefined,
        );
      }
    });
  }

  test('a disk that cannot be read: not damage to be repaired, but a reason to stop', async () => {
    const disk = new SimulatedDisk();
    const { log } = await openOn(disk);
    await prove(log);
    disk.crashProcess();
    disk.fault = (call, path) => (call === 'read' && path.endsWith('.seg') ? 'EIO' : undefined);
    await expect(openOn(disk)).rejects.toSatisfy((error) => isCausewayError(error, 'CORRUPT'));
    disk.fault = () => undefined;
    expect((await openOn(disk)).recovery.state).toBe('whole');
  });

  test('a start that failed leaves nothing locked or open behind', async () => {
    const directory = temporary();
    fs.writeFileSync(join(directory, 'log'), 'in the way');
    await expect(onDisk(directory).open(SHARDS)).rejects.toSatisfy((error) => isCausewayError(error, 'CONFIG_INVALID'));
    fs.rmSync(join(directory, 'log'));
    const log = onDisk(directory);
    await log.open(SHARDS);
    await log.close();
  });
});
