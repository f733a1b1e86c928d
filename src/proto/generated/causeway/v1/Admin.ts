// Original file: proto/causeway/v1/admin.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { ConflictsRequest as _causeway_v1_ConflictsRequest, ConflictsRequest__Output as _causeway_v1_ConflictsRequest__Output } from '../../causeway/v1/ConflictsRequest.ts';
import type { ConflictsResponse as _causeway_v1_ConflictsResponse, ConflictsResponse__Output as _causeway_v1_ConflictsResponse__Output } from '../../causeway/v1/ConflictsResponse.ts';
import type { DigestsRequest as _causeway_v1_DigestsRequest, DigestsRequest__Output as _causeway_v1_DigestsRequest__Output } from '../../causeway/v1/DigestsRequest.ts';
import type { DigestsResponse as _causeway_v1_DigestsResponse, DigestsResponse__Output as _causeway_v1_DigestsResponse__Output } from '../../causeway/v1/DigestsResponse.ts';
import type { GetConflictRequest as _causeway_v1_GetConflictRequest, GetConflictRequest__Output as _causeway_v1_GetConflictRequest__Output } from '../../causeway/v1/GetConflictRequest.ts';
import type { GetConflictResponse as _causeway_v1_GetConflictResponse, GetConflictResponse__Output as _causeway_v1_GetConflictResponse__Output } from '../../causeway/v1/GetConflictResponse.ts';
import type { ListConflictsRequest as _causeway_v1_ListConflictsRequest, ListConflictsRequest__Output as _causeway_v1_ListConflictsRequest__Output } from '../../causeway/v1/ListConflictsRequest.ts';
import type { ListConflictsResponse as _causeway_v1_ListConflictsResponse, ListConflictsResponse__Output as _causeway_v1_ListConflictsResponse__Output } from '../../causeway/v1/ListConflictsResponse.ts';
import type { PingRequest as _causeway_v1_PingRequest, PingRequest__Output as _causeway_v1_PingRequest__Output } from '../../causeway/v1/PingRequest.ts';
import type { PingResponse as _causeway_v1_PingResponse, PingResponse__Output as _causeway_v1_PingResponse__Output } from '../../causeway/v1/PingResponse.ts';
import type { RestoreConflictRequest as _causeway_v1_RestoreConflictRequest, RestoreConflictRequest__Output as _causeway_v1_RestoreConflictRequest__Output } from '../../causeway/v1/RestoreConflictRequest.ts';
import type { RestoreConflictResponse as _causeway_v1_RestoreConflictResponse, RestoreConflictResponse__Output as _causeway_v1_RestoreConflictResponse__Output } from '../../causeway/v1/RestoreConflictResponse.ts';
import type { StatusRequest as _causeway_v1_StatusRequest, StatusRequest__Output as _causeway_v1_StatusRequest__Output } from '../../causeway/v1/StatusRequest.ts';
import type { StatusResponse as _causeway_v1_StatusResponse, StatusResponse__Output as _causeway_v1_StatusResponse__Output } from '../../causeway/v1/StatusResponse.ts';
import type { WatchConflictsRequest as _causeway_v1_WatchConflictsRequest, WatchConflictsRequest__Output as _causeway_v1_WatchConflictsRequest__Output } from '../../causeway/v1/WatchConflictsRequest.ts';
import type { WatchConflictsResponse as _causeway_v1_WatchConflictsResponse, WatchConflictsResponse__Output as _causeway_v1_WatchConflictsResponse__Output } from '../../causeway/v1/WatchConflictsResponse.ts';

export interface AdminDefinition {
  Conflicts: MethodDefinition<_causeway_v1_ConflictsRequest, _causeway_v1_ConflictsResponse, _causeway_v1_ConflictsRequest__Output, _causeway_v1_ConflictsResponse__Output>
  Digests: MethodDefinition<_causeway_v1_DigestsRequest, _causeway_v1_DigestsResponse, _causeway_v1_DigestsRequest__Output, _causeway_v1_DigestsResponse__Output>
  GetConflict: MethodDefinition<_causeway_v1_GetConflictRequest, _causeway_v1_GetConflictResponse, _causeway_v1_GetConflictRequest__Output, _causeway_v1_GetConflictResponse__Output>
  ListConflicts: MethodDefinition<_causeway_v1_ListConflictsRequest, _causeway_v1_ListConflictsResponse, _causeway_v1_ListConflictsRequest__Output, _causeway_v1_ListConflictsResponse__Output>
  Ping: MethodDefinition<_causeway_v1_PingRequest, _causeway_v1_PingResponse, _causeway_v1_PingRequest__Output, _causeway_v1_PingResponse__Output>
  RestoreConflict: MethodDefinition<_causeway_v1_RestoreConflictRequest, _causeway_v1_RestoreConflictResponse, _causeway_v1_RestoreConflictRequest__Output, _causeway_v1_RestoreConflictResponse__Output>
  Status: MethodDefinition<_causeway_v1_StatusRequest, _causeway_v1_StatusResponse, _causeway_v1_StatusRequest__Output, _causeway_v1_StatusResponse__Output>
  WatchConflicts: MethodDefinition<_causeway_v1_WatchConflictsRequest, _causeway_v1_WatchConflictsResponse, _causeway_v1_WatchConflictsRequest__Output, _causeway_v1_WatchConflictsResponse__Output>
}
