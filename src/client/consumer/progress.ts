// How far a group is in one shard, and what two such statements make together.
// A vector is everything up to a seq of each origin, so it means the same in every region, and two of them join to what both have seen
// handled: of each origin the higher. An epoch stands before the vector: whoever starts a shard anew (RESYNC, reset) takes the next one,
// and what is said in an older epoch counts for nothing any more. So a statement is never overwritten by a lower one, in whatever order
// they arrive; only a person or a RESYNC takes a group back, and then on purpose.

import { CausewayError } from '../../errors/errors.ts';
import { decodeCursor, encodeCursor } from '../cursor.ts';

/** By `region~incarnation`, the highest seq. */
export type Vector = ReadonlyMap<string, number>;

export interface Progress {
  readonly epoch: number;
  readonly vector: Vector;
}

/** The least that is at or above both: commutative, associative, idempotent. */
export function joinProgress(a: Progress, b: Progress): Progress {
  if (a.epoch !== b.epoch) return a.epoch > b.epoch ? a : b;
  return { epoch: a.epoch, vector: joinVectors(a.vector, b.vector) };
}

export function joinVectors(a: Vector, b: Vector): Vector {
  const joined = new Map(a);
  for (const [origin, seq] of b) if (seq > (joined.get(origin) ?? 0)) joined.set(origin, seq);
  return joined;
}

/** Is `b` at or below `a`, so that joining it changes nothing? */
export function covers(a: Progress, b: Progress): boolean {
  if (a.epoch !== b.epoch) return a.epoch > b.epoch;
  return opsBetween(a.vector, b.vector) === 0;
}

/** How many ops `to` has and `from` has not. */
export function opsBetween(from: Vector, to: Vector): number {
  let ops = 0;
  for (const [origin, seq] of to) ops += Math.max(0, seq - (from.get(origin) ?? 0));
  return ops;
}

/** A cursor of one shard, as subscribe({ from }) takes it. */
export function cursorOf(shard: string, vector: Vector, namespace: string): string {
  return encodeCursor(new Map([[shard, vector]]), namespace, '');
}

/** What a cursor says of one shard; empty when it says nothing. Throws CausewayError CURSOR_INVALID. */
export function vectorIn(cursor: string, shard: string): Vector {
  return decodeCursor(cursor).position.get(shard) ?? new Map<string, number>();
}

/** As it is stored. */
export interface StoredProgress {
  readonly epoch: number;
  readonly cursor: string;
  /** Who said so last, and when, Unix ms; for people. */
  readonly member: string;
  readonly atMs: number;
}

/** Throws CausewayError CORRUPT. */
export function progressOf(shard: string, stored: StoredProgress): Progress {
  const { epoch, cursor } = stored;
  if (!Number.isSafeInteger(epoch) || typeof cursor !== 'string')
    throw new CausewayError('CORRUPT', `the cursor that is stored for shard ${shard} is none`);
  return { epoch, vector: vectorIn(cursor, shard) };
}
