// Finds and holds the most load that the regions take while lag stays low: the rate follows the lag that the subscribers see.
// Owns: the rule. Pure; the runner feeds it what the workers report.
//
// It goes by the p90: a single stall of a busy machine should move the p99 that is reported, and not the load.
//
// Up while there is room, faster the more there is; down at once when lag is above the target, further when it is far above. After
// a step down it waits, because what is queued already must drain before the lag can tell what the new rate does.

import type { Progress } from './worker-messages.ts';

export const RATE_START = 9000;
/** Below, lag says more about the machine than about the load. */
const RATE_MIN = 1500;
const SETTLE_REPORTS = 3;

export class Steering {
  readonly #targetMs: number;
  #rate = RATE_START;
  #waits = 0;

  constructor(targetMs: number) {
    this.#targetMs = targetMs;
  }

  /** Ops per second, all regions together. */
  get rate(): number {
    return this.#rate;
  }

  /** One report of every worker; returns the new rate. */
  next(reports: readonly Progress[]): number {
    // No probe at all in a whole report: what was sent has not come, however late it will be.
    const lagMs = Math.max(...reports.map((report) => Math.max(report.lagMsP90 ?? Infinity, report.behindMs)));
    if (lagMs > this.#targetMs) {
      if (this.#waits > 0) {
        this.#waits--;
      } else {
        this.#rate = Math.max(RATE_MIN, this.#rate * (lagMs > 4 * this.#targetMs ? 0.7 : 0.9));
        this.#waits = SETTLE_REPORTS;
      }
      return this.#rate;
    }
    this.#waits = 0;
    this.#rate *= lagMs < this.#targetMs / 4 ? 1.08 : lagMs < this.#targetMs / 2 ? 1.05 : 1.02;
    return this.#rate;
  }
}
