// Original file: proto/causeway/v1/data.proto

import type { Long } from '@grpc/proto-loader';

export interface Dot {
  'origin'?: (string);
  'seq'?: (number | string | Long);
}

export interface Dot__Output {
  'origin': (string);
  'seq': (number);
}
