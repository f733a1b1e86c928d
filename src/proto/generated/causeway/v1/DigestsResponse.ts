// Original file: proto/causeway/v1/admin.proto

import type { ShardDigest as _causeway_v1_ShardDigest, ShardDigest__Output as _causeway_v1_ShardDigest__Output } from '../../causeway/v1/ShardDigest.ts';

export interface DigestsResponse {
  'digests'?: (_causeway_v1_ShardDigest)[];
}

export interface DigestsResponse__Output {
  'digests': (_causeway_v1_ShardDigest__Output)[];
}
