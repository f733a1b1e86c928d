// Original file: proto/causeway/v1/admin.proto

import type { Conflict as _causeway_v1_Conflict, Conflict__Output as _causeway_v1_Conflict__Output } from '../../causeway/v1/Conflict.ts';
import type { Long } from '@grpc/proto-loader';

export interface ListConflictsResponse {
  'conflicts'?: (_causeway_v1_Conflict)[];
  'nextPageToken'?: (string);
  'region'?: (string);
  'total'?: (number | string | Long);
  'dropped'?: (number | string | Long);
  'droppedUntilMs'?: (number | string | Long);
  'shards'?: (string)[];
}

export interface ListConflictsResponse__Output {
  'conflicts': (_causeway_v1_Conflict__Output)[];
  'nextPageToken': (string);
  'region': (string);
  'total': (number);
  'dropped': (number);
  'droppedUntilMs': (number);
  'shards': (string)[];
}
