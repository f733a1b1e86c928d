// Version vectors of one shard: for each origin, the highest contiguous seq.
// A plain Map, because every holder also needs to iterate it; these functions are its algebra.

import type { OriginId } from './ids.ts';

export type VersionVector = Map<OriginId, number>;
export type ReadonlyVector = ReadonlyMap<OriginId, number>;

/** Does `vector` contain op `seq` of `origin`? */
export function covers(vector: ReadonlyVector, origin: OriginId, seq: number): boolean {
  return (vector.get(origin) ?? 0) >= seq;
}

/** Is every entry of `lower` reached by `upper`? */
export function dominates(upper: ReadonlyVector, lower: ReadonlyVector): boolean {
  for (const [origin, seq] of lower) {
    if ((upper.get(origin) ?? 0) < seq) return false;
  }
  return true;
}

export function vectorsEqual(a: ReadonlyVector, b: ReadonlyVector): boolean {
  return dominates(a, b) && dominates(b, a);
}

/** Raises entries of `into` to those of `from` where they are higher. */
export function joinInto(into: VersionVector, from: ReadonlyVector): void {
  for (const [origin, seq] of from) {
    if ((into.get(origin) ?? 0) < seq) into.set(origin, seq);
  }
}

/** The entries of `lower` that `upper` has not reached, with where `upper` stands. */
export function missingFrom(
  upper: ReadonlyVector,
  lower: ReadonlyVector,
): { origin: OriginId; have: number; need: number }[] {
  const missing: { origin: OriginId; have: number; need: number }[] = [];
  for (const [origin, need] of lower) {
    const have = upper.get(origin) ?? 0;
    if (have < need) missing.push({ origin, have, need });
  }
  return missing;
}
