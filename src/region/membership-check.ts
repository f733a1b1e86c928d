// Before anything is stamped on a log that is new, damaged or behind, the shard's members are asked what they know of our region
// (DESIGN 7): a new incarnation starts above the highest of it, and reads wait for what they hold.

import type { RegionId, ShardId } from '../record/ids.ts';
import type { WelcomeShard } from '../replication/messages.ts';

/** Of a log that is new or damaged, all members are waited for this long; after it one answer is enough, and none never is. */
const ASK_ALL_MS = 5000;
/** A whole log needs nobody. It waits so long all the same: only a peer can tell that it is an old copy put back. */
const ASK_WHOLE_MS = 500;

export class MembershipCheck {
  readonly shard: ShardId;
  readonly #asked: ReadonlySet<RegionId>;
  readonly #answers = new Map<RegionId, number>();
  readonly #sinceMs: number;
  /** The log proves its own tail. */
  readonly whole: boolean;

  constructor(shard: ShardId, others: readonly RegionId[], whole: boolean, monotonicMs: number) {
    this.shard = shard;
    this.whole = whole;
    this.#asked = new Set(others);
    this.#sinceMs = monotonicMs;
  }

  answer(from: RegionId, welcome: WelcomeShard): void {
    if (this.#asked.has(from)) this.#answers.set(from, welcome.boundOfReceiver);
  }

  /** The bound to start above, once enough members have answered. */
  bound(monotonicMs: number): number | undefined {
    const all = this.#answers.size === this.#asked.size;
    const waited = monotonicMs - this.#sinceMs;
    const some = this.whole ? waited >= ASK_WHOLE_MS : this.#answers.size > 0 && waited >= ASK_ALL_MS;
    return all || some ? Math.max(0, ...this.#answers.values()) : undefined;
  }

  waitingFor(): RegionId[] {
    return [...this.#asked].filter((region) => !this.#answers.has(region));
  }
}
