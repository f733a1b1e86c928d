// Original file: proto/causeway/v1/replication.proto


export interface Refuse {
  'reason'?: (string);
  'message'?: (string);
}

export interface Refuse__Output {
  'reason': (string);
  'message': (string);
}
