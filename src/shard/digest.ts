// The incremental digest of a shard's canonical live state (I3): the sum, modulo 2^64 in two lanes, of a hash per live part.
// A sum, because it does not depend on order, and a changed key costs its own parts only. Parts that expire are summed apart by the
// moment of their expiry, so that the digest can be told as of any moment that nobody has collected past.

import { seededLanes, textLanes } from '../record/hash.ts';
import type { StateKey } from '../record/ids.ts';
import type { LivePart } from '../merge/types.ts';

/** Expiry is counted in steps of this many ms: it bounds the number of sums to one a step. */
export const EXPIRY_STEP_MS = 10_000;

export interface DigestSnapshot {
  readonly low: number;
  readonly high: number;
  /** [step, low, high], sums of the parts that expire within the step. */
  readonly expiring: readonly (readonly [step: number, low: number, high: number])[];
}

/** What a key's live parts, none of which expires, add to the sums. */
export interface Contribution {
  readonly low: number;
  readonly high: number;
  /** Is anything of the key live? */
  readonly live: boolean;
}

const NO_CONTRIBUTION: Contribution = { low: 0, high: 0, live: false };

export class Digest {
  #low = 0;
  #high = 0;
  readonly #expiring = new Map<number, { low: number; high: number }>();

  static restore(snapshot: DigestSnapshot): Digest {
    const digest = new Digest();
    digest.#low = snapshot.low;
    digest.#high = snapshot.high;
    for (const [step, low, high] of snapshot.expiring) digest.#expiring.set(step, { low, high });
    return digest;
  }

  snapshot(): DigestSnapshot {
    return {
      low: this.#low,
      high: this.#high,
      expiring: [...this.#expiring].map(([step, { low, high }]) => [step, low, high] as const),
    };
  }

  /** Takes the parts of a key out and puts its new ones in. */
  replace(key: StateKey, before: readonly LivePart[], after: readonly LivePart[]): void {
    this.remove(key, before);
    this.add(key, after);
  }

  /** Puts parts in. The contribution that comes back takes them out again, later and for less; undefined when some of them expire. */
  add(key: StateKey, parts: readonly LivePart[]): Contribution | undefined {
    if (parts.length === 0) return NO_CONTRIBUTION;
    const seeds = textLanes(key);
    if (parts.some((part) => part.expiresAtMs !== Infinity)) {
      for (const part of parts) this.#move(part, seeds, 1);
      return undefined;
    }
    let sumLow = 0;
    let sumHigh = 0;
    for (const part of parts) {
      const [low, high] = seededLanes(part.bytes, seeds);
      sumLow = (sumLow + low) >>> 0;
      sumHigh = (sumHigh + high) >>> 0;
    }
    this.#low = (this.#low + sumLow) >>> 0;
    this.#high = (this.#high + sumHigh) >>> 0;
    return { low: sumLow, high: sumHigh, live: true };
  }

  remove(key: StateKey, parts: readonly LivePart[]): void {
    if (parts.length === 0) return;
    const seeds = textLanes(key);
    for (const part of parts) this.#move(part, seeds, -1);
  }

  takeOut(contribution: Contribution): void {
    this.#low = (this.#low - contribution.low) >>> 0;
    this.#high = (this.#high - contribution.high) >>> 0;
  }

  #move(part: LivePart, seeds: readonly [number, number], sign: 1 | -1): void {
    const [low, high] = seededLanes(part.bytes, seeds);
    if (part.expiresAtMs === Infinity) {
      this.#low = (this.#low + sign * low) >>> 0;
      this.#high = (this.#high + sign * high) >>> 0;
      return;
    }
    const step = Math.ceil(part.expiresAtMs / EXPIRY_STEP_MS);
    const sum = this.#expiring.get(step) ?? { low: 0, high: 0 };
    sum.low = (sum.low + sign * low) >>> 0;
    sum.high = (sum.high + sign * high) >>> 0;
    if (sum.low === 0 && sum.high === 0) this.#expiring.delete(step);
    else this.#expiring.set(step, sum);
  }

  /** 16 hex digits: everything that is live at `asOfMs`. */
  asOf(asOfMs: number): string {
    let low = this.#low;
    let high = this.#high;
    const now = Math.floor(asOfMs / EXPIRY_STEP_MS);
    for (const [step, sum] of this.#expiring) {
      if (step <= now) continue;
      low = (low + sum.low) >>> 0;
      high = (high + sum.high) >>> 0;
    }
    return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
  }
}
