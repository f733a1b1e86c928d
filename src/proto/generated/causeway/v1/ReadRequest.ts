// Original file: proto/causeway/v1/data.proto

import type { Consistency as _causeway_v1_Consistency, Consistency__Output as _causeway_v1_Consistency__Output } from '../../causeway/v1/Consistency.ts';
import type { SessionToken as _causeway_v1_SessionToken, SessionToken__Output as _causeway_v1_SessionToken__Output } from '../../causeway/v1/SessionToken.ts';
import type { Long } from '@grpc/proto-loader';

export interface ReadRequest {
  'namespace'?: (string);
  'collection'?: (string);
  'keys'?: (string)[];
  'consistency'?: (_causeway_v1_Consistency);
  'session'?: (_causeway_v1_SessionToken | null);
  'allowStale'?: (boolean);
  'deadlineMs'?: (number);
  'maxStaleMs'?: (number);
  'stableStamp'?: (number | string | Long);
}

export interface ReadRequest__Output {
  'namespace': (string);
  'collection': (string);
  'keys': (string)[];
  'consistency': (_causeway_v1_Consistency__Output);
  'session': (_causeway_v1_SessionToken__Output | null);
  'allowStale': (boolean);
  'deadlineMs': (number);
  'maxStaleMs': (number);
  'stableStamp': (number);
}
