// Original file: proto/causeway/v1/record.proto

import type { VectorEntry as _causeway_v1_VectorEntry, VectorEntry__Output as _causeway_v1_VectorEntry__Output } from '../../causeway/v1/VectorEntry.ts';

export interface ShardVector {
  'placementId'?: (number);
  'shardIndex'?: (number);
  'entries'?: (_causeway_v1_VectorEntry)[];
}

export interface ShardVector__Output {
  'placementId': (number);
  'shardIndex': (number);
  'entries': (_causeway_v1_VectorEntry__Output)[];
}
