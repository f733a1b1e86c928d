// Original file: proto/causeway/v1/data.proto

import type { ErrorDetail as _causeway_v1_ErrorDetail, ErrorDetail__Output as _causeway_v1_ErrorDetail__Output } from '../../causeway/v1/ErrorDetail.ts';
import type { SessionToken as _causeway_v1_SessionToken, SessionToken__Output as _causeway_v1_SessionToken__Output } from '../../causeway/v1/SessionToken.ts';
import type { View as _causeway_v1_View, View__Output as _causeway_v1_View__Output } from '../../causeway/v1/View.ts';
import type { Long } from '@grpc/proto-loader';

export interface WriteResponse {
  'failed'?: (number)[];
  'failedError'?: (number)[];
  'errors'?: (_causeway_v1_ErrorDetail)[];
  'duplicates'?: (number)[];
  'session'?: (_causeway_v1_SessionToken | null);
  'shards'?: (string)[];
  'origins'?: (string)[];
  'opShard'?: (number)[];
  'opOrigin'?: (number)[];
  'opSeq'?: (number | string | Long)[];
  'opStamp'?: (number | string | Long)[];
  'valued'?: (number)[];
  'values'?: (_causeway_v1_View)[];
  'elsewhere'?: (boolean);
}

export interface WriteResponse__Output {
  'failed': (number)[];
  'failedError': (number)[];
  'errors': (_causeway_v1_ErrorDetail__Output)[];
  'duplicates': (number)[];
  'session': (_causeway_v1_SessionToken__Output | null);
  'shards': (string)[];
  'origins': (string)[];
  'opShard': (number)[];
  'opOrigin': (number)[];
  'opSeq': (number)[];
  'opStamp': (number)[];
  'valued': (number)[];
  'values': (_causeway_v1_View__Output)[];
  'elsewhere': (boolean);
}
