// Original file: proto/causeway/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

export interface PingEcho {
  'pingSentAtMs'?: (number | string | Long);
  'receivedAtMs'?: (number | string | Long);
}

export interface PingEcho__Output {
  'pingSentAtMs': (number);
  'receivedAtMs': (number);
}
