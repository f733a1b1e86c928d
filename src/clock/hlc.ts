// Hybrid logical clock (Kulkarni et al., 2014).
// Owns: what a stamp is, stamping local events, absorbing remote stamps.
// I5  now() is strictly increasing, also when the machine's clock steps back; across restarts the caller gives `last`, which
//     it has from the lease bound in the log.
// HAZARD: with skew between regions, last-writer-wins favours the region whose clock is ahead: skew.ts bounds by how much.
//
// A stamp is one safe integer: milliseconds since 2020-01-01 UTC × 4096 + counter. It is exact in doubles and compared with
// `<`; the last one is in the year 2089. More than 4096 events in a millisecond run into the next one, which is harmless:
// the clock then is a few milliseconds ahead of the machine's and waits for it.

import { invariant } from '../errors/errors.ts';

export const EPOCH_MS = Date.UTC(2020, 0, 1);
export const STAMPS_PER_MS = 4096;

/** The first stamp of a millisecond. Negative before 2020. */
export function stampOfMs(unixMs: number): number {
  return (Math.floor(unixMs) - EPOCH_MS) * STAMPS_PER_MS;
}

/** The millisecond (Unix) that a stamp lies in. */
export function msOfStamp(stamp: number): number {
  return Math.floor(stamp / STAMPS_PER_MS) + EPOCH_MS;
}

export class Hlc {
  #last: number;

  /** The next stamp is above `last`. */
  constructor(last = 0) {
    invariant(Number.isSafeInteger(last) && last >= 0, `a clock starts at a stamp; got ${last}`);
    this.#last = last;
  }

  /** The highest stamp given or absorbed. */
  get last(): number {
    return this.#last;
  }

  /** The next stamp: above every earlier one, and not below the machine's clock. */
  now(nowMs: number): number {
    return this.next(nowMs, 1);
  }

  /** What now() would give; gives nothing away. */
  peek(nowMs: number): number {
    const stamp = Math.max(this.#last + 1, stampOfMs(nowMs));
    // Also catches NaN. Past 2^53 two events could get one stamp, and a dot's place in the order would be lost.
    invariant(Number.isSafeInteger(stamp), `the clock has run out of stamps at ${nowMs} ms (last ${this.#last})`);
    return stamp;
  }

  /** The first of `n` consecutive stamps, all taken. */
  next(nowMs: number, n: number): number {
    invariant(Number.isSafeInteger(n) && n >= 1, `stamps are taken one or more at a time; got ${n}`);
    const first = this.peek(nowMs);
    const last = first + (n - 1);
    invariant(Number.isSafeInteger(last), `the clock has run out of stamps at ${nowMs} ms`);
    this.#last = last;
    return first;
  }

  /** Absorbs a stamp that was received, promised or found in the log. The caller has asked skew.ts whether it may (I5). */
  advanceTo(stamp: number): void {
    invariant(Number.isSafeInteger(stamp), `a stamp is a safe integer; got ${stamp}`);
    if (stamp > this.#last) this.#last = stamp;
  }
}
