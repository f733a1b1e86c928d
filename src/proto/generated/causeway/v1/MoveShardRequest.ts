// Original file: proto/causeway/v1/admin.proto


export interface MoveShardRequest {
  'shard'?: (string);
  'node'?: (string);
  'deadlineMs'?: (number);
}

export interface MoveShardRequest__Output {
  'shard': (string);
  'node': (string);
  'deadlineMs': (number);
}
