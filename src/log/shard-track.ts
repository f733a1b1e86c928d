// What the segment log keeps in memory of one shard.

import type { ShardId } from '../record/ids.ts';
import { shardId } from '../record/ids.ts';
import { BatchIndex } from './batch-index.ts';
import { PositionIndex } from './position-index.ts';
import { shardKey, type ShardMark } from './segment-format.ts';
import { CachedTail } from './tail-cache.ts';

export class ShardTrack {
  readonly shard: ShardId;
  readonly placement: number;
  readonly index: number;
  /** Offset of the last durable entry. */
  tail = 0;
  /** Offset of the last entry that is durable or in the commit being written: what the next append is fenced with. */
  assigned = 0;
  /** A lease was appended in this epoch. */
  proven = false;
  readonly positions = new PositionIndex();
  readonly batches = new BatchIndex();
  readonly cached = new CachedTail();

  constructor(placement: number, index: number) {
    this.shard = shardId(placement, index);
    this.placement = placement;
    this.index = index;
  }

  get mark(): ShardMark {
    return { placement: this.placement, index: this.index, next: this.tail + 1, proven: this.proven };
  }
}

/** Of all shards that a log has or is opened with, by shardKey. */
export type ShardTracks = Map<number, ShardTrack>;

export function trackOf(tracks: ShardTracks, placement: number, index: number): ShardTrack {
  const key = shardKey(placement, index);
  let track = tracks.get(key);
  if (track === undefined) {
    track = new ShardTrack(placement, index);
    tracks.set(key, track);
  }
  return track;
}
