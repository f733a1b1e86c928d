// Original file: proto/causeway/v1/admin.proto

import type { Link as _causeway_v1_Link, Link__Output as _causeway_v1_Link__Output } from '../../causeway/v1/Link.ts';
import type { ClockSample as _causeway_v1_ClockSample, ClockSample__Output as _causeway_v1_ClockSample__Output } from '../../causeway/v1/ClockSample.ts';
import type { Long } from '@grpc/proto-loader';

export interface PeerStatus {
  'region'?: (string);
  'link'?: (_causeway_v1_Link | null);
  'lagMs'?: (number | string);
  'opLagMsP50'?: (number | string);
  'opLagMsP99'?: (number | string);
  'clock'?: (_causeway_v1_ClockSample | null);
  'unacknowledgedOps'?: (number | string | Long);
  'unacknowledgedUnknown'?: (boolean);
  '_lagMs'?: "lagMs";
  '_opLagMsP50'?: "opLagMsP50";
  '_opLagMsP99'?: "opLagMsP99";
}

export interface PeerStatus__Output {
  'region': (string);
  'link': (_causeway_v1_Link__Output | null);
  'lagMs'?: (number);
  'opLagMsP50'?: (number);
  'opLagMsP99'?: (number);
  'clock': (_causeway_v1_ClockSample__Output | null);
  'unacknowledgedOps': (number);
  'unacknowledgedUnknown': (boolean);
  '_lagMs'?: "lagMs";
  '_opLagMsP50'?: "opLagMsP50";
  '_opLagMsP99'?: "opLagMsP99";
}
