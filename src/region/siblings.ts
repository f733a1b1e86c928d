// What a node needs of the other nodes of its region: who owns which shard, and a way to ask them.

import type { CausewayError } from '../errors/errors.ts';
import type { Ownership } from '../ownership/ownership.ts';
import type { ShardId } from '../record/ids.ts';
import type {
  FeedSink,
  FeedSubscription,
  ReadRequest,
  ReadResult,
  ScanRequest,
  ScanResult,
  SubscribeRequest,
  WriteRequest,
  WriteResult,
} from './region.ts';

export interface SharedOwnership extends Ownership {
  /** As far as is known here; undefined: nobody. */
  ownerOf(shard: ShardId): { readonly node: string; readonly address: string } | undefined;
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
}
