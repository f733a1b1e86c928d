// What changed between two looks at a node: rates a second. Pure; top.ts looks.

import type { NodeHotKey, NodeStatus } from '../client/index.ts';

export interface NodeRates {
  readonly region: string;
  readonly node: string;
  readonly state: string;
  /** Since the look before. */
  readonly seconds: number;
  readonly writesPerS: number;
  readonly fromPeersPerS: number;
  readonly refusedPerS: number;
  readonly conflictsPerS: number;
  /** Own batches: how many writes share a commit is writes ÷ batches. */
  readonly batchesPerS: number;
  readonly receivedBytesPerS: number;
  readonly keys: number;
  readonly logBytes: number;
  /** Of the peer that it is furthest behind of; undefined: of one nothing is known. 0 without peers. */
  readonly lagMs: number | undefined;
  readonly lagOf: string | undefined;
  /** To the peer that lacks most; undefined: of some peer it is not known. */
  readonly toSendOps: number | undefined;
  readonly linksUp: number;
  readonly links: number;
  readonly alarms: readonly string[];
  readonly hotWritten: readonly NodeHotKey[];
  readonly hotRead: readonly NodeHotKey[];
}

/** undefined: it is another process than before, whose counters began anew. */
export function ratesOf(before: NodeStatus, after: NodeStatus): NodeRates | undefined {
  const seconds = (after.nowMs - before.nowMs) / 1000;
  if (before.startedAtMs !== after.startedAtMs || before.node !== after.node || !(seconds > 0)) return undefined;
  const perS = (of: (counters: NodeStatus['counters']) => number): number =>
    Math.max(0, of(after.counters) - of(before.counters)) / seconds;
  const unknown = after.peers.find(({ lagMs }) => lagMs === undefined);
  const furthest = after.peers.toSorted((a, b) => (b.lagMs ?? 0) - (a.lagMs ?? 0))[0];
  const behind = unknown ?? furthest;
  return {
    region: after.region,
    node: after.node,
    state: after.state,
    seconds,
    writesPerS: perS(({ accepted }) => accepted),
    fromPeersPerS: perS(({ appliedRemote }) => appliedRemote),
    refusedPerS: perS(({ refused }) => refused),
    conflictsPerS: perS(({ conflicts }) => conflicts),
    batchesPerS: perS(({ commits }) => commits),
    receivedBytesPerS: perS(({ bytesReceived }) => bytesReceived),
    keys: after.keys,
    logBytes: after.log.bytes,
    lagMs: behind === undefined ? 0 : behind.lagMs,
    lagOf: behind?.region,
    toSendOps: toSend(after),
    linksUp: after.peers.filter(({ link }) => link.kind === 'up').length,
    links: after.peers.length,
    alarms: after.alarms.map(({ code }) => code),
    hotWritten: after.hotKeys.written,
    hotRead: after.hotKeys.read,
  };
}

export interface HotAnywhere extends NodeHotKey {
  readonly how: 'written' | 'read';
}

/** Of all nodes together, heaviest first. */
export function hottest(rates: readonly NodeRates[], k: number): HotAnywhere[] {
  const found = new Map<string, HotAnywhere>();
  const totals = { written: 0, read: 0 };
  for (const { hotWritten, hotRead } of rates) {
    for (const [how, keys] of [
      ['written', hotWritten],
      ['read', hotRead],
    ] as const) {
      const [first] = keys;
      if (first !== undefined && first.share > 0) totals[how] += first.perS / first.share;
      for (const key of keys) {
        const name = `${how} ${key.namespace}/${key.collection}/${key.key}`;
        found.set(name, { ...key, how, perS: key.perS + (found.get(name)?.perS ?? 0) });
      }
    }
  }
  return [...found.values()]
    .map((key) => ({ ...key, share: totals[key.how] === 0 ? 0 : key.perS / totals[key.how] }))
    .toSorted((a, b) => b.perS - a.perS)
    .slice(0, k);
}

function toSend({ peers }: NodeStatus): number | undefined {
  let most = 0;
  for (const { unacknowledgedOps } of peers) {
    if (unacknowledgedOps === undefined) return undefined;
    most = Math.max(most, unacknowledgedOps);
  }
  return most;
}
