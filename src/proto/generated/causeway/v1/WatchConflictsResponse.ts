// Original file: proto/causeway/v1/admin.proto

import type { Conflict as _causeway_v1_Conflict, Conflict__Output as _causeway_v1_Conflict__Output } from '../../causeway/v1/Conflict.ts';

export interface WatchConflictsResponse {
  'conflicts'?: (_causeway_v1_Conflict)[];
  'cursor'?: (string);
  'lost'?: (boolean);
  'region'?: (string);
}

export interface WatchConflictsResponse__Output {
  'conflicts': (_causeway_v1_Conflict__Output)[];
  'cursor': (string);
  'lost': (boolean);
  'region': (string);
}
