// Original file: proto/causeway/v1/admin.proto

import type { KeyChange as _causeway_v1_KeyChange, KeyChange__Output as _causeway_v1_KeyChange__Output } from '../../causeway/v1/KeyChange.ts';
import type { CollectionInfo as _causeway_v1_CollectionInfo, CollectionInfo__Output as _causeway_v1_CollectionInfo__Output } from '../../causeway/v1/CollectionInfo.ts';
import type { View as _causeway_v1_View, View__Output as _causeway_v1_View__Output } from '../../causeway/v1/View.ts';
import type { Long } from '@grpc/proto-loader';

export interface KeyHistoryResponse {
  'changes'?: (_causeway_v1_KeyChange)[];
  'nextPageToken'?: (string);
  'region'?: (string);
  'shard'?: (string);
  'collection'?: (_causeway_v1_CollectionInfo | null);
  'origins'?: (string)[];
  'value'?: (_causeway_v1_View | null);
  'logStart'?: (number | string | Long);
  'nowMs'?: (number | string | Long);
}

export interface KeyHistoryResponse__Output {
  'changes': (_causeway_v1_KeyChange__Output)[];
  'nextPageToken': (string);
  'region': (string);
  'shard': (string);
  'collection': (_causeway_v1_CollectionInfo__Output | null);
  'origins': (string)[];
  'value': (_causeway_v1_View__Output | null);
  'logStart': (number);
  'nowMs': (number);
}
