// The ownership port: which shards of the region this node owns. A wrong answer is harmless: the log's fence decides (DESIGN 4).

import type { ShardId } from '../record/ids.ts';

export interface Ownership {
  owns(shard: ShardId): boolean;
  /** Called after owns(shard) has changed. */
  onChange(listener: (shard: ShardId, owned: boolean) => void): void;
}
