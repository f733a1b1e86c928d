// Original file: proto/causeway/v1/replication.proto

import type { AckShard as _causeway_v1_AckShard, AckShard__Output as _causeway_v1_AckShard__Output } from '../../causeway/v1/AckShard.ts';

export interface Ack {
  'shards'?: (_causeway_v1_AckShard)[];
}

export interface Ack__Output {
  'shards': (_causeway_v1_AckShard__Output)[];
}
