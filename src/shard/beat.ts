// What a shard's owner tells its peers between batches: promises (watermarks) and reports. Gossiped: now and then an owner passes on the
// latest that it knows of everybody, so that an idle origin advances and a relay carries them too.
//
// A watermark (seq, stamp) counts only where the vector has reached seq; a report only where the vector has reached the
// member's own op `seq`. Without that, a promise that overtakes the ops it speaks of would be a lie (I9, I14).

import type { OriginId, RegionId, ShardId } from '../record/ids.ts';

/** A promise of an origin: every op after `seq` has a stamp above `stamp`. */
export interface Watermark {
  readonly origin: OriginId;
  readonly seq: number;
  readonly stamp: number;
}

/** What a member says of itself in one shard. */
export interface MemberReport {
  readonly member: RegionId;
  /** The member's live origin when it reported, and its last durable op of it. */
  readonly origin: OriginId;
  readonly seq: number;
  /** The member's watermark then: orders its reports, the highest is the latest. */
  readonly stamp: number;
  /** What the member has counted of every origin that it knows and whose end it has not reached: it holds every op of the origin up to
   *  `stamp`. Per origin, not as one minimum: an origin that the member has not heard of must not look as if it were passed. */
  readonly counted: readonly { readonly origin: OriginId; readonly stamp: number }[];
  /** For each frozen origin without an end: how far the member holds it. */
  readonly frozen: readonly Watermark[];
  /** Closed origins whose end the member has reached. */
  readonly reached: readonly OriginId[];
}

export interface ShardBeat {
  readonly shard: ShardId;
  readonly watermarks: readonly Watermark[];
  readonly reports: readonly MemberReport[];
}
