// Calls that may not go on yet (DESIGN 8): reads until what they ask for is here, writes of a session until what it has seen is here. They are
// tried again, in their order, whenever something moved, up to their deadline, and are then refused; none is ever answered from less than
// it asked for without saying so.
//
// Bound: CALLS_WAITING_MAX calls wait at once; beyond it a call is refused as OVERLOADED.

import { CausewayError } from '../errors/errors.ts';

const CALLS_WAITING_MAX = 10_000;
/** No call waits longer, whatever it asks for. */
export const DEADLINE_MS_MAX = 60_000;

export interface WaitingCall {
  /** By the monotonic clock. */
  readonly deadlineAtMs: number;
  /** Goes on if it may, and says whether it has. */
  attempt(): boolean;
  /** Its time is up: answers with why it could not. */
  expired(): void;
}

export class WaitingCalls {
  readonly #what: string;
  #waiting: WaitingCall[] = [];

  /** `what`: they are, for people. */
  constructor(what: 'reads' | 'writes') {
    this.#what = what;
  }

  /** Tries at once. An error: the call is refused. */
  wait(call: WaitingCall): CausewayError | undefined {
    if (call.attempt()) return undefined;
    if (this.#waiting.length >= CALLS_WAITING_MAX) {
      return new CausewayError(
        'OVERLOADED',
        `${CALLS_WAITING_MAX} ${this.#what} wait for other regions' writes already`,
        { retryAfterMs: 100 },
      );
    }
    this.#waiting.push(call);
    return undefined;
  }

  /** Something moved, or time passed. */
  check(monotonicMs: number): void {
    if (this.#waiting.length === 0) return;
    const all = this.#waiting;
    this.#waiting = [];
    for (const call of all) {
      if (call.attempt()) continue;
      if (monotonicMs >= call.deadlineAtMs) call.expired();
      else this.#waiting.push(call);
    }
  }
}
