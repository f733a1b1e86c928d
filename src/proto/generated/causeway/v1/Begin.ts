// Original file: proto/causeway/v1/replication.proto

import type { BeginShard as _causeway_v1_BeginShard, BeginShard__Output as _causeway_v1_BeginShard__Output } from '../../causeway/v1/BeginShard.ts';

export interface Begin {
  'shards'?: (_causeway_v1_BeginShard)[];
}

export interface Begin__Output {
  'shards': (_causeway_v1_BeginShard__Output)[];
}
