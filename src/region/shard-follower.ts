// Reads the log of a shard that another node owns, for this node to take it over: what takes long then is done while the owner goes on (decision 30).
// Owns: the idempotency table of the shard up to a place in its log. Everything else that an owner has in memory is in the store, or behind its cursor.
//
// - Not beyond the store's cursor: from there on the engine replays, and records by itself. A table is used by the engine only if its end lies between where the
//   store says that the table begins and its cursor.
// - A table is a function of where it began and of the log's entries since, so it is the same whoever reads them. It is never read past an entry that is not
//   durable, and handed on once.
// - What cannot be read here is left to whoever takes the shard: it reads it again, and says what is wrong.
//
// I12 Bounds: the table (idempotencyEntriesMax), a read (READ_BYTES), PASSES_MAX times to the end of a log that grows meanwhile.

import type { Log } from '../log/log.ts';
import type { ShardId } from '../record/ids.ts';
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

/** What was read: the ops of all entries up to `offset`, as far back as they are remembered. */
export interface ReadAhead {
  readonly offset: number;
  readonly table: IdempotencyTable;
}

/** One shard after the other: so it costs the log's servers no more than one reader does. */
export class ShardFollowers {
  readonly #ports: ConstructorParameters<typeof ShardFollower>[1];
  readonly #entriesMax: number;
  readonly #followers = new Map<ShardId, ShardFollower>();
  #last: Promise<void> = Promise.resolve();

  /** `entriesMax`: ops remembered per shard. */
  constructor(ports: ConstructorParameters<typeof ShardFollower>[1], entriesMax: number) {
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

  /** What was read of it, which is over with that. */
  take(shard: ShardId): ReadAhead | undefined {
    const read = this.#followers.get(shard)?.take();
    this.#followers.delete(shard);
    return read;
  }

  stop(): void {
    for (const shard of [...this.#followers.keys()]) this.take(shard);
  }
}

class ShardFollower {
  readonly #shard: ShardId;
  readonly #log: Log;
  readonly #store: Store;
  readonly #timers: Timers;
  readonly #entriesMax: number;
  #read: { offset: number; readonly table: IdempotencyTable } | undefined;
  /** Called when it ends before it is there. */
  #over: (() => void) | undefined;
  #ended = false;

  constructor(
    shard: ShardId,
    ports: { readonly log: Log; readonly store: Store; readonly timers: Timers },
    entriesMax: number,
  ) {
    this.#shard = shard;
    this.#log = ports.log;
    this.#store = ports.store;
    this.#timers = ports.timers;
    this.#entriesMax = entriesMax;
  }

  /** Reads on to about the end. `done`: it is there, has ended, or cannot read on. One at a time. */
  follow(done: () => void): void {
    if (this.#ended) {
      done();
      return;
    }
    const once = (): void => {
      this.#over = undefined;
      done();
    };
    this.#over = once;
    this.#pass(1, () => this.#over?.());
  }

  /** Ends it. What it had read belongs to the caller from now on. */
  take(): ReadAhead | undefined {
    this.#ended = true;
    const read = this.#read;
    this.#read = undefined;
    this.#over?.();
    return read;
  }

  #pass(nth: number, done: () => void): void {
    this.#log.refresh(this.#shard, () => {
      if (this.#ended) return;
      this.#store.peek(this.#shard, META_ROW, (row) => {
        if (this.#ended) return;
        const meta = row === undefined ? undefined : decodeMeta(row);
        // Without a store that is of this log nothing can be read ahead: the owner is about to write it, or it is made anew from the whole log.
        if (meta === undefined || meta.offset > this.#log.tail(this.#shard)) {
          done();
          return;
        }
        this.#begin(meta, (began) => {
          if (this.#ended) return;
          if (!began) {
            done();
            return;
          }
          const before = this.#read!.offset;
          this.#readTo(meta.offset, () => {
            if (meta.offset - before > NEAR_ENTRIES && nth < PASSES_MAX) this.#pass(nth + 1, done);
            else done();
          });
        });
      });
    });
  }

  /** Goes on from what it has, or begins where the store says. */
  #begin(meta: ShardMeta, began: (began: boolean) => void): void {
    if (this.#read !== undefined && continues(this.#read, meta)) {
      began(true);
      return;
    }
    this.#read = undefined;
    const seqs = new Map(meta.origins.map(({ id, seq }) => [id, seq]));
    isOfLog(this.#log, this.#shard, meta.offset, seqs, (same) => {
      if (same && !this.#ended) {
        const from = Math.max(1, Math.min(meta.idempotencyFrom, meta.offset + 1));
        this.#read = { offset: from - 1, table: new IdempotencyTable(this.#entriesMax, meta.idempotencyHorizon) };
      }
      began(same);
    });
  }

  #readTo(offset: number, done: () => void): void {
    const read = this.#read;
    if (this.#ended || read === undefined) return;
    if (read.offset >= offset) {
      done();
      return;
    }
    this.#log.read(this.#shard, read.offset + 1, READ_BYTES, (result) => {
      if (this.#ended) return;
      const entries = result.kind === 'entries' ? result.entries : [];
      try {
        for (const entry of entries) {
          if (entry.offset > offset) break;
          read.table.rememberEntry(entry.offset, entry.kind, entry.bytes);
          read.offset = entry.offset;
        }
      } catch {
        // The entry was not recorded in full: of this table nothing is handed on.
        this.#read = undefined;
      }
      if (entries.length === 0 || this.#read === undefined) {
        done();
        return;
      }
      this.#timers.soon(() => this.#readTo(offset, done));
    });
  }
}

/** Whether an engine that starts from the store can go on with it. */
export function continues({ offset }: ReadAhead, meta: ShardMeta): boolean {
  return offset <= meta.offset && offset + 1 >= meta.idempotencyFrom;
}
