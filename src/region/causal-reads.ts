// Reads that must have reached what a session has seen (DESIGN 8): they wait for this region's watermarks, up to their deadline, and
// are never answered from less without saying so.
//
// Bound: READS_WAITING_MAX reads wait at once; beyond it a read is refused as OVERLOADED.

import { CausewayError } from '../errors/errors.ts';
import type { OriginId, ShardId } from '../record/ids.ts';
import type { SessionToken } from './region.ts';

const READS_WAITING_MAX = 10_000;

export interface Behind {
  readonly shard: ShardId;
  readonly origin: OriginId;
  readonly behindMs: number;
}

interface Waiting {
  readonly session: SessionToken;
  /** By the monotonic clock. */
  readonly deadlineAtMs: number;
  readonly reached: () => void;
  readonly expired: (behind: readonly Behind[]) => void;
}

export class CausalReads {
  #waiting: Waiting[] = [];
  readonly #behind: (session: SessionToken) => readonly Behind[];

  /** `behind`: what of a token this region has not reached; empty when all of it. */
  constructor(behind: (session: SessionToken) => readonly Behind[]) {
    this.#behind = behind;
  }

  wait(waiting: Waiting): CausewayError | undefined {
    if (this.#behind(waiting.session).length === 0) {
      waiting.reached();
      return undefined;
    }
    if (this.#waiting.length >= READS_WAITING_MAX) {
      return new CausewayError('OVERLOADED', `${READS_WAITING_MAX} reads wait for other regions' writes already`, {
        retryAfterMs: 100,
      });
    }
    this.#waiting.push(waiting);
    return undefined;
  }

  /** Something moved, or time passed. */
  check(monotonicMs: number): void {
    if (this.#waiting.length === 0) return;
    const all = this.#waiting;
    this.#waiting = [];
    for (const waiting of all) {
      const behind = this.#behind(waiting.session);
      if (behind.length === 0) waiting.reached();
      else if (monotonicMs >= waiting.deadlineAtMs) waiting.expired(behind);
      else this.#waiting.push(waiting);
    }
  }
}
