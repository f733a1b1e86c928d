// Original file: proto/causeway/v1/admin.proto

import type { ShardOwner as _causeway_v1_ShardOwner, ShardOwner__Output as _causeway_v1_ShardOwner__Output } from '../../causeway/v1/ShardOwner.ts';

export interface MoveShardResponse {
  'owner'?: (_causeway_v1_ShardOwner | null);
  'moved'?: (boolean);
  'region'?: (string);
}

export interface MoveShardResponse__Output {
  'owner': (_causeway_v1_ShardOwner__Output | null);
  'moved': (boolean);
  'region': (string);
}
