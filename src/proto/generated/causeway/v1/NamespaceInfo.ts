// Original file: proto/causeway/v1/data.proto

import type { CollectionInfo as _causeway_v1_CollectionInfo, CollectionInfo__Output as _causeway_v1_CollectionInfo__Output } from '../../causeway/v1/CollectionInfo.ts';

export interface NamespaceInfo {
  'name'?: (string);
  'placementId'?: (number);
  'shards'?: (number);
  'collections'?: (_causeway_v1_CollectionInfo)[];
  'owners'?: (number)[];
}

export interface NamespaceInfo__Output {
  'name': (string);
  'placementId': (number);
  'shards': (number);
  'collections': (_causeway_v1_CollectionInfo__Output)[];
  'owners': (number)[];
}
