// Original file: proto/causeway/v1/admin.proto


export interface ShardOwner {
  'shard'?: (string);
  'node'?: (string);
  'address'?: (string);
  'pinned'?: (string);
}

export interface ShardOwner__Output {
  'shard': (string);
  'node': (string);
  'address': (string);
  'pinned': (string);
}
