// Original file: proto/causeway/v1/admin.proto

import type { Collection as _causeway_v1_Collection, Collection__Output as _causeway_v1_Collection__Output } from '../../causeway/v1/Collection.ts';

export interface AlterCollectionResponse {
  'collection'?: (_causeway_v1_Collection | null);
  'altered'?: (boolean);
  'region'?: (string);
}

export interface AlterCollectionResponse__Output {
  'collection': (_causeway_v1_Collection__Output | null);
  'altered': (boolean);
  'region': (string);
}
