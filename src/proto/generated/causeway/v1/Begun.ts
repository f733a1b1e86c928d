// Original file: proto/causeway/v1/replication.proto

import type { BegunShard as _causeway_v1_BegunShard, BegunShard__Output as _causeway_v1_BegunShard__Output } from '../../causeway/v1/BegunShard.ts';

export interface Begun {
  'shards'?: (_causeway_v1_BegunShard)[];
}

export interface Begun__Output {
  'shards': (_causeway_v1_BegunShard__Output)[];
}
