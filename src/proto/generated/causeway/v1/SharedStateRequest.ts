// Original file: proto/causeway/v1/admin.proto


export interface SharedStateRequest {
  'unlessRevision'?: (string);
}

export interface SharedStateRequest__Output {
  'unlessRevision': (string);
}
