// Original file: proto/causeway/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

export interface BeginShard {
  'placementId'?: (number);
  'shardIndex'?: (number);
  'region'?: (string);
  'incarnation'?: (number | string | Long);
}

export interface BeginShard__Output {
  'placementId': (number);
  'shardIndex': (number);
  'region': (string);
  'incarnation': (number);
}
