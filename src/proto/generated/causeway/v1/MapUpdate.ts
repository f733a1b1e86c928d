// Original file: proto/causeway/v1/data.proto

import type { MapField as _causeway_v1_MapField, MapField__Output as _causeway_v1_MapField__Output } from '../../causeway/v1/MapField.ts';

export interface MapUpdate {
  'put'?: (_causeway_v1_MapField)[];
  'remove'?: (string)[];
}

export interface MapUpdate__Output {
  'put': (_causeway_v1_MapField__Output)[];
  'remove': (string)[];
}
