// What a node counts on its hot path beside what `status` shows: plain numbers, read when somebody scrapes (figures.ts).

import { msOfStamp } from '../clock/hlc.ts';
import { Histogram, LAG_SECONDS } from '../metrics/histogram.ts';
import type { BatchHeader } from '../record/batch.ts';
import type { RegionId, ShardId } from '../record/ids.ts';
import { MERGE_TYPE_CODES, type MergeTypeName } from '../record/op.ts';
import { HotKeys } from './hot-keys.ts';
import { LagSamples } from './lag.ts';
import { Landings } from './landings.ts';

/** Of one other region's ops. */
export class OriginTally {
  appliedOps = 0;
  refusedBatches = 0;
  /** The last ones, for percentiles of the last minute. */
  readonly lags = new LagSamples();
  readonly lagSeconds = new Histogram(LAG_SECONDS);

  landed({ count, firstStamp }: BatchHeader, nowMs: number): void {
    const lagMs = nowMs - msOfStamp(firstStamp);
    this.appliedOps += count;
    this.lags.add(nowMs, lagMs);
    // The first op's for all: a batch is a few milliseconds from end to end. Below 0 is the clocks' offset and no lag.
    this.lagSeconds.add(Math.max(0, lagMs) / 1000, count);
  }
}

export class Tallies {
  readonly origins = new Map<RegionId, OriginTally>();
  readonly linkDrops = new Map<RegionId, number>();
  readonly conflicts = new Map<MergeTypeName, number>(
    (Object.keys(MERGE_TYPE_CODES) as MergeTypeName[]).map((type) => [type, 0]),
  );
  readonly written: HotKeys;
  readonly read: HotKeys;
  shardRestarts = 0;
  storeRebuilds = 0;
  /** Of own batches, by the bytes of their ops. */
  ownBytes = 0;
  readonly landings = new Map<ShardId, Landings>();

  constructor(monotonicMs: () => number) {
    this.written = new HotKeys(monotonicMs);
    this.read = new HotKeys(monotonicMs);
  }

  landed(shard: ShardId, offset: number, ops: number, nowMs: number): void {
    let landings = this.landings.get(shard);
    if (landings === undefined) {
      landings = new Landings();
      this.landings.set(shard, landings);
    }
    landings.add(offset, nowMs);
    landings.ops += ops;
  }

  origin(region: RegionId): OriginTally {
    let tally = this.origins.get(region);
    if (tally === undefined) {
      tally = new OriginTally();
      this.origins.set(region, tally);
    }
    return tally;
  }
}
