// Original file: proto/causeway/v1/data.proto

import type { MapFieldView as _causeway_v1_MapFieldView, MapFieldView__Output as _causeway_v1_MapFieldView__Output } from '../../causeway/v1/MapFieldView.ts';

export interface MapView {
  'fields'?: (_causeway_v1_MapFieldView)[];
}

export interface MapView__Output {
  'fields': (_causeway_v1_MapFieldView__Output)[];
}
