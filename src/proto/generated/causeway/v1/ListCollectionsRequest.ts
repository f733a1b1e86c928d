// Original file: proto/causeway/v1/admin.proto


export interface ListCollectionsRequest {
  'namespace'?: (string);
  'name'?: (string);
  'dropped'?: (boolean);
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface ListCollectionsRequest__Output {
  'namespace': (string);
  'name': (string);
  'dropped': (boolean);
  'pageSize': (number);
  'pageToken': (string);
}
