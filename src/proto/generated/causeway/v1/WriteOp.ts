// Original file: proto/causeway/v1/data.proto

import type { Elements as _causeway_v1_Elements, Elements__Output as _causeway_v1_Elements__Output } from '../../causeway/v1/Elements.ts';
import type { MapUpdate as _causeway_v1_MapUpdate, MapUpdate__Output as _causeway_v1_MapUpdate__Output } from '../../causeway/v1/MapUpdate.ts';
import type { ObservedDots as _causeway_v1_ObservedDots, ObservedDots__Output as _causeway_v1_ObservedDots__Output } from '../../causeway/v1/ObservedDots.ts';
import type { Version as _causeway_v1_Version, Version__Output as _causeway_v1_Version__Output } from '../../causeway/v1/Version.ts';
import type { Long } from '@grpc/proto-loader';

export interface WriteOp {
  'collection'?: (number);
  'key'?: (string);
  'put'?: (Buffer | Uint8Array | string);
  'delete'?: (boolean);
  'increment'?: (string);
  'setAdd'?: (_causeway_v1_Elements | null);
  'setRemove'?: (_causeway_v1_Elements | null);
  'mapUpdate'?: (_causeway_v1_MapUpdate | null);
  'expiresAtMs'?: (number | string | Long);
  'observed'?: (_causeway_v1_ObservedDots | null);
  'ifAbsent'?: (boolean);
  'ifExists'?: (boolean);
  'ifVersion'?: (_causeway_v1_Version | null);
  'producerSeq'?: (number | string | Long);
  'idempotencyKey'?: (string);
  'issuedAtMs'?: (number | string | Long);
  'trace'?: (Buffer | Uint8Array | string);
  'intent'?: "put"|"delete"|"increment"|"setAdd"|"setRemove"|"mapUpdate";
  'condition'?: "ifAbsent"|"ifExists"|"ifVersion";
  'idempotency'?: "producerSeq"|"idempotencyKey";
}

export interface WriteOp__Output {
  'collection': (number);
  'key': (string);
  'put'?: (Buffer);
  'delete'?: (boolean);
  'increment'?: (string);
  'setAdd'?: (_causeway_v1_Elements__Output | null);
  'setRemove'?: (_causeway_v1_Elements__Output | null);
  'mapUpdate'?: (_causeway_v1_MapUpdate__Output | null);
  'expiresAtMs': (number);
  'observed': (_causeway_v1_ObservedDots__Output | null);
  'ifAbsent'?: (boolean);
  'ifExists'?: (boolean);
  'ifVersion'?: (_causeway_v1_Version__Output | null);
  'producerSeq'?: (number);
  'idempotencyKey'?: (string);
  'issuedAtMs': (number);
  'trace': (Buffer);
  'intent'?: "put"|"delete"|"increment"|"setAdd"|"setRemove"|"mapUpdate";
  'condition'?: "ifAbsent"|"ifExists"|"ifVersion";
  'idempotency'?: "producerSeq"|"idempotencyKey";
}
