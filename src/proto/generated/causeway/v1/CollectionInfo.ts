// Original file: proto/causeway/v1/data.proto

import type { MergeType as _causeway_v1_MergeType, MergeType__Output as _causeway_v1_MergeType__Output } from '../../causeway/v1/MergeType.ts';

export interface CollectionInfo {
  'name'?: (string);
  'id'?: (number);
  'mergeType'?: (_causeway_v1_MergeType);
}

export interface CollectionInfo__Output {
  'name': (string);
  'id': (number);
  'mergeType': (_causeway_v1_MergeType__Output);
}
