// Original file: proto/causeway/v1/replication.proto

import type { VectorEntry as _causeway_v1_VectorEntry, VectorEntry__Output as _causeway_v1_VectorEntry__Output } from '../../causeway/v1/VectorEntry.ts';

export interface AckShard {
  'placementId'?: (number);
  'shardIndex'?: (number);
  'durable'?: (_causeway_v1_VectorEntry)[];
}

export interface AckShard__Output {
  'placementId': (number);
  'shardIndex': (number);
  'durable': (_causeway_v1_VectorEntry__Output)[];
}
