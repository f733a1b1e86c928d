// What doctor makes of what nodes say; progress lines.

import { describe, expect, test } from 'vitest';
import { diagnoseNode, diagnoseRuntime, diagnoseTogether } from '../../src/cli/diagnosis.ts';
import { Progress, progressLine } from '../../src/cli/progress.ts';
import type { NodePeer, NodeStatus } from '../../src/client/index.ts';
import type { System } from '../../src/system/system.ts';

const PEER: NodePeer = {
  region: 'eu',
  link: { kind: 'up' },
  lagMs: 20,
  opLagMsP50: 5,
  opLagMsP99: 9,
  clock: { offsetMs: 3, rttMs: 80 },
  unacknowledgedOps: 0,
};

const WELL: NodeStatus = {
  region: 'us',
  node: 'us-1',
  version: '0.1.0',
  startedAtMs: 0,
  nowMs: 60_000,
  state: 'ready',
  stateReason: '',
  log: { engine: 'segment', durable: true, detail: 'fdatasync', state: 'ready', stateReason: '', bytes: 1 },
  store: { engine: 'lmdb', bytes: 1 },
  peers: [PEER],
  shards: [],
  collections: [{ namespace: 'demo', name: 'profiles', id: 1, type: 'register-lww' }],
  keys: 0,
  counters: {
    accepted: 0,
    refused: 0,
    duplicatesAnswered: 0,
    appliedRemote: 0,
    duplicateBatches: 0,
    conflicts: 0,
    bytesReceived: 0,
    commits: 0,
  },
  alarms: [],
  certificates: [],
  clock: { maxSkewMs: 2000, aheadMs: 0 },
  others: [],
  owners: [],
  hotKeys: { written: [], read: [] },
};

describe('doctor', () => {
  test('finds nothing where nothing is', () => {
    expect(diagnoseNode('a:1', WELL)).toEqual([
      { level: 'ok', where: 'us (a:1)', says: 'ready, durable, linked to eu' },
    ]);
    expect(diagnoseTogether([WELL, { ...WELL, region: 'eu' }])).toEqual([]);
    const later = { use: 'links', part: 'cert', subject: 'CN=eu', notAfterMs: 60_000 + 31 * 86_400_000 };
    expect(diagnoseNode('a:1', { ...WELL, certificates: [later] })).toMatchObject([{ level: 'ok' }]);
  });

  test.each<[string, Partial<NodeStatus>, 'warn' | 'bad', RegExp]>([
    ['a node that starts', { state: 'catching-up', stateReason: '2 shards' }, 'warn', /is catching-up: 2 shards/],
    ['one that takes no writes', { state: 'read-only', stateReason: 'disk full' }, 'bad', /read-only: disk full/],
    ['a log in memory', { log: { ...WELL.log, durable: false, detail: 'memory' } }, 'bad', /not durable \(memory\)/],
    ['an alarm', { alarms: [{ sinceMs: 30_000, code: 'fork', message: 'two' }] }, 'bad', /alarm fork, for 30.0 s: two/],
    [
      'a certificate that ends within 30 days',
      { certificates: [{ use: 'links', part: 'cert', subject: 'CN=eu', notAfterMs: 60_000 + 29 * 86_400_000 }] },
      'warn',
      /links\.tls\.cert \(CN=eu\) expires in 29 d/,
    ],
    [
      'one that has ended',
      { certificates: [{ use: 'links', part: 'ca', subject: 'CN=ca', notAfterMs: 59_000 }] },
      'bad',
      /links\.tls\.ca \(CN=ca\) has expired/,
    ],
    ['no collections', { collections: [] }, 'warn', /no collections/],
    [
      'a link that is down',
      { peers: [{ ...PEER, link: { kind: 'down', reason: 'refused', retryInMs: 1 } }] },
      'bad',
      /link to eu is down: refused/,
    ],
    [
      'one that is refused',
      { peers: [{ ...PEER, link: { kind: 'refused', reason: 'settings-hash', message: 'differs', retryInMs: 1 } }] },
      'bad',
      /refused \(settings-hash\): differs/,
    ],
    ['lag', { peers: [{ ...PEER, lagMs: 6000 }] }, 'warn', /6.0 s behind eu/],
    ['a peer that never promised', { peers: [{ ...PEER, lagMs: undefined }] }, 'warn', /no promise of eu/],
    [
      'clocks',
      { peers: [{ ...PEER, clock: { offsetMs: -900, rttMs: 1 } }] },
      'warn',
      /clock of eu is 900 ms behind its own/,
    ],
  ])('%s', (_name, more, level, says) => {
    const findings = diagnoseNode('a:1', { ...WELL, ...more });
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ level, where: 'us (a:1)', says: expect.stringMatching(says) });
  });

  test('what differs between nodes', () => {
    const findings = diagnoseTogether([WELL, { ...WELL, region: 'eu', version: '0.2.0', collections: [] }]);
    expect(findings).toMatchObject([
      { level: 'warn', says: 'differ: 0.1.0 in us; 0.2.0 in eu' },
      { level: 'warn', says: 'not in every region that was asked: demo/profiles (register-lww, id 1)' },
    ]);
  });

  test('this machine', () => {
    expect(['20.19.0', '22.1.0', '20.18.3', '18.20.0'].map((version) => diagnoseRuntime(version).level)).toEqual([
      'ok',
      'ok',
      'bad',
      'bad',
    ]);
  });
});

describe('progress', () => {
  test('a bar where the whole is known, a count where it is not', () => {
    expect(progressLine(1500, 'lines', 3000, 0.5)).toBe(
      '████████████░░░░░░░░░░░░  50 %  1 500 lines in 3.0 s, 500 a second, 3.0 s to go',
    );
    expect(progressLine(3000, 'lines', 6000, 1)).toBe(
      '████████████████████████ 100 %  3 000 lines in 6.0 s, 500 a second',
    );
    expect(progressLine(7, 'keys', 1000, undefined)).toBe('7 keys in 1.0 s, 7 a second');
    expect(progressLine(0, 'keys', 0, 0)).toBe('░░░░░░░░░░░░░░░░░░░░░░░░   0 %  0 keys in 0.0 ms');
  });

  test('is drawn now and then, for people only, and taken away again', () => {
    let nowMs = 0;
    const system = { clock: { monotonicMs: () => nowMs } } as unknown as System;
    const written: string[] = [];
    const target = (isTTY: boolean) => ({ isTTY, columns: 36, write: (text: string) => written.push(text) });
    const quiet = new Progress(system, target(false), 'keys');
    quiet.update(1);
    quiet.clear();
    expect(written).toEqual([]);
    const shown = new Progress(system, target(true), 'keys');
    shown.update(1, 0.5);
    nowMs = 50;
    shown.update(2, 0.6);
    nowMs = 150;
    shown.update(3, 0.7);
    shown.clear();
    shown.clear();
    expect(written).toHaveLength(3);
    expect(written[1]).toMatch(/^\r\u001b\[2K█+░+ {2}70 %/);
    expect(written[1]!.length).toBe(5 + 35);
    expect(written[2]).toBe('\r\u001b[2K');
    expect(shown.summary(3)).toBe('3 keys in 150 ms, 20 a second');
  });
});
