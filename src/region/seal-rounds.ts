// When the open batches of a node's shards are sealed: all that are waiting together, in rounds.
// Owns: how long a round waits for the one before. A round costs about the same however much is in it (a commit of the log, a frame to each
// peer, there a commit again and an ack), so many small ones use up the CPU that larger ones would have left.
//
// A node that has time does not wait at all: what came in with one read of a socket goes at once. One whose event loop is busy waits
// longer and longer, up to PACE_MS_MAX, and so does more with each round; that is given back as soon as there is time again.

import type { System } from '../system/system.ts';

export interface Sealable {
  sealNow(): void;
}

const PACE_MS_MAX = 40;
const JUDGE_EVERY_MS = 50;
/** Busier than this: wait longer. */
const BUSY = 0.55;
/** Less busy than this: wait less. */
const IDLE = 0.35;

export class SealRounds {
  readonly #system: System;
  readonly #waiting = new Set<Sealable>();
  #scheduled = false;
  #paceMs = 0;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #judgedAtMs = Number.NEGATIVE_INFINITY;

  constructor(system: System) {
    this.#system = system;
  }

  /** Between rounds; 0: none waits. */
  get paceMs(): number {
    return this.#paceMs;
  }

  want(who: Sealable): void {
    this.#waiting.add(who);
    if (this.#scheduled) return;
    this.#scheduled = true;
    const { timers, clock } = this.#system;
    const run = (): void => this.#run();
    const inMs = this.#paceMs === 0 ? 0 : this.#lastAtMs + this.#paceMs - clock.monotonicMs();
    // One turn later, so that everything which came in with the same read of a socket is in the batch.
    if (inMs <= 0) timers.soon(run);
    else timers.after(inMs, run);
  }

  #run(): void {
    this.#scheduled = false;
    this.#lastAtMs = this.#system.clock.monotonicMs();
    this.#judge();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const who of waiting) who.sealNow();
  }

  #judge(): void {
    if (this.#lastAtMs - this.#judgedAtMs < JUDGE_EVERY_MS) return;
    this.#judgedAtMs = this.#lastAtMs;
    const busy = this.#system.load.busy();
    if (busy > BUSY) this.#paceMs = Math.min(PACE_MS_MAX, Math.max(1, this.#paceMs * 1.5));
    else if (busy < IDLE) this.#paceMs = this.#paceMs < 1 ? 0 : this.#paceMs / 1.5;
  }
}
