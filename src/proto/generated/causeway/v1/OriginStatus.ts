// Original file: proto/causeway/v1/admin.proto

import type { Long } from '@grpc/proto-loader';

export interface OriginStatus {
  'origin'?: (string);
  'seq'?: (number | string | Long);
  'watermark'?: (number | string | Long);
  'state'?: (string);
  'held'?: (string);
}

export interface OriginStatus__Output {
  'origin': (string);
  'seq': (number);
  'watermark': (number);
  'state': (string);
  'held': (string);
}
