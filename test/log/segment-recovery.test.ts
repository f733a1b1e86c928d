// What open() makes of files that were torn, flipped, lost, swapped, or written by others.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCausewayError } from '../../src/errors/errors.ts';
import type { SegmentLog } from '../../src/log/segment.ts';
import type { ShardId } from '../../src/record/ids.ts';
import { appendTo, contents, entry, readAll, SHARD_A, SHARD_B, SHARDS } from '../contract/log.ts';
import { DATA, IDENTITY, openOn, prove, segmentPath, until } from './segment-support.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const SMALL = { segmentBytes: 300, tailCacheBytes: 0 };

/** Entries of both shards, each append a commit of its own; the process ends without closing unless `clean`. */
async function written(count: number, options: object = {}, clean = false): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const { log } = await openOn(disk, options);
  await prove(log);
  for (let i = 0; i < count; i++) {
    const shard = SHARDS[i % 2]!;
    await appendTo(log, shard, log.tail(shard) + 1, entry('barrier', `entry ${i} ${'.'.repeat(i % 30)}`));
  }
  if (clean) await log.close();
  else disk.crashProcess();
  return disk;
}

async function allContents(log: SegmentLog): Promise<Map<ShardId, string[]>> {
  const all = new Map<ShardId, string[]>();
  for (const shard of SHARDS) all.set(shard, contents(await readAll(log, shard)));
  return all;
}

async function contentsOf(disk: SimulatedDisk, options: object = {}): Promise<Map<ShardId, string[]>> {
  const { log } = await openOn(disk.copy(), options);
  return allContents(log);
}

/** What is served is a prefix of what was written, per shard. */
function expectPrefix(got: Map<ShardId, string[]>, full: Map<ShardId, string[]>): void {
  for (const shard of SHARDS) expect(got.get(shard)).toEqual(full.get(shard)!.slice(0, got.get(shard)!.length));
}

const lengthOf = (of: Map<ShardId, string[]>): number => SHARDS.reduce((sum, shard) => sum + of.get(shard)!.length, 0);

function segments(disk: SimulatedDisk): string[] {
  return disk.paths().filter((path) => path.endsWith('.seg'));
}

/** Positions at which the records of a segment begin, and its end. */
function recordStarts(bytes: Buffer): number[] {
  const starts: number[] = [];
  let at = bytes.readUInt32LE(12);
  for (; at < bytes.length; at += 32 + bytes.readUInt32LE(at + 8)) starts.push(at);
  return [...starts, at];
}

describe('a torn tail', () => {
  test('I1: cut anywhere in the last record, the record goes and nothing else', async () => {
    const disk = await written(6);
    const full = await contentsOf(disk);
    const starts = recordStarts(disk.content(segmentPath(1)));
    const [last, end] = starts.slice(-2) as [number, number];
    for (let cut = last; cut < end; cut++) {
      const torn = disk.copy();
      torn.tamper(segmentPath(1), (bytes) => bytes.subarray(0, cut));
      // Zeros at the end are as good as space that nothing was written to.
      const tornBytes = torn.content(segmentPath(1)).findLastIndex((byte) => byte !== 0) + 1 - last;
      const { log, recovery } = await openOn(torn);
      expect(recovery).toEqual({ state: 'whole', findings: [], unproven: [], tornBytes: Math.max(0, tornBytes) });
      const got = await allContents(log);
      expectPrefix(got, full);
      expect(lengthOf(got)).toBe(lengthOf(full) - 1);
      expect(torn.content(segmentPath(1))).toHaveLength(tornBytes > 0 ? last : cut);
      // Goes on where it was cut.
      expect(await appendTo(log, SHARD_B, log.tail(SHARD_B) + 1, entry('lease', 'next'))).toEqual({ kind: 'durable' });
      await log.close();
      expect((await openOn(torn)).recovery).toMatchObject({ state: 'whole', tornBytes: 0 });
    }
  });

  test('I1: a last record of which any byte is wrong is cut off too', async () => {
    const disk = await written(4);
    const [last, end] = recordStarts(disk.content(segmentPath(1))).slice(-2) as [number, number];
    for (let at = last; at < end; at++) {
      const torn = disk.copy();
      torn.tamper(segmentPath(1), (bytes) => {
        bytes[at]! ^= 0x10;
        return bytes;
      });
      const { recovery } = await openOn(torn);
      expect(recovery).toMatchObject({ state: 'whole', tornBytes: end - last });
    }
  });

  test('I1: garbage behind the last record is cut off, with and without zeros around it', async () => {
    const disk = await written(4);
    const end = disk.content(segmentPath(1)).length;
    const zeros = Buffer.alloc(100_000);
    for (const garbage of [Buffer.alloc(77, 'garbage'), Buffer.from('CWR1'.repeat(30))]) {
      for (const before of [zeros.subarray(0, 0), zeros]) {
        for (const behind of [zeros.subarray(0, 0), zeros]) {
          const torn = disk.copy();
          torn.tamper(segmentPath(1), (bytes) => Buffer.concat([bytes, before, garbage, behind]));
          const { log, recovery } = await openOn(torn);
          expect(recovery).toMatchObject({ state: 'whole', tornBytes: before.length + garbage.length });
          expect(torn.content(segmentPath(1))).toHaveLength(end);
          await log.close();
        }
      }
    }
  });

  test('I1: zeros behind the last record are space for the next ones', async () => {
    const disk = await written(4);
    const full = await contentsOf(disk);
    for (const room of [1, 31, 32, 4096, 300_000]) {
      const zeroed = disk.copy();
      zeroed.tamper(segmentPath(1), (bytes) => Buffer.concat([bytes, Buffer.alloc(room)]));
      const { length } = zeroed.content(segmentPath(1));
      const { log, recovery } = await openOn(zeroed);
      expect(recovery).toMatchObject({ state: 'whole', tornBytes: 0 });
      expect(await allContents(log)).toEqual(full);
      expect(zeroed.content(segmentPath(1))).toHaveLength(length);
      expect(await appendTo(log, SHARD_B, log.tail(SHARD_B) + 1, entry('lease', 'next'))).toEqual({ kind: 'durable' });
      await log.close();
      expect((await openOn(zeroed)).recovery).toMatchObject({ state: 'whole', tornBytes: 0 });
    }
  });

  test('I1: pages of the last commit that never reached the disk are a torn write, although later ones did', async () => {
    const disk = new SimulatedDisk();
    const { log } = await openOn(disk);
    await prove(log);
    const before = disk.content(segmentPath(1)).length;
    const many = Array.from({ length: 40 }, (_, i) => entry('barrier', `${i}`.padEnd(1000, 'x')));
    await appendTo(log, SHARD_A, 2, ...many);
    disk.crashProcess();
    for (const page of [0, 1, 4, 8]) {
      const torn = disk.copy();
      torn.tamper(segmentPath(1), (bytes) => bytes.fill(0, Math.max(before, page * 4096), (page + 1) * 4096));
      const { log: again, recovery } = await openOn(torn);
      expect(recovery).toMatchObject({ state: 'whole', findings: [] });
      expect(recovery.tornBytes).toBeGreaterThan(4096);
      const kept = contents(await readAll(again, SHARD_A));
      expect(kept.slice(1)).toEqual(
        many.slice(0, kept.length - 1).map(({ bytes }, i) => `${i + 2} barrier ${Buffer.from(bytes).toString()}`),
      );
    }
    // The same pages in a commit that another one follows were acknowledged: that is damage.
    const acknowledged = disk.copy();
    const { log: next } = await openOn(acknowledged);
    await appendTo(next, SHARD_B, 2, entry('barrier', 'next commit'));
    acknowledged.crashProcess();
    acknowledged.tamper(segmentPath(1), (bytes) => bytes.fill(0, 4 * 4096, 5 * 4096));
    const { recovery } = await openOn(acknowledged);
    expect(recovery.state).toBe('damaged');
    expect(recovery.findings[0]).toMatch(/a later commit follows/);
  });
});

describe('I1, I6: one flipped bit', () => {
  test('anywhere in the files of a log that crashed: torn or damaged, and never wrong data', async () => {
    const disk = await written(10, SMALL);
    const full = await contentsOf(disk, SMALL);
    expect(segments(disk).length).toBeGreaterThan(1);
    for (const path of segments(disk)) {
      for (let at = 0; at < disk.content(path).length; at++) {
        const flipped = disk.copy();
        flipped.tamper(path, (bytes) => {
          bytes[at]! ^= 1 << (at % 8);
          return bytes;
        });
        const { log, recovery } = await openOn(flipped, SMALL);
        expect(recovery.state === 'damaged' || recovery.tornBytes > 0).toBe(true);
        const got = await allContents(log);
        expectPrefix(got, full);
        expect(lengthOf(got)).toBeLessThan(lengthOf(full) + 1);
        if (recovery.state === 'damaged') {
          expect(recovery.findings.length).toBeGreaterThan(0);
          expect(flipped.paths()).toContain(`${path}.damaged`);
        }
      }
    }
  }, 120_000);

  test('in a log that was shut down cleanly: damaged, also in the last record', async () => {
    const disk = await written(5, {}, true);
    for (let at = 0; at < disk.content(segmentPath(1)).length; at++) {
      const flipped = disk.copy();
      flipped.tamper(segmentPath(1), (bytes) => {
        bytes[at]! ^= 1 << (at % 8);
        return bytes;
      });
      expect((await openOn(flipped)).recovery.state).toBe('damaged');
    }
  });

  test('anywhere in identity.json: damaged, with every entry kept', async () => {
    const disk = await written(5);
    const full = await contentsOf(disk);
    for (let at = 0; at < disk.content(IDENTITY).length; at++) {
      const flipped = disk.copy();
      flipped.tamper(IDENTITY, (bytes) => {
        bytes[at]! ^= 1 << (at % 8);
        return bytes;
      });
      // A flip in white space changes nothing.
      if (sameJson(flipped.content(IDENTITY), disk.content(IDENTITY))) continue;
      const { log, recovery } = await openOn(flipped);
      expect(recovery.state).toBe('damaged');
      expect(await allContents(log)).toEqual(full);
    }
  });
});

function sameJson(one: Buffer, other: Buffer): boolean {
  try {
    return JSON.stringify(JSON.parse(one.toString())) === JSON.stringify(JSON.parse(other.toString()));
  } catch {
    return false;
  }
}

describe('damage', () => {
  test('I6: keeps what is readable, sets the files aside unchanged, and stays until every shard has a lease', async () => {
    const disk = await written(30, SMALL);
    const full = await contentsOf(disk, SMALL);
    const originals = new Map(segments(disk).map((path) => [path, Buffer.from(disk.content(path))]));
    expect(originals.size).toBeGreaterThan(3);
    const [, second] = recordStarts(disk.content(segmentPath(2)));
    disk.tamper(segmentPath(2), (bytes) => bytes.fill(0xee, second! + 8, second! + 20));
    const broken = Buffer.from(disk.content(segmentPath(2)));

    const { log, recovery } = await openOn(disk, SMALL);
    expect(recovery).toMatchObject({ state: 'damaged', unproven: SHARDS, tornBytes: 0 });
    expect(recovery.findings[0]).toContain(`${segmentPath(2)}, byte ${second}: `);
    const got = await allContents(log);
    expectPrefix(got, full);
    // The record belonged to one shard; the other one is kept to its end, from the damaged file and those behind it.
    const kept = SHARDS.map((shard) => got.get(shard)!.length - full.get(shard)!.length);
    expect(kept.filter((missing) => missing === 0)).toHaveLength(1);
    expect(kept.filter((missing) => missing < 0)).toHaveLength(1);
    for (const [path, bytes] of originals) {
      if (path === segmentPath(1)) expect(disk.content(path)).toEqual(bytes);
      else expect(disk.content(`${path}.damaged`)).toEqual(path === segmentPath(2) ? broken : bytes);
    }

    // A crash right here must not make it whole.
    disk.crashProcess();
    const second2 = await openOn(disk, SMALL);
    expect(second2.recovery).toMatchObject({ state: 'damaged', findings: recovery.findings, unproven: SHARDS });
    expect(await allContents(second2.log)).toEqual(got);
    const tail = second2.log.tail(SHARD_A);
    await appendTo(second2.log, SHARD_A, tail + 1, entry('lease', 'asked'));
    await second2.log.close();
    const third = await openOn(disk, SMALL);
    expect(third.recovery).toMatchObject({ state: 'damaged', unproven: [SHARD_B] });
    expect(third.log.tail(SHARD_A)).toBe(tail + 1);
    await appendTo(third.log, SHARD_B, third.log.tail(SHARD_B) + 1, entry('lease', 'asked'));
    await third.log.close();
    const fourth = await openOn(disk, SMALL);
    expect(fourth.recovery).toEqual({ state: 'whole', findings: [], unproven: [], tornBytes: 0 });
    await fourth.log.close();
  });

  test('I6: a store made before the damage can tell that its log has another history', async () => {
    const disk = await written(6);
    const before = await openOn(disk);
    const identity = before.log.identity;
    await before.log.close();
    disk.tamper(segmentPath(1), (bytes) => bytes.subarray(0, bytes.length - 1));
    const { log, recovery } = await openOn(disk);
    expect(recovery.state).toBe('damaged');
    expect(log.identity).not.toBe(identity);
  });

  test('I6: a log whose files are gone is damaged, because identity.json remembers it; without that it is new', async () => {
    const disk = await written(6, SMALL);
    const emptied = disk.copy();
    for (const path of segments(emptied)) emptied.delete(path);
    const { log, recovery } = await openOn(emptied, SMALL);
    expect(recovery).toMatchObject({ state: 'damaged', unproven: SHARDS });
    expect(recovery.findings[0]).toMatch(/was written, found no segment/);
    expect(log.tail(SHARD_A)).toBe(0);
    expect(await appendTo(log, SHARD_A, 1, entry('lease', 'asked'))).toEqual({ kind: 'durable' });
    await log.close();
    expect((await openOn(emptied, SMALL)).recovery).toMatchObject({ state: 'damaged', unproven: [SHARD_B] });

    for (const path of disk.paths()) disk.delete(path);
    expect((await openOn(disk, SMALL)).recovery).toMatchObject({ state: 'new', findings: [] });
  });

  test('I6: identity.json is gone: damaged, with every entry kept', async () => {
    const disk = await written(6, SMALL);
    const full = await contentsOf(disk, SMALL);
    disk.delete(IDENTITY);
    const { log, recovery } = await openOn(disk, SMALL);
    expect(recovery).toMatchObject({ state: 'damaged', unproven: SHARDS });
    expect(await allContents(log)).toEqual(full);
    await prove(log);
    await log.close();
    expect((await openOn(disk, SMALL)).recovery.state).toBe('whole');
  });

  test('I6: any one segment missing is noticed, the last one too', async () => {
    const disk = await written(30, SMALL);
    const full = await contentsOf(disk, SMALL);
    for (const path of segments(disk)) {
      const missing = disk.copy();
      missing.delete(path);
      const { log, recovery } = await openOn(missing, SMALL);
      expect(recovery.state).toBe('damaged');
      const got = await allContents(log);
      expectPrefix(got, full);
      expect(lengthOf(got)).toBeLessThan(lengthOf(full));
      // Its number is not given to another one: it may be found again.
      await prove(log);
      expect(missing.paths()).not.toContain(path);
      await log.close();
      expect((await openOn(missing, SMALL)).recovery.state).toBe('whole');
    }
  });

  test('I6: a clean shutdown knows how much there was: whole records cut off are missed', async () => {
    const disk = await written(6, {}, true);
    const starts = recordStarts(disk.content(segmentPath(1)));
    disk.tamper(segmentPath(1), (bytes) => bytes.subarray(0, starts.at(-3)));
    const { log, recovery } = await openOn(disk);
    expect(recovery.state).toBe('damaged');
    expect(recovery.findings[0]).toMatch(/as at its clean shutdown/);
    expect(log.tail(SHARD_A) + log.tail(SHARD_B)).toBe(6);
  });

  test('I6: a clean shutdown knows how much there was: records that became zeros are missed', async () => {
    const disk = await written(6, {}, true);
    const [last] = recordStarts(disk.content(segmentPath(1))).slice(-2) as [number, number];
    disk.tamper(segmentPath(1), (bytes) => bytes.fill(0, last));
    const { recovery } = await openOn(disk);
    expect(recovery.state).toBe('damaged');
    expect(recovery.findings[0]).toMatch(/as at its clean shutdown/);
  });

  test('I6: swapped files are noticed, and give all they have', async () => {
    const disk = await written(30, SMALL);
    const full = await contentsOf(disk, SMALL);
    disk.swap(segmentPath(2), segmentPath(3));
    const { log, recovery } = await openOn(disk, SMALL);
    expect(recovery.state).toBe('damaged');
    expect(recovery.findings[0]).toMatch(/expected segment 2, found segment 3 under its name/);
    expect(await allContents(log)).toEqual(full);
  });

  test('I6: an older copy of a segment, or one of another log, in its place', async () => {
    const disk = await written(30, SMALL);
    const full = await contentsOf(disk, SMALL);
    const shorter = disk.copy();
    shorter.tamper(segmentPath(2), (bytes) => bytes.subarray(0, recordStarts(bytes).at(-2)));
    const first = await openOn(shorter, SMALL);
    expect(first.recovery.state).toBe('damaged');
    expect(first.recovery.findings[0]).toMatch(/follows segment 2 of \d+ bytes, found segment 2 of \d+ bytes/);
    expectPrefix(await allContents(first.log), full);

    const other = new SimulatedDisk();
    const foreign = await openOn(other, {
      ...SMALL,
      system: { ...(await import('./segment-support.ts')).manualSystem(77) },
    });
    await prove(foreign.log);
    for (let i = 0; i < 20; i++)
      await appendTo(foreign.log, SHARD_A, i + 2, entry('barrier', `foreign ${i}`.padEnd(60)));
    disk.tamper(segmentPath(2), () => other.content(segmentPath(2)));
    const second = await openOn(disk, SMALL);
    expect(second.recovery.state).toBe('damaged');
    expect(second.recovery.findings[0]).toMatch(/a segment of log [0-9a-f]{32}, expected one of/);
    expectPrefix(await allContents(second.log), full);
  });

  test('I6: interrupted anywhere, by kill or by loss of power, the repair is made again and loses nothing', async () => {
    const disk = await written(24, SMALL);
    const full = await contentsOf(disk, SMALL);
    const [, second] = recordStarts(disk.content(segmentPath(2)));
    disk.tamper(segmentPath(2), (bytes) => bytes.fill(0xee, second! + 8, second! + 20));
    const reference = await openOn(disk.copy(), SMALL);
    const expected = await allContents(reference.log);
    expectPrefix(expected, full);

    for (const kind of ['kill', 'power', 'power, half written'] as const) {
      const seen = { finished: false };
      for (let call = 0; !seen.finished; call++) {
        const interrupted = disk.copy();
        let left = call;
        let crashed = false;
        let toggle = false;
        interrupted.fault = () => {
          if (left-- === 0) {
            crashed = true;
            if (kind === 'kill') interrupted.crashProcess();
            else interrupted.crashMachine(() => (kind === 'power' ? false : (toggle = !toggle)));
          }
          return undefined;
        };
        void openOn(interrupted, SMALL).then(
          () => (seen.finished = !crashed),
          () => undefined,
        );
        await until(() => crashed || seen.finished);
        interrupted.fault = () => undefined;
        const { log, recovery } = await openOn(interrupted, SMALL);
        expect([kind, call, recovery.state]).toEqual([kind, call, 'damaged']);
        expect(await allContents(log)).toEqual(expected);
        await prove(log);
        await log.close();
        expect((await openOn(interrupted, SMALL)).recovery.state).toBe('whole');
      }
    }
  }, 60_000);
});

describe('a newer or foreign format is refused, and nothing is changed', () => {
  const refused: Record<string, (disk: SimulatedDisk) => void> = {
    'a segment header of a later version': (disk) => rewriteHeader(disk, (bytes) => bytes.writeUInt16LE(2, 8)),
    'a segment header with an unknown feature': (disk) =>
      rewriteHeader(disk, (bytes) => bytes.writeUInt16LE(0x8000, 10)),
    'a record of a later version': (disk) => rewriteLastRecord(disk, (record) => record.writeUInt8(2, 12)),
    'a record with an unknown feature': (disk) => rewriteLastRecord(disk, (record) => record.writeUInt16LE(4, 14)),
    'a record of an unknown kind': (disk) => rewriteLastRecord(disk, (record) => record.writeUInt8(200, 13)),
  };
  for (const [what, change] of Object.entries(refused)) {
    test(what, async () => {
      const disk = await written(4);
      change(disk);
      const before = disk.paths().map((path) => [path, disk.content(path).toString('hex')]);
      await expect(openOn(disk)).rejects.toSatisfy(
        (error) => isCausewayError(error, 'CORRUPT') && /newer version/.test(error.message) && error.hint !== undefined,
      );
      expect(disk.paths().map((path) => [path, disk.content(path).toString('hex')])).toEqual(before);
    });
  }

  test('identity.json of a later format', async () => {
    const { crc32 } = await import('node:zlib');
    const disk = await written(4);
    disk.tamper(IDENTITY, (bytes) => {
      const { checksum: _, ...identity } = JSON.parse(bytes.toString()) as Record<string, unknown>;
      const next: Record<string, unknown> = { ...identity, format: 2, colour: 'blue' };
      const sorted = Object.entries(next).sort(([a], [b]) => (a < b ? -1 : 1));
      return Buffer.from(
        JSON.stringify({ ...next, checksum: crc32(JSON.stringify(sorted)).toString(16).padStart(8, '0') }),
      );
    });
    await expect(openOn(disk)).rejects.toSatisfy((error) => isCausewayError(error, 'CORRUPT'));
  });

  test('a directory of another cluster', async () => {
    const disk = await written(4);
    await expect(openOn(disk, { clusterId: 'other' })).rejects.toSatisfy((error) =>
      isCausewayError(error, 'CONFIG_INVALID'),
    );
    expect((await openOn(disk)).recovery.state).toBe('whole');
  });
});

function rewriteHeader(disk: SimulatedDisk, change: (bytes: Buffer) => void): void {
  disk.tamper(segmentPath(1), (bytes) => {
    const length = bytes.readUInt32LE(12);
    change(bytes);
    bytes.writeUInt32LE(crcOf(bytes.subarray(20, length), crcOf(bytes.subarray(0, 16), 0)), 16);
    return bytes;
  });
}

function rewriteLastRecord(disk: SimulatedDisk, change: (record: Buffer) => void): void {
  disk.tamper(segmentPath(1), (bytes) => {
    const salt = bytes.readUInt32LE(20);
    const record = bytes.subarray(recordStarts(bytes).at(-2));
    change(record);
    record.writeUInt32LE(crcOf(record.subarray(4), salt), 0);
    return bytes;
  });
}

/** CRC-32 as everybody has it, bit by bit: not the implementation that is tested. */
function crcOf(bytes: Uint8Array, start: number): number {
  let crc = ~start >>> 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0xedb88320;
  }
  return ~crc >>> 0;
}

describe('I1: loss of power', () => {
  test('at any moment, with any pages written: what was acknowledged is there, and the log is whole', async () => {
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({
          do: fc.constant('append' as const),
          shard: fc.integer({ min: 0, max: 1 }),
          sizes: fc.array(fc.constantFrom(1, 30, 500, 5000, 20_000), { minLength: 1, maxLength: 6 }),
          wait: fc.boolean(),
        }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('turns' as const), count: fc.integer({ min: 1, max: 6 }) }) },
      {
        weight: 1,
        arbitrary: fc.record({
          do: fc.constant('power' as const),
          bits: fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 50 }), async (steps) => {
        const disk = new SimulatedDisk();
        const options = { segmentBytes: 30_000, tailCacheBytes: 0 };
        let { log } = await openOn(disk, options);
        await prove(log);
        /** All that was ever appended at each offset since it was last seen, and how many of them were acknowledged. */
        const model = SHARDS.map((shard) => ({ shard, entries: [`lease of ${shard}`], acknowledged: 1 }));
        let content = 0;
        let life = 0;
        const crash = async (how: () => void): Promise<void> => {
          life++;
          how();
          const reopened = await openOn(disk, options);
          expect(reopened.recovery).toMatchObject({ state: 'whole', findings: [], unproven: [] });
          log = reopened.log;
          for (const at of model) {
            const found = (await readAll(log, at.shard)).map(({ bytes }) => Buffer.from(bytes).toString());
            expect(found.length).toBeGreaterThanOrEqual(at.acknowledged);
            expect(found).toEqual(at.entries.slice(0, found.length));
            // What a restarted node was shown is as good as acknowledged.
            at.entries = found;
            at.acknowledged = found.length;
          }
        };
        for (const next of steps) {
          if (next.do === 'append') {
            const at = model[next.shard]!;
            const entries = next.sizes.map((size) => entry('barrier', `${content++} `.padEnd(size, 'x')));
            const expectOffset = at.entries.length + 1;
            at.entries.push(...entries.map(({ bytes }) => Buffer.from(bytes).toString()));
            const mine = life;
            const outcome = appendTo(log, at.shard, expectOffset, ...entries).then(({ kind }) => {
              expect(kind).toBe('durable');
              if (mine === life) at.acknowledged = expectOffset + entries.length - 1;
            });
            if (next.wait) await outcome;
          } else if (next.do === 'turns') {
            for (let i = 0; i < next.count; i++) await new Promise((resolve) => setImmediate(resolve));
          } else if (next.do === 'kill') {
            await crash(() => disk.crashProcess());
          } else {
            let at = 0;
            await crash(() => disk.crashMachine(() => next.bits[at++ % next.bits.length]!));
          }
        }
        await crash(() => disk.crashMachine(() => false));
      }),
      { numRuns: 150 },
    );
  }, 120_000);

  test('after a failed fdatasync the page cache shows what the disk has not got: it is written again before it is shown', async () => {
    const disk = new SimulatedDisk();
    const { log, fatal } = await openOn(disk);
    await prove(log);
    disk.fault = (call) => (call === 'fdatasync' ? 'EIO' : undefined);
    expect(await appendTo(log, SHARD_A, 2, entry('barrier', 'lost?'))).toEqual({ kind: 'unknown' });
    expect(fatal).toHaveLength(1);
    disk.crashProcess();
    disk.fault = () => undefined;
    const again = await openOn(disk);
    const shown = contents(await readAll(again.log, SHARD_A));
    disk.crashMachine(() => false);
    const after = await openOn(disk);
    expect(contents(await readAll(after.log, SHARD_A))).toEqual(shown);
    expect(shown).toHaveLength(2);
  });

  test('after a kill at any step of beginning a segment, and a start that saw its name in the page cache only', async () => {
    const options = { segmentBytes: 300, tailCacheBytes: 0 };
    const seen = { rolled: false };
    for (let turns = 0; !seen.rolled; turns++) {
      const disk = new SimulatedDisk();
      const { log } = await openOn(disk, options);
      await prove(log);
      await appendTo(log, SHARD_A, 2, entry('barrier', 'x'.repeat(300)));
      void appendTo(log, SHARD_A, 3, entry('barrier', 'in the next segment')).then(() => (seen.rolled = true));
      for (let i = 0; i < turns && !seen.rolled; i++) await new Promise((resolve) => setImmediate(resolve));
      disk.crashProcess();
      const restarted = await openOn(disk, options);
      await appendTo(restarted.log, SHARD_A, restarted.log.tail(SHARD_A) + 1, entry('barrier', 'acknowledged'));
      const acknowledged = contents(await readAll(restarted.log, SHARD_A));
      disk.crashMachine(() => false);
      const { log: after, recovery } = await openOn(disk, options);
      expect([turns, recovery.state, recovery.findings]).toEqual([turns, 'whole', []]);
      expect(contents(await readAll(after, SHARD_A))).toEqual(acknowledged);
    }
  });

  test('before the first append: the log is new, or whole when it had leases', async () => {
    for (let call = 0; ; call++) {
      const disk = new SimulatedDisk();
      let left = call;
      let crashed = false;
      let opened = false;
      disk.fault = () => {
        if (left-- === 0) {
          crashed = true;
          disk.crashMachine(() => call % 2 === 0);
        }
        return undefined;
      };
      void openOn(disk).then(() => (opened = true));
      await until(() => crashed || opened);
      disk.fault = () => undefined;
      if (!crashed) break;
      const { log, recovery } = await openOn(disk);
      expect([call, recovery.state, recovery.findings]).toEqual([call, 'new', []]);
      await log.close();
      expect(disk.paths().every((path) => path.startsWith(DATA))).toBe(true);
    }
  });
});
