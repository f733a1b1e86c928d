// Original file: proto/causeway/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

export interface BegunShard {
  'placementId'?: (number);
  'shardIndex'?: (number);
  'region'?: (string);
  'incarnation'?: (number | string | Long);
  'boundOfReceiver'?: (number | string | Long);
}

export interface BegunShard__Output {
  'placementId': (number);
  'shardIndex': (number);
  'region': (string);
  'incarnation': (number);
  'boundOfReceiver': (number);
}
