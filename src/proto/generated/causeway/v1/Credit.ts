// Original file: proto/causeway/v1/replication.proto

import type { Long } from '@grpc/proto-loader';

export interface Credit {
  'bytesTotal'?: (number | string | Long);
}

export interface Credit__Output {
  'bytesTotal': (number);
}
