// Original file: proto/causeway/v1/admin.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { AlterCollectionRequest as _causeway_v1_AlterCollectionRequest, AlterCollectionRequest__Output as _causeway_v1_AlterCollectionRequest__Output } from '../../causeway/v1/AlterCollectionRequest.ts';
import type { AlterCollectionResponse as _causeway_v1_AlterCollectionResponse, AlterCollectionResponse__Output as _causeway_v1_AlterCollectionResponse__Output } from '../../causeway/v1/AlterCollectionResponse.ts';
import type { ConflictsRequest as _causeway_v1_ConflictsRequest, ConflictsRequest__Output as _causeway_v1_ConflictsRequest__Output } from '../../causeway/v1/ConflictsRequest.ts';
import type { ConflictsResponse as _causeway_v1_ConflictsResponse, ConflictsResponse__Output as _causeway_v1_ConflictsResponse__Output } from '../../causeway/v1/ConflictsResponse.ts';
import type { CreateCollectionRequest as _causeway_v1_CreateCollectionRequest, CreateCollectionRequest__Output as _causeway_v1_CreateCollectionRequest__Output } from '../../causeway/v1/CreateCollectionRequest.ts';
import type { CreateCollectionResponse as _causeway_v1_CreateCollectionResponse, CreateCollectionResponse__Output as _causeway_v1_CreateCollectionResponse__Output } from '../../causeway/v1/CreateCollectionResponse.ts';
import type { DigestsRequest as _causeway_v1_DigestsRequest, DigestsRequest__Output as _causeway_v1_DigestsRequest__Output } from '../../causeway/v1/DigestsRequest.ts';
import type { DigestsResponse as _causeway_v1_DigestsResponse, DigestsResponse__Output as _causeway_v1_DigestsResponse__Output } from '../../causeway/v1/DigestsResponse.ts';
import type { DropCollectionRequest as _causeway_v1_DropCollectionRequest, DropCollectionRequest__Output as _causeway_v1_DropCollectionRequest__Output } from '../../causeway/v1/DropCollectionRequest.ts';
import type { DropCollectionResponse as _causeway_v1_DropCollectionResponse, DropCollectionResponse__Output as _causeway_v1_DropCollectionResponse__Output } from '../../causeway/v1/DropCollectionResponse.ts';
import type { GetConflictRequest as _causeway_v1_GetConflictRequest, GetConflictRequest__Output as _causeway_v1_GetConflictRequest__Output } from '../../causeway/v1/GetConflictRequest.ts';
import type { GetConflictResponse as _causeway_v1_GetConflictResponse, GetConflictResponse__Output as _causeway_v1_GetConflictResponse__Output } from '../../causeway/v1/GetConflictResponse.ts';
import type { KeyHistoryRequest as _causeway_v1_KeyHistoryRequest, KeyHistoryRequest__Output as _causeway_v1_KeyHistoryRequest__Output } from '../../causeway/v1/KeyHistoryRequest.ts';
import type { KeyHistoryResponse as _causeway_v1_KeyHistoryResponse, KeyHistoryResponse__Output as _causeway_v1_KeyHistoryResponse__Output } from '../../causeway/v1/KeyHistoryResponse.ts';
import type { ListCollectionsRequest as _causeway_v1_ListCollectionsRequest, ListCollectionsRequest__Output as _causeway_v1_ListCollectionsRequest__Output } from '../../causeway/v1/ListCollectionsRequest.ts';
import type { ListCollectionsResponse as _causeway_v1_ListCollectionsResponse, ListCollectionsResponse__Output as _causeway_v1_ListCollectionsResponse__Output } from '../../causeway/v1/ListCollectionsResponse.ts';
import type { ListConflictsRequest as _causeway_v1_ListConflictsRequest, ListConflictsRequest__Output as _causeway_v1_ListConflictsRequest__Output } from '../../causeway/v1/ListConflictsRequest.ts';
import type { ListConflictsResponse as _causeway_v1_ListConflictsResponse, ListConflictsResponse__Output as _causeway_v1_ListConflictsResponse__Output } from '../../causeway/v1/ListConflictsResponse.ts';
import type { MoveShardRequest as _causeway_v1_MoveShardRequest, MoveShardRequest__Output as _causeway_v1_MoveShardRequest__Output } from '../../causeway/v1/MoveShardRequest.ts';
import type { MoveShardResponse as _causeway_v1_MoveShardResponse, MoveShardResponse__Output as _causeway_v1_MoveShardResponse__Output } from '../../causeway/v1/MoveShardResponse.ts';
import type { PingRequest as _causeway_v1_PingRequest, PingRequest__Output as _causeway_v1_PingRequest__Output } from '../../causeway/v1/PingRequest.ts';
import type { PingResponse as _causeway_v1_PingResponse, PingResponse__Output as _causeway_v1_PingResponse__Output } from '../../causeway/v1/PingResponse.ts';
import type { RestoreConflictRequest as _causeway_v1_RestoreConflictRequest, RestoreConflictRequest__Output as _causeway_v1_RestoreConflictRequest__Output } from '../../causeway/v1/RestoreConflictRequest.ts';
import type { RestoreConflictResponse as _causeway_v1_RestoreConflictResponse, RestoreConflictResponse__Output as _causeway_v1_RestoreConflictResponse__Output } from '../../causeway/v1/RestoreConflictResponse.ts';
import type { SharedStateRequest as _causeway_v1_SharedStateRequest, SharedStateRequest__Output as _causeway_v1_SharedStateRequest__Output } from '../../causeway/v1/SharedStateRequest.ts';
import type { SharedStateResponse as _causeway_v1_SharedStateResponse, SharedStateResponse__Output as _causeway_v1_SharedStateResponse__Output } from '../../causeway/v1/SharedStateResponse.ts';
import type { StatusRequest as _causeway_v1_StatusRequest, StatusRequest__Output as _causeway_v1_StatusRequest__Output } from '../../causeway/v1/StatusRequest.ts';
import type { StatusResponse as _causeway_v1_StatusResponse, StatusResponse__Output as _causeway_v1_StatusResponse__Output } from '../../causeway/v1/StatusResponse.ts';
import type { WatchConflictsRequest as _causeway_v1_WatchConflictsRequest, WatchConflictsRequest__Output as _causeway_v1_WatchConflictsRequest__Output } from '../../causeway/v1/WatchConflictsRequest.ts';
import type { WatchConflictsResponse as _causeway_v1_WatchConflictsResponse, WatchConflictsResponse__Output as _causeway_v1_WatchConflictsResponse__Output } from '../../causeway/v1/WatchConflictsResponse.ts';

export interface AdminDefinition {
  AlterCollection: MethodDefinition<_causeway_v1_AlterCollectionRequest, _causeway_v1_AlterCollectionResponse, _causeway_v1_AlterCollectionRequest__Output, _causeway_v1_AlterCollectionResponse__Output>
  Conflicts: MethodDefinition<_causeway_v1_ConflictsRequest, _causeway_v1_ConflictsResponse, _causeway_v1_ConflictsRequest__Output, _causeway_v1_ConflictsResponse__Output>
  CreateCollection: MethodDefinition<_causeway_v1_CreateCollectionRequest, _causeway_v1_CreateCollectionResponse, _causeway_v1_CreateCollectionRequest__Output, _causeway_v1_CreateCollectionResponse__Output>
  Digests: MethodDefinition<_causeway_v1_DigestsRequest, _causeway_v1_DigestsResponse, _causeway_v1_DigestsRequest__Output, _causeway_v1_DigestsResponse__Output>
  DropCollection: MethodDefinition<_causeway_v1_DropCollectionRequest, _causeway_v1_DropCollectionResponse, _causeway_v1_DropCollectionRequest__Output, _causeway_v1_DropCollectionResponse__Output>
  GetConflict: MethodDefinition<_causeway_v1_GetConflictRequest, _causeway_v1_GetConflictResponse, _causeway_v1_GetConflictRequest__Output, _causeway_v1_GetConflictResponse__Output>
  KeyHistory: MethodDefinition<_causeway_v1_KeyHistoryRequest, _causeway_v1_KeyHistoryResponse, _causeway_v1_KeyHistoryRequest__Output, _causeway_v1_KeyHistoryResponse__Output>
  ListCollections: MethodDefinition<_causeway_v1_ListCollectionsRequest, _causeway_v1_ListCollectionsResponse, _causeway_v1_ListCollectionsRequest__Output, _causeway_v1_ListCollectionsResponse__Output>
  ListConflicts: MethodDefinition<_causeway_v1_ListConflictsRequest, _causeway_v1_ListConflictsResponse, _causeway_v1_ListConflictsRequest__Output, _causeway_v1_ListConflictsResponse__Output>
  MoveShard: MethodDefinition<_causeway_v1_MoveShardRequest, _causeway_v1_MoveShardResponse, _causeway_v1_MoveShardRequest__Output, _causeway_v1_MoveShardResponse__Output>
  Ping: MethodDefinition<_causeway_v1_PingRequest, _causeway_v1_PingResponse, _causeway_v1_PingRequest__Output, _causeway_v1_PingResponse__Output>
  RestoreConflict: MethodDefinition<_causeway_v1_RestoreConflictRequest, _causeway_v1_RestoreConflictResponse, _causeway_v1_RestoreConflictRequest__Output, _causeway_v1_RestoreConflictResponse__Output>
  SharedState: MethodDefinition<_causeway_v1_SharedStateRequest, _causeway_v1_SharedStateResponse, _causeway_v1_SharedStateRequest__Output, _causeway_v1_SharedStateResponse__Output>
  Status: MethodDefinition<_causeway_v1_StatusRequest, _causeway_v1_StatusResponse, _causeway_v1_StatusRequest__Output, _causeway_v1_StatusResponse__Output>
  WatchConflicts: MethodDefinition<_causeway_v1_WatchConflictsRequest, _causeway_v1_WatchConflictsResponse, _causeway_v1_WatchConflictsRequest__Output, _causeway_v1_WatchConflictsResponse__Output>
}
