// What a region's node offers to its API: the surface that gRPC services, the demo's embedded mode and the simulator call.
// Callbacks rather than promises: the hot path makes no object per op that it does not need, and the simulator sees
// every step in a deterministic order. Callbacks may be called before the method returns, and never throw.

import type { AlterSpec, CreateSpec, DropSpec } from '../collections/changes.ts';
import type { CollectionStatus } from '../collections/registry.ts';
import type { CausewayError } from '../errors/errors.ts';
import type { ClockSample, LinkState } from '../replication/host.ts';
import type { Intent, OpDescription, View } from '../merge/types.ts';
import type { Conflict } from '../conflicts/entry.ts';
import type { ConflictPage, ConflictQuery } from '../conflicts/journal.ts';
import type { ConflictSink, ConflictSubscription, TailRequest } from '../conflicts/tail.ts';
import type { Dot, OriginId, RegionId, ShardId, Version } from '../record/ids.ts';
import type { CollectionRef, Idempotency } from '../record/op.ts';
import type { LogPromise, LogState } from '../log/log.ts';
import type { HotKey } from './hot-keys.ts';
import type { FeedSink, FeedSubscription, SubscribeRequest } from '../feed/types.ts';

export type { Conflict } from '../conflicts/entry.ts';
export type { HotKey } from './hot-keys.ts';
export type { ConflictPage, ConflictQuery } from '../conflicts/journal.ts';
export type { PagePlace } from '../conflicts/walk.ts';
export type { ConflictCursor, ConflictSink, ConflictSubscription, TailRequest } from '../conflicts/tail.ts';
export type { FeedCursor, FeedEvent, FeedSink, FeedStart, FeedSubscription, SubscribeRequest } from '../feed/types.ts';

/** Checked by the owner against what it has sequenced, durable or not, within this region only. */
export type Condition =
  | { readonly kind: 'absent' }
  | { readonly kind: 'exists' }
  /** register-lww: the visible version is exactly this one. */
  | { readonly kind: 'version'; readonly version: Version };

export interface WriteOp {
  readonly namespace: string;
  readonly collection: string;
  readonly key: string;
  readonly intent: Intent;
  readonly condition?: Condition | undefined;
  readonly idempotency?: Idempotency | undefined;
  /** Unix ms of the first attempt, by the client's clock; decides what an idempotency table that has forgotten may say. */
  readonly issuedAtMs?: number | undefined;
  /** W3C trace context: 16 bytes trace id, 8 bytes span id, 1 byte flags. */
  readonly trace?: Uint8Array | undefined;
}

export type Durability =
  | { readonly kind: 'local' }
  /** Also durable in n other regions. */
  | { readonly kind: 'regions'; readonly n: number }
  /** Visible to local reads. */
  | { readonly kind: 'applied' };

/** Per shard and origin, the stamp that a read must have reached. What a session has seen and written. */
export type SessionToken = ReadonlyMap<ShardId, ReadonlyMap<OriginId, number>>;

export interface WriteRequest {
  readonly ops: readonly WriteOp[];
  readonly durability: Durability;
  /** What is not answered by then is answered DEADLINE_EXCEEDED/INDETERMINATE or DURABILITY_NOT_REACHED. At most 60 s. */
  readonly deadlineMs: number;
  /** The write stands on all that the session has seen of its shards: it waits for that up to the deadline, and is then refused. */
  readonly session?: SessionToken | undefined;
  /** Called before write() returns when some of the ops wait for the session; what must stay behind them may be written once they are answered. */
  readonly waits?: (() => void) | undefined;
  /** Called as soon as an op has failed that may be tried again, while the answer of the whole may wait for others: what is sent behind it must not be written before it. */
  readonly failed?: ((error: CausewayError) => void) | undefined;
  /** Whose order is to be kept, where shards belong to several nodes: what comes of one stream with one epoch, as of WriteStreamRequest. */
  readonly sender?: { readonly stream: object; readonly epoch: number } | undefined;
  /** Called when some of the ops go to another node of the region, whose shards they are of. */
  readonly passedOn?: (() => void) | undefined;
  /** Ops are stamped above it, and not refused for it: too far ahead, it is passed over. */
  readonly seenStamp?: number | undefined;
  /** All ops or none, in one batch; their keys share a partition key. See atomic.ts. */
  readonly atomic?: boolean | undefined;
  /** Tell what keys are after their ops, up to so many bytes of values. */
  readonly valueBytesMax?: number | undefined;
}

export type WriteResult =
  | {
      readonly ok: true;
      readonly shard: ShardId;
      readonly version: Version;
      /** A retry of an op that was applied before: this is the first result. */
      readonly duplicate: boolean;
      /** With valueBytesMax, while there was room: the key right after the op, in this region; of a duplicate, the key now. */
      readonly after?: { readonly view: View | undefined } | undefined;
    }
  | { readonly ok: false; readonly error: CausewayError };

export type Consistency =
  | { readonly kind: 'local' }
  /** At least what the session token names. `allowStale`: answer anyway at the deadline, marked stale. */
  | { readonly kind: 'causal'; readonly session: SessionToken; readonly allowStale: boolean }
  /** Everything that another region stamped more than `maxStaleMs` before our clock's now. */
  | { readonly kind: 'bounded'; readonly maxStaleMs: number }
  /** One cut through all keys: everything up to a stamp, and nothing above it, for ever. `atStamp`: that one, or a later one when what is asked for has
   *  changed above it. */
  | { readonly kind: 'stable'; readonly atStamp?: number | undefined };

export interface ReadRequest {
  readonly namespace: string;
  readonly collection: string;
  readonly keys: readonly string[];
  readonly consistency: Consistency;
  readonly deadlineMs: number;
  /** As of a write. */
  readonly passedOn?: (() => void) | undefined;
}

export interface ReadResult {
  /** One per key, undefined = absent. */
  readonly views: readonly (View | undefined)[];
  /** What was read, to be merged into the session's token. */
  readonly session: SessionToken;
  readonly stale: boolean;
  /** bounded: every write at or below it is in the views. stable: every one, and none above. */
  readonly asOfStamp?: number | undefined;
  /** stable: nothing of what was read has changed between this and asOfStamp. */
  readonly unchangedSince?: number | undefined;
}

export interface ScanRequest {
  readonly namespace: string;
  readonly collection: string;
  /** Only keys that start with it; empty: all of the collection. */
  readonly prefix: string;
  /** Only keys of these shards, by index; undefined: of all. */
  readonly shards?: ReadonlySet<number> | undefined;
  /** Only keys behind this one, by the bytes of their UTF-8. */
  readonly after?: string | undefined;
  /** Entries of the answer, 1 to 10,000. */
  readonly limit: number;
  /** Of values in the answer; one entry is always given, however large. */
  readonly bytesMax: number;
  readonly consistency: Consistency;
  readonly deadlineMs: number;
}

export interface ScanResult {
  /** In the order of their keys (UTF-8 bytes), over all shards. May be fewer than asked for, also none, and not the last. */
  readonly entries: readonly { readonly key: string; readonly view: View }[];
  /** Go on with this as `after`; undefined: that was all. It is a key, so it is good in every region. */
  readonly next: string | undefined;
  /** What was read, to be merged into the session's token. */
  readonly session: SessionToken;
  readonly stale: boolean;
  /** As of a read. Each page is a cut of its own. */
  readonly asOfStamp?: number | undefined;
  readonly unchangedSince?: number | undefined;
}

export interface ShardDigest {
  readonly shard: ShardId;
  /** 16 hex digits over the canonical live state. */
  readonly digest: string;
  readonly keys: number;
  readonly asOfMs: number;
  readonly vector: ReadonlyMap<OriginId, number>;
}

export interface HistoryRequest {
  readonly namespace: string;
  readonly collection: string;
  readonly key: string;
  /** Changes of the answer, about. */
  readonly limit: number;
  /** Go on here; undefined: from the newest. */
  readonly before: HistoryPlace | undefined;
}

/** In one region's log of the key's shard: what stands at `offset` and behind is told. */
export interface HistoryPlace {
  readonly offset: number;
  /** The last moment that anything before it can have landed at. */
  readonly landedBeforeMs: number;
}

/** A write to a key, as it stands in this region's log. */
export interface KeyChange {
  readonly version: Version;
  readonly op: OpDescription;
  readonly trace: Uint8Array | undefined;
  /** Of its batch in the log of the shard. */
  readonly offset: number;
  /** When it landed here, by this node's clock: between the two. undefined: nothing is known that came before it. */
  readonly landedAfterMs: number | undefined;
  readonly landedBeforeMs: number;
  /** Of an own write: who is known to hold it durably, since this process began. */
  readonly acknowledgedBy: readonly RegionId[];
}

export interface KeyHistory {
  readonly shard: ShardId;
  readonly collection: CollectionRef;
  /** Newest first, by their place in the log. */
  readonly changes: readonly KeyChange[];
  /** undefined: that was all. */
  readonly next: HistoryPlace | undefined;
  /** Of the key, as a local read has it now. */
  readonly view: View | undefined;
  /** The first offset that is still there. */
  readonly logStart: number;
  readonly nowMs: number;
}

export interface PeerStatus {
  readonly region: RegionId;
  readonly link: LinkState;
  /** Replication lag by watermark: how far behind our clock the oldest of the peer's promises that count here is; undefined before the first. */
  readonly lagMs: number | undefined;
  /** Per write: origin's stamp to applied here, over the last minute. */
  readonly opLagMsP50: number | undefined;
  readonly opLagMsP99: number | undefined;
  readonly clock: ClockSample | undefined;
  /** Ops of ours that the peer has not acknowledged. */
  /** undefined: see unacknowledged(). */
  readonly unacknowledgedOps: number | undefined;
}

export interface Alarm {
  readonly sinceMs: number;
  readonly code:
    | 'clock-hold'
    | 'fork'
    | 'quarantine'
    | 'clock-unsynced'
    | 'read-only'
    | 'store-away'
    | 'log-damaged'
    | 'identity-clash'
    | 'collection-clash'
    | 'unsafe';
  readonly message: string;
}

export interface OriginStatus {
  readonly origin: OriginId;
  readonly seq: number;
  readonly watermark: number;
  readonly state: 'open' | 'frozen' | 'closed';
  readonly held: string | undefined;
}

export interface ShardStatus {
  readonly shard: ShardId;
  readonly origins: readonly OriginStatus[];
  readonly ownOrigin: OriginId | undefined;
  readonly parkedBatches: number;
  readonly tombstones: number;
}

export interface RegionStatus {
  readonly region: RegionId;
  readonly node: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly state:
    'starting' | 'asking-members' | 'catching-up' | 'ready' | 'read-only' | 'clock-unsynced' | 'draining' | 'stopped';
  /** Why it is not `ready`, for people. */
  readonly stateReason: string;
  readonly log: LogPromise & { readonly state: LogState; readonly bytes: number };
  readonly store: { readonly engine: string; readonly bytes: number };
  readonly peers: readonly PeerStatus[];
  readonly shards: readonly ShardStatus[];
  /** Those that are served. */
  readonly collections: readonly CollectionRef[];
  readonly keys: number;
  readonly counters: RegionCounters;
  readonly alarms: readonly Alarm[];
  readonly clock: {
    readonly maxSkewMs: number;
    /** Of the hybrid clock before the machine's: because of peers' stamps, or of a clock that was set back. */
    readonly aheadMs: number;
  };
  /** Of the last one to two minutes, by samples; heaviest first. */
  readonly hotKeys: { readonly written: readonly HotKey[]; readonly read: readonly HotKey[] };
}

/** Another node of the region. */
export interface OtherNode {
  readonly node: string;
  readonly address: string;
  /** undefined: it did not answer. */
  readonly status: RegionStatus | undefined;
  /** Why not, for people. */
  readonly problem: string;
}

/** A node, and where the others reach it. */
export interface NodeAddress {
  readonly node: string;
  readonly address: string;
}

export interface ShardOwner {
  readonly shard: ShardId;
  /** undefined: nobody, just now. */
  readonly owner: NodeAddress | undefined;
  /** The node that an operator has moved it to. */
  readonly pinned: string | undefined;
  /** Ops/s that land in it, those of other regions too, over the last minutes; undefined: its owner has not measured it yet. */
  readonly loadPerS: number | undefined;
}

export interface MovedShard extends ShardOwner {
  /** It is where it was asked to be. */
  readonly moved: boolean;
}

/** A region of one node has neither. */
export interface RegionOverview {
  readonly others: readonly OtherNode[];
  readonly owners: readonly ShardOwner[];
}

/** Since the process started. */
export interface RegionCounters {
  readonly accepted: number;
  readonly refused: number;
  readonly duplicatesAnswered: number;
  readonly appliedRemote: number;
  readonly duplicateBatches: number;
  readonly conflicts: number;
  readonly bytesReceived: number;
  /** Batches sealed of this region's own writes, over all shards; a commit of the log may hold several. */
  readonly commits: number;
}

/** Gives back what a write lost: all of it, or some fields. */
export interface RestoreRequest {
  readonly shard: ShardId;
  readonly loser: Dot;
  /** map-lww: these alone; empty: every field in which it lost. */
  readonly fields: readonly string[];
  /** Also when something else has been written since the winner. */
  readonly force: boolean;
  readonly deadlineMs: number;
}

export interface Restored {
  /** The entries that were given back. */
  readonly conflicts: readonly Conflict[];
  /** Of the new write. */
  readonly version: Version;
}

export type { AlterSpec, CreateSpec, DropSpec } from '../collections/changes.ts';

/** A collection of the configuration, or a definition of run time, dropped ones included. */
export interface CollectionInfo extends CollectionStatus {
  /** Every region has heard of it (if it was dropped: of that), and nothing can come that was before it. */
  readonly settled: boolean;
}

/** What a node tells the others of its region, of the shards that it owns. */
export interface SharedState {
  /** Of the definitions. */
  readonly revision: string;
  /** Of collections that were created at run time; undefined: as of the revision that the asking node has named. */
  readonly definitions: readonly CollectionInfo[] | undefined;
  /** Those whose definitions it has read. */
  readonly shards: readonly ShardId[];
  /** By placement: as of Region.stalenessMs(), of its own shards. */
  readonly stalenessMs: ReadonlyMap<number, number | undefined>;
}

export interface ChangeOptions {
  readonly deadlineMs: number;
  /** Answer when what was changed is settled; by the deadline all the same. */
  readonly wait: boolean;
}

export interface CollectionChange {
  /** What was asked about, as it is now. */
  readonly collections: readonly CollectionInfo[];
  /** False: it was so already. */
  readonly changed: boolean;
}

export type CollectionChanged = (change: CollectionChange | CausewayError) => void;

export interface Region {
  readonly id: RegionId;
  /** Placement and number of shards of a namespace; undefined: no such namespace. */
  placementOf(namespace: string): { readonly placementId: number; readonly shards: number } | undefined;
  collection(namespace: string, name: string): CollectionRef | undefined;
  /** Everything that is defined, by name; what is served is among it. */
  collections(): readonly CollectionInfo[];
  createCollection(spec: CreateSpec, options: ChangeOptions, done: CollectionChanged): void;
  alterCollection(spec: AlterSpec, options: ChangeOptions, done: CollectionChanged): void;
  /** Not before every region has heard of it, unless `force`. */
  dropCollection(spec: DropSpec, options: ChangeOptions & { readonly force: boolean }, done: CollectionChanged): void;
  write(request: WriteRequest, done: (results: readonly WriteResult[]) => void): void;
  read(request: ReadRequest, done: (result: ReadResult | CausewayError) => void): void;
  /** A page of a collection's keys, each shard's part from one moment. */
  scan(request: ScanRequest, done: (result: ScanResult | CausewayError) => void): void;
  subscribe(request: SubscribeRequest, sink: FeedSink): FeedSubscription;
  /** A page of what was written to a key, from this region's log. */
  history(request: HistoryRequest, done: (history: KeyHistory | CausewayError) => void): void;
  /** I14: by watermarks, how old at most the newest change is that a local read of the namespace may lack; undefined while a region
   *  that holds it has not been heard of. */
  stalenessMs(namespace: string): number | undefined;
  /** Of the shards that this node serves, at one moment; `asOfMs` (within the last minute) decides which expiring parts count. */
  digests(asOfMs: number): readonly ShardDigest[];
  /** Of all shards of the region, or why some cannot be told. */
  allDigests(asOfMs: number, done: (digests: readonly ShardDigest[] | CausewayError) => void): void;
  /** By hand: to this node of the region as long as it lives; undefined: back to where it belongs. Answered when it is there; by the deadline all the same. */
  moveShard(
    shard: ShardId,
    node: string | undefined,
    deadlineMs: number,
    done: (moved: MovedShard | CausewayError) => void,
  ): void;
  /** For the other nodes of the region. */
  sharedState(unlessRevision: string): SharedState;
  /** Of this node. */
  status(): RegionStatus;
  /** Of the others, and who owns what. Never fails: who does not answer is marked. */
  overview(done: (overview: RegionOverview) => void): void;
  /** Of the namespace's shards, in their order, as far as this node knows; undefined: nobody has it, just now. Empty where one node has them all. */
  shardOwners(namespace: string): readonly (NodeAddress | undefined)[];
  /** A page of the conflict journal: of the verdicts about losers of this region. */
  conflicts(query: ConflictQuery, done: (page: ConflictPage | CausewayError) => void): void;
  /** All entries of one loser. */
  conflictsOf(shard: ShardId, loser: Dot, done: (conflicts: readonly Conflict[] | CausewayError) => void): void;
  watchConflicts(request: TailRequest, sink: ConflictSink): ConflictSubscription;
  restoreConflict(request: RestoreRequest, done: (restored: Restored | CausewayError) => void): void;
  /** Ready for reads and writes? A lost peer never makes it false. */
  ready(): boolean;
  onReady(listener: (ready: boolean) => void): void;
}
