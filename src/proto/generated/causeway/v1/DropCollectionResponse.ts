// Original file: proto/causeway/v1/admin.proto

import type { Collection as _causeway_v1_Collection, Collection__Output as _causeway_v1_Collection__Output } from '../../causeway/v1/Collection.ts';

export interface DropCollectionResponse {
  'collections'?: (_causeway_v1_Collection)[];
  'region'?: (string);
}

export interface DropCollectionResponse__Output {
  'collections': (_causeway_v1_Collection__Output)[];
  'region': (string);
}
