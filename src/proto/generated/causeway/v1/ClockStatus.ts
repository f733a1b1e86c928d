// Original file: proto/causeway/v1/admin.proto

import type { Long } from '@grpc/proto-loader';

export interface ClockStatus {
  'maxSkewMs'?: (number | string | Long);
  'aheadMs'?: (number | string);
}

export interface ClockStatus__Output {
  'maxSkewMs': (number);
  'aheadMs': (number);
}
