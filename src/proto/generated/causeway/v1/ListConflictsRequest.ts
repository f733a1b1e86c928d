// Original file: proto/causeway/v1/admin.proto

import type { Long } from '@grpc/proto-loader';

export interface ListConflictsRequest {
  'namespace'?: (string);
  'collection'?: (string);
  'keyPrefix'?: (string);
  'sinceMs'?: (number | string | Long);
  'untilMs'?: (number | string | Long);
  'oldestFirst'?: (boolean);
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface ListConflictsRequest__Output {
  'namespace': (string);
  'collection': (string);
  'keyPrefix': (string);
  'sinceMs': (number);
  'untilMs': (number);
  'oldestFirst': (boolean);
  'pageSize': (number);
  'pageToken': (string);
}
