// Original file: proto/causeway/v1/data.proto

import type { WriteResponse as _causeway_v1_WriteResponse, WriteResponse__Output as _causeway_v1_WriteResponse__Output } from '../../causeway/v1/WriteResponse.ts';
import type { ErrorDetail as _causeway_v1_ErrorDetail, ErrorDetail__Output as _causeway_v1_ErrorDetail__Output } from '../../causeway/v1/ErrorDetail.ts';
import type { Long } from '@grpc/proto-loader';

export interface WriteStreamResult {
  'requestId'?: (number | string | Long);
  'write'?: (_causeway_v1_WriteResponse | null);
  'error'?: (_causeway_v1_ErrorDetail | null);
  'result'?: "write"|"error";
}

export interface WriteStreamResult__Output {
  'requestId': (number);
  'write'?: (_causeway_v1_WriteResponse__Output | null);
  'error'?: (_causeway_v1_ErrorDetail__Output | null);
  'result'?: "write"|"error";
}
