// The time by which things are forgotten for their age: a wall clock that is set wrong must not be able to throw them away.
// Owns: the wall clock as most peers last confirmed it, carried on by the monotonic clock, which nobody sets.
//
// Not known before peers have confirmed it once; a clock that was stepped, or that peers contradict, or that nobody is there to
// confirm, changes nothing. Whoever ages by it keeps everything while it is not known, within bounds of number and size.

import { OFFSET_WINDOW } from './skew.ts';

export class AgreedTime {
  readonly #maxSkewMs: number;
  /** Wall minus monotonic clock: as last confirmed, and as last seen. */
  #agreedBaseMs: number | undefined;
  #baseMs: number | undefined;
  /** Exchanges with each peer since our clock was stepped or the link came up. */
  readonly #exchanges = new Map<string, number>();

  constructor(maxSkewMs: number) {
    this.#maxSkewMs = maxSkewMs;
  }

  /** An exchange of clocks with a peer ended. */
  heard(peer: string): void {
    this.#exchanges.set(peer, (this.#exchanges.get(peer) ?? 0) + 1);
  }

  forget(peer: string): void {
    this.#exchanges.delete(peer);
  }

  /** To be called often. `offsets`: of each peer's clock to ours; the best of its last OFFSET_WINDOW exchanges, so it may be from before a step. */
  observe(nowMs: number, monotonicMs: number, offsets: ReadonlyMap<string, number>): void {
    const baseMs = nowMs - monotonicMs;
    if (this.#baseMs !== undefined && Math.abs(baseMs - this.#baseMs) > this.#maxSkewMs) this.#exchanges.clear();
    this.#baseMs = baseMs;
    let [agree, differ] = [0, 0];
    for (const [peer, offsetMs] of offsets) {
      if ((this.#exchanges.get(peer) ?? 0) <= OFFSET_WINDOW) continue;
      if (Math.abs(offsetMs) <= this.#maxSkewMs) agree++;
      else differ++;
    }
    if (agree > differ) this.#agreedBaseMs = baseMs;
  }

  /** Unix ms; undefined: not known. */
  at(monotonicMs: number): number | undefined {
    return this.#agreedBaseMs === undefined ? undefined : this.#agreedBaseMs + monotonicMs;
  }
}
