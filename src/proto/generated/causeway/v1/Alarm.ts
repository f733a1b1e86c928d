// Original file: proto/causeway/v1/admin.proto

import type { Long } from '@grpc/proto-loader';

export interface Alarm {
  'sinceMs'?: (number | string | Long);
  'code'?: (string);
  'message'?: (string);
}

export interface Alarm__Output {
  'sinceMs': (number);
  'code': (string);
  'message': (string);
}
