// Original file: proto/causeway/v1/data.proto

import type { Version as _causeway_v1_Version, Version__Output as _causeway_v1_Version__Output } from '../../causeway/v1/Version.ts';
import type { Long } from '@grpc/proto-loader';

export interface RegisterView {
  'value'?: (Buffer | Uint8Array | string);
  'version'?: (_causeway_v1_Version | null);
  'expiresAtMs'?: (number | string | Long);
}

export interface RegisterView__Output {
  'value': (Buffer);
  'version': (_causeway_v1_Version__Output | null);
  'expiresAtMs': (number);
}
