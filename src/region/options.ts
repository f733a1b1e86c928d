// What a node is made of: settings that were checked elsewhere, and ports that were constructed elsewhere (compose.ts, the simulator).

import type { Log } from '../log/log.ts';
import type { Ownership } from '../ownership/ownership.ts';
import type { RegionId, ShardId } from '../record/ids.ts';
import type { CollectionRef } from '../record/op.ts';
import type { Compression } from '../replication/receiver.ts';
import type { Transport } from '../replication/transport.ts';
import type { Store } from '../store/store.ts';
import type { System } from '../system/system.ts';
import type { Tracing } from '../tracing/tracing.ts';

export interface PlacementSettings {
  /** 1 to 65535; stands in every batch. */
  readonly id: number;
  readonly name: string;
  /** Slices of the key space, 1 to 1024. */
  readonly shards: number;
  /** Members. */
  readonly regions: readonly RegionId[];
}

export interface PeerSettings {
  readonly region: RegionId;
  /** `host:port` of the peer's replication listener; several for a region of several nodes. */
  readonly addresses: readonly string[];
}

export interface NodeSettings {
  readonly region: RegionId;
  readonly node: string;
  readonly version: string;
  readonly clusterId: string;
  readonly settingsHash: string;
  readonly placements: readonly PlacementSettings[];
  readonly namespaces: readonly { readonly name: string; readonly placementId: number }[];
  readonly collections: readonly CollectionRef[];
  /** Other regions; one that shares no placement with this one may be left out. */
  readonly peers: readonly PeerSettings[];
  /** A remote stamp further ahead than this holds its stream (I5). Default 2000. Equal everywhere. */
  readonly maxSkewMs: number;
  /** How long a lease of stamps is, ms; shorter than maxSkewMs. Default 1000. */
  readonly leaseMs: number;
  /** Between heartbeats, ms. Default 100. */
  readonly heartbeatMs: number;
  /** Whether peers are asked to compress what they send us. Default auto: over links with a round trip of 5 ms and more. */
  readonly linkCompression: Compression;
  /** What has landed is in the store within about this time, ms. Default 30,000. */
  readonly storeFlushMs: number;
  /** The operator says: start taking writes with a new or damaged log although no member could be asked. */
  readonly allowFreshStart: boolean;
  /** Between two canaries to each peer, while tracing is on, ms. 0 or undefined: there are none. */
  readonly canaryMs?: number | undefined;
  readonly limits: NodeLimits;
}

/** Every bound has a name; what happens at it stands in docs/OPERATIONS.md and beside its use. */
export interface NodeLimits {
  /** Ops of one write request. Beyond: TOO_LARGE. */
  readonly opsPerRequestMax: number;
  /** Bytes of ops sequenced and not yet durable, all shards. Beyond: OVERLOADED with retry pushback. */
  readonly inFlightBytesMax: number;
  /** Per batch; what arrives beyond waits for the next. */
  readonly batchOpsMax: number;
  readonly batchBytesMax: number;
  /** Per shard, of remote batches that wait for deps or a gap. Beyond: dropped and asked for again. */
  readonly parkedBytesMax: number;
  /** Decoded key states kept in memory, all shards, by bytes of their encoding. Beyond: least recently used first. */
  readonly stateCacheBytesMax: number;
  /** Ops remembered per shard, so that their retries are recognised. Beyond: oldest first; what is older than that is refused. */
  readonly idempotencyEntriesMax: number;
  /** Entries of all shards' logs that a start reads again, behind the store's cursor, for those ops. Beyond: what is older is forgotten. */
  readonly rereadEntriesMax: number;
  /** States that the store does not have yet, all shards. Beyond: OVERLOADED; peers' batches wait before that (intake.ts). */
  readonly storeBacklogMax: number;
  /** Conflicts kept in the journal, all shards. Beyond: oldest first, counted. 0: none are kept. */
  readonly conflictsMax: number;
  /** Their bytes, losers' values included. Beyond: oldest first, counted. */
  readonly conflictsBytesMax: number;
  /** How long a conflict is kept, ms. */
  readonly conflictsKeepMs: number;
  /** Per link: bytes of batches under way. */
  readonly linkWindowBytes: number;
}

export const DEFAULT_LIMITS: NodeLimits = {
  opsPerRequestMax: 10_000,
  inFlightBytesMax: 64 * 1024 * 1024,
  batchOpsMax: 4096,
  batchBytesMax: 4 * 1024 * 1024,
  parkedBytesMax: 8 * 1024 * 1024,
  stateCacheBytesMax: 256 * 1024 * 1024,
  idempotencyEntriesMax: 131_072,
  rereadEntriesMax: 32_768,
  storeBacklogMax: 500_000,
  conflictsMax: 100_000,
  conflictsBytesMax: 64 * 1024 * 1024,
  conflictsKeepMs: 7 * 24 * 3600 * 1000,
  linkWindowBytes: 8 * 1024 * 1024,
};

export interface NodePorts {
  readonly log: Log;
  readonly store: Store;
  readonly transport: Transport;
  readonly ownership: Ownership;
  readonly system: System;
  /** undefined: no write is traced. */
  readonly tracing?: Tracing | undefined;
  /** Says what an operator may want to read in the node's log. */
  readonly notice?: (level: 'info' | 'warn' | 'error', message: string) => void;
}

/** `new RegionNode(settings, ports)` in node.ts: start() opens log and store, replays, dials; drain() refuses new writes and waits for
 *  what is under way; stop() ends everything. */
export interface NodeLifecycle {
  start(): Promise<void>;
  drain(): Promise<void>;
  stop(): Promise<void>;
  /** Of a shard that another node of the region serves, and this one is about to have: reads its log to about the end. */
  follow(shard: ShardId): Promise<void>;
  /** What the store's onLost is connected to. */
  storeLost(shard: ShardId, why: string): void;
}
