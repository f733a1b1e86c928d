// What a consumer is given and what it gives.

import type { CausewayError } from '../../errors/errors.ts';
import type { FeedEvent } from '../subscribe.ts';
import type { View } from '../types.ts';

export interface ConsumerOptions {
  /** Members of one name share the work and the cursors. 1 to 64 characters. */
  readonly group: string;
  /** Whose changes. At least one; not the groups' own. */
  readonly collections: readonly string[];
  readonly keyPrefix?: string;
  /** As of subscribe(). Default 'op'. */
  readonly form?: 'op' | 'value';
  /** Where a shard begins that the group has never committed. Default 'beginning'. */
  readonly from?: 'beginning' | 'now' | Date;
  /** What was handled is committed this often. false: by commit() only. Default 1000. */
  readonly autoCommitMs?: number | false;
  /** For so long the shards of a member that died stay with it. At least 500. Default 10,000. */
  readonly leaseMs?: number;
  /** Its name in the group, 1 to 64 characters, which no other member has. Default: made up. */
  readonly member?: string;
  /** Where groups keep their state: a register-lww collection. Default: `consumer-groups` in the client's own namespace. */
  readonly groups?: GroupsLocation;
  /** Received and not taken, in bytes, per shard. Default 256 KiB. */
  readonly bufferBytes?: number;
  /** Instead of iterating: called with the events of one shard as they come, many at a time, and not again before the promise
   *  has resolved. What it throws ends the consumer with that error. */
  readonly onEvents?: (batch: ConsumerBatch) => void | Promise<void>;
  /** See Resync. Without it the consumer ends with CURSOR_INVALID. */
  readonly onResync?: (resync: Resync) => void | Promise<void>;
  /** Told which shards it reads when that has changed. */
  readonly onShards?: (shards: readonly string[]) => void;
  /** Told of every failure after which it goes on by itself. */
  readonly onRetry?: (error: CausewayError) => void;
  /** Closes it. */
  readonly signal?: AbortSignal;
}

export interface GroupsLocation {
  readonly namespace?: string;
  readonly collection?: string;
}

export interface ConsumerBatch {
  readonly shard: string;
  /** Never empty. */
  readonly events: readonly FeedEvent[];
}

/**
 * The changes that the group has not seen are gone: the log was trimmed, or what the group had seen was lost in all regions. Take the state
 * instead: write what state() gives and drop what it does not give. The consumer goes on from there when the promise has
 * resolved. It may be called again, from the start, when the region fails meanwhile.
 */
export interface Resync {
  readonly shards: readonly string[];
  readonly reason: CausewayError;
  /** Every key of the consumer's collections in these shards (with its prefix, if it has one), as of now or later. */
  readonly state: () => AsyncGenerator<StateEntry, void, undefined>;
}

export interface StateEntry {
  readonly collection: string;
  readonly key: string;
  readonly view: View;
}

export interface ShardLag {
  readonly shard: string;
  /** Of the shard, that the region has and this member has not passed; those that match nothing count until the feed has passed over them
   *  (1000 at a time). */
  readonly ops: number;
  /** How long ago the oldest change was written that is here and was not handled; 0: there is none; undefined: it is not here yet. */
  readonly ms: number | undefined;
}

export interface ConsumerLag {
  readonly ops: number;
  /** Of the shard that is furthest behind, as far as is known. */
  readonly ms: number | undefined;
  readonly shards: readonly ShardLag[];
}
