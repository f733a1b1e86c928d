// Original file: proto/causeway/v1/replication.proto

import type { Hello as _causeway_v1_Hello, Hello__Output as _causeway_v1_Hello__Output } from '../../causeway/v1/Hello.ts';
import type { Want as _causeway_v1_Want, Want__Output as _causeway_v1_Want__Output } from '../../causeway/v1/Want.ts';
import type { Credit as _causeway_v1_Credit, Credit__Output as _causeway_v1_Credit__Output } from '../../causeway/v1/Credit.ts';
import type { Ack as _causeway_v1_Ack, Ack__Output as _causeway_v1_Ack__Output } from '../../causeway/v1/Ack.ts';
import type { Ping as _causeway_v1_Ping, Ping__Output as _causeway_v1_Ping__Output } from '../../causeway/v1/Ping.ts';
import type { Compress as _causeway_v1_Compress, Compress__Output as _causeway_v1_Compress__Output } from '../../causeway/v1/Compress.ts';
import type { Begin as _causeway_v1_Begin, Begin__Output as _causeway_v1_Begin__Output } from '../../causeway/v1/Begin.ts';

export interface LinkUp {
  'hello'?: (_causeway_v1_Hello | null);
  'want'?: (_causeway_v1_Want | null);
  'credit'?: (_causeway_v1_Credit | null);
  'ack'?: (_causeway_v1_Ack | null);
  'ping'?: (_causeway_v1_Ping | null);
  'compress'?: (_causeway_v1_Compress | null);
  'begin'?: (_causeway_v1_Begin | null);
  'message'?: "hello"|"want"|"credit"|"ack"|"ping"|"compress"|"begin";
}

export interface LinkUp__Output {
  'hello'?: (_causeway_v1_Hello__Output | null);
  'want'?: (_causeway_v1_Want__Output | null);
  'credit'?: (_causeway_v1_Credit__Output | null);
  'ack'?: (_causeway_v1_Ack__Output | null);
  'ping'?: (_causeway_v1_Ping__Output | null);
  'compress'?: (_causeway_v1_Compress__Output | null);
  'begin'?: (_causeway_v1_Begin__Output | null);
  'message'?: "hello"|"want"|"credit"|"ack"|"ping"|"compress"|"begin";
}
