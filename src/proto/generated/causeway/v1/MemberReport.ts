// Original file: proto/causeway/v1/replication.proto

import type { StampEntry as _causeway_v1_StampEntry, StampEntry__Output as _causeway_v1_StampEntry__Output } from '../../causeway/v1/StampEntry.ts';
import type { Watermark as _causeway_v1_Watermark, Watermark__Output as _causeway_v1_Watermark__Output } from '../../causeway/v1/Watermark.ts';
import type { OriginName as _causeway_v1_OriginName, OriginName__Output as _causeway_v1_OriginName__Output } from '../../causeway/v1/OriginName.ts';
import type { Long } from '@grpc/proto-loader';

export interface MemberReport {
  'member'?: (string);
  'incarnation'?: (number | string | Long);
  'seq'?: (number | string | Long);
  'stamp'?: (number | string | Long);
  'counted'?: (_causeway_v1_StampEntry)[];
  'frozen'?: (_causeway_v1_Watermark)[];
  'reached'?: (_causeway_v1_OriginName)[];
}

export interface MemberReport__Output {
  'member': (string);
  'incarnation': (number);
  'seq': (number);
  'stamp': (number);
  'counted': (_causeway_v1_StampEntry__Output)[];
  'frozen': (_causeway_v1_Watermark__Output)[];
  'reached': (_causeway_v1_OriginName__Output)[];
}
