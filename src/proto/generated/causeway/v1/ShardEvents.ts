// Original file: proto/causeway/v1/data.proto

import type { FeedEvent as _causeway_v1_FeedEvent, FeedEvent__Output as _causeway_v1_FeedEvent__Output } from '../../causeway/v1/FeedEvent.ts';
import type { Long } from '@grpc/proto-loader';

export interface ShardEvents {
  'shard'?: (string);
  'events'?: (_causeway_v1_FeedEvent)[];
  'cursorOrigins'?: (number)[];
  'cursorSeqs'?: (number | string | Long)[];
}

export interface ShardEvents__Output {
  'shard': (string);
  'events': (_causeway_v1_FeedEvent__Output)[];
  'cursorOrigins': (number)[];
  'cursorSeqs': (number)[];
}
