// Original file: proto/causeway/v1/data.proto

import type { Long } from '@grpc/proto-loader';

export interface MapField {
  'field'?: (string);
  'value'?: (Buffer | Uint8Array | string);
  'expiresAtMs'?: (number | string | Long);
}

export interface MapField__Output {
  'field': (string);
  'value': (Buffer);
  'expiresAtMs': (number);
}
