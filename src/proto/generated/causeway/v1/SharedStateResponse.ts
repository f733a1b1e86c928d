// Original file: proto/causeway/v1/admin.proto

import type { Collection as _causeway_v1_Collection, Collection__Output as _causeway_v1_Collection__Output } from '../../causeway/v1/Collection.ts';
import type { PlacementStaleness as _causeway_v1_PlacementStaleness, PlacementStaleness__Output as _causeway_v1_PlacementStaleness__Output } from '../../causeway/v1/PlacementStaleness.ts';

export interface SharedStateResponse {
  'revision'?: (string);
  'definitions'?: (_causeway_v1_Collection)[];
  'shards'?: (string)[];
  'staleness'?: (_causeway_v1_PlacementStaleness)[];
}

export interface SharedStateResponse__Output {
  'revision': (string);
  'definitions': (_causeway_v1_Collection__Output)[];
  'shards': (string)[];
  'staleness': (_causeway_v1_PlacementStaleness__Output)[];
}
