// Original file: proto/causeway/v1/data.proto

import type { FeedForm as _causeway_v1_FeedForm, FeedForm__Output as _causeway_v1_FeedForm__Output } from '../../causeway/v1/FeedForm.ts';
import type { Cursor as _causeway_v1_Cursor, Cursor__Output as _causeway_v1_Cursor__Output } from '../../causeway/v1/Cursor.ts';
import type { Long } from '@grpc/proto-loader';

export interface SubscribeRequest {
  'namespace'?: (string);
  'collections'?: (string)[];
  'keyPrefix'?: (string);
  'form'?: (_causeway_v1_FeedForm);
  'beginning'?: (boolean);
  'now'?: (boolean);
  'fromTimeMs'?: (number | string | Long);
  'cursor'?: (_causeway_v1_Cursor | null);
  'shards'?: (number)[];
  'start'?: "beginning"|"now"|"fromTimeMs"|"cursor";
}

export interface SubscribeRequest__Output {
  'namespace': (string);
  'collections': (string)[];
  'keyPrefix': (string);
  'form': (_causeway_v1_FeedForm__Output);
  'beginning'?: (boolean);
  'now'?: (boolean);
  'fromTimeMs'?: (number);
  'cursor'?: (_causeway_v1_Cursor__Output | null);
  'shards': (number)[];
  'start'?: "beginning"|"now"|"fromTimeMs"|"cursor";
}
