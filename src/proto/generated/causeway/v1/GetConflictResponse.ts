// Original file: proto/causeway/v1/admin.proto

import type { Conflict as _causeway_v1_Conflict, Conflict__Output as _causeway_v1_Conflict__Output } from '../../causeway/v1/Conflict.ts';

export interface GetConflictResponse {
  'conflicts'?: (_causeway_v1_Conflict)[];
  'region'?: (string);
}

export interface GetConflictResponse__Output {
  'conflicts': (_causeway_v1_Conflict__Output)[];
  'region': (string);
}
