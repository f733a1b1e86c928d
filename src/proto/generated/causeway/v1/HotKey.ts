// Original file: proto/causeway/v1/admin.proto


export interface HotKey {
  'namespace'?: (string);
  'collection'?: (string);
  'key'?: (string);
  'perS'?: (number | string);
  'share'?: (number | string);
}

export interface HotKey__Output {
  'namespace': (string);
  'collection': (string);
  'key': (string);
  'perS': (number);
  'share': (number);
}
