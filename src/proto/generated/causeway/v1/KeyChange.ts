// Original file: proto/causeway/v1/admin.proto

import type { FeedEvent as _causeway_v1_FeedEvent, FeedEvent__Output as _causeway_v1_FeedEvent__Output } from '../../causeway/v1/FeedEvent.ts';
import type { Long } from '@grpc/proto-loader';

export interface KeyChange {
  'event'?: (_causeway_v1_FeedEvent | null);
  'offset'?: (number | string | Long);
  'landedAfterMs'?: (number | string | Long);
  'landedBeforeMs'?: (number | string | Long);
  'acknowledgedBy'?: (string)[];
}

export interface KeyChange__Output {
  'event': (_causeway_v1_FeedEvent__Output | null);
  'offset': (number);
  'landedAfterMs': (number);
  'landedBeforeMs': (number);
  'acknowledgedBy': (string)[];
}
