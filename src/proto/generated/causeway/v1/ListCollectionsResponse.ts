// Original file: proto/causeway/v1/admin.proto

import type { Collection as _causeway_v1_Collection, Collection__Output as _causeway_v1_Collection__Output } from '../../causeway/v1/Collection.ts';

export interface ListCollectionsResponse {
  'collections'?: (_causeway_v1_Collection)[];
  'nextPageToken'?: (string);
  'region'?: (string);
}

export interface ListCollectionsResponse__Output {
  'collections': (_causeway_v1_Collection__Output)[];
  'nextPageToken': (string);
  'region': (string);
}
