// Original file: proto/causeway/v1/record.proto

import type { Long } from '@grpc/proto-loader';

export interface VectorEntry {
  'region'?: (string);
  'incarnation'?: (number | string | Long);
  'seq'?: (number | string | Long);
}

export interface VectorEntry__Output {
  'region': (string);
  'incarnation': (number);
  'seq': (number);
}
