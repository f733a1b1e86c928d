// Original file: proto/causeway/v1/data.proto

import type { Long } from '@grpc/proto-loader';

export interface Version {
  'origin'?: (string);
  'seq'?: (number | string | Long);
  'stamp'?: (number | string | Long);
}

export interface Version__Output {
  'origin': (string);
  'seq': (number);
  'stamp': (number);
}
