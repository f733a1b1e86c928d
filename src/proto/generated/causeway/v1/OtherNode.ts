// Original file: proto/causeway/v1/admin.proto

import type { StatusResponse as _causeway_v1_StatusResponse, StatusResponse__Output as _causeway_v1_StatusResponse__Output } from '../../causeway/v1/StatusResponse.ts';

export interface OtherNode {
  'node'?: (string);
  'address'?: (string);
  'status'?: (_causeway_v1_StatusResponse | null);
  'problem'?: (string);
}

export interface OtherNode__Output {
  'node': (string);
  'address': (string);
  'status': (_causeway_v1_StatusResponse__Output | null);
  'problem': (string);
}
