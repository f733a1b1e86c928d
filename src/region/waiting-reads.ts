// Reads that may not be answered yet (DESIGN 8): they are tried again whenever something moved, up to their deadline, and are then refused;
// none is ever answered from less than it asked for without saying so.
//
// Bound: READS_WAITING_MAX reads wait at once; beyond it a read is refused as OVERLOADED.

import { CausewayError } from '../errors/errors.ts';

const READS_WAITING_MAX = 10_000;

export interface WaitingRead {
  /** By the monotonic clock. */
  readonly deadlineAtMs: number;
  /** Answers if it may, and says whether it has. */
  attempt(): boolean;
  /** Its time is up: answers with why it could not. */
  expired(): void;
}

export class WaitingReads {
  #waiting: WaitingRead[] = [];

  /** Tries at once. An error: the read is refused. */
  wait(read: WaitingRead): CausewayError | undefined {
    if (read.attempt()) return undefined;
    if (this.#waiting.length >= READS_WAITING_MAX) {
      return new CausewayError('OVERLOADED', `${READS_WAITING_MAX} reads wait for other regions' writes already`, {
        retryAfterMs: 100,
      });
    }
    this.#waiting.push(read);
    return undefined;
  }

  /** Something moved, or time passed. */
  check(monotonicMs: number): void {
    if (this.#waiting.length === 0) return;
    const all = this.#waiting;
    this.#waiting = [];
    for (const read of all) {
      if (read.attempt()) continue;
      if (monotonicMs >= read.deadlineAtMs) read.expired();
      else this.#waiting.push(read);
    }
  }
}
