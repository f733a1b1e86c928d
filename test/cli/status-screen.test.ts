// The status screen's lines about certificates: only those that somebody must renew.

import { expect, test } from 'vitest';
import { statusLines } from '../../src/cli/status-screen.ts';
import type { NodeCertificate, NodeStatus } from '../../src/client/index.ts';

const DAY_MS = 86_400_000;
const same = (text: string): string => text;

function lines(certificates: readonly NodeCertificate[]): string[] {
  const status: NodeStatus = {
    region: 'eu',
    node: 'eu-1',
    version: '1',
    startedAtMs: 0,
    nowMs: 100 * DAY_MS,
    state: 'ready',
    stateReason: '',
    log: { engine: 'segment', durable: true, detail: 'x', state: 'ready', stateReason: '', bytes: 0 },
    store: { engine: 'lmdb', bytes: 0 },
    peers: [],
    shards: [],
    collections: [],
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
    certificates,
    clock: { maxSkewMs: 2000, aheadMs: 0 },
    others: [],
    owners: [],
    hotKeys: { written: [], read: [] },
  };
  const paint = { bold: same, dim: same, good: same, warn: same, bad: (text: string) => `!${text}` };
  return statusLines(status, paint, false).filter((line) => line.includes('.tls.'));
}

test('a certificate that ends within two weeks, and one that has ended', () => {
  const certificate = (day: number): NodeCertificate => ({
    use: 'listeners.clients',
    part: 'cert',
    subject: 'CN=node',
    notAfterMs: day * DAY_MS,
  });
  expect(lines([certificate(115)])).toEqual([]);
  expect(lines([certificate(113)])[0]).toMatch(
    /^  listeners\.clients\.tls\.cert \(CN=node\) expires in 13 ?d.*: put a new one there$/,
  );
  expect(lines([certificate(99)])).toEqual([
    '!  listeners.clients.tls.cert (CN=node) has expired: put a new one there',
  ]);
});
