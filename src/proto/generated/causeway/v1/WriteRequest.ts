// Original file: proto/causeway/v1/data.proto

import type { WriteOp as _causeway_v1_WriteOp, WriteOp__Output as _causeway_v1_WriteOp__Output } from '../../causeway/v1/WriteOp.ts';
import type { Durability as _causeway_v1_Durability, Durability__Output as _causeway_v1_Durability__Output } from '../../causeway/v1/Durability.ts';
import type { SessionToken as _causeway_v1_SessionToken, SessionToken__Output as _causeway_v1_SessionToken__Output } from '../../causeway/v1/SessionToken.ts';
import type { Long } from '@grpc/proto-loader';

export interface WriteRequest {
  'namespace'?: (string);
  'collections'?: (string)[];
  'ops'?: (_causeway_v1_WriteOp)[];
  'durability'?: (_causeway_v1_Durability);
  'durableRegions'?: (number);
  'deadlineMs'?: (number);
  'session'?: (_causeway_v1_SessionToken | null);
  'producerId'?: (number | string | Long);
  'issuedAtMs'?: (number | string | Long);
  'wantVersions'?: (boolean);
  'wantValues'?: (boolean);
  'seenStamp'?: (number | string | Long);
}

export interface WriteRequest__Output {
  'namespace': (string);
  'collections': (string)[];
  'ops': (_causeway_v1_WriteOp__Output)[];
  'durability': (_causeway_v1_Durability__Output);
  'durableRegions': (number);
  'deadlineMs': (number);
  'session': (_causeway_v1_SessionToken__Output | null);
  'producerId': (number);
  'issuedAtMs': (number);
  'wantVersions': (boolean);
  'wantValues': (boolean);
  'seenStamp': (number);
}
