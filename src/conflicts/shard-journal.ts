// The conflict journal of one shard, as rows of the shard's store (decision 0012).
// Owns: which entries there are (an index in memory, some 100 bytes an entry), and the rows that the store does not have yet.
//
// Exactly once, without looking anything up: an entry's row moves in the same step as the cursor of the store, and a restart judges
// again exactly what stands in the log behind that cursor. A store that proves nothing is emptied, and all of the log is judged again.
//
// Bound: the node's journal (journal.ts) drops the oldest entry of all shards when there are too many; one that has not reached the
// store goes without ever having been there.

import type { ShardId } from '../record/ids.ts';
import type { LandedConflict } from '../shard/engine.ts';
import type { Store } from '../store/store.ts';
import {
  comparePlaces,
  decodeEntry,
  encodeEntry,
  ENTRY_ROWS,
  ENTRY_ROWS_END,
  entryRowKey,
  placeOfRowKey,
  type Conflict,
  type ConflictPlace,
} from './entry.ts';

/** What is known of an entry without its row. */
export interface IndexedConflict extends ConflictPlace {
  readonly shard: ShardId;
  readonly atMs: number;
  /** Of the loser: tells an entry from another that stood at this place in an earlier log. */
  readonly loserStamp: number;
  readonly bytes: number;
}

/** What is no longer here. */
export interface DroppedConflicts {
  /** The last that went, for whatever reason. */
  readonly last: ConflictPlace;
  /** Of those that went for want of room, not of age: how many, and the time of the last. */
  readonly full: number;
  readonly fullUntilMs: number;
}

type Row = readonly [rowKey: string, value: Uint8Array | null];

/** How far the shard's log has come at this node: the last offset that landed, and the last that was handed to the log. */
export interface LogFront {
  readonly offset: number;
  readonly takenOffset: number;
}

const DROPPED_ROW = 'C';
/** Rows read at once when a shard starts; all together they are within the journal's bound of bytes. */
const LOAD_ROWS = 256;
/** Of the index: how many dropped ones may stand in front of it. */
const SLACK = 1024;

export class ShardJournal {
  readonly shard: ShardId;
  readonly log: LogFront;
  readonly #store: Pick<Store, 'getMany' | 'scan'>;
  /** From #first on, in order. */
  #index: IndexedConflict[] = [];
  #first = 0;
  #bytes = 0;
  #loaded = false;
  #dropped: DroppedConflicts | undefined;
  #droppedIsNew = false;
  /** Rows to be written, and those on their way; null: to be deleted. */
  #waiting = new Map<string, Uint8Array | null>();
  #writing: ReadonlyMap<string, Uint8Array | null> = new Map();

  constructor(shard: ShardId, store: Pick<Store, 'getMany' | 'scan'>, log: LogFront) {
    this.shard = shard;
    this.log = log;
    this.#store = store;
  }

  /** The store's entries are known, so what is missing here is missing. */
  get loaded(): boolean {
    return this.#loaded;
  }

  get count(): number {
    return this.#index.length - this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Rows that wait for the store's next step. */
  get waiting(): number {
    return this.#waiting.size;
  }

  get oldest(): IndexedConflict | undefined {
    return this.#index[this.#first];
  }

  get newest(): IndexedConflict | undefined {
    return this.count === 0 ? undefined : this.#index.at(-1);
  }

  get dropped(): DroppedConflicts | undefined {
    return this.#dropped;
  }

  /** The entry at a rank, 0 the oldest. */
  at(rank: number): IndexedConflict | undefined {
    return this.#index[this.#first + rank];
  }

  /** How many entries stand before the place, or at it. */
  rankAfter(place: ConflictPlace): number {
    let low = this.#first;
    let high = this.#index.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (comparePlaces(this.#index[middle]!, place) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - this.#first;
  }

  /** Reads what the store proves; then the log behind it may be judged. Throws MalformedBytes through `done` as an error. */
  load(done: (error?: Error) => void): void {
    this.#store.getMany(this.shard, [DROPPED_ROW], ([row]) => {
      if (row !== undefined) this.#dropped = JSON.parse(Buffer.from(row).toString('utf8')) as DroppedConflicts;
      this.#loadFrom(ENTRY_ROWS, done);
    });
  }

  #loadFrom(from: string, done: (error?: Error) => void): void {
    this.#store.scan(this.shard, from, ENTRY_ROWS_END, LOAD_ROWS, (rows) => {
      try {
        for (const { rowKey, value } of rows) this.#push(decodeEntry(this.shard, rowKey, value), value.length);
      } catch (error) {
        done(error as Error);
        return;
      }
      if (rows.length < LOAD_ROWS) done();
      else this.#loadFrom(`${rows.at(-1)!.rowKey}\u0000`, done);
    });
  }

  /** The store has been emptied: everything will be judged again. */
  reset(): void {
    this.#index = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#dropped = undefined;
    this.#droppedIsNew = false;
    this.#waiting.clear();
  }

  /** The log behind the store's rows has been judged too. */
  complete(): void {
    this.#loaded = true;
  }

  /** What is read from now on may be missing: nobody takes it for what there is. */
  close(): void {
    this.#loaded = false;
  }

  /** A verdict that has landed. Its time never falls behind the entry before it. */
  add(verdict: LandedConflict, nowMs: number): Conflict {
    // Whole: it stands in rows, messages and page tokens. Time that peers have confirmed is not.
    const atMs = Math.max(Math.floor(nowMs), this.newest?.atMs ?? 0);
    const conflict: Conflict = { ...verdict, atMs, shard: this.shard };
    const row = encodeEntry(conflict);
    this.#waiting.set(entryRowKey(conflict), row);
    this.#push(conflict, row.length);
    return conflict;
  }

  #push({ offset, index, shard, atMs, loser }: Conflict, bytes: number): void {
    this.#index.push({ offset, index, shard, atMs, loserStamp: loser.stamp, bytes });
    this.#bytes += bytes;
  }

  /** Forgets the oldest entry. `full`: there was no room for it, so that a reader must know. */
  drop(full: boolean): void {
    const oldest = this.#index[this.#first];
    if (oldest === undefined) return;
    this.#first++;
    this.#bytes -= oldest.bytes;
    const rowKey = entryRowKey(oldest);
    // One that no store has ever seen needs no row to delete it.
    if (this.#waiting.get(rowKey) instanceof Uint8Array && !this.#writing.has(rowKey)) this.#waiting.delete(rowKey);
    else this.#waiting.set(rowKey, null);
    this.#dropped = {
      last: { offset: oldest.offset, index: oldest.index },
      full: (this.#dropped?.full ?? 0) + Number(full),
      fullUntilMs: full ? oldest.atMs : (this.#dropped?.fullUntilMs ?? 0),
    };
    this.#droppedIsNew = true;
    if (this.#first > SLACK && this.#first * 2 > this.#index.length) {
      this.#index.splice(0, this.#first);
      this.#first = 0;
    }
  }

  /** What the store lacks, for its next step. */
  takeRows(): Row[] {
    const rows: Row[] = [...this.#waiting];
    if (this.#droppedIsNew) rows.push([DROPPED_ROW, Buffer.from(JSON.stringify(this.#dropped))]);
    this.#droppedIsNew = false;
    this.#writing = this.#waiting;
    this.#waiting = new Map();
    return rows;
  }

  written(): void {
    this.#writing = new Map();
  }

  /** The store did not take the step. */
  putBack(): void {
    for (const [rowKey, value] of this.#writing) if (!this.#waiting.has(rowKey)) this.#waiting.set(rowKey, value);
    this.#droppedIsNew = this.#dropped !== undefined;
    this.written();
  }

  /** The entries at these places that are still there, in their order. */
  read(places: readonly ConflictPlace[], done: (conflicts: readonly Conflict[]) => void): void {
    const rowKeys = places.map(entryRowKey);
    const stored = rowKeys.filter((rowKey) => !this.#waiting.has(rowKey) && !this.#writing.has(rowKey));
    const memory = new Map(rowKeys.map((rowKey) => [rowKey, this.#waiting.get(rowKey) ?? this.#writing.get(rowKey)]));
    this.#store.getMany(this.shard, stored, (values) => {
      stored.forEach((rowKey, i) => memory.set(rowKey, values[i]));
      const conflicts: Conflict[] = [];
      for (const rowKey of rowKeys) {
        const row = memory.get(rowKey);
        const oldest = this.oldest;
        if (!row || oldest === undefined || comparePlaces(placeOfRowKey(rowKey), oldest) < 0) continue;
        conflicts.push(decodeEntry(this.shard, rowKey, row));
      }
      done(conflicts);
    });
  }
}
