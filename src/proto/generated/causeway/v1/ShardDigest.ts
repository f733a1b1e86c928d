// Original file: proto/causeway/v1/admin.proto

import type { Dot as _causeway_v1_Dot, Dot__Output as _causeway_v1_Dot__Output } from '../../causeway/v1/Dot.ts';
import type { Long } from '@grpc/proto-loader';

export interface ShardDigest {
  'shard'?: (string);
  'digest'?: (string);
  'keys'?: (number | string | Long);
  'asOfMs'?: (number | string | Long);
  'vector'?: (_causeway_v1_Dot)[];
}

export interface ShardDigest__Output {
  'shard': (string);
  'digest': (string);
  'keys': (number);
  'asOfMs': (number);
  'vector': (_causeway_v1_Dot__Output)[];
}
