// Original file: proto/causeway/v1/record.proto

import type { ShardVector as _causeway_v1_ShardVector, ShardVector__Output as _causeway_v1_ShardVector__Output } from '../../causeway/v1/ShardVector.ts';

export interface Cursor {
  'version'?: (number);
  'clusterId'?: (string);
  'namespace'?: (string);
  'shards'?: (_causeway_v1_ShardVector)[];
}

export interface Cursor__Output {
  'version': (number);
  'clusterId': (string);
  'namespace': (string);
  'shards': (_causeway_v1_ShardVector__Output)[];
}
