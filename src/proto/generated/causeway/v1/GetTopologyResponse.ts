// Original file: proto/causeway/v1/data.proto

import type { NamespaceInfo as _causeway_v1_NamespaceInfo, NamespaceInfo__Output as _causeway_v1_NamespaceInfo__Output } from '../../causeway/v1/NamespaceInfo.ts';
import type { RequestLimits as _causeway_v1_RequestLimits, RequestLimits__Output as _causeway_v1_RequestLimits__Output } from '../../causeway/v1/RequestLimits.ts';
import type { NodeInfo as _causeway_v1_NodeInfo, NodeInfo__Output as _causeway_v1_NodeInfo__Output } from '../../causeway/v1/NodeInfo.ts';
import type { Long } from '@grpc/proto-loader';

export interface GetTopologyResponse {
  'region'?: (string);
  'node'?: (string);
  'version'?: (string);
  'ready'?: (boolean);
  'readyReason'?: (string);
  'namespaces'?: (_causeway_v1_NamespaceInfo)[];
  'limits'?: (_causeway_v1_RequestLimits | null);
  'peers'?: (string)[];
  'nowMs'?: (number | string | Long);
  'nodes'?: (_causeway_v1_NodeInfo)[];
}

export interface GetTopologyResponse__Output {
  'region': (string);
  'node': (string);
  'version': (string);
  'ready': (boolean);
  'readyReason': (string);
  'namespaces': (_causeway_v1_NamespaceInfo__Output)[];
  'limits': (_causeway_v1_RequestLimits__Output | null);
  'peers': (string)[];
  'nowMs': (number);
  'nodes': (_causeway_v1_NodeInfo__Output)[];
}
