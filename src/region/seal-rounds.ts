// When the open batches of a node's shards are sealed: all that are waiting together, in rounds.
// Owns: how long a round waits for the one before. A round costs about the same however much is in it (a commit of the log, a frame to each
// peer, there a commit again and an ack), so many small ones use up the CPU that larger ones would have left.
//
// A node that has time does not wait at all: what came in with one read of a socket goes at once. One whose event loop is busy waits
// longer and longer, up to paceMsMax, and so does more with each round; that is given back as soon as there is time again.

import type { System } from '../system/system.ts';

export interface Sealable {
  sealNow(): void;
}

const JUDGE_EVERY_MS = 50;

interface Bounds {
  readonly paceMsMax: number;
  /** Busier than this: wait longer. */
  readonly busy: number;
  /** Less busy than this: wait less. */
  readonly idle: number;
}

/** A commit is an fdatasync of the node's own. */
const LOCAL: Bounds = { paceMsMax: 40, busy: 0.55, idle: 0.35 };
/** A commit is a message to servers that other nodes use too (Log.isRemote), and costs them an fsync and both a few changes of threads: as much again as
 *  it costs the node. So fewer of them are worth more, and earlier. */
const REMOTE: Bounds = { paceMsMax: 65, busy: 0.35, idle: 0.2 };

export class SealRounds {
  readonly #system: System;
  readonly #bounds: Bounds;
  readonly #sealed: () => void;
  readonly #waiting = new Set<Sealable>();
  #scheduled = false;
  #paceMs = 0;
  #lastAtMs = Number.NEGATIVE_INFINITY;
  #judgedAtMs = Number.NEGATIVE_INFINITY;

  /** `sealed`: called behind the seals of each round. */
  constructor(system: System, log: { readonly isRemote: boolean }, sealed: () => void) {
    this.#system = system;
    this.#bounds = log.isRemote ? REMOTE : LOCAL;
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
    const busy = this.#system.load.busy();
    const { paceMsMax, ...bounds } = this.#bounds;
    if (busy > bounds.busy) this.#paceMs = Math.min(paceMsMax, Math.max(1, this.#paceMs * 1.5));
    else if (busy < bounds.idle) this.#paceMs = this.#paceMs < 1 ? 0 : this.#paceMs / 1.5;
  }
}
