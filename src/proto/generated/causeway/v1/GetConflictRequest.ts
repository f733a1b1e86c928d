// Original file: proto/causeway/v1/admin.proto

import type { Dot as _causeway_v1_Dot, Dot__Output as _causeway_v1_Dot__Output } from '../../causeway/v1/Dot.ts';

export interface GetConflictRequest {
  'shard'?: (string);
  'loser'?: (_causeway_v1_Dot | null);
}

export interface GetConflictRequest__Output {
  'shard': (string);
  'loser': (_causeway_v1_Dot__Output | null);
}
