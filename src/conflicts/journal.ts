// The conflict journal of a node: the journals of its shards in one order, bounded, in pages and as a stream (DESIGN 6).
// Owns: the bounds. Beyond `keepMs`, `entriesMax` or `bytesMax` the oldest entry goes, whichever shard it is of; what goes for want of
// room is counted, and whoever reads past it is told (`dropped`, `lost`). Age is by a time that peers have confirmed (clock/agreed-time.ts): a
// clock that is set a year ahead drops nothing.
//
// The order over shards is by time, then by shard, then by place. Pages and streams hold a place and no entries, so that a reader who
// is slow or gone costs nothing (I8, I12).

import { CausewayError } from '../errors/errors.ts';
import type { Dot, ShardId } from '../record/ids.ts';
import { sameDot, type Conflict } from './entry.ts';
import type { IndexedConflict, ShardJournal } from './shard-journal.ts';
import { ConflictTail, type ConflictSink, type ConflictSubscription, type TailRequest } from './tail.ts';
import { matches, rankBeside, Walk, type ConflictFilter, type PagePlace, type WalkHead } from './walk.ts';

export interface JournalBounds {
  readonly keepMs: number;
  readonly entriesMax: number;
  readonly bytesMax: number;
}

export interface ConflictQuery extends ConflictFilter {
  readonly order: 'newest' | 'oldest';
  readonly limit: number;
  readonly after: PagePlace | undefined;
}

export interface ConflictPage {
  /** At most `limit`, and maybe fewer: a page looks at so many entries and no more. */
  readonly conflicts: readonly Conflict[];
  /** undefined: this was the last page. */
  readonly next: PagePlace | undefined;
  /** All that are kept, whatever the filter is. */
  readonly total: number;
  /** Dropped for want of room, ever, and the time of the last of them. */
  readonly dropped: number;
  readonly droppedUntilMs: number;
  /** Whose journals these are. */
  readonly shards: readonly ShardId[];
}

/** Entries that one page looks at. */
const SCAN_MAX = 2000;
const READ_ROWS = 128;

type Answer = (page: ConflictPage | CausewayError) => void;

export class ConflictJournal {
  readonly #bounds: JournalBounds;
  readonly #shards: () => Iterable<ShardJournal>;
  readonly #tails = new Set<ConflictTail>();

  /** `shards`: the journals of the shards that the node serves at this moment. */
  constructor(bounds: JournalBounds, shards: () => Iterable<ShardJournal>) {
    this.#bounds = bounds;
    this.#shards = shards;
  }

  /** A shard has a new entry, or all that its log has to say. `agreedMs`: see expire(). */
  grown(agreedMs: number | undefined): void {
    this.expire(agreedMs);
    let [count, bytes] = [0, 0];
    for (const journal of this.#shards()) {
      count += journal.count;
      bytes += journal.bytes;
    }
    while (count > this.#bounds.entriesMax || bytes > this.#bounds.bytesMax) {
      const journal = this.#withOldest();
      if (journal === undefined) break;
      count--;
      bytes -= journal.oldest!.bytes;
      journal.drop(true);
    }
    for (const tail of this.#tails) tail.more();
  }

  /** A shard's log has moved on: a stream may wait for no more than that. */
  landed(): void {
    for (const tail of this.#tails) if (tail.waitsForLog) tail.more();
  }

  /** Drops what is too old. undefined: what time it is is not known, so nothing is. */
  expire(agreedMs: number | undefined): void {
    if (agreedMs === undefined) return;
    for (const journal of this.#shards()) {
      while ((journal.oldest?.atMs ?? Infinity) < agreedMs - this.#bounds.keepMs) journal.drop(false);
    }
  }

  #withOldest(): ShardJournal | undefined {
    let found: ShardJournal | undefined;
    for (const journal of this.#shards()) {
      if ((journal.oldest?.atMs ?? Infinity) < (found?.oldest?.atMs ?? Infinity)) found = journal;
    }
    return found;
  }

  list(query: ConflictQuery, done: Answer): void {
    const journals = [...this.#shards()];
    const notYet = notLoaded(journals);
    if (notYet !== undefined) {
      done(notYet);
      return;
    }
    const { order, limit, after } = query;
    const heads = journals.map((journal): WalkHead => {
      if (after !== undefined) return { journal, rank: rankBeside(journal, after, order) };
      return { journal, rank: order === 'oldest' ? 0 : journal.count - 1 };
    });
    const walk = new Walk(heads, order, query.sinceMs, query.untilMs);
    const conflicts: Conflict[] = [];
    let looked = 0;
    let last = after;
    const finish = (more: boolean): void => {
      let [total, dropped, droppedUntilMs] = [0, 0, 0];
      for (const journal of journals) {
        total += journal.count;
        dropped += journal.dropped?.full ?? 0;
        droppedUntilMs = Math.max(droppedUntilMs, journal.dropped?.fullUntilMs ?? 0);
      }
      const shards = journals.map(({ shard }) => shard);
      done({ conflicts, next: more ? last : undefined, total, dropped, droppedUntilMs, shards });
    };
    const step = (): void => {
      const chunk: IndexedConflict[] = [];
      while (chunk.length < Math.min(READ_ROWS, limit - conflicts.length) && looked < SCAN_MAX) {
        const entry = walk.next();
        if (entry === undefined) break;
        looked++;
        last = entry;
        chunk.push(entry);
      }
      if (chunk.length === 0) {
        finish(walk.peek() !== undefined);
        return;
      }
      this.read(chunk, (found) => {
        // A store may take its time, and a shard may have begun anew meanwhile.
        const gone = notLoaded(journals);
        if (gone !== undefined) {
          done(gone);
          return;
        }
        for (const conflict of found) if (matches(query, conflict)) conflicts.push(conflict);
        step();
      });
    };
    step();
  }

  /** Every entry of a loser: several when a write of a map lost in several fields. */
  find(shard: ShardId, loser: Dot, done: (conflicts: readonly Conflict[] | CausewayError) => void): void {
    const journal = [...this.#shards()].find((each) => each.shard === shard);
    const notYet = journal === undefined ? undefined : notLoaded([journal]);
    if (journal === undefined || notYet !== undefined) {
      done(notYet ?? []);
      return;
    }
    const found: Conflict[] = [];
    // From the newest: the loser that somebody asks for was most likely told of a moment ago.
    const look = (below: number): void => {
      const from = Math.max(0, below - READ_ROWS);
      const places: IndexedConflict[] = [];
      for (let rank = from; rank < below; rank++) {
        const entry = journal.at(rank);
        if (entry !== undefined) places.push(entry);
      }
      journal.read(places, (conflicts) => {
        const gone = notLoaded([journal]);
        if (gone !== undefined) {
          done(gone);
          return;
        }
        found.unshift(...conflicts.filter((conflict) => sameDot(conflict.loser, loser)));
        if (from === 0) done(found);
        else look(from);
      });
    };
    look(journal.count);
  }

  /** The entries, in the order asked for; those that are gone are left out. */
  read(entries: readonly IndexedConflict[], done: (conflicts: readonly Conflict[]) => void): void {
    const byShard = new Map<ShardId, IndexedConflict[]>();
    for (const entry of entries) {
      const list = byShard.get(entry.shard);
      if (list === undefined) byShard.set(entry.shard, [entry]);
      else list.push(entry);
    }
    const found = new Map<string, Conflict>();
    const name = ({ shard, offset, index }: PagePlace): string => `${shard} ${offset}.${index}`;
    let left = 1;
    const finish = (): void => {
      if (--left > 0) return;
      done(entries.flatMap((entry) => found.get(name(entry)) ?? []));
    };
    for (const journal of this.#shards()) {
      const list = byShard.get(journal.shard);
      if (list === undefined) continue;
      left++;
      journal.read(list, (conflicts) => {
        for (const conflict of conflicts) found.set(name(conflict), conflict);
        finish();
      });
    }
    finish();
  }

  /** Entries as they come. The sink is called at once, with the cursor of where it begins. */
  tail(request: TailRequest, sink: ConflictSink): ConflictSubscription {
    const tail = new ConflictTail(
      this.#shards,
      (entries, done) => this.read(entries, done),
      request,
      sink,
      () => this.#tails.delete(tail),
    );
    this.#tails.add(tail);
    tail.begin();
    return tail;
  }

  /** Ends every stream. */
  fail(error: CausewayError): void {
    for (const tail of this.#tails) tail.fail(error);
  }
}

function notLoaded(journals: readonly ShardJournal[]): CausewayError | undefined {
  const waiting = journals.filter(({ loaded }) => !loaded);
  if (waiting.length === 0) return undefined;
  const names = waiting.map(({ shard }) => shard).join(', ');
  return new CausewayError(
    'NOT_READY',
    `the conflict journal is incomplete: shard ${names} is still read from its log`,
    {
      hint: 'try again shortly',
    },
  );
}
