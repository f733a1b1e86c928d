// Original file: proto/causeway/v1/replication.proto

import type { Watermark as _causeway_v1_Watermark, Watermark__Output as _causeway_v1_Watermark__Output } from '../../causeway/v1/Watermark.ts';
import type { MemberReport as _causeway_v1_MemberReport, MemberReport__Output as _causeway_v1_MemberReport__Output } from '../../causeway/v1/MemberReport.ts';

export interface BeatShard {
  'placementId'?: (number);
  'shardIndex'?: (number);
  'watermarks'?: (_causeway_v1_Watermark)[];
  'reports'?: (_causeway_v1_MemberReport)[];
}

export interface BeatShard__Output {
  'placementId': (number);
  'shardIndex': (number);
  'watermarks': (_causeway_v1_Watermark__Output)[];
  'reports': (_causeway_v1_MemberReport__Output)[];
}
