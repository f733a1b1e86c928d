// What the nodes of a region say of themselves, as one: sums, and of what each is behind by, the worst. Pure.
//
// A node that did not answer leaves a hole: what it would have added to a sum is missing and named, and what could only be told with it (how far the region is behind) is not known.

import type { NodePeer, NodeStatus } from '../client/index.ts';

export interface WholeRegion {
  /** Of the node that was asked, with everything that concerns shards summed up over the region's nodes. */
  readonly status: NodeStatus;
  /** Of shards whose owner did not answer, or that have none. */
  readonly missing: readonly string[];
}

/** Of a region of one node: what it says. */
export function wholeRegion(status: NodeStatus): WholeRegion {
  const { others, owners } = status;
  if (others.length === 0) return { status, missing: [] };
  const told = [status, ...others.flatMap((other) => other.status ?? [])];
  const names = new Set(told.map(({ node }) => node));
  const missing = owners.filter(({ node }) => !names.has(node)).map(({ shard }) => shard);
  const sum = (of: (one: NodeStatus) => number): number => told.reduce((total, one) => total + of(one), 0);
  const keys = Object.keys(status.counters) as (keyof NodeStatus['counters'])[];
  return {
    status: {
      ...status,
      keys: sum((one) => one.keys),
      counters: Object.fromEntries(
        keys.map((name) => [name, sum(({ counters }) => counters[name])]),
      ) as unknown as NodeStatus['counters'],
      peers: status.peers.map((peer) => wholePeer(peer, told, missing.length > 0)),
      shards: told.flatMap(({ shards }) => shards).sort((a, b) => compareShards(a.shard, b.shard)),
      alarms: told.flatMap(({ node, alarms }) =>
        alarms.map((alarm) => ({ ...alarm, message: `${node}: ${alarm.message}` })),
      ),
      hotKeys: {
        written: hottest(told.map(({ hotKeys }) => hotKeys.written)),
        read: hottest(told.map(({ hotKeys }) => hotKeys.read)),
      },
    },
    missing,
  };
}

function wholePeer(peer: NodePeer, told: readonly NodeStatus[], incomplete: boolean): NodePeer {
  // A node without shards has nothing to be behind with.
  const seen = told
    .filter(({ shards }) => shards.length > 0)
    .flatMap(({ peers }) => peers.filter(({ region }) => region === peer.region));
  const all = (of: (one: NodePeer) => number | undefined): number[] => seen.flatMap((one) => of(one) ?? []);
  const known = (of: (one: NodePeer) => number | undefined): boolean =>
    !incomplete && seen.length > 0 && all(of).length === seen.length;
  const worst = (of: (one: NodePeer) => number | undefined): number | undefined =>
    all(of).length === 0 ? undefined : Math.max(...all(of));
  return {
    ...peer,
    link: seen.find(({ link }) => link.kind !== 'up')?.link ?? peer.link,
    lagMs: known(({ lagMs }) => lagMs) ? worst(({ lagMs }) => lagMs) : undefined,
    opLagMsP50: worst(({ opLagMsP50 }) => opLagMsP50),
    opLagMsP99: worst(({ opLagMsP99 }) => opLagMsP99),
    unacknowledgedOps: known(({ unacknowledgedOps }) => unacknowledgedOps)
      ? all(({ unacknowledgedOps }) => unacknowledgedOps).reduce((a, b) => a + b, 0)
      : undefined,
  };
}

type HotKeys = NodeStatus['hotKeys']['written'];

/** Shares are of all nodes' ops together. */
function hottest(lists: readonly HotKeys[]): HotKeys {
  // What a node does in all, by any of its keys.
  const totals = lists.map(([first]) => (first === undefined || first.share === 0 ? 0 : first.perS / first.share));
  const total = totals.reduce((a, b) => a + b, 0);
  return lists
    .flat()
    .map((key) => ({ ...key, share: total === 0 ? 0 : key.perS / total }))
    .sort((a, b) => b.perS - a.perS);
}

export function compareShards(a: string, b: string): number {
  const [one, two] = [a.split('/').map(Number), b.split('/').map(Number)];
  return one[0]! - two[0]! || one[1]! - two[1]!;
}
