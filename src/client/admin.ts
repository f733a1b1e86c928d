// What operators and tools ask one node. The shapes are those of src/region/region.ts, with plain names and records for JSON.

import { messageType, objectCodec, wireMethod, type WireMethod } from '../proto/load.ts';
import type { AlterCollectionResponse__Output } from '../proto/generated/causeway/v1/AlterCollectionResponse.ts';
import type { ConflictsResponse__Output } from '../proto/generated/causeway/v1/ConflictsResponse.ts';
import type { CreateCollectionResponse__Output } from '../proto/generated/causeway/v1/CreateCollectionResponse.ts';
import type { DigestsResponse__Output } from '../proto/generated/causeway/v1/DigestsResponse.ts';
import type { DropCollectionResponse__Output } from '../proto/generated/causeway/v1/DropCollectionResponse.ts';
import type { GetConflictResponse__Output } from '../proto/generated/causeway/v1/GetConflictResponse.ts';
import type { HotKey__Output } from '../proto/generated/causeway/v1/HotKey.ts';
import type { KeyHistoryResponse__Output } from '../proto/generated/causeway/v1/KeyHistoryResponse.ts';
import type { ListCollectionsResponse__Output } from '../proto/generated/causeway/v1/ListCollectionsResponse.ts';
import type { ListConflictsResponse__Output } from '../proto/generated/causeway/v1/ListConflictsResponse.ts';
import type { RestoreConflictResponse__Output } from '../proto/generated/causeway/v1/RestoreConflictResponse.ts';
import type { PingResponse__Output } from '../proto/generated/causeway/v1/PingResponse.ts';
import type { MoveShardResponse__Output } from '../proto/generated/causeway/v1/MoveShardResponse.ts';
import type { ShardOwner__Output } from '../proto/generated/causeway/v1/ShardOwner.ts';
import type { StatusResponse__Output } from '../proto/generated/causeway/v1/StatusResponse.ts';
import { CausewayError } from '../errors/errors.ts';
import { realSystem } from '../system/real.ts';
import type { System } from '../system/system.ts';
import {
  attributes,
  definitionOf,
  definitionPageOf,
  droppedOf,
  mergeTypeNumber,
  type AlteredCollection,
  type ChangedCollection,
  type CollectionFilter,
  type CollectionOptions,
  type DroppedCollection,
  type DroppedCollections,
  type NewCollection,
  type NodeDefinitionPage,
} from './collections.ts';
import {
  conflictOf,
  listRequest,
  pageOf,
  restoredOf,
  watchConflicts,
  type ConflictBatch,
  type ConflictFilter,
  type LoserName,
  type NodeConflict,
  type NodeConflictPage,
  type NodeRestored,
  type WatchConflictsOptions,
} from './conflicts.ts';
import { Endpoint } from './endpoint.ts';
import { historyOf, type HistoryPageOptions, type KeyName, type NodeKeyHistory } from './history.ts';
import { openTls, type ClientTls, type TlsOptions } from './tls.ts';
import type { CallOptions, MergeType, Topology } from './types.ts';
import { mergeTypeOf, topologyOf } from './views.ts';

export interface NodePing {
  readonly region: string;
  readonly node: string;
  readonly version: string;
  readonly nowMs: number;
  readonly ready: boolean;
}

export type LinkStatus =
  | { readonly kind: 'connecting'; readonly attempt: number }
  | { readonly kind: 'up' }
  | { readonly kind: 'down'; readonly reason: string; readonly retryInMs: number }
  | { readonly kind: 'refused'; readonly reason: string; readonly message: string; readonly retryInMs: number };

export interface NodePeer {
  readonly region: string;
  readonly link: LinkStatus;
  /** By watermark; undefined before the first. */
  readonly lagMs: number | undefined;
  readonly opLagMsP50: number | undefined;
  readonly opLagMsP99: number | undefined;
  readonly clock: { readonly offsetMs: number; readonly rttMs: number } | undefined;
  /** undefined: of earlier starts there are some, and the peer has said nothing of them since this process began. */
  readonly unacknowledgedOps: number | undefined;
}

export interface NodeShard {
  readonly shard: string;
  readonly origins: readonly {
    readonly origin: string;
    readonly seq: number;
    /** Infinity of a closed origin. */
    readonly watermark: number;
    readonly state: string;
    readonly held: string | undefined;
  }[];
  readonly ownOrigin: string | undefined;
  readonly parkedBatches: number;
  readonly tombstones: number;
}

export interface NodeCollection {
  readonly namespace: string;
  readonly name: string;
  readonly id: number;
  readonly type: MergeType;
}

export interface NodeStatus {
  readonly region: string;
  readonly node: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly nowMs: number;
  /** starting, asking-members, catching-up, ready, read-only, clock-unsynced, draining, stopped. */
  readonly state: string;
  readonly stateReason: string;
  readonly log: {
    readonly engine: string;
    readonly durable: boolean;
    readonly detail: string;
    readonly state: string;
    readonly stateReason: string;
    readonly bytes: number;
  };
  readonly store: { readonly engine: string; readonly bytes: number };
  readonly peers: readonly NodePeer[];
  readonly shards: readonly NodeShard[];
  readonly collections: readonly NodeCollection[];
  readonly keys: number;
  readonly counters: {
    readonly accepted: number;
    readonly refused: number;
    readonly duplicatesAnswered: number;
    readonly appliedRemote: number;
    readonly duplicateBatches: number;
    readonly conflicts: number;
    readonly bytesReceived: number;
    readonly commits: number;
  };
  readonly alarms: readonly { readonly sinceMs: number; readonly code: string; readonly message: string }[];
  /** What its TLS shows and trusts; empty without TLS. */
  readonly certificates: readonly NodeCertificate[];
  readonly clock: {
    readonly maxSkewMs: number;
    /** How far its hybrid clock is ahead of the machine's. */
    readonly aheadMs: number;
  };
  /** The other nodes of the region, with what each says of itself; empty: there is no other, or the node is of an older version. */
  readonly others: readonly OtherNode[];
  /** Of every shard of the region; empty as above. */
  readonly owners: readonly NodeShardOwner[];
  /** Of the last one to two minutes, heaviest first; empty from a node of an older version. */
  readonly hotKeys: { readonly written: readonly NodeHotKey[]; readonly read: readonly NodeHotKey[] };
}

export interface OtherNode {
  readonly node: string;
  readonly address: string;
  /** undefined: it did not answer. */
  readonly status: NodeStatus | undefined;
  /** Why it did not answer; else empty. */
  readonly problem: string;
}

export interface NodeShardOwner {
  readonly shard: string;
  /** Empty: nobody, just now. */
  readonly node: string;
  readonly address: string;
  /** The node that an operator has moved it to; undefined: it is where it belongs by itself. */
  readonly pinned: string | undefined;
  /** Ops/s that land in it, those of other regions too, over the last minutes; undefined: its owner has not measured it yet, or the node is of an older version. */
  readonly loadPerS: number | undefined;
}

export interface MovedShard extends NodeShardOwner {
  /** It is where it was asked to be. */
  readonly moved: boolean;
  readonly region: string;
}

export interface NodeHotKey {
  readonly namespace: string;
  readonly collection: string;
  readonly key: string;
  /** Ops a second, about. */
  readonly perS: number;
  /** Of all ops of that time, 0 … 1. */
  readonly share: number;
}

export interface NodeCertificate {
  /** Where its file stands in the configuration: `listeners.clients`, `listeners.peers`, `links`. */
  readonly use: string;
  /** `cert` or `ca`. */
  readonly part: string;
  readonly subject: string;
  readonly notAfterMs: number;
}

export interface NodeDigest {
  readonly shard: string;
  readonly digest: string;
  readonly keys: number;
  readonly asOfMs: number;
  /** By origin. */
  readonly vector: Readonly<Record<string, number>>;
}

export interface AdminOptions {
  /** Default 5000. */
  readonly deadlineMs?: number;
  /** Default 1000. */
  readonly connectTimeoutMs?: number;
  /** TLS; without it the connection is not encrypted. */
  readonly tls?: TlsOptions;
  readonly system?: System;
}

/** Talks to one node; only what gRPC's service config says is tried again, briefly. Errors are CausewayError. */
export function adminClient(endpoint: string, options: AdminOptions = {}): AdminClient {
  return new AdminClient(endpoint, options);
}

export class AdminClient {
  readonly #endpoint: Endpoint;
  readonly #tls: ClientTls | undefined;
  readonly #system: System;
  readonly #deadlineMs: number;
  readonly #connectTimeoutMs: number;

  constructor(endpoint: string, options: AdminOptions) {
    if (!/^.+:[0-9]{1,5}$/.test(endpoint)) {
      throw new CausewayError('INVALID_ARGUMENT', `an endpoint has the form host:port; got '${endpoint}'`);
    }
    this.#system = options.system ?? realSystem();
    this.#tls = openTls(options.tls, this.#system);
    this.#endpoint = new Endpoint(endpoint, 0, this.#system, this.#tls, true);
    this.#deadlineMs = options.deadlineMs ?? 5000;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 1000;
  }

  async ping(options?: CallOptions): Promise<NodePing> {
    return this.#ask<PingResponse__Output>('Ping', {}, options);
  }

  async status(options?: CallOptions): Promise<NodeStatus> {
    return statusOf(await this.#ask<StatusResponse__Output>('Status', {}, options));
  }

  /** As of `asOfMs` (Unix ms, within the last minute), or now by the node's clock. */
  async digests(asOfMs?: number, options?: CallOptions): Promise<NodeDigest[]> {
    const { digests } = await this.#ask<DigestsResponse__Output>('Digests', { asOfMs: asOfMs ?? 0 }, options);
    return digests.map(({ shard, digest, keys, asOfMs: at, vector }) => ({
      shard,
      digest,
      keys,
      asOfMs: at,
      vector: Object.fromEntries(vector.map(({ origin, seq }) => [origin, seq])),
    }));
  }

  /** The last ones, newest last. */
  async conflicts(filter: { namespace?: string; limit?: number } = {}, options?: CallOptions): Promise<NodeConflict[]> {
    const request = { namespace: filter.namespace ?? '', limit: filter.limit ?? 0 };
    const { conflicts } = await this.#ask<ConflictsResponse__Output>('Conflicts', request, options);
    return conflicts.map(conflictOf);
  }

  /** A page of the region's conflict journal. */
  async listConflicts(filter: ConflictFilter = {}, options?: CallOptions): Promise<NodeConflictPage> {
    return pageOf(await this.#ask<ListConflictsResponse__Output>('ListConflicts', listRequest(filter), options));
  }

  /** A page of what was written to a key, as the region's log has it. */
  async keyHistory(
    { namespace, collection, key }: KeyName,
    { pageSize = 0, pageToken = '' }: HistoryPageOptions = {},
    options?: CallOptions,
  ): Promise<NodeKeyHistory> {
    const request = { namespace, collection, key, pageSize, pageToken };
    return historyOf(await this.#ask<KeyHistoryResponse__Output>('KeyHistory', request, options));
  }

  /** What one write has lost: one entry, or one per field of a map. KEY_NOT_FOUND when the journal does not have it. */
  async conflictsOf({ shard, origin, seq }: LoserName, options?: CallOptions): Promise<NodeConflict[]> {
    const request = { shard, loser: { origin, seq } };
    const { conflicts } = await this.#ask<GetConflictResponse__Output>('GetConflict', request, options);
    return conflicts.map(conflictOf);
  }

  /** Writes it again, if nothing has been written since the winner, or `force`. */
  async restoreConflict(
    { shard, origin, seq }: LoserName,
    how: { readonly fields?: readonly string[]; readonly force?: boolean } = {},
    options?: CallOptions,
  ): Promise<NodeRestored> {
    const { fields = [], force = false } = how;
    const deadlineMs = options?.deadlineMs ?? this.#deadlineMs;
    const request = { shard, loser: { origin, seq }, fields: [...fields], force, deadlineMs };
    return restoredOf(await this.#ask<RestoreConflictResponse__Output>('RestoreConflict', request, options));
  }

  /** The journal as it grows. One node's, and nothing is tried again: go on from the last cursor. */
  async *watchConflicts(options: WatchConflictsOptions = {}): AsyncGenerator<ConflictBatch, void, undefined> {
    await this.#endpoint.connected(this.#limits(undefined), this.#connectTimeoutMs);
    yield* watchConflicts(this.#endpoint, options);
  }

  /** A page of the collections that the region knows: the configuration's, and those that were created at run time. */
  async listCollections(filter: CollectionFilter = {}, options?: CallOptions): Promise<NodeDefinitionPage> {
    const { namespace = '', name = '', dropped = false, pageSize = 0, pageToken = '' } = filter;
    const request = { namespace, name, dropped, pageSize, pageToken };
    return definitionPageOf(await this.#ask<ListCollectionsResponse__Output>('ListCollections', request, options));
  }

  /** In all regions of its namespace. Asked for again it changes nothing; PRECONDITION_FAILED when there is another one of the name. */
  async createCollection(
    spec: NewCollection,
    { wait = false }: CollectionOptions = {},
    options?: CallOptions,
  ): Promise<ChangedCollection> {
    const { namespace, name, type } = spec;
    const request = { namespace, name, mergeType: mergeTypeNumber(type), ...attributes(spec), wait };
    const answer = await this.#change<CreateCollectionResponse__Output>('CreateCollection', request, options);
    return { collection: definitionOf(answer.collection), changed: answer.created, region: answer.region };
  }

  /** Attributes; PRECONDITION_FAILED when `type` is another one than the collection's, which never changes. */
  async alterCollection(
    spec: AlteredCollection,
    { wait = false }: CollectionOptions = {},
    options?: CallOptions,
  ): Promise<ChangedCollection> {
    const { namespace, name, type } = spec;
    const request = { namespace, name, mergeType: mergeTypeNumber(type), ...attributes(spec), wait };
    const answer = await this.#change<AlterCollectionResponse__Output>('AlterCollection', request, options);
    return { collection: definitionOf(answer.collection), changed: answer.altered, region: answer.region };
  }

  /** For good. CONSISTENCY_NOT_REACHED while a region may not have heard of the collection, unless `force`. */
  async dropCollection(
    spec: DroppedCollection,
    { wait = false, force = false }: CollectionOptions & { readonly force?: boolean } = {},
    options?: CallOptions,
  ): Promise<DroppedCollections> {
    const { namespace, name, id = 0 } = spec;
    const request = { namespace, name, id, force, wait };
    return droppedOf(await this.#change<DropCollectionResponse__Output>('DropCollection', request, options));
  }

  /** To this node of the region, until it is taken back (`node` undefined). Resolves when the shard is there, or at the deadline with `moved` false. */
  async moveShard(shard: string, node: string | undefined, options?: CallOptions): Promise<MovedShard> {
    const answer = await this.#change<MoveShardResponse__Output>('MoveShard', { shard, node: node ?? '' }, options);
    const owner =
      answer.owner === null
        ? { shard, node: '', address: '', pinned: node, loadPerS: undefined }
        : shardOwnerOf(answer.owner);
    return { ...owner, moved: answer.moved, region: answer.region };
  }

  /** The node answers by the deadline itself, with what it knows; a little before the call ends. */
  #change<Res>(name: string, request: object, options: CallOptions | undefined): Promise<Res> {
    const deadlineMs = options?.deadlineMs ?? this.#deadlineMs;
    return this.#ask<Res>(name, { ...request, deadlineMs: Math.max(1, Math.floor(deadlineMs * 0.8)) }, options);
  }

  /** What it serves. '' = every namespace. */
  async topology(namespace = '', options?: CallOptions): Promise<Topology> {
    const limits = this.#limits(options);
    await this.#endpoint.connected(limits, this.#connectTimeoutMs);
    return topologyOf(await this.#endpoint.topology(namespace, limits));
  }

  close(): void {
    this.#endpoint.close();
    this.#tls?.close();
  }

  #limits(options: CallOptions | undefined): { endMs: number; signal: AbortSignal | undefined } {
    const deadlineMs = options?.deadlineMs ?? this.#deadlineMs;
    return { endMs: this.#system.clock.monotonicMs() + deadlineMs, signal: options?.signal };
  }

  async #ask<Res>(name: string, request: object, options: CallOptions | undefined): Promise<Res> {
    const limits = this.#limits(options);
    await this.#endpoint.connected(limits, this.#connectTimeoutMs);
    return this.#endpoint.unary(methodOf<Res>(name), request, limits);
  }
}

function methodOf<Res>(name: string): WireMethod<object, Res> {
  // Throws before anything is sent when the protocol has no such answer.
  messageType(`causeway.v1.${name}Response`);
  return wireMethod<object, Res>('causeway.v1.Admin', name, {
    request: objectCodec(`causeway.v1.${name}Request`) as never,
    response: objectCodec(`causeway.v1.${name}Response`) as never,
  });
}

export function statusOf(message: StatusResponse__Output): NodeStatus {
  const { log, store, counters } = message;
  if (log === null || store === null || counters === null)
    throw new CausewayError('INTERNAL', 'a status without its parts');
  return {
    region: message.region,
    node: message.node,
    version: message.version,
    startedAtMs: message.startedAtMs,
    nowMs: message.nowMs,
    state: message.state,
    stateReason: message.stateReason,
    log,
    store,
    peers: message.peers.map((peer) => ({
      region: peer.region,
      link: linkOf(peer.link),
      lagMs: peer.lagMs,
      opLagMsP50: peer.opLagMsP50,
      opLagMsP99: peer.opLagMsP99,
      clock: peer.clock ?? undefined,
      unacknowledgedOps: peer.unacknowledgedUnknown ? undefined : peer.unacknowledgedOps,
    })),
    shards: message.shards.map((shard) => ({
      shard: shard.shard,
      origins: shard.origins.map(({ origin, seq, watermark, state, held }) => ({
        origin,
        seq,
        watermark: watermark >= Number.MAX_SAFE_INTEGER ? Infinity : watermark,
        state,
        held: held === '' ? undefined : held,
      })),
      ownOrigin: shard.ownOrigin === '' ? undefined : shard.ownOrigin,
      parkedBatches: shard.parkedBatches,
      tombstones: shard.tombstones,
    })),
    collections: message.collections.map(({ namespace, collection }) => ({
      namespace,
      name: collection?.name ?? '',
      id: collection?.id ?? 0,
      type: mergeTypeOf(collection?.mergeType ?? 0),
    })),
    keys: message.keys,
    counters,
    alarms: message.alarms,
    certificates: message.certificates,
    clock: message.clock ?? { maxSkewMs: 0, aheadMs: 0 },
    others: message.nodes.map(({ node, address, status, problem }) => ({
      node,
      address,
      status: status === null ? undefined : statusOf(status),
      problem,
    })),
    owners: message.owners.map(shardOwnerOf),
    hotKeys: { written: message.hotWritten.map(hotKeyOf), read: message.hotRead.map(hotKeyOf) },
  };
}

export function shardOwnerOf({ shard, node, address, pinned, loadPerS }: ShardOwner__Output): NodeShardOwner {
  return { shard, node, address, pinned: pinned === '' ? undefined : pinned, loadPerS };
}

function hotKeyOf({ namespace, collection, key, perS, share }: HotKey__Output): NodeHotKey {
  return { namespace, collection, key, perS, share };
}

function linkOf(link: StatusResponse__Output['peers'][number]['link']): LinkStatus {
  const { kind = '', attempt = 0, reason = '', message = '', retryInMs = 0 } = link ?? {};
  switch (kind) {
    case 'up':
      return { kind: 'up' };
    case 'down':
      return { kind: 'down', reason, retryInMs };
    case 'refused':
      return { kind: 'refused', reason, message, retryInMs };
    default:
      return { kind: 'connecting', attempt };
  }
}
