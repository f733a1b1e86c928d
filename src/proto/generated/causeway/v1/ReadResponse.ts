// Original file: proto/causeway/v1/data.proto

import type { View as _causeway_v1_View, View__Output as _causeway_v1_View__Output } from '../../causeway/v1/View.ts';
import type { SessionToken as _causeway_v1_SessionToken, SessionToken__Output as _causeway_v1_SessionToken__Output } from '../../causeway/v1/SessionToken.ts';
import type { Long } from '@grpc/proto-loader';

export interface ReadResponse {
  'views'?: (_causeway_v1_View)[];
  'session'?: (_causeway_v1_SessionToken | null);
  'stale'?: (boolean);
  'asOfStamp'?: (number | string | Long);
  'unchangedSinceStamp'?: (number | string | Long);
  'elsewhere'?: (boolean);
}

export interface ReadResponse__Output {
  'views': (_causeway_v1_View__Output)[];
  'session': (_causeway_v1_SessionToken__Output | null);
  'stale': (boolean);
  'asOfStamp': (number);
  'unchangedSinceStamp': (number);
  'elsewhere': (boolean);
}
