// Who is asked for whose ops. Normally an origin's region serves them itself; while it cannot, everybody else who holds the
// shard is asked for them too. What comes twice is dropped as a duplicate (I2), so a wrong guess costs bandwidth and nothing else.

import type { RegionId, ShardId } from '../record/ids.ts';

/** So long is a direct link gone before it makes a difference: links that flap would otherwise send everything twice. That it is back
 *  makes one at once: behind a cut lies a backlog, and whoever is still asked for it then sends all of it a second time. */
export const RELAY_AFTER_MS = 1000;
/** Regions outside the shard's placement whose origins are relayed all the same: former members. Beyond: the later ones are left
 *  out until the node restarts. */
export const FORMER_REGIONS_MAX = 64;

interface Direct {
  up: boolean;
  sinceMs: number;
  relayed: boolean;
}

export class Relays {
  readonly #afterMs: number;
  readonly #direct = new Map<ShardId, Map<RegionId, Direct>>();
  readonly #former = new Map<ShardId, Set<RegionId>>();

  constructor(afterMs: number = RELAY_AFTER_MS) {
    this.#afterMs = afterMs;
  }

  /** Notes whether a link serves the region's ops of the shard itself. True when that changes who is asked. Called at every
   *  heartbeat and whenever a link changes. */
  note(shard: ShardId, region: RegionId, up: boolean, monotonicMs: number): boolean {
    let regions = this.#direct.get(shard);
    if (regions === undefined) {
      regions = new Map();
      this.#direct.set(shard, regions);
    }
    let direct = regions.get(region);
    if (direct === undefined) {
      // Relayed from the start: until a region was up once, nobody knows whether it ever will be.
      direct = { up, sinceMs: monotonicMs, relayed: !up };
      regions.set(region, direct);
      return true;
    }
    if (direct.up !== up) {
      direct.up = up;
      direct.sinceMs = monotonicMs;
    }
    const relayed = !direct.up && (direct.relayed || monotonicMs - direct.sinceMs >= this.#afterMs);
    if (relayed === direct.relayed) return false;
    direct.relayed = relayed;
    return true;
  }

  /** An origin's region was heard of that is not in the shard's placement (any more). True when it is news. */
  noteFormer(shard: ShardId, region: RegionId): boolean {
    let regions = this.#former.get(shard);
    if (regions === undefined) {
      regions = new Set();
      this.#former.set(shard, regions);
    }
    if (regions.has(region) || regions.size >= FORMER_REGIONS_MAX) return false;
    regions.add(region);
    return true;
  }

  isRelayed(shard: ShardId, region: RegionId): boolean {
    return this.#direct.get(shard)?.get(region)?.relayed ?? true;
  }

  /** Regions whose origins of the shard are asked of `peer`, sorted. */
  regionsOf(shard: ShardId, peer: RegionId, self: RegionId, members: readonly RegionId[]): RegionId[] {
    // Ourselves always: the peer may hold ops of our earlier incarnations that our log has lost.
    const relayed = members.filter((member) => this.isRelayed(shard, member));
    return this.#withFormer(shard, [peer, self, ...relayed], members);
  }

  /** Everybody's, sorted: of a peer that is the only one to be asked. */
  allOf(shard: ShardId, members: readonly RegionId[]): RegionId[] {
    return this.#withFormer(shard, members, members);
  }

  #withFormer(shard: ShardId, asked: readonly RegionId[], members: readonly RegionId[]): RegionId[] {
    const former = [...(this.#former.get(shard) ?? [])].filter((region) => !members.includes(region));
    return [...new Set([...asked, ...former])].toSorted();
  }
}
