// Original file: proto/causeway/v1/admin.proto


export interface ShardOwner {
  'shard'?: (string);
  'node'?: (string);
  'address'?: (string);
  'pinned'?: (string);
  'loadPerS'?: (number | string);
  '_loadPerS'?: "loadPerS";
}

export interface ShardOwner__Output {
  'shard': (string);
  'node': (string);
  'address': (string);
  'pinned': (string);
  'loadPerS'?: (number);
  '_loadPerS'?: "loadPerS";
}
