// Original file: proto/causeway/v1/data.proto

import type { Elements as _causeway_v1_Elements, Elements__Output as _causeway_v1_Elements__Output } from '../../causeway/v1/Elements.ts';
import type { MapUpdate as _causeway_v1_MapUpdate, MapUpdate__Output as _causeway_v1_MapUpdate__Output } from '../../causeway/v1/MapUpdate.ts';
import type { View as _causeway_v1_View, View__Output as _causeway_v1_View__Output } from '../../causeway/v1/View.ts';
import type { Long } from '@grpc/proto-loader';

export interface FeedEvent {
  'collection'?: (number);
  'key'?: (string);
  'origin'?: (number);
  'seq'?: (number | string | Long);
  'stamp'?: (number | string | Long);
  'put'?: (Buffer | Uint8Array | string);
  'delete'?: (boolean);
  'increment'?: (string);
  'setAdd'?: (_causeway_v1_Elements | null);
  'setRemove'?: (_causeway_v1_Elements | null);
  'mapUpdate'?: (_causeway_v1_MapUpdate | null);
  'expiresAtMs'?: (number | string | Long);
  'trace'?: (Buffer | Uint8Array | string);
  'value'?: (_causeway_v1_View | null);
  'op'?: "put"|"delete"|"increment"|"setAdd"|"setRemove"|"mapUpdate";
}

export interface FeedEvent__Output {
  'collection': (number);
  'key': (string);
  'origin': (number);
  'seq': (number);
  'stamp': (number);
  'put'?: (Buffer);
  'delete'?: (boolean);
  'increment'?: (string);
  'setAdd'?: (_causeway_v1_Elements__Output | null);
  'setRemove'?: (_causeway_v1_Elements__Output | null);
  'mapUpdate'?: (_causeway_v1_MapUpdate__Output | null);
  'expiresAtMs': (number);
  'trace': (Buffer);
  'value': (_causeway_v1_View__Output | null);
  'op'?: "put"|"delete"|"increment"|"setAdd"|"setRemove"|"mapUpdate";
}
