// What a table of remembered ops must call forgotten that begins later in the log than it might: to read all of what it was, message by message from
// servers, takes longer than writes may wait for it when an owner has died (decision 36).
//
// Along a log the stamps of one origin only grow (I5). So what stands before the cut of an origin is below the first of its stamps behind it; and of an
// origin that has nothing behind it, the last that the shard's meta knows is from before.

import type { OriginId } from '../record/ids.ts';

export class IdempotencyCut {
  /** By origin, no stamp before the cut is above it. */
  readonly #bounds = new Map<OriginId, number>();
  readonly #unseen = new Set<OriginId>();

  /** `origins`: as of some place behind the cut, up to which see() is told of every batch. */
  constructor(origins: Iterable<{ readonly id: OriginId; readonly stamp: number }>) {
    for (const { id, stamp } of origins) {
      this.#bounds.set(id, stamp);
      this.#unseen.add(id);
    }
  }

  /** A batch behind the cut, in the log's order. */
  see(origin: OriginId, firstStamp: number): void {
    if (this.#unseen.delete(origin)) this.#bounds.set(origin, firstStamp);
  }

  /** Everything before the cut is at or below it. */
  get horizonStamp(): number {
    return Math.max(0, ...this.#bounds.values());
  }
}
