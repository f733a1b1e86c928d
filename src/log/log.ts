// The log port: where a region's shards become durable. One implementation a file: memory.ts, segment.ts.
//
// The contract (test/contract/log.ts holds every implementation to it):
// - Each shard is a sequence of entries at offsets 1, 2, 3 …; an implementation may keep many shards in one file.
// - append() names the offset that its first entry shall get. If the shard's tail has moved, nothing is written and the
//   outcome is `fenced`: this is what makes a deposed owner harmless, leases or not.
//   Where appends can be lost one by one on their way (a broker), the offset alone is no fence: another owner's entries may have
//   taken exactly the places of those that were lost. There an append also names the very entry that it follows.
// - `durable` means that every entry of the append, and everything before it in the shard, survives loss of power (I1).
//   Outcomes of one shard are called in the order of its appends; a later append is never durable before an earlier one.
// - Appends may be in flight at once, also for one shard (each naming the offset after the one before). If one fails, those
//   of the shard behind it fail too, and none of them is written.
// - `unknown`: the outcome cannot be told. The caller resolves it by the same call with identical bytes, which then
//   answers `durable`, or `fenced` with a tail that lets the caller read and compare (by checksum, never by offset alone).
// - Callbacks may be called before the method returns. They never throw.
// - read() and find() see durable entries only.
// - The bytes of an entry, given or read, are changed by nobody.
// - A log that was `new` or `damaged` stays so at every later open(), for each shard until a lease has been appended to it: only then
//   have the members been asked. (A crash between the finding and the asking must not turn an unproven tail into a whole one.)

import type { OriginId, ShardId } from '../record/ids.ts';

/** What an entry holds. Codes are on disk: never reused. */
export const LOG_ENTRY_KINDS = { batch: 1, lease: 2, barrier: 3 } as const;
export type LogEntryKind = keyof typeof LOG_ENTRY_KINDS;

/** A batch at its largest (16 MiB), and room for what later versions put around it. More is a bug of the caller. */
export const LOG_ENTRY_BYTES_MAX = 17 * 1024 * 1024;

export interface LogEntry {
  readonly kind: LogEntryKind;
  readonly bytes: Uint8Array;
}

export interface StoredEntry extends LogEntry {
  readonly offset: number;
}

export type AppendOutcome =
  | { readonly kind: 'durable' }
  | { readonly kind: 'fenced'; /** the last offset that is there */ readonly tail: number }
  | { readonly kind: 'unknown' }
  /** Nothing was written. `read-only`: no space, or the operator's wish; `failed`: this log will not write again in this process. */
  | { readonly kind: 'refused'; readonly reason: 'read-only' | 'failed'; readonly message: string };

/** What was found at open. */
export interface LogRecovery {
  /** `whole`: the tail is proven, a new incarnation may start above its last bound. `new`: nothing was there. `damaged`: something is
   *  missing or corrupt; the members are asked before anything is stamped (DESIGN 7). Whole iff `unproven` is empty. */
  readonly state: 'whole' | 'new' | 'damaged';
  /** Those of the opened shards to which no lease was appended since the log was new or damaged; a shard that was added later
   *  is one of them. For these the members are asked; the others may go on although the state is not `whole`. */
  readonly unproven: readonly ShardId[];
  /** For people; empty when whole. */
  readonly findings: readonly string[];
  /** Bytes of a torn tail that were cut off. */
  readonly tornBytes: number;
}

/** What this log really promises, for `status` (I1: shown, not assumed). */
export interface LogPromise {
  readonly engine: string;
  readonly durable: boolean;
  /** E.g. `fdatasync before each ack`. */
  readonly detail: string;
}

export type LogState =
  | { readonly kind: 'ready' }
  | { readonly kind: 'read-only'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

export interface Log {
  readonly promise: LogPromise;
  /** An append goes over a network, to servers that others use too. */
  readonly isRemote: boolean;
  /** Throws CausewayError: CONFIG_INVALID (not a directory, not writable), FENCED (another process has it), CORRUPT (cannot be opened safely). */
  open(shards: readonly ShardId[]): Promise<LogRecovery>;
  append(
    shard: ShardId,
    expectOffset: number,
    entries: readonly LogEntry[],
    done: (outcome: AppendOutcome) => void,
  ): void;
  /** Entries from `fromOffset` on, up to about `bytesMax` (at least one if there is one). An empty list: nothing durable there yet.
   *  `trimmed`: the offset is before the log's start. */
  read(shard: ShardId, fromOffset: number, bytesMax: number, done: (result: ReadResult) => void): void;
  /** Looks for what others have appended to the shard: tail() is right from then on, until they append again. Called by who begins to own it.
   *  May take long while the log cannot be asked. */
  refresh(shard: ShardId, done: () => void): void;
  /** The last durable offset that is known here, 0 when empty. */
  tail(shard: ShardId): number;
  /** The first offset that is still there (1 while nothing is trimmed). */
  start(shard: ShardId): number;
  /** An offset at or before the batch of `origin` that holds `seq` or, when that is not here, the first later one; undefined when no batch
   *  with a seq ≥ `seq` is here. May be early (a sparse index), never late. */
  find(shard: ShardId, origin: OriginId, seq: number): number | undefined;
  /** Of which a batch is here, in no order. */
  origins(shard: ShardId): readonly OriginId[];
  state(): LogState;
  /** Called when state() changes. */
  onState(listener: (state: LogState) => void): void;
  /** Bytes on disk (or in memory). */
  bytes(): number;
  /** Finishes what is in flight, then lets go of files and locks. */
  close(): Promise<void>;
}

export type ReadResult =
  | { readonly kind: 'entries'; readonly entries: readonly StoredEntry[] }
  | { readonly kind: 'trimmed'; readonly start: number }
  | { readonly kind: 'corrupt'; readonly message: string };
