// Original file: proto/causeway/v1/admin.proto

import type { MergeType as _causeway_v1_MergeType, MergeType__Output as _causeway_v1_MergeType__Output } from '../../causeway/v1/MergeType.ts';
import type { Long } from '@grpc/proto-loader';

export interface AlterCollectionRequest {
  'namespace'?: (string);
  'name'?: (string);
  'mergeType'?: (_causeway_v1_MergeType);
  'description'?: (string);
  'defaultExpiryMs'?: (number | string | Long);
  'wait'?: (boolean);
  'deadlineMs'?: (number);
  '_description'?: "description";
  '_defaultExpiryMs'?: "defaultExpiryMs";
}

export interface AlterCollectionRequest__Output {
  'namespace': (string);
  'name': (string);
  'mergeType': (_causeway_v1_MergeType__Output);
  'description'?: (string);
  'defaultExpiryMs'?: (number);
  'wait': (boolean);
  'deadlineMs': (number);
  '_description'?: "description";
  '_defaultExpiryMs'?: "defaultExpiryMs";
}
