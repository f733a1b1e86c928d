// Original file: proto/causeway/v1/admin.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { ConflictsRequest as _causeway_v1_ConflictsRequest, ConflictsRequest__Output as _causeway_v1_ConflictsRequest__Output } from '../../causeway/v1/ConflictsRequest.ts';
import type { ConflictsResponse as _causeway_v1_ConflictsResponse, ConflictsResponse__Output as _causeway_v1_ConflictsResponse__Output } from '../../causeway/v1/ConflictsResponse.ts';
import type { DigestsRequest as _causeway_v1_DigestsRequest, DigestsRequest__Output as _causeway_v1_DigestsRequest__Output } from '../../causeway/v1/DigestsRequest.ts';
import type { DigestsResponse as _causeway_v1_DigestsResponse, DigestsResponse__Output as _causeway_v1_DigestsResponse__Output } from '../../causeway/v1/DigestsResponse.ts';
import type { PingRequest as _causeway_v1_PingRequest, PingRequest__Output as _causeway_v1_PingRequest__Output } from '../../causeway/v1/PingRequest.ts';
import type { PingResponse as _causeway_v1_PingResponse, PingResponse__Output as _causeway_v1_PingResponse__Output } from '../../causeway/v1/PingResponse.ts';
import type { StatusRequest as _causeway_v1_StatusRequest, StatusRequest__Output as _causeway_v1_StatusRequest__Output } from '../../causeway/v1/StatusRequest.ts';
import type { StatusResponse as _causeway_v1_StatusResponse, StatusResponse__Output as _causeway_v1_StatusResponse__Output } from '../../causeway/v1/StatusResponse.ts';

export interface AdminDefinition {
  Conflicts: MethodDefinition<_causeway_v1_ConflictsRequest, _causeway_v1_ConflictsResponse, _causeway_v1_ConflictsRequest__Output, _causeway_v1_ConflictsResponse__Output>
  Digests: MethodDefinition<_causeway_v1_DigestsRequest, _causeway_v1_DigestsResponse, _causeway_v1_DigestsRequest__Output, _causeway_v1_DigestsResponse__Output>
  Ping: MethodDefinition<_causeway_v1_PingRequest, _causeway_v1_PingResponse, _causeway_v1_PingRequest__Output, _causeway_v1_PingResponse__Output>
  Status: MethodDefinition<_causeway_v1_StatusRequest, _causeway_v1_StatusResponse, _causeway_v1_StatusRequest__Output, _causeway_v1_StatusResponse__Output>
}
