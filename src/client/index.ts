// The package's `causeway/client`: everything that a program needs to use Causeway, and nothing of the server.

export { adminClient, type AdminClient } from './admin.ts';
export type * from './admin.ts';
export type {
  AlteredCollection,
  ChangedCollection,
  CollectionAttributes,
  CollectionFilter,
  CollectionOptions,
  DroppedCollection,
  DroppedCollections,
  NewCollection,
  NodeDefinition,
  NodeDefinitionPage,
} from './collections.ts';
export type {
  ConflictBatch,
  ConflictFilter,
  ConflictScope,
  LoserName,
  NodeConflict,
  NodeConflictPage,
  NodeRestored,
  WatchConflictsOptions,
} from './conflicts.ts';
export { bytes, json, text, type Codec } from './codecs.ts';
export { Causeway, connect, type ConnectOptions } from './connect.ts';
export { Consumer } from './consumer/consumer.ts';
export { ConsumerGroups, type GroupInfo, type GroupMember, type GroupShard } from './consumer/groups.ts';
export type * from './consumer/options.ts';
export type { ReadAnswer, ScanAnswer } from './calls.ts';
export type { FeedOp } from './feed-op.ts';
export type { HistoryPageOptions, KeyName, NodeKeyChange, NodeKeyHistory } from './history.ts';
export {
  Counter,
  MapHandle,
  MultiRegister,
  Register,
  SetHandle,
  type Answered,
  type Keyed,
  type MapValue,
  type PutOptions,
  type ReplaceOptions,
  type Siblings,
  type UpdateOptions,
  type Versioned,
} from './handles.ts';
export { Producer, type ProducerStats, type OnResult } from './producer/producer.ts';
export type { ProducerOptions } from './producer/options.ts';
export { Subscription, type FeedBatch, type FeedEvent, type FeedStart, type SubscribeOptions } from './subscribe.ts';
export type { TlsOptions } from './tls.ts';
export { openTelemetry, type ClientSpan, type ClientTracer, type OpenTelemetryApi } from './tracer.ts';
export type * from './types.ts';
export { CausewayError, isCausewayError, type ErrorCode, type Outcome } from '../errors/errors.ts';
