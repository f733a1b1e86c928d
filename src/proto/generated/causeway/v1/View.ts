// Original file: proto/causeway/v1/data.proto

import type { RegisterView as _causeway_v1_RegisterView, RegisterView__Output as _causeway_v1_RegisterView__Output } from '../../causeway/v1/RegisterView.ts';
import type { SiblingsView as _causeway_v1_SiblingsView, SiblingsView__Output as _causeway_v1_SiblingsView__Output } from '../../causeway/v1/SiblingsView.ts';
import type { SetView as _causeway_v1_SetView, SetView__Output as _causeway_v1_SetView__Output } from '../../causeway/v1/SetView.ts';
import type { MapView as _causeway_v1_MapView, MapView__Output as _causeway_v1_MapView__Output } from '../../causeway/v1/MapView.ts';

export interface View {
  'register'?: (_causeway_v1_RegisterView | null);
  'siblings'?: (_causeway_v1_SiblingsView | null);
  'counter'?: (string);
  'set'?: (_causeway_v1_SetView | null);
  'map'?: (_causeway_v1_MapView | null);
  'view'?: "register"|"siblings"|"counter"|"set"|"map";
}

export interface View__Output {
  'register'?: (_causeway_v1_RegisterView__Output | null);
  'siblings'?: (_causeway_v1_SiblingsView__Output | null);
  'counter'?: (string);
  'set'?: (_causeway_v1_SetView__Output | null);
  'map'?: (_causeway_v1_MapView__Output | null);
  'view'?: "register"|"siblings"|"counter"|"set"|"map";
}
