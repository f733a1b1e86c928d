// Original file: proto/causeway/v1/record.proto

import type { Long } from '@grpc/proto-loader';

export interface StampEntry {
  'region'?: (string);
  'incarnation'?: (number | string | Long);
  'stamp'?: (number | string | Long);
}

export interface StampEntry__Output {
  'region': (string);
  'incarnation': (number);
  'stamp': (number);
}
