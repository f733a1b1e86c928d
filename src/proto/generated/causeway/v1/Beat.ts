// Original file: proto/causeway/v1/replication.proto

import type { PingEcho as _causeway_v1_PingEcho, PingEcho__Output as _causeway_v1_PingEcho__Output } from '../../causeway/v1/PingEcho.ts';
import type { BeatShard as _causeway_v1_BeatShard, BeatShard__Output as _causeway_v1_BeatShard__Output } from '../../causeway/v1/BeatShard.ts';
import type { Long } from '@grpc/proto-loader';

export interface Beat {
  'sentAtMs'?: (number | string | Long);
  'echo'?: (_causeway_v1_PingEcho | null);
  'shards'?: (_causeway_v1_BeatShard)[];
  'acksSoon'?: (boolean);
}

export interface Beat__Output {
  'sentAtMs': (number);
  'echo': (_causeway_v1_PingEcho__Output | null);
  'shards': (_causeway_v1_BeatShard__Output)[];
  'acksSoon': (boolean);
}
