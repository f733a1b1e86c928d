// How long a region acknowledged no write in one of its shards, at most: what a shard's change of owner costs. By the answers that came from the
// region itself, so clients that went elsewhere meanwhile do not hide it.

import { regionOf } from '../../history/names.ts';
import type { Recording } from '../../history/recording.ts';
import type { Check } from './check.ts';

export const shards: Check = {
  name: 'shards',
  promise: 'each shard of a region takes writes again soon when its owner is gone',
  judge: (recording, found) => {
    const facts: Record<string, number> = {};
    let looked = 0;
    for (const [region, limitMs] of Object.entries(recording.run.limits.shardUnavailableMsMax ?? {})) {
      let longestMs = 0;
      for (const [shard, ends] of acknowledgements(recording, region)) {
        looked += ends.length;
        for (let i = 1; i < ends.length; i++) {
          const ms = ends[i]! - ends[i - 1]!;
          longestMs = Math.max(longestMs, ms);
          if (ms > limitMs) {
            found(
              `${region} acknowledged nothing in ${shard} for ${Math.round(ms)} ms from ${Math.round(ends[i - 1]!)} ms on; at most ${limitMs} ms are promised`,
            );
          }
        }
      }
      facts[`${region}: longest ms without a write in a shard`] = Math.round(longestMs);
    }
    return { looked, facts };
  },
};

/** By shard, ascending, with the ends of the traffic. */
function acknowledgements({ writes, end }: Recording, region: string): ReadonlyMap<string, readonly number[]> {
  const byShard = new Map<string, number[]>();
  if (end === undefined) return byShard;
  const { trafficFromMs, trafficToMs } = end;
  for (const { outcome, version, shard, endMs } of writes) {
    if (outcome !== 'ok' || version === undefined || shard === undefined) continue;
    // One that only other regions acknowledged is a shard of this one, too.
    const ends = byShard.get(shard) ?? [trafficFromMs, trafficToMs];
    byShard.set(shard, ends);
    if (regionOf(version.origin) === region && endMs > trafficFromMs && endMs < trafficToMs) ends.push(endMs);
  }
  for (const ends of byShard.values()) ends.sort((a, b) => a - b);
  return byShard;
}
