// Original file: proto/causeway/v1/admin.proto

import type { OriginStatus as _causeway_v1_OriginStatus, OriginStatus__Output as _causeway_v1_OriginStatus__Output } from '../../causeway/v1/OriginStatus.ts';
import type { Long } from '@grpc/proto-loader';

export interface ShardStatus {
  'shard'?: (string);
  'origins'?: (_causeway_v1_OriginStatus)[];
  'ownOrigin'?: (string);
  'parkedBatches'?: (number | string | Long);
  'tombstones'?: (number | string | Long);
}

export interface ShardStatus__Output {
  'shard': (string);
  'origins': (_causeway_v1_OriginStatus__Output)[];
  'ownOrigin': (string);
  'parkedBatches': (number);
  'tombstones': (number);
}
