// Original file: proto/causeway/v1/admin.proto

import type { Long } from '@grpc/proto-loader';

export interface DigestsRequest {
  'asOfMs'?: (number | string | Long);
}

export interface DigestsRequest__Output {
  'asOfMs': (number);
}
