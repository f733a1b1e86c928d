// The store port: the read model, a cache of the log (I11). One implementation a file: memory.ts, lmdb.ts.
//
// The contract (test/contract/store.ts):
// - Rows are (shard, row key) → bytes. Row keys are UTF-8 text of 1 to ROW_KEY_BYTES_MAX bytes, ordered by bytes.
// - write() moves all rows of a step and the shard's cursor (a log offset) together, atomically, and only if the cursor
//   stands at `fromCursor`: a deposed owner's step is refused (`moved`).
// - Several shards' steps may share one transaction; their outcomes are separate.
// - write(), reset(), checkpoint() and close() take effect in the order in which they were called. Until `done` reads see the rows and the cursor as
//   they were before a write, from then on the new ones. The rows of a step are the store's until `done`: nobody changes them.
// - cursor() after open() says up to which log offset the rows are *proven*. An implementation that cannot prove its rows
//   (a crash without a checkpoint, another machine's files) answers 0 with no rows: the shard is rebuilt from the log.
// - A read that was asked for before a write is answered before that write is done, one behind it afterwards: whoever keeps rows in memory until they
//   are written never takes an older one for what is there.
// - refresh() looks where a shard stands: another owner may have written it since, or it was lost. cursor() is right from then on.
// - A store that can lose rows while it is open (Redis) tells so (RedisStoreOptions.onLost) before anything more of the shard is answered. What was
//   asked for before is not answered any more, and nothing is until refresh().
// - Callbacks may be called before the method returns. They never throw.

import type { ShardId } from '../record/ids.ts';
import type { PackedRows } from './packed-rows.ts';

export interface StoreStep {
  readonly shard: ShardId;
  readonly fromCursor: number;
  readonly toCursor: number;
  /** Of a store that writes them in a thread of its own nothing is left in them afterwards. */
  readonly rows: PackedRows;
}

export type StepOutcome =
  | { readonly kind: 'written' }
  | { readonly kind: 'moved'; readonly cursor: number }
  | { readonly kind: 'failed'; readonly message: string };

export interface StoreRow {
  readonly rowKey: string;
  readonly value: Uint8Array;
}

export interface Store {
  readonly engine: string;
  /** getMany() and scan() answer before they return. */
  readonly answersAtOnce: boolean;
  /** Throws CausewayError: CONFIG_INVALID, FENCED. */
  open(shards: readonly ShardId[]): Promise<void>;
  cursor(shard: ShardId): number;
  getMany(
    shard: ShardId,
    rowKeys: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[]) => void,
  ): void;
  /** One row as whoever owns the shard has written it last, for a node that does not own it; undefined: there is none, or none of this log. Takes part in no
   *  order, and of a store that is closed nobody is answered. */
  peek(shard: ShardId, rowKey: string, done: (value: Uint8Array | undefined) => void): void;
  /** Rows with from ≤ row key < to, in order, at most `limit`. */
  scan(shard: ShardId, from: string, to: string, limit: number, done: (rows: readonly StoreRow[]) => void): void;
  write(steps: readonly StoreStep[], done: (outcomes: readonly StepOutcome[]) => void): void;
  /** Called by who begins to own the shard, while no write of his is under way. */
  refresh(shard: ShardId, done: () => void): void;
  /** Drops all rows of the shard; its cursor is 0 afterwards. */
  reset(shard: ShardId, done: () => void): void;
  /** Makes everything written so far provable after a crash of the machine, unless something is written before it resolves or, where only
   *  the last state can be proven (LMDB), later. A failure rejects and changes nothing. */
  checkpoint(): Promise<void>;
  bytes(): number;
  close(): Promise<void>;
}
