// Original file: proto/causeway/v1/data.proto


export interface NodeInfo {
  'name'?: (string);
  'address'?: (string);
}

export interface NodeInfo__Output {
  'name': (string);
  'address': (string);
}
