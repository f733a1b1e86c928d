// What a consumer asks of the feed and what it gets.

import type { CausewayError } from '../errors/errors.ts';
import type { OpDescription, View } from '../merge/types.ts';
import type { OriginId, ShardId, Version } from '../record/ids.ts';
import type { CollectionRef } from '../record/op.ts';

export type FeedStart =
  | { readonly kind: 'beginning' }
  | { readonly kind: 'now' }
  | { readonly kind: 'time'; readonly unixMs: number }
  | { readonly kind: 'cursor'; readonly cursor: FeedCursor };

/** Per shard, the vector that the consumer has. Valid in every region. */
export type FeedCursor = ReadonlyMap<ShardId, ReadonlyMap<OriginId, number>>;

export interface SubscribeRequest {
  readonly namespace: string;
  /** Empty: all collections of the namespace. */
  readonly collections: readonly string[];
  readonly keyPrefix: string;
  /** By index; undefined: all. */
  readonly shards?: ReadonlySet<number> | undefined;
  readonly start: FeedStart;
  /** `op`: what each op did. `value`: also the merged value that the region held when the event was sent. */
  readonly form: 'op' | 'value';
}

export interface FeedEvent {
  readonly shard: ShardId;
  readonly version: Version;
  readonly collection: CollectionRef;
  readonly key: string;
  readonly op: OpDescription;
  readonly trace: Uint8Array | undefined;
  /** In the `value` form; undefined there = absent. */
  readonly view: View | undefined;
}

/** Pull from a bounded buffer: the sink takes until it says false, then the feed waits for resume(). A slow consumer costs a cursor. */
export interface FeedSink {
  /** Events of one shard in log order, and the cursor after them (only the entries that moved). False: no more until resume().
   *  Also called without events, now and then, so that a filtered consumer's cursor moves. */
  events(events: readonly FeedEvent[], shard: ShardId, cursor: ReadonlyMap<OriginId, number>): boolean;
  failed(error: CausewayError): void;
}

export interface FeedSubscription {
  resume(): void;
  cancel(): void;
}
