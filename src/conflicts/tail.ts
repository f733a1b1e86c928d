// A stream of conflict entries to one reader: what is kept behind a cursor, then what comes.
// Owns: the cursor, a place per shard. It stays good across restarts of the node, because a verdict has the same place whenever its log is
// read. Where the log itself was lost, no entry stands at the place any more, or another one: the shard is then told from its beginning,
// with `lost`.
//
// HAZARD: a place beyond this node's log may also stand in the log of the region, when the shard changes its node: the former owner went
// on after we read it, or we are the former owner and have not noticed. Only the fence can tell. An entry that we handed to the log after
// the place was shown to us, and that landed, landed behind everything that was there before: then a place that is not here is nowhere.

import type { CausewayError } from '../errors/errors.ts';
import type { ShardId } from '../record/ids.ts';
import { comparePlaces, type Conflict, type ConflictPlace } from './entry.ts';
import type { IndexedConflict, ShardJournal } from './shard-journal.ts';
import { matches, Walk, type ConflictFilter } from './walk.ts';

export interface CursorPlace extends ConflictPlace {
  readonly loserStamp: number;
}

export type ConflictCursor = ReadonlyMap<ShardId, CursorPlace>;

export interface TailRequest extends Pick<ConflictFilter, 'namespace' | 'collection' | 'keyPrefix'> {
  /** Of a namespace's shards or of all: what the cursor lacks begins at its beginning. */
  readonly start: 'beginning' | 'now' | ConflictCursor;
}

export interface ConflictSink {
  /** False: nothing more until resume(). Maybe without entries: where the stream begins, or what stood there did not match. */
  conflicts(conflicts: readonly Conflict[], cursor: ConflictCursor, lost: boolean): boolean;
  failed(error: CausewayError): void;
}

export interface ConflictSubscription {
  resume(): void;
  cancel(): void;
}

type ReadConflicts = (entries: readonly IndexedConflict[], done: (conflicts: readonly Conflict[]) => void) => void;

/** Read and told at once. */
const READ_ROWS = 256;

export class ConflictTail implements ConflictSubscription {
  readonly #shards: () => Iterable<ShardJournal>;
  readonly #read: ReadConflicts;
  readonly #filter: ConflictFilter;
  readonly #sink: ConflictSink;
  readonly #ended: () => void;
  readonly #places = new Map<ShardId, CursorPlace>();
  readonly #fromNow: boolean;
  /** Shards whose place was looked at since they were last read from their log. */
  readonly #checked = new WeakSet<ShardJournal>();
  /** Of places beyond the log: what had been handed to it when they were first looked at. */
  readonly #unsure = new WeakMap<ShardJournal, number>();
  /** `now`: shards of which all that there was is passed over. */
  readonly #passed = new Set<ShardId>();
  #waitsForLog = false;
  #lost = false;
  #reading = false;
  #waiting = false;
  #over = false;

  constructor(
    shards: () => Iterable<ShardJournal>,
    read: ReadConflicts,
    { start, ...filter }: TailRequest,
    sink: ConflictSink,
    ended: () => void,
  ) {
    this.#shards = shards;
    this.#read = read;
    this.#filter = { ...filter, sinceMs: 0, untilMs: Infinity };
    this.#sink = sink;
    this.#ended = ended;
    this.#fromNow = start === 'now';
    if (typeof start !== 'string') for (const [shard, place] of start) this.#places.set(shard, place);
    // What is there counts as seen; a shard that is still read from its log is looked at when it has been.
    if (start === 'now') for (const each of shards()) if (each.loaded) this.#passOver(each);
  }

  #passOver(journal: ShardJournal): void {
    const { newest } = journal;
    this.#checked.add(journal);
    this.#passed.add(journal.shard);
    if (newest !== undefined) this.#places.set(journal.shard, placeOf(newest));
  }

  /** Tells where it begins: whoever is cut off before the first entry goes on from there. */
  begin(): void {
    this.#tell([]);
    this.more();
  }

  /** Of some shard it cannot be told yet whether the place is one of it. */
  get waitsForLog(): boolean {
    return this.#waitsForLog;
  }

  /** There may be something new, or the log has moved on. */
  more(): void {
    if (this.#over || this.#reading || this.#waiting) return;
    const loaded = [...this.#shards()].filter((journal) => journal.loaded);
    const journals = loaded.filter((journal) => this.#check(journal));
    this.#waitsForLog = journals.length < loaded.length;
    const entries = this.#next(journals);
    if (entries.length === 0) {
      if (this.#lost) this.#tell([]);
      return;
    }
    this.#reading = true;
    this.#read(entries, (conflicts) => {
      this.#reading = false;
      if (this.#over) return;
      // One of the shards begins anew, and what was read may not be all: it is read again when it has.
      if (!journals.every(({ loaded }) => loaded)) return;
      for (const entry of entries) this.#places.set(entry.shard, placeOf(entry));
      this.#tell(conflicts.filter((conflict) => matches(this.#filter, conflict)));
      this.more();
    });
  }

  #tell(conflicts: readonly Conflict[]): void {
    const lost = this.#lost;
    this.#lost = false;
    this.#waiting = !this.#sink.conflicts(conflicts, new Map(this.#places), lost);
  }

  #next(journals: readonly ShardJournal[]): IndexedConflict[] {
    const heads = journals.map((journal) => {
      const place = this.#places.get(journal.shard);
      return { journal, rank: place === undefined ? 0 : journal.rankAfter(place) };
    });
    const walk = new Walk(heads, 'oldest');
    const entries: IndexedConflict[] = [];
    for (let entry = walk.next(); entry !== undefined; entry = walk.next()) {
      entries.push(entry);
      if (entries.length === READ_ROWS) break;
    }
    return entries;
  }

  /** Is the place still one of this journal? And was nothing dropped behind it? False: it cannot be told yet. */
  #check(journal: ShardJournal): boolean {
    const place = this.#places.get(journal.shard);
    const isNew = !this.#checked.has(journal);
    if (place === undefined) {
      this.#checked.add(journal);
      if (this.#fromNow && !this.#passed.has(journal.shard)) this.#passOver(journal);
      return true;
    }
    if (isNew && !this.#isTold(journal, place)) return false;
    this.#checked.add(journal);
    const behindDropped = journal.dropped === undefined ? 1 : comparePlaces(place, journal.dropped.last);
    if (behindDropped < 0) {
      this.#lost = true;
      this.#places.set(journal.shard, { ...journal.dropped!.last, loserStamp: 0 });
    }
    if (behindDropped <= 0 || !isNew) return true;
    const rank = journal.rankAfter(place);
    const there = rank === 0 ? undefined : journal.at(rank - 1);
    if (there !== undefined && comparePlaces(there, place) === 0 && there.loserStamp === place.loserStamp) return true;
    // Nothing stands there, or something else: it is another log, whose places are not those of the cursor.
    this.#lost = true;
    this.#places.delete(journal.shard);
    return true;
  }

  /** Does what this node holds of the log tell whether the place is one of it? */
  #isTold(journal: ShardJournal, place: CursorPlace): boolean {
    const { offset, takenOffset } = journal.log;
    if (place.offset <= offset) return true;
    const since = this.#unsure.get(journal);
    if (since === undefined) this.#unsure.set(journal, takenOffset);
    return since !== undefined && offset > since;
  }

  resume(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.more();
  }

  fail(error: CausewayError): void {
    if (this.#over) return;
    this.cancel();
    this.#sink.failed(error);
  }

  cancel(): void {
    this.#over = true;
    this.#ended();
  }
}

function placeOf({ offset, index, loserStamp }: IndexedConflict): CursorPlace {
  return { offset, index, loserStamp };
}
