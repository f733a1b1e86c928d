// Original file: proto/causeway/v1/data.proto

import type { View as _causeway_v1_View, View__Output as _causeway_v1_View__Output } from '../../causeway/v1/View.ts';

export interface ScanEntry {
  'key'?: (string);
  'view'?: (_causeway_v1_View | null);
}

export interface ScanEntry__Output {
  'key': (string);
  'view': (_causeway_v1_View__Output | null);
}
