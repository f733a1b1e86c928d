// What a node needs of the other nodes of its region: who owns which shard, and a way to ask them.

import type { CausewayError } from '../errors/errors.ts';
import type { Ownership } from '../ownership/ownership.ts';
import type { Dot, ShardId } from '../record/ids.ts';
import type {
  AlterSpec,
  ChangeOptions,
  CollectionChanged,
  CollectionInfo,
  Conflict,
  ConflictPage,
  ConflictQuery,
  ConflictSink,
  ConflictSubscription,
  CreateSpec,
  DropSpec,
  FeedSink,
  FeedSubscription,
  HistoryRequest,
  KeyHistory,
  ReadRequest,
  ReadResult,
  RegionStatus,
  Restored,
  RestoreRequest,
  ScanRequest,
  ScanResult,
  ShardDigest,
  SharedState,
  SubscribeRequest,
  TailRequest,
  WriteRequest,
  WriteResult,
} from './region.ts';

export interface SharedOwnership extends Ownership {
  /** As far as is known here; undefined: nobody. */
  ownerOf(shard: ShardId): { readonly node: string; readonly address: string } | undefined;
  /** Every other node of the region that has said something, and whether it still does. */
  others(): readonly { readonly node: string; readonly address: string; readonly living: boolean }[];
  /** Where an operator wants it. */
  pinnedTo(shard: ShardId): string | undefined;
  /** Ops/s that land in it; undefined: its owner has not said. */
  loadOf(shard: ShardId): number | undefined;
  /** By hand: to this node as long as it lives; undefined: wherever it belongs. Rejects with a CausewayError. */
  move(shard: ShardId, node: string | undefined): Promise<void>;
  /** The node that shall own it, by those that live and what is pinned; undefined: there is none. */
  wantedOwner(shard: ShardId): string | undefined;
  /** Called after another node, or nobody, has become the owner. */
  onMoved(listener: (shard: ShardId) => void): void;
}

/** Writes of one sender to one node. */
export interface SiblingStream {
  /** Takes effect in the order of the calls, several may be under way. When one fails that may be tried again, those behind it in its epoch are refused
   *  by the other node, untried; epochs only grow. */
  write(epoch: number, request: WriteRequest, done: (results: readonly WriteResult[]) => void): void;
}

/** One hop: who is asked answers for the shards that it owns and passes nothing on. Callbacks as of Region. */
export interface Siblings {
  write(address: string, request: WriteRequest, done: (results: readonly WriteResult[]) => void): void;
  /** Costs nothing until it is written to, nor some seconds after. */
  stream(address: string): SiblingStream;
  read(address: string, request: ReadRequest, done: (result: ReadResult | CausewayError) => void): void;
  scan(address: string, request: ScanRequest, done: (result: ScanResult | CausewayError) => void): void;
  subscribe(address: string, request: SubscribeRequest, sink: FeedSink): FeedSubscription;
  status(address: string, done: (status: RegionStatus | CausewayError) => void): void;
  sharedState(address: string, unlessRevision: string, done: (state: SharedState | CausewayError) => void): void;
  /** What it knows of one name. */
  collections(
    address: string,
    namespace: string,
    name: string,
    done: (collections: readonly CollectionInfo[] | CausewayError) => void,
  ): void;
  createCollection(address: string, spec: CreateSpec, options: ChangeOptions, done: CollectionChanged): void;
  alterCollection(address: string, spec: AlterSpec, options: ChangeOptions, done: CollectionChanged): void;
  dropCollection(
    address: string,
    spec: DropSpec,
    options: ChangeOptions & { readonly force: boolean },
    done: CollectionChanged,
  ): void;
  digests(address: string, asOfMs: number, done: (digests: readonly ShardDigest[] | CausewayError) => void): void;
  conflicts(address: string, query: ConflictQuery, done: (page: ConflictPage | CausewayError) => void): void;
  conflictsOf(
    address: string,
    shard: ShardId,
    loser: Dot,
    done: (conflicts: readonly Conflict[] | CausewayError) => void,
  ): void;
  restoreConflict(address: string, request: RestoreRequest, done: (restored: Restored | CausewayError) => void): void;
  watchConflicts(address: string, request: TailRequest, sink: ConflictSink): ConflictSubscription;
  history(address: string, request: HistoryRequest, done: (history: KeyHistory | CausewayError) => void): void;
}
