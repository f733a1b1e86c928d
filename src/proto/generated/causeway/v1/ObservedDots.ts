// Original file: proto/causeway/v1/data.proto

import type { Dot as _causeway_v1_Dot, Dot__Output as _causeway_v1_Dot__Output } from '../../causeway/v1/Dot.ts';

export interface ObservedDots {
  'dots'?: (_causeway_v1_Dot)[];
}

export interface ObservedDots__Output {
  'dots': (_causeway_v1_Dot__Output)[];
}
