// Original file: proto/causeway/v1/replication.proto

import type { Welcome as _causeway_v1_Welcome, Welcome__Output as _causeway_v1_Welcome__Output } from '../../causeway/v1/Welcome.ts';
import type { Refuse as _causeway_v1_Refuse, Refuse__Output as _causeway_v1_Refuse__Output } from '../../causeway/v1/Refuse.ts';
import type { Batches as _causeway_v1_Batches, Batches__Output as _causeway_v1_Batches__Output } from '../../causeway/v1/Batches.ts';
import type { Beat as _causeway_v1_Beat, Beat__Output as _causeway_v1_Beat__Output } from '../../causeway/v1/Beat.ts';
import type { Begun as _causeway_v1_Begun, Begun__Output as _causeway_v1_Begun__Output } from '../../causeway/v1/Begun.ts';

export interface LinkDown {
  'welcome'?: (_causeway_v1_Welcome | null);
  'refuse'?: (_causeway_v1_Refuse | null);
  'batches'?: (_causeway_v1_Batches | null);
  'beat'?: (_causeway_v1_Beat | null);
  'begun'?: (_causeway_v1_Begun | null);
  'message'?: "welcome"|"refuse"|"batches"|"beat"|"begun";
}

export interface LinkDown__Output {
  'welcome'?: (_causeway_v1_Welcome__Output | null);
  'refuse'?: (_causeway_v1_Refuse__Output | null);
  'batches'?: (_causeway_v1_Batches__Output | null);
  'beat'?: (_causeway_v1_Beat__Output | null);
  'begun'?: (_causeway_v1_Begun__Output | null);
  'message'?: "welcome"|"refuse"|"batches"|"beat"|"begun";
}
