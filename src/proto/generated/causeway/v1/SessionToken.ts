// Original file: proto/causeway/v1/record.proto

import type { ShardStamps as _causeway_v1_ShardStamps, ShardStamps__Output as _causeway_v1_ShardStamps__Output } from '../../causeway/v1/ShardStamps.ts';

export interface SessionToken {
  'version'?: (number);
  'clusterId'?: (string);
  'shards'?: (_causeway_v1_ShardStamps)[];
}

export interface SessionToken__Output {
  'version': (number);
  'clusterId': (string);
  'shards': (_causeway_v1_ShardStamps__Output)[];
}
