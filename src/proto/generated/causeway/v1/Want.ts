// Original file: proto/causeway/v1/replication.proto

import type { VectorEntry as _causeway_v1_VectorEntry, VectorEntry__Output as _causeway_v1_VectorEntry__Output } from '../../causeway/v1/VectorEntry.ts';

export interface Want {
  'placementId'?: (number);
  'shardIndex'?: (number);
  'regions'?: (string)[];
  'have'?: (_causeway_v1_VectorEntry)[];
}

export interface Want__Output {
  'placementId': (number);
  'shardIndex': (number);
  'regions': (string)[];
  'have': (_causeway_v1_VectorEntry__Output)[];
}
