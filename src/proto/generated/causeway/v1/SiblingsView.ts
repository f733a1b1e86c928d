// Original file: proto/causeway/v1/data.proto

import type { Sibling as _causeway_v1_Sibling, Sibling__Output as _causeway_v1_Sibling__Output } from '../../causeway/v1/Sibling.ts';

export interface SiblingsView {
  'siblings'?: (_causeway_v1_Sibling)[];
}

export interface SiblingsView__Output {
  'siblings': (_causeway_v1_Sibling__Output)[];
}
