// Original file: proto/causeway/v1/replication.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { LinkDown as _causeway_v1_LinkDown, LinkDown__Output as _causeway_v1_LinkDown__Output } from '../../causeway/v1/LinkDown.ts';
import type { LinkUp as _causeway_v1_LinkUp, LinkUp__Output as _causeway_v1_LinkUp__Output } from '../../causeway/v1/LinkUp.ts';

export interface ReplicationDefinition {
  Link: MethodDefinition<_causeway_v1_LinkUp, _causeway_v1_LinkDown, _causeway_v1_LinkUp__Output, _causeway_v1_LinkDown__Output>
}
