// The figures of a region over its nodes: sums, the worst lag, and what is not known when a node does not answer.

import { expect, test } from 'vitest';
import { statusLines } from '../../src/cli/status-screen.ts';
import { wholeRegion } from '../../src/cli/whole-region.ts';
import type { NodePeer, NodeStatus } from '../../src/client/index.ts';

const same = (text: string): string => text;
const PAINT = { bold: same, dim: same, good: same, warn: same, bad: (text: string) => `!${text}` };

const peer = (
  lagMs: number | undefined,
  unacknowledgedOps: number,
  link: NodePeer['link'] = { kind: 'up' },
): NodePeer => ({
  region: 'us',
  link,
  lagMs,
  opLagMsP50: lagMs,
  opLagMsP99: lagMs,
  clock: undefined,
  unacknowledgedOps,
});

function status(node: string, shards: readonly string[], more: Partial<NodeStatus> = {}): NodeStatus {
  const counters = {
    accepted: 10,
    refused: 0,
    duplicatesAnswered: 0,
    appliedRemote: 3,
    duplicateBatches: 0,
    conflicts: 1,
    bytesReceived: 0,
    commits: 0,
  };
  return {
    region: 'eu',
    node,
    version: '1',
    startedAtMs: 0,
    nowMs: 5000,
    state: 'ready',
    stateReason: '',
    log: { engine: 'jetstream', durable: true, detail: 'x', state: 'ready', stateReason: '', bytes: 0 },
    store: { engine: 'redis', bytes: 0 },
    peers: [peer(20, 5)],
    shards: shards.map((shard) => ({ shard, origins: [], ownOrigin: 'eu~1', parkedBatches: 0, tombstones: 2 })),
    collections: [],
    keys: 100,
    counters,
    alarms: [],
    certificates: [],
    clock: { maxSkewMs: 2000, aheadMs: 0 },
    hotKeys: { written: [], read: [] },
    others: [],
    owners: [],
    ...more,
  };
}

const owner = (shard: string, node: string, pinned?: string, loadPerS?: number) => ({
  shard,
  node,
  address: `${node}:1`,
  pinned,
  loadPerS,
});
const OWNERS = [owner('1/0', 'eu-1', undefined, 1200), owner('1/2', 'eu-2'), owner('1/10', 'eu-2', 'eu-2')];
const other = (node: string, told: NodeStatus | undefined, problem = '') => ({
  node,
  address: `${node}:1`,
  status: told,
  problem,
});

test('are sums over its nodes, and of lags the worst of those that have shards', () => {
  const second = status('eu-2', ['1/10', '1/2'], {
    peers: [peer(70, 2)],
    alarms: [{ sinceMs: 1, code: 'clock-hold', message: 'x' }],
    hotKeys: { written: [{ namespace: 'n', collection: 'c', key: 'hot', perS: 50, share: 0.5 }], read: [] },
  });
  const third = status('eu-3', [], { peers: [peer(undefined, 0)], keys: 0 });
  const asked = status('eu-1', ['1/0'], { others: [other('eu-2', second), other('eu-3', third)], owners: OWNERS });
  const { status: whole, missing } = wholeRegion(asked);
  expect(missing).toEqual([]);
  expect(whole).toMatchObject({
    node: 'eu-1',
    keys: 200,
    counters: { accepted: 30, appliedRemote: 9, conflicts: 3 },
    peers: [{ lagMs: 70, opLagMsP99: 70, unacknowledgedOps: 7 }],
    alarms: [{ message: 'eu-2: x' }],
    hotKeys: { written: [{ key: 'hot', share: 0.5 }] },
  });
  expect(whole.shards.map(({ shard }) => shard)).toEqual(['1/0', '1/2', '1/10']);
  const lines = statusLines(asked, PAINT, true);
  expect(lines.find((line) => line.includes('eu-2') && line.includes('1/2 1/10'))).toMatch(/ready/);
  expect(lines.find((line) => line.includes('by hand'))).toBe(
    '  1/10 was moved to eu-2 by hand: causeway move 1/10 --back',
  );
  expect(lines.find((line) => line.startsWith('  1/10 ') && line.includes('eu~1'))).toContain('eu-2');
  expect(lines.find((line) => /^ {2}1\/0 +eu-1 /.test(line))).toMatch(/^ {2}1\/0 +eu-1 +1 200 /);
  expect(lines.find((line) => /^ {2}1\/2 +eu-2 /.test(line))).toMatch(/^ {2}1\/2 +eu-2 +- /);
});

test('lack what a node that does not answer would have said, and say so: nobody is shown as up to date', () => {
  const away = other('eu-2', undefined, 'connection refused');
  const asked = status('eu-1', ['1/0'], { others: [away], owners: OWNERS });
  const { status: whole, missing } = wholeRegion(asked);
  expect(missing).toEqual(['1/2', '1/10']);
  expect(whole).toMatchObject({ keys: 100, peers: [{ lagMs: undefined, unacknowledgedOps: undefined }] });
  const text = statusLines(asked, PAINT, false).join('\n');
  expect(text).toMatch(/eu-2 +!no answer +1\/2 1\/10 +- +!connection refused/);
  expect(text).toContain('!  the figures below lack 1/2, 1/10');
});

test('are unknown where one of its nodes knows nothing, or has lost its link', () => {
  const second = status('eu-2', ['1/2', '1/10'], {
    peers: [peer(undefined, 2, { kind: 'down', reason: 'x', retryInMs: 1 })],
  });
  const { status: whole } = wholeRegion(status('eu-1', ['1/0'], { others: [other('eu-2', second)], owners: OWNERS }));
  expect(whole.peers).toMatchObject([{ lagMs: undefined, link: { kind: 'down' }, unacknowledgedOps: 7 }]);
});
