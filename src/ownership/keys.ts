// How shards are named in the bucket: KV keys take no '/'.

import { shardParts, type ShardId } from '../record/ids.ts';

export function partOf(shard: ShardId): string {
  const { placementId, index } = shardParts(shard);
  return `${placementId}.${index}`;
}
