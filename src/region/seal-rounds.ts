// When the open batches of a node's shards are sealed: all that are waiting together, in rounds.
// Owns: how long a round waits for the one before. A round costs about the same however much is in it (a commit of the log, a frame to each
// peer, there a commit again and an ack), so many small ones use up the CPU that larger ones would have left.
//
// A node that has time does not wait at all: what came in with one read of a socket goes at once. One whose event loop is busier than it
// should be waits longer, and so does more with each round, up to paceMsMax; one that is less busy waits less. So the time that a round
// costs less is given to lag, and no more of them are made than leave the node room for a burst.

import type { System } from '../system/system.ts';

export interface Sealable {
  sealNow(): void;
}

const JUDGE_EVERY_MS = 50;

/** What part of the time the event loop should be busy; the time in which other processes have the core counts. Measured (BENCHMARKS): above 0.55 rounds are
 *  smaller and bursts wait for each other, below 0.4 everything waits for rounds that there was time for. Where a commit is a message to servers
 *  (Log.isRemote) these need the cores too. */
const BUSY_GOAL = { local: 0.5, remote: 0.38 };
/** How much of the way to the goal is gone with one judgement: a burst of a tenth of a second (a collection of garbage, rows for the store) is
 *  not to double the pace, and ten times the load is to be met within a second. */
const GAIN = 0.15;
/** A judgement counts as off by so much at most, in either direction: one long turn looks like a node that has no time at all. */
const OFF_MAX = 2;

/** Between rounds at most. A commit is an fdatasync of the node's own; or a message, which costs the servers an fsync and both sides a few changes of
 *  threads: as much again. */
const PACE_MS_MAX = { local: 40, remote: 65 };

export class SealRounds {
  readonly #system: System;
  readonly #at: 'local' | 'remote';
  readonly #sealed: () => void;
  readonly #waiting = new Set<Sealable>();
  #scheduled = false;
  #paceMs = 0;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #judgedAtMs = Number.NEGATIVE_INFINITY;

  /** `sealed`: called behind the seals of each round. */
  constructor(system: System, log: { readonly isRemote: boolean }, sealed: () => void) {
    this.#system = system;
    this.#at = log.isRemote ? 'remote' : 'local';
    this.#sealed = sealed;
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
    this.#sealed();
  }

  #judge(): void {
    if (this.#lastAtMs - this.#judgedAtMs < JUDGE_EVERY_MS) return;
    this.#judgedAtMs = this.#lastAtMs;
    const off = Math.max(1 / OFF_MAX, Math.min(OFF_MAX, this.#system.load.busy() / BUSY_GOAL[this.#at]));
    const paceMs = Math.min(PACE_MS_MAX[this.#at], Math.max(1, this.#paceMs) * (1 + GAIN * (off - 1)));
    // Less than timers can measure: nobody waits.
    this.#paceMs = paceMs < 1 ? 0 : paceMs;
  }
}
