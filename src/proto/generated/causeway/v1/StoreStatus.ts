// Original file: proto/causeway/v1/admin.proto

import type { Long } from '@grpc/proto-loader';

export interface StoreStatus {
  'engine'?: (string);
  'bytes'?: (number | string | Long);
}

export interface StoreStatus__Output {
  'engine': (string);
  'bytes': (number);
}
