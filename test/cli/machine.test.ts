// What doctor tries on a machine, and what it makes of it.

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  diagnoseClocks,
  diagnoseDisk,
  diagnoseNoDisk,
  diagnosePort,
  diagnoseReach,
} from '../../src/cli/machine-diagnosis.ts';
import { nearestThere, tryConnect, tryDisk, tryListen } from '../../src/cli/machine.ts';
import { realSystem } from '../../src/system/real.ts';

const system = realSystem();
const GIB = 1024 ** 3;
const EXT4 = 0xef53;

async function listening(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a port', () => {
  test('is free, taken, or not to be had', async () => {
    const taken = await listening();
    expect(await tryListen(taken)).toEqual({ kind: 'taken' });
    expect(await tryListen('127.0.0.1:0')).toEqual({ kind: 'free' });
    expect(await tryListen('203.0.113.1:7400')).toMatchObject({ kind: 'refused' });
    expect(await tryConnect(taken, 1000, system)).toBeUndefined();
    expect(await tryConnect('127.0.0.1:1', 1000, system)).toBe('ECONNREFUSED');
  });

  test('taken by a node of this region is well, by something else is not', () => {
    const told = (isNode: boolean | undefined) => diagnosePort('listeners.clients', 'a:1', { kind: 'taken' }, isNode);
    expect(told(true).level).toBe('ok');
    expect(told(false)).toMatchObject({ level: 'bad', advice: 'Stop what listens there, or choose another port.' });
    expect(told(undefined).level).toBe('ok');
    expect(diagnosePort('listeners.peers', 'a:1', { kind: 'free' }, false).says).toBe(
      'is free: the node is not running here',
    );
    expect(diagnosePort('listeners.http', 'a:80', { kind: 'refused', code: 'EACCES' }, false)).toMatchObject({
      level: 'bad',
      advice: 'Choose a port above 1023, or give the user the right to.',
    });
  });

  test('of a peer that cannot be reached says what to look at', () => {
    expect(diagnoseReach('eu', 'a:1', undefined).level).toBe('ok');
    expect(diagnoseReach('eu', 'a:1', 'ECONNREFUSED')).toMatchObject({ level: 'bad', where: 'eu a:1' });
  });
});

describe('a disk', () => {
  test('is written to and synced, and nothing of it is left', () => {
    const directory = mkdtempSync(join(tmpdir(), 'causeway-machine-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    expect(nearestThere(join(directory, 'not', 'there'))).toBe(directory);
    const found = tryDisk(directory, system);
    expect(found.syncMs).toBeGreaterThan(0);
    expect(found.allBytes).toBeGreaterThan(found.freeBytes);
    expect(readdirSync(directory)).toEqual([]);
    expect(existsSync(join(directory, 'not'))).toBe(false);
    expect(() => tryDisk(join(directory, 'not'), system)).toThrow('ENOENT');
  });

  test('that is small, slow, or of a kind that promises less', () => {
    const told = (more: object): string[] =>
      diagnoseDisk('/data', { freeBytes: 50 * GIB, allBytes: 100 * GIB, type: EXT4, syncMs: 0.3, ...more }).map(
        ({ level, says }) => `${level}: ${says}`,
      );
    expect(told({})).toEqual(['ok: 50.0 GiB of 100.0 are free', 'ok: a small write and its fdatasync take 0.3 ms']);
    expect(told({ freeBytes: 0.5 * GIB, allBytes: 2 * GIB })[0]).toBe('warn: 0.5 GiB of 2.0 are free');
    expect(told({ freeBytes: 20 * GIB, allBytes: 1000 * GIB })[0]).toMatch(/^warn/);
    expect(told({ syncMs: 45 })[1]).toMatch(/^warn: .* take 45 ms$/);
    expect(told({ type: 0x6969 })[1]).toMatch(/^bad: is on NFS/);
    expect(told({ type: 0x01021994 })[1]).toMatch(/^warn: is on tmpfs/);
    expect(diagnoseNoDisk('/data', 'EACCES').level).toBe('bad');
  });
});

describe('clocks of nodes', () => {
  const reading = (where: string, offsetMs: number, rttMs = 2) => ({ where, offsetMs, rttMs, maxSkewMs: 2000 });

  test('agree, differ by a quarter of the bound, differ by more than it', () => {
    expect(diagnoseClocks([])).toEqual([]);
    expect(diagnoseClocks([reading('eu', 1), reading('us', -2)])).toMatchObject([
      { level: 'ok', says: 'of 2 nodes are within 3 ms' },
    ]);
    expect(diagnoseClocks([reading('eu', 600), reading('us', 0)])[0]).toMatchObject({
      level: 'warn',
      says: 'eu is 600 ms ahead of us, to within 2 ms',
    });
    expect(diagnoseClocks([reading('eu', 0), reading('us', -3000), reading('ap', 1)])[0]).toMatchObject({
      level: 'bad',
    });
  });

  test('a slow way proves nothing, and a clock of ours that is off is only a word', () => {
    expect(diagnoseClocks([reading('eu', 600, 400), reading('us', 0, 300)])[0]!.level).toBe('ok');
    expect(diagnoseClocks([reading('eu', 5000), reading('us', 5001)])).toMatchObject([
      { level: 'ok' },
      { level: 'warn', where: 'here', says: "this machine's clock is 5.0 s behind the nodes'" },
    ]);
  });
});
