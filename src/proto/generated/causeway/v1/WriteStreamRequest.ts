// Original file: proto/causeway/v1/data.proto

import type { WriteRequest as _causeway_v1_WriteRequest, WriteRequest__Output as _causeway_v1_WriteRequest__Output } from '../../causeway/v1/WriteRequest.ts';
import type { Long } from '@grpc/proto-loader';

export interface WriteStreamRequest {
  'write'?: (_causeway_v1_WriteRequest | null);
  'requestId'?: (number | string | Long);
  'epoch'?: (number);
}

export interface WriteStreamRequest__Output {
  'write': (_causeway_v1_WriteRequest__Output | null);
  'requestId': (number);
  'epoch': (number);
}
