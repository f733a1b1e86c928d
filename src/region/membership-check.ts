// Before anything is stamped on a log that is new, damaged or behind, the shard's members are asked what they know of our region
// (DESIGN 7): a new incarnation starts above the highest of it, and reads wait for what they hold. Of a log that is not whole the answers
// have to bind (causeway.v1.Begun): of what an earlier process of ours has said, some may still be on its way.
// I5, I9  an answer that is far ahead by our clock may come from a clock that is wrong, or ours is. Who follows it stamps what nobody believes; who
//         ignores it may begin below what it has promised. While nobody can tell, nothing begins.

import type { OriginId, RegionId, ShardId } from '../record/ids.ts';

/** Of a log that is new or damaged, all members are waited for this long; after it one answer is enough, and none never is. */
const ASK_ALL_MS = 5000;
/** Whoever has not answered by then is asked again: a member whose shard was changing its owner lets a question go by. */
const ASK_AGAIN_MS = 500;
/** A whole log needs nobody. It waits so long all the same: only a peer can tell that it is an old copy put back. */
export const ASK_WHOLE_MS = 500;

export class MembershipCheck {
  readonly shard: ShardId;
  /** What is about to begin. */
  readonly origin: OriginId;
  readonly #asked: ReadonlySet<RegionId>;
  readonly #answers = new Map<RegionId, number>();
  readonly #doubts = new Map<RegionId, number>();
  readonly #sinceMs: number;
  /** The log proves its own tail. */
  readonly whole: boolean;
  #askedAtMs: number;

  constructor(shard: ShardId, origin: OriginId, others: readonly RegionId[], whole: boolean, monotonicMs: number) {
    this.shard = shard;
    this.origin = origin;
    this.whole = whole;
    this.#asked = new Set(others);
    this.#sinceMs = monotonicMs;
    this.#askedAtMs = monotonicMs;
  }

  /** The highest answer of a member counts: a link that came up again brings another one. */
  answer(from: RegionId, bound: number): void {
    this.#doubts.delete(from);
    if (this.#asked.has(from)) this.#answers.set(from, Math.max(bound, this.#answers.get(from) ?? 0));
  }

  /** Nobody can tell whether this answer comes from a clock that is right: it takes the place of an earlier one of which that was so. */
  doubt(from: RegionId, bound: number): void {
    if (this.#asked.has(from)) this.#doubts.set(from, bound);
  }

  /** Its clock is wrong: it has not answered. */
  disregard(from: RegionId): void {
    this.#doubts.delete(from);
  }

  /** Answers that are neither followed nor ignored. */
  get doubts(): ReadonlyMap<RegionId, number> {
    return this.#doubts;
  }

  /** The bound to start above, once enough members have answered, and none of the answers is in doubt. */
  bound(monotonicMs: number): number | undefined {
    if (this.#doubts.size > 0) return undefined;
    const all = this.#answers.size === this.#asked.size;
    const waited = monotonicMs - this.#sinceMs;
    const some = this.whole ? waited >= ASK_WHOLE_MS : this.#answers.size > 0 && waited >= ASK_ALL_MS;
    return all || some ? Math.max(0, ...this.#answers.values()) : undefined;
  }

  /** True now and then, while answers that bind are waited for. */
  isDueAgain(monotonicMs: number): boolean {
    if (this.whole || monotonicMs - this.#askedAtMs < ASK_AGAIN_MS) return false;
    this.#askedAtMs = monotonicMs;
    return true;
  }

  waitingFor(): RegionId[] {
    return [...this.#asked].filter((region) => !this.#answers.has(region));
  }
}
