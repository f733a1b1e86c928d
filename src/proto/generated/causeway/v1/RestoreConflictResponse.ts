// Original file: proto/causeway/v1/admin.proto

import type { Conflict as _causeway_v1_Conflict, Conflict__Output as _causeway_v1_Conflict__Output } from '../../causeway/v1/Conflict.ts';
import type { Version as _causeway_v1_Version, Version__Output as _causeway_v1_Version__Output } from '../../causeway/v1/Version.ts';

export interface RestoreConflictResponse {
  'conflicts'?: (_causeway_v1_Conflict)[];
  'version'?: (_causeway_v1_Version | null);
  'region'?: (string);
}

export interface RestoreConflictResponse__Output {
  'conflicts': (_causeway_v1_Conflict__Output)[];
  'version': (_causeway_v1_Version__Output | null);
  'region': (string);
}
