// Reads the log of a shard that another node owns, for this node to take it over: what takes long then is done while the owner goes on (decision 30).
// Owns: the idempotency table of the shard up to a place in its log, and the proof that the store is of this log (store-proof.ts), carried along as the log is read. Everything else
// that an owner has in memory is in the store, or behind its cursor.
//
// - Not beyond the store's cursor: from there on the engine replays, and records by itself. Whoever takes the shard reads on to where the store stands then; one that has gone back
//   to before what was read makes it worthless.
// - A table is a function of where it began and of the log's entries since, so it is the same whoever reads them. It is handed on once.
// - What cannot be read here is left to whoever takes the shard: it reads it again, and says what is wrong.
//
// I12 Bounds: the table (idempotencyEntriesMax), a read (READ_BYTES), PASSES_MAX times to the end of a log that grows meanwhile.

import type { Log, StoredEntry } from '../log/log.ts';
import type { OriginId, ShardId } from '../record/ids.ts';
import { BatchPeeker } from '../record/peek.ts';
import { IdempotencyTable } from '../shard/idempotency.ts';
import { decodeMeta, type ShardMeta } from '../shard/meta.ts';
import type { Store } from '../store/store.ts';
import type { Timers } from '../system/system.ts';
import { META_ROW } from './state-cache.ts';
import { isOfLog } from './store-proof.ts';

const READ_BYTES = 1024 * 1024;
/** So near to its end the log is read behind the claim, in one breath with what the last owner has left. */
const NEAR_ENTRIES = 200;
const PASSES_MAX = 20;

/** What was read of a shard's log before it changed hands. */
export interface ReadAhead {
  /**
   * Reads on to where a store stands (I11): answers with the table as of there, if the store is of this log and the table can be gone on with. undefined: it cannot be
   * told here. Once.
   */
  complete(meta: ShardMeta, done: (table: IdempotencyTable | undefined) => void): void;
}

interface Ports {
  readonly log: Log;
  readonly store: Store;
  readonly timers: Timers;
}

/** One shard after the other: so it costs the log's servers no more than one reader does. */
export class ShardFollowers {
  readonly #ports: Ports;
  readonly #entriesMax: number;
  readonly #followers = new Map<ShardId, ShardFollower>();
  #last: Promise<void> = Promise.resolve();

  /** `entriesMax`: ops remembered per shard. */
  constructor(ports: Ports, entriesMax: number) {
    this.#ports = ports;
    this.#entriesMax = entriesMax;
  }

  /** Reads the shard's log on to about its end. Resolves when that is done, when it cannot be done, and when it was taken meanwhile. */
  follow(shard: ShardId): Promise<void> {
    const follower = this.#followers.get(shard) ?? new ShardFollower(shard, this.#ports, this.#entriesMax);
    this.#followers.set(shard, follower);
    this.#last = this.#last.then(() => new Promise((resolve) => follower.follow(resolve)));
    return this.#last;
  }

  /** What was read of it, if something was: the caller's from now on. */
  take(shard: ShardId): ReadAhead | undefined {
    const follower = this.#followers.get(shard);
    follower?.stop();
    this.#followers.delete(shard);
    return follower;
  }

  stop(): void {
    for (const shard of [...this.#followers.keys()]) this.take(shard);
  }
}

/** Up to an entry of the log. */
interface Read {
  offset: number;
  readonly table: IdempotencyTable;
  /** Of each origin the last seq that stands in the log up to there, once `provenFrom` has been passed. */
  readonly seqs: Map<OriginId, number>;
  /** The store was of this log as of there. */
  readonly provenFrom: number;
}

class ShardFollower implements ReadAhead {
  readonly #shard: ShardId;
  readonly #ports: Ports;
  readonly #entriesMax: number;
  readonly #peeker = new BatchPeeker();
  #read: Read | undefined;
  /** Of what waits; what was begun before is over. */
  #turn = 0;
  #over: (() => void) | undefined;
  #taken = false;

  constructor(shard: ShardId, ports: Ports, entriesMax: number) {
    this.#shard = shard;
    this.#ports = ports;
    this.#entriesMax = entriesMax;
  }

  /** Reads on to about the end. `done`: it is there, was stopped, or cannot read on. One at a time. */
  follow(done: () => void): void {
    if (this.#taken) {
      done();
      return;
    }
    const turn = ++this.#turn;
    this.#over = done;
    this.#pass(turn, 1);
  }

  stop(): void {
    this.#taken = true;
    this.#turn++;
    this.#end();
  }

  #end(): void {
    const over = this.#over;
    this.#over = undefined;
    over?.();
  }

  complete(meta: ShardMeta, done: (table: IdempotencyTable | undefined) => void): void {
    const read = this.#read;
    if (read === undefined || !continues(read, meta)) {
      done(undefined);
      return;
    }
    this.#readTo(++this.#turn, meta.offset, () => {
      const same = this.#read === read && read.offset === meta.offset && isSame(read.seqs, meta);
      this.#read = undefined;
      done(same ? read.table : undefined);
    });
  }

  #pass(turn: number, nth: number): void {
    const { log, store } = this.#ports;
    store.peek(this.#shard, META_ROW, (row) => {
      if (turn !== this.#turn) return;
      const meta = row === undefined ? undefined : decodeMeta(row);
      // The store first: its owner goes on, and what it says must not be ahead of the log that is known here.
      log.refresh(this.#shard, () => {
        if (turn !== this.#turn) return;
        // Without a store that is of this log nothing can be read ahead: the owner is about to write it, or it is made anew from the whole log.
        if (meta === undefined || meta.offset > log.tail(this.#shard)) this.#end();
        else this.#begin(turn, meta, (read) => this.#readOn(turn, nth, read, meta.offset));
      });
    });
  }

  #readOn(turn: number, nth: number, read: Read, to: number): void {
    const before = read.offset;
    this.#readTo(turn, to, () => {
      if (this.#read === read && to - before > NEAR_ENTRIES && nth < PASSES_MAX) this.#pass(turn, nth + 1);
      else this.#end();
    });
  }

  /** Goes on from what it has, or begins where the store says. */
  #begin(turn: number, meta: ShardMeta, begun: (read: Read) => void): void {
    if (this.#read !== undefined && continues(this.#read, meta)) {
      begun(this.#read);
      return;
    }
    this.#read = undefined;
    const seqs = new Map(meta.origins.map(({ id, seq }) => [id, seq]));
    isOfLog(this.#ports.log, this.#shard, meta.offset, seqs, (same) => {
      if (turn !== this.#turn) return;
      if (!same) {
        this.#end();
        return;
      }
      const from = Math.max(1, Math.min(meta.idempotencyFrom, meta.offset + 1));
      const table = new IdempotencyTable(this.#entriesMax, meta.idempotencyHorizon);
      this.#read = { offset: from - 1, table, seqs, provenFrom: meta.offset };
      begun(this.#read);
    });
  }

  #readTo(turn: number, offset: number, done: () => void): void {
    const read = this.#read;
    if (read === undefined || read.offset >= offset) {
      done();
      return;
    }
    const { log, timers } = this.#ports;
    log.read(this.#shard, read.offset + 1, READ_BYTES, (result) => {
      if (turn !== this.#turn) return;
      const entries = result.kind === 'entries' ? result.entries : [];
      try {
        for (const entry of entries) {
          if (entry.offset > offset) break;
          this.#take(read, entry);
        }
      } catch {
        // The entry was not recorded in full: of this table nothing is handed on.
        this.#read = undefined;
      }
      if (entries.length === 0 || this.#read === undefined) {
        done();
        return;
      }
      timers.soon(() => {
        if (turn === this.#turn) this.#readTo(turn, offset, done);
      });
    });
  }

  #take(read: Read, { offset, kind, bytes }: StoredEntry): void {
    read.table.rememberEntry(offset, kind, bytes);
    read.offset = offset;
    if (offset <= read.provenFrom || kind !== 'batch') return;
    const batch = this.#peeker.peek(bytes);
    if (batch !== undefined) read.seqs.set(batch.origin, batch.lastSeq);
  }
}

/** Whether to read on is right, and cheaper than to begin anew where the store says. */
function continues({ offset, provenFrom }: Read, meta: ShardMeta): boolean {
  return Math.max(offset, provenFrom) <= meta.offset && offset + 1 >= meta.idempotencyFrom;
}

/** What store-proof.ts looks for in the log was carried along. */
function isSame(seqs: ReadonlyMap<OriginId, number>, { origins }: ShardMeta): boolean {
  const stored = new Map(origins.map(({ id, seq }) => [id, seq]));
  return [...new Set([...seqs.keys(), ...stored.keys()])].every((id) => (seqs.get(id) ?? 0) === (stored.get(id) ?? 0));
}
