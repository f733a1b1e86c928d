// Original file: proto/causeway/v1/admin.proto

import type { Long } from '@grpc/proto-loader';

export interface Counters {
  'accepted'?: (number | string | Long);
  'refused'?: (number | string | Long);
  'duplicatesAnswered'?: (number | string | Long);
  'appliedRemote'?: (number | string | Long);
  'duplicateBatches'?: (number | string | Long);
  'conflicts'?: (number | string | Long);
  'bytesReceived'?: (number | string | Long);
  'commits'?: (number | string | Long);
}

export interface Counters__Output {
  'accepted': (number);
  'refused': (number);
  'duplicatesAnswered': (number);
  'appliedRemote': (number);
  'duplicateBatches': (number);
  'conflicts': (number);
  'bytesReceived': (number);
  'commits': (number);
}
