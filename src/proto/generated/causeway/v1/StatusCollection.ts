// Original file: proto/causeway/v1/admin.proto

import type { CollectionInfo as _causeway_v1_CollectionInfo, CollectionInfo__Output as _causeway_v1_CollectionInfo__Output } from '../../causeway/v1/CollectionInfo.ts';

export interface StatusCollection {
  'namespace'?: (string);
  'collection'?: (_causeway_v1_CollectionInfo | null);
}

export interface StatusCollection__Output {
  'namespace': (string);
  'collection': (_causeway_v1_CollectionInfo__Output | null);
}
