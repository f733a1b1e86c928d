// Original file: proto/causeway/v1/admin.proto


export interface Link {
  'kind'?: (string);
  'attempt'?: (number);
  'reason'?: (string);
  'message'?: (string);
  'retryInMs'?: (number | string);
}

export interface Link__Output {
  'kind': (string);
  'attempt': (number);
  'reason': (string);
  'message': (string);
  'retryInMs': (number);
}
