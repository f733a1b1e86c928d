// Original file: proto/causeway/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

export interface OriginName {
  'region'?: (string);
  'incarnation'?: (number | string | Long);
}

export interface OriginName__Output {
  'region': (string);
  'incarnation': (number);
}
