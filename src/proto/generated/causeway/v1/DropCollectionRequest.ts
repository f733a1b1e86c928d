// Original file: proto/causeway/v1/admin.proto


export interface DropCollectionRequest {
  'namespace'?: (string);
  'name'?: (string);
  'id'?: (number);
  'force'?: (boolean);
  'wait'?: (boolean);
  'deadlineMs'?: (number);
}

export interface DropCollectionRequest__Output {
  'namespace': (string);
  'name': (string);
  'id': (number);
  'force': (boolean);
  'wait': (boolean);
  'deadlineMs': (number);
}
