// The incremental digest of a shard's canonical live state (I3): the sum, modulo 2^64 in two lanes, of a hash per live part.
// A sum, because it does not depend on order, and a changed key costs its own parts only. Parts that expire are summed apart by the
// moment of their expiry, so that the digest can be told as of any moment that nobody has collected past.
//
// Lanes and sums are signed 32-bit integers: V8 keeps those without an object of their own.

import { bytesLane, textLanes } from '../record/hash.ts';
import type { StateKey } from '../record/ids.ts';
import type { LaneSums } from '../merge/register-table.ts';
import type { LivePart } from '../merge/types.ts';

/** Expiry is counted in steps of this many ms: it bounds the number of sums to one a step. */
export const EXPIRY_STEP_MS = 10_000;

export interface DigestSnapshot {
  readonly low: number;
  readonly high: number;
  /** [step, low, high], sums of the parts that expire within the step. */
  readonly expiring: readonly (readonly [step: number, low: number, high: number])[];
}

/** What a key adds to the sums. Kept beside its state, so that a change need not hash again what was there before. */
export class Contribution {
  /** false: not known, so what is there must be hashed to be taken out (it was just loaded, or something of it expires). */
  known = false;
  /** Is anything of the key live? Meaningless while not known. */
  live = false;
  low = 0;
  high = 0;
  /** Hashes of the key, which begin those of its parts: see hashKey. */
  hashed = false;
  keyLow = 0;
  keyHigh = 0;

  hashKey(key: StateKey): void {
    const [low, high] = textLanes(key);
    this.keyLow = low | 0;
    this.keyHigh = high | 0;
    this.hashed = true;
  }

  forget(): void {
    this.known = false;
  }
}

export class Digest implements LaneSums {
  #low = 0;
  #high = 0;
  readonly #expiring = new Map<number, { low: number; high: number }>();

  static restore(snapshot: DigestSnapshot): Digest {
    const digest = new Digest();
    digest.#low = snapshot.low | 0;
    digest.#high = snapshot.high | 0;
    for (const [step, low, high] of snapshot.expiring) digest.#expiring.set(step, { low: low | 0, high: high | 0 });
    return digest;
  }

  snapshot(): DigestSnapshot {
    return {
      low: this.#low >>> 0,
      high: this.#high >>> 0,
      expiring: [...this.#expiring].map(([step, { low, high }]) => [step, low >>> 0, high >>> 0] as const),
    };
  }

  /** Puts the parts of a key in, of which nothing is in, and notes in `of`, which has the key's hashes, what that adds. */
  add(of: Contribution, parts: readonly LivePart[]): void {
    of.known = true;
    of.live = parts.length > 0;
    of.low = 0;
    of.high = 0;
    if (parts.length === 0) return;
    for (const part of parts) {
      if (part.expiresAtMs !== Infinity) {
        of.known = false;
        this.#expire(part, of, 1);
        continue;
      }
      of.low = (of.low + bytesLane(part.bytes, of.keyLow)) | 0;
      of.high = (of.high + bytesLane(part.bytes, of.keyHigh)) | 0;
    }
    this.#low = (this.#low + of.low) | 0;
    this.#high = (this.#high + of.high) | 0;
  }

  /** Takes out what is in of a key. `parts` of its state are only asked for when they are not known by sum. */
  remove(of: Contribution, parts: () => readonly LivePart[]): void {
    if (of.known) {
      this.#low = (this.#low - of.low) | 0;
      this.#high = (this.#high - of.high) | 0;
      return;
    }
    const were = parts();
    of.live = were.length > 0;
    if (were.length === 0) return;
    for (const part of were) {
      if (part.expiresAtMs !== Infinity) {
        this.#expire(part, of, -1);
        continue;
      }
      this.#low = (this.#low - bytesLane(part.bytes, of.keyLow)) | 0;
      this.#high = (this.#high - bytesLane(part.bytes, of.keyHigh)) | 0;
    }
  }

  #expire(part: LivePart, of: Contribution, sign: 1 | -1): void {
    const { bytes, expiresAtMs } = part;
    this.shiftExpiring(expiresAtMs, sign * bytesLane(bytes, of.keyLow), sign * bytesLane(bytes, of.keyHigh));
  }

  /** For who keeps the lanes of its parts itself. */
  shift(low: number, high: number): void {
    this.#low = (this.#low + low) | 0;
    this.#high = (this.#high + high) | 0;
  }

  shiftExpiring(expiresAtMs: number, low: number, high: number): void {
    const step = Math.ceil(expiresAtMs / EXPIRY_STEP_MS);
    const sum = this.#expiring.get(step) ?? { low: 0, high: 0 };
    sum.low = (sum.low + low) | 0;
    sum.high = (sum.high + high) | 0;
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
      low = (low + sum.low) | 0;
      high = (high + sum.high) | 0;
    }
    return (high >>> 0).toString(16).padStart(8, '0') + (low >>> 0).toString(16).padStart(8, '0');
  }
}
