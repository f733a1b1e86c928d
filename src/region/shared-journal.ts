// The conflict journals of several nodes as one: pages in the order of the journal, and streams.

import type { Conflict } from '../conflicts/entry.ts';
import type { ConflictPage, ConflictQuery } from '../conflicts/journal.ts';
import type { ConflictCursor, ConflictSink, ConflictSubscription, CursorPlace } from '../conflicts/tail.ts';
import { comparePagePlaces, type PagePlace } from '../conflicts/walk.ts';
import type { CausewayError } from '../errors/errors.ts';
import type { ShardId } from '../record/ids.ts';

/** Of an owner: of its shards alone, whatever else it has told. */
export interface JournalPart {
  readonly page: ConflictPage;
  readonly shards: ReadonlySet<ShardId>;
}

/** What is whole is what lies before the first of their ends. */
export function mergePages(parts: readonly JournalPart[], { order, limit }: ConflictQuery): ConflictPage {
  const step = order === 'oldest' ? 1 : -1;
  const compare = (a: PagePlace, b: PagePlace): number => comparePagePlaces(a, b) * step;
  const ends = parts.flatMap(({ page }) => page.next ?? []).sort(compare);
  const [end] = ends;
  const all = parts
    .flatMap(({ page, shards }) => page.conflicts.filter(({ shard }) => shards.has(shard)))
    .filter((conflict) => end === undefined || compare(conflict, end) <= 0)
    .sort(compare);
  const conflicts = all.slice(0, limit);
  const sum = (of: (page: ConflictPage) => number): number => parts.reduce((total, { page }) => total + of(page), 0);
  return {
    conflicts,
    next: conflicts.length < all.length ? conflicts.at(-1) : end,
    total: sum(({ total }) => total),
    dropped: sum(({ dropped }) => dropped),
    droppedUntilMs: Math.max(0, ...parts.map(({ page }) => page.droppedUntilMs)),
    shards: parts.flatMap(({ shards }) => [...shards]),
  };
}

type BeginPart = (sink: ConflictSink) => ConflictSubscription;

/**
 * Streams of several owners as one: in the order of each shard, and of one owner; else as they come. It begins when all of them have said where they begin,
 * so that every cursor is good for all shards.
 *
 * Bound: one delivery of each owner that comes while the reader is full, or while others have not begun.
 */
export class SharedTail implements ConflictSubscription {
  readonly #sink: ConflictSink;
  readonly #ended: (tail: SharedTail) => void;
  readonly #places = new Map<ShardId, CursorPlace>();
  readonly #parts: ConflictSubscription[] = [];
  readonly #waiting: Conflict[] = [];
  #notBegun: number;
  #lost = false;
  #over = false;

  constructor(
    parts: readonly { readonly shards: ReadonlySet<ShardId>; readonly begin: BeginPart }[],
    sink: ConflictSink,
    ended: (tail: SharedTail) => void,
  ) {
    this.#sink = sink;
    this.#ended = ended;
    this.#notBegun = parts.length;
    for (const { shards, begin } of parts) {
      if (this.#over) break;
      const subscription = begin(this.#sinkOf(shards));
      if (this.over) subscription.cancel();
      else this.#parts.push(subscription);
    }
  }

  #sinkOf(shards: ReadonlySet<ShardId>): ConflictSink {
    let begun = false;
    return {
      conflicts: (conflicts: readonly Conflict[], cursor: ConflictCursor, lost: boolean): boolean => {
        if (this.#over) return false;
        // A shard that is on its way to another node may be told by two.
        for (const [shard, place] of cursor) if (shards.has(shard)) this.#places.set(shard, place);
        this.#waiting.push(...conflicts.filter(({ shard }) => shards.has(shard)));
        this.#lost ||= lost;
        const first = !begun;
        begun = true;
        if (first) this.#notBegun--;
        if (this.#notBegun > 0) return false;
        const told = this.#tell();
        if (first && told) for (const part of this.#parts) part.resume();
        return told;
      },
      failed: (error) => this.fail(error),
    };
  }

  #tell(): boolean {
    const lost = this.#lost;
    this.#lost = false;
    return this.#sink.conflicts(this.#waiting.splice(0), new Map(this.#places), lost);
  }

  get over(): boolean {
    return this.#over;
  }

  resume(): void {
    if (this.#notBegun > 0) return;
    for (const part of this.#parts) part.resume();
  }

  fail(error: CausewayError): void {
    if (this.#over) return;
    this.cancel();
    this.#sink.failed(error);
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#ended(this);
    for (const part of this.#parts) part.cancel();
  }
}
