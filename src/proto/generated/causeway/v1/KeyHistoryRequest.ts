// Original file: proto/causeway/v1/admin.proto


export interface KeyHistoryRequest {
  'namespace'?: (string);
  'collection'?: (string);
  'key'?: (string);
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface KeyHistoryRequest__Output {
  'namespace': (string);
  'collection': (string);
  'key': (string);
  'pageSize': (number);
  'pageToken': (string);
}
