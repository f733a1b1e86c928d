// Original file: proto/causeway/v1/data.proto

import type { ScanEntry as _causeway_v1_ScanEntry, ScanEntry__Output as _causeway_v1_ScanEntry__Output } from '../../causeway/v1/ScanEntry.ts';
import type { SessionToken as _causeway_v1_SessionToken, SessionToken__Output as _causeway_v1_SessionToken__Output } from '../../causeway/v1/SessionToken.ts';
import type { Long } from '@grpc/proto-loader';

export interface ScanResponse {
  'entries'?: (_causeway_v1_ScanEntry)[];
  'nextPageToken'?: (string);
  'session'?: (_causeway_v1_SessionToken | null);
  'stale'?: (boolean);
  'asOfStamp'?: (number | string | Long);
  'unchangedSinceStamp'?: (number | string | Long);
}

export interface ScanResponse__Output {
  'entries': (_causeway_v1_ScanEntry__Output)[];
  'nextPageToken': (string);
  'session': (_causeway_v1_SessionToken__Output | null);
  'stale': (boolean);
  'asOfStamp': (number);
  'unchangedSinceStamp': (number);
}
