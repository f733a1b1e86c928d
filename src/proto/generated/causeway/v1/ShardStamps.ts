// Original file: proto/causeway/v1/record.proto

import type { StampEntry as _causeway_v1_StampEntry, StampEntry__Output as _causeway_v1_StampEntry__Output } from '../../causeway/v1/StampEntry.ts';

export interface ShardStamps {
  'placementId'?: (number);
  'shardIndex'?: (number);
  'entries'?: (_causeway_v1_StampEntry)[];
}

export interface ShardStamps__Output {
  'placementId': (number);
  'shardIndex': (number);
  'entries': (_causeway_v1_StampEntry__Output)[];
}
