// Original file: proto/causeway/v1/admin.proto

import type { LogStatus as _causeway_v1_LogStatus, LogStatus__Output as _causeway_v1_LogStatus__Output } from '../../causeway/v1/LogStatus.ts';
import type { StoreStatus as _causeway_v1_StoreStatus, StoreStatus__Output as _causeway_v1_StoreStatus__Output } from '../../causeway/v1/StoreStatus.ts';
import type { PeerStatus as _causeway_v1_PeerStatus, PeerStatus__Output as _causeway_v1_PeerStatus__Output } from '../../causeway/v1/PeerStatus.ts';
import type { ShardStatus as _causeway_v1_ShardStatus, ShardStatus__Output as _causeway_v1_ShardStatus__Output } from '../../causeway/v1/ShardStatus.ts';
import type { StatusCollection as _causeway_v1_StatusCollection, StatusCollection__Output as _causeway_v1_StatusCollection__Output } from '../../causeway/v1/StatusCollection.ts';
import type { Counters as _causeway_v1_Counters, Counters__Output as _causeway_v1_Counters__Output } from '../../causeway/v1/Counters.ts';
import type { Alarm as _causeway_v1_Alarm, Alarm__Output as _causeway_v1_Alarm__Output } from '../../causeway/v1/Alarm.ts';
import type { CertificateStatus as _causeway_v1_CertificateStatus, CertificateStatus__Output as _causeway_v1_CertificateStatus__Output } from '../../causeway/v1/CertificateStatus.ts';
import type { ClockStatus as _causeway_v1_ClockStatus, ClockStatus__Output as _causeway_v1_ClockStatus__Output } from '../../causeway/v1/ClockStatus.ts';
import type { HotKey as _causeway_v1_HotKey, HotKey__Output as _causeway_v1_HotKey__Output } from '../../causeway/v1/HotKey.ts';
import type { OtherNode as _causeway_v1_OtherNode, OtherNode__Output as _causeway_v1_OtherNode__Output } from '../../causeway/v1/OtherNode.ts';
import type { ShardOwner as _causeway_v1_ShardOwner, ShardOwner__Output as _causeway_v1_ShardOwner__Output } from '../../causeway/v1/ShardOwner.ts';
import type { Long } from '@grpc/proto-loader';

export interface StatusResponse {
  'region'?: (string);
  'node'?: (string);
  'version'?: (string);
  'startedAtMs'?: (number | string | Long);
  'nowMs'?: (number | string | Long);
  'state'?: (string);
  'stateReason'?: (string);
  'log'?: (_causeway_v1_LogStatus | null);
  'store'?: (_causeway_v1_StoreStatus | null);
  'peers'?: (_causeway_v1_PeerStatus)[];
  'shards'?: (_causeway_v1_ShardStatus)[];
  'collections'?: (_causeway_v1_StatusCollection)[];
  'keys'?: (number | string | Long);
  'counters'?: (_causeway_v1_Counters | null);
  'alarms'?: (_causeway_v1_Alarm)[];
  'certificates'?: (_causeway_v1_CertificateStatus)[];
  'clock'?: (_causeway_v1_ClockStatus | null);
  'hotWritten'?: (_causeway_v1_HotKey)[];
  'hotRead'?: (_causeway_v1_HotKey)[];
  'nodes'?: (_causeway_v1_OtherNode)[];
  'owners'?: (_causeway_v1_ShardOwner)[];
}

export interface StatusResponse__Output {
  'region': (string);
  'node': (string);
  'version': (string);
  'startedAtMs': (number);
  'nowMs': (number);
  'state': (string);
  'stateReason': (string);
  'log': (_causeway_v1_LogStatus__Output | null);
  'store': (_causeway_v1_StoreStatus__Output | null);
  'peers': (_causeway_v1_PeerStatus__Output)[];
  'shards': (_causeway_v1_ShardStatus__Output)[];
  'collections': (_causeway_v1_StatusCollection__Output)[];
  'keys': (number);
  'counters': (_causeway_v1_Counters__Output | null);
  'alarms': (_causeway_v1_Alarm__Output)[];
  'certificates': (_causeway_v1_CertificateStatus__Output)[];
  'clock': (_causeway_v1_ClockStatus__Output | null);
  'hotWritten': (_causeway_v1_HotKey__Output)[];
  'hotRead': (_causeway_v1_HotKey__Output)[];
  'nodes': (_causeway_v1_OtherNode__Output)[];
  'owners': (_causeway_v1_ShardOwner__Output)[];
}
