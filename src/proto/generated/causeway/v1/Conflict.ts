// Original file: proto/causeway/v1/admin.proto

import type { CollectionInfo as _causeway_v1_CollectionInfo, CollectionInfo__Output as _causeway_v1_CollectionInfo__Output } from '../../causeway/v1/CollectionInfo.ts';
import type { Version as _causeway_v1_Version, Version__Output as _causeway_v1_Version__Output } from '../../causeway/v1/Version.ts';
import type { Long } from '@grpc/proto-loader';

export interface Conflict {
  'atMs'?: (number | string | Long);
  'shard'?: (string);
  'namespace'?: (string);
  'collection'?: (_causeway_v1_CollectionInfo | null);
  'key'?: (string);
  'field'?: (string);
  'loser'?: (_causeway_v1_Version | null);
  'loserValue'?: (Buffer | Uint8Array | string);
  'winner'?: (_causeway_v1_Version | null);
  'loserExpiresAtMs'?: (number | string | Long);
  'winnerDeletes'?: (boolean);
  'offset'?: (number | string | Long);
  'index'?: (number);
  '_loserValue'?: "loserValue";
}

export interface Conflict__Output {
  'atMs': (number);
  'shard': (string);
  'namespace': (string);
  'collection': (_causeway_v1_CollectionInfo__Output | null);
  'key': (string);
  'field': (string);
  'loser': (_causeway_v1_Version__Output | null);
  'loserValue'?: (Buffer);
  'winner': (_causeway_v1_Version__Output | null);
  'loserExpiresAtMs': (number);
  'winnerDeletes': (boolean);
  'offset': (number);
  'index': (number);
  '_loserValue'?: "loserValue";
}
