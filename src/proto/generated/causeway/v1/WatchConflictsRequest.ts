// Original file: proto/causeway/v1/admin.proto


export interface WatchConflictsRequest {
  'namespace'?: (string);
  'collection'?: (string);
  'keyPrefix'?: (string);
  'beginning'?: (boolean);
  'cursor'?: (string);
  'start'?: "beginning"|"cursor";
}

export interface WatchConflictsRequest__Output {
  'namespace': (string);
  'collection': (string);
  'keyPrefix': (string);
  'beginning'?: (boolean);
  'cursor'?: (string);
  'start'?: "beginning"|"cursor";
}
