// Original file: proto/causeway/v1/replication.proto

import type { VectorEntry as _causeway_v1_VectorEntry, VectorEntry__Output as _causeway_v1_VectorEntry__Output } from '../../causeway/v1/VectorEntry.ts';
import type { Long } from '@grpc/proto-loader';

export interface WelcomeShard {
  'placementId'?: (number);
  'shardIndex'?: (number);
  'vector'?: (_causeway_v1_VectorEntry)[];
  'boundOfReceiver'?: (number | string | Long);
}

export interface WelcomeShard__Output {
  'placementId': (number);
  'shardIndex': (number);
  'vector': (_causeway_v1_VectorEntry__Output)[];
  'boundOfReceiver': (number);
}
