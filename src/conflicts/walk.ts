// The order of conflicts over several shards (by time, then by shard, then by place), which of them are wanted, and going through them.

import type { ShardId } from '../record/ids.ts';
import type { Conflict, ConflictPlace } from './entry.ts';
import type { IndexedConflict, ShardJournal } from './shard-journal.ts';

/** Which conflicts; an empty text leaves a condition out. */
export interface ConflictFilter {
  readonly namespace: string;
  readonly collection: string;
  readonly keyPrefix: string;
  /** Unix ms, inclusive. */
  readonly sinceMs: number;
  /** Unix ms, exclusive. */
  readonly untilMs: number;
}

/** The last entry of a page. */
export interface PagePlace extends ConflictPlace {
  readonly atMs: number;
  readonly shard: ShardId;
}

export function matches(filter: ConflictFilter, { collection, key, atMs }: Conflict): boolean {
  return (
    (filter.namespace === '' || collection.namespace === filter.namespace) &&
    (filter.collection === '' || collection.name === filter.collection) &&
    key.startsWith(filter.keyPrefix) &&
    atMs >= filter.sinceMs &&
    atMs < filter.untilMs
  );
}

/** By time, then by shard, then by place. */
export function comparePagePlaces(a: PagePlace, b: PagePlace): number {
  return (
    a.atMs - b.atMs ||
    (a.shard === b.shard ? 0 : a.shard < b.shard ? -1 : 1) ||
    a.offset - b.offset ||
    a.index - b.index
  );
}

/** A rank in a shard's journal, that moves on. */
export interface WalkHead {
  readonly journal: ShardJournal;
  rank: number;
}

/** Goes through the entries of several shards in one order, within the times of a filter. */
export class Walk {
  readonly #heads: readonly WalkHead[];
  readonly #step: 1 | -1;
  readonly #sinceMs: number;
  readonly #untilMs: number;

  constructor(heads: readonly WalkHead[], order: 'newest' | 'oldest', sinceMs = 0, untilMs = Infinity) {
    this.#heads = heads;
    this.#step = order === 'oldest' ? 1 : -1;
    this.#sinceMs = sinceMs;
    this.#untilMs = untilMs;
  }

  peek(): IndexedConflict | undefined {
    return this.#best()?.entry;
  }

  next(): IndexedConflict | undefined {
    const best = this.#best();
    if (best !== undefined) best.head.rank += this.#step;
    return best?.entry;
  }

  #best(): { readonly head: WalkHead; readonly entry: IndexedConflict } | undefined {
    let best: { readonly head: WalkHead; readonly entry: IndexedConflict } | undefined;
    for (const head of this.#heads) {
      const entry = this.#within(head);
      if (entry === undefined) continue;
      if (best === undefined || comparePagePlaces(entry, best.entry) * this.#step < 0) best = { head, entry };
    }
    return best;
  }

  /** Passes over what the times leave out. */
  #within(head: WalkHead): IndexedConflict | undefined {
    for (; head.rank >= 0; head.rank += this.#step) {
      const entry = head.journal.at(head.rank);
      if (entry === undefined) return undefined;
      if (entry.atMs >= this.#sinceMs && entry.atMs < this.#untilMs) return entry;
    }
    return undefined;
  }
}

/** The rank next to a place of some shard, in the walk's direction: times never fall within a shard. */
export function rankBeside(journal: ShardJournal, place: PagePlace, order: 'newest' | 'oldest'): number {
  let low = 0;
  let high = journal.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const compared = comparePagePlaces(journal.at(middle)!, place);
    if (order === 'oldest' ? compared <= 0 : compared < 0) low = middle + 1;
    else high = middle;
  }
  return order === 'oldest' ? low : low - 1;
}
