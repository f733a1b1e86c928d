// Original file: proto/causeway/v1/data.proto


export interface GetTopologyRequest {
  'namespace'?: (string);
}

export interface GetTopologyRequest__Output {
  'namespace': (string);
}
