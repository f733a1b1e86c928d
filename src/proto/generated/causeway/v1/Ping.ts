// Original file: proto/causeway/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

export interface Ping {
  'sentAtMs'?: (number | string | Long);
}

export interface Ping__Output {
  'sentAtMs': (number);
}
