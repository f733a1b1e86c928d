// Original file: proto/causeway/v1/data.proto

import type { Version as _causeway_v1_Version, Version__Output as _causeway_v1_Version__Output } from '../../causeway/v1/Version.ts';

export interface Sibling {
  'value'?: (Buffer | Uint8Array | string);
  'version'?: (_causeway_v1_Version | null);
}

export interface Sibling__Output {
  'value': (Buffer);
  'version': (_causeway_v1_Version__Output | null);
}
