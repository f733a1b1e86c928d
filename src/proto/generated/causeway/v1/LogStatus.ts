// Original file: proto/causeway/v1/admin.proto

import type { Long } from '@grpc/proto-loader';

export interface LogStatus {
  'engine'?: (string);
  'durable'?: (boolean);
  'detail'?: (string);
  'state'?: (string);
  'stateReason'?: (string);
  'bytes'?: (number | string | Long);
}

export interface LogStatus__Output {
  'engine': (string);
  'durable': (boolean);
  'detail': (string);
  'state': (string);
  'stateReason': (string);
  'bytes': (number);
}
