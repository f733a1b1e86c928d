// Original file: proto/causeway/v1/data.proto

import type { CollectionInfo as _causeway_v1_CollectionInfo, CollectionInfo__Output as _causeway_v1_CollectionInfo__Output } from '../../causeway/v1/CollectionInfo.ts';
import type { ShardEvents as _causeway_v1_ShardEvents, ShardEvents__Output as _causeway_v1_ShardEvents__Output } from '../../causeway/v1/ShardEvents.ts';

export interface SubscribeResponse {
  'origins'?: (string)[];
  'collections'?: (_causeway_v1_CollectionInfo)[];
  'shards'?: (_causeway_v1_ShardEvents)[];
}

export interface SubscribeResponse__Output {
  'origins': (string)[];
  'collections': (_causeway_v1_CollectionInfo__Output)[];
  'shards': (_causeway_v1_ShardEvents__Output)[];
}
