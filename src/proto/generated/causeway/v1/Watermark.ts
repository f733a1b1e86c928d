// Original file: proto/causeway/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

export interface Watermark {
  'region'?: (string);
  'incarnation'?: (number | string | Long);
  'seq'?: (number | string | Long);
  'stamp'?: (number | string | Long);
}

export interface Watermark__Output {
  'region': (string);
  'incarnation': (number);
  'seq': (number);
  'stamp': (number);
}
