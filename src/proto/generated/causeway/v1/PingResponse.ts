// Original file: proto/causeway/v1/admin.proto

import type { Long } from '@grpc/proto-loader';

export interface PingResponse {
  'region'?: (string);
  'node'?: (string);
  'version'?: (string);
  'nowMs'?: (number | string | Long);
  'ready'?: (boolean);
}

export interface PingResponse__Output {
  'region': (string);
  'node': (string);
  'version': (string);
  'nowMs': (number);
  'ready': (boolean);
}
