// Original file: proto/causeway/v1/data.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { GetTopologyRequest as _causeway_v1_GetTopologyRequest, GetTopologyRequest__Output as _causeway_v1_GetTopologyRequest__Output } from '../../causeway/v1/GetTopologyRequest.ts';
import type { GetTopologyResponse as _causeway_v1_GetTopologyResponse, GetTopologyResponse__Output as _causeway_v1_GetTopologyResponse__Output } from '../../causeway/v1/GetTopologyResponse.ts';
import type { ReadRequest as _causeway_v1_ReadRequest, ReadRequest__Output as _causeway_v1_ReadRequest__Output } from '../../causeway/v1/ReadRequest.ts';
import type { ReadResponse as _causeway_v1_ReadResponse, ReadResponse__Output as _causeway_v1_ReadResponse__Output } from '../../causeway/v1/ReadResponse.ts';
import type { ScanRequest as _causeway_v1_ScanRequest, ScanRequest__Output as _causeway_v1_ScanRequest__Output } from '../../causeway/v1/ScanRequest.ts';
import type { ScanResponse as _causeway_v1_ScanResponse, ScanResponse__Output as _causeway_v1_ScanResponse__Output } from '../../causeway/v1/ScanResponse.ts';
import type { SubscribeRequest as _causeway_v1_SubscribeRequest, SubscribeRequest__Output as _causeway_v1_SubscribeRequest__Output } from '../../causeway/v1/SubscribeRequest.ts';
import type { SubscribeResponse as _causeway_v1_SubscribeResponse, SubscribeResponse__Output as _causeway_v1_SubscribeResponse__Output } from '../../causeway/v1/SubscribeResponse.ts';
import type { WriteRequest as _causeway_v1_WriteRequest, WriteRequest__Output as _causeway_v1_WriteRequest__Output } from '../../causeway/v1/WriteRequest.ts';
import type { WriteResponse as _causeway_v1_WriteResponse, WriteResponse__Output as _causeway_v1_WriteResponse__Output } from '../../causeway/v1/WriteResponse.ts';
import type { WriteStreamRequest as _causeway_v1_WriteStreamRequest, WriteStreamRequest__Output as _causeway_v1_WriteStreamRequest__Output } from '../../causeway/v1/WriteStreamRequest.ts';
import type { WriteStreamResponse as _causeway_v1_WriteStreamResponse, WriteStreamResponse__Output as _causeway_v1_WriteStreamResponse__Output } from '../../causeway/v1/WriteStreamResponse.ts';

export interface DataDefinition {
  GetTopology: MethodDefinition<_causeway_v1_GetTopologyRequest, _causeway_v1_GetTopologyResponse, _causeway_v1_GetTopologyRequest__Output, _causeway_v1_GetTopologyResponse__Output>
  Read: MethodDefinition<_causeway_v1_ReadRequest, _causeway_v1_ReadResponse, _causeway_v1_ReadRequest__Output, _causeway_v1_ReadResponse__Output>
  Scan: MethodDefinition<_causeway_v1_ScanRequest, _causeway_v1_ScanResponse, _causeway_v1_ScanRequest__Output, _causeway_v1_ScanResponse__Output>
  Subscribe: MethodDefinition<_causeway_v1_SubscribeRequest, _causeway_v1_SubscribeResponse, _causeway_v1_SubscribeRequest__Output, _causeway_v1_SubscribeResponse__Output>
  Write: MethodDefinition<_causeway_v1_WriteRequest, _causeway_v1_WriteResponse, _causeway_v1_WriteRequest__Output, _causeway_v1_WriteResponse__Output>
  WriteAtomic: MethodDefinition<_causeway_v1_WriteRequest, _causeway_v1_WriteResponse, _causeway_v1_WriteRequest__Output, _causeway_v1_WriteResponse__Output>
  WriteStream: MethodDefinition<_causeway_v1_WriteStreamRequest, _causeway_v1_WriteStreamResponse, _causeway_v1_WriteStreamRequest__Output, _causeway_v1_WriteStreamResponse__Output>
}
