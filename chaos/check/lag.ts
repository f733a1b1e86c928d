// I14  lag is honest: while a region lacks an op that a peer has logged, the lag that it shows for that peer is at least the op's age.

import { msOfStamp } from '../../src/clock/hlc.ts';
import type { RegionId, Version } from '../../src/record/ids.ts';
import type { RegionStatus } from '../../src/region/region.ts';
import type { History } from './history.ts';
import { holds } from './violation.ts';

/** The version with the lowest stamp of an op that `peer` has in its log and of which `status` (of another region) shows that it is not applied there. */
export function oldestMissing(history: History, status: RegionStatus, peer: RegionId): Version | undefined {
  let oldest: Version | undefined;
  for (const { shard, origins } of status.shards) {
    // The peer's live origin: of an earlier one nobody here may know how far it went, and a peer whose disk is gone, or an old one, may
    // get its ops back from others behind its own.
    const { leased, vector } = history.log(peer, shard);
    for (const [origin, there] of vector) {
      if (origin !== leased) continue;
      const known = origins.find((each) => each.origin === origin);
      const here = known?.seq ?? 0;
      // What a disk alone had and lost, and what lies beyond an end, is missing for ever.
      if (here >= there || known?.state === 'closed') continue;
      const { version } = history.op(shard, origin, here + 1)!;
      if (oldest === undefined || version.stamp < oldest.stamp) oldest = version;
    }
  }
  return oldest;
}

export function checkLag(history: History, status: RegionStatus): void {
  for (const { region, lagMs } of status.peers) {
    const oldest = oldestMissing(history, status, region);
    if (oldest === undefined || lagMs === undefined) continue;
    const ageMs = status.nowMs - msOfStamp(oldest.stamp);
    holds(
      lagMs >= ageMs,
      'I14',
      () =>
        `${status.region} shows a lag of ${lagMs} ms to ${region}, and lacks an op of it (${oldest.origin}:${oldest.seq}) that is ${ageMs} ms old`,
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
