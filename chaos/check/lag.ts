// I14  lag is honest: while a region lacks an op that a peer has logged, the lag that it shows for that peer is at least the op's age.

import { msOfStamp } from '../../src/clock/hlc.ts';
import { originRegion, type RegionId } from '../../src/record/ids.ts';
import type { RegionStatus } from '../../src/region/region.ts';
import type { History } from './history.ts';
import { holds } from './violation.ts';

/** The lowest stamp of an op that `peer` has in its log and of which `status` (of another region) shows that it is not applied there. */
export function oldestMissing(history: History, status: RegionStatus, peer: RegionId): number | undefined {
  let oldest: number | undefined;
  for (const { shard, origins } of status.shards) {
    // The latest of the peer's origins: of an earlier one nobody here may know how far it went.
    const latest = [...history.log(peer, shard).vector].findLast(([origin]) => originRegion(origin) === peer);
    for (const [origin, there] of latest === undefined ? [] : [latest]) {
      const known = origins.find((each) => each.origin === origin);
      const here = known?.seq ?? 0;
      // What a disk alone had and lost, and what lies beyond an end, is missing for ever.
      if (here >= there || known?.state === 'closed') continue;
      const { stamp } = history.op(shard, origin, here + 1)!.version;
      if (oldest === undefined || stamp < oldest) oldest = stamp;
    }
  }
  return oldest;
}

export function checkLag(history: History, status: RegionStatus): void {
  for (const { region, lagMs } of status.peers) {
    const oldest = oldestMissing(history, status, region);
    if (oldest === undefined || lagMs === undefined) continue;
    const ageMs = status.nowMs - msOfStamp(oldest);
    holds(
      lagMs >= ageMs,
      'I14',
      () => `${status.region} shows a lag of ${lagMs} ms to ${region}, and lacks an op of it that is ${ageMs} ms old`,
    );
  }
}

interface Running {
  readonly history: History;
  readonly regions: readonly {
    readonly upNodes: readonly { readonly node: { status(): RegionStatus } | undefined }[];
  }[];
}

/** Now and then, of every running node; that it can be asked at any time is checked on the way. */
export class LagCheck {
  readonly #cluster: Running;

  constructor(cluster: Running) {
    this.#cluster = cluster;
  }

  sample(): void {
    for (const { upNodes } of this.#cluster.regions) {
      for (const { node } of upNodes) if (node !== undefined) checkLag(this.#cluster.history, node.status());
    }
  }
}
