// Original file: proto/causeway/v1/admin.proto


export interface ConflictsRequest {
  'namespace'?: (string);
  'limit'?: (number);
}

export interface ConflictsRequest__Output {
  'namespace': (string);
  'limit': (number);
}
