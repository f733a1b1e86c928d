// The questions of one shard's runner to a store that answers later. A runner that ends answers what it still owes as if nothing was there: whoever has
// asked looks whether the runner is still the one that serves the shard, and a store that has lost the shard answers nobody.
// Owns: since when the store is silent, and whether it is away.
//
// Bound: as many questions as there are readers; nobody asks a store that is away (shard-runner.ts, node.ts).

import { CausewayError } from '../errors/errors.ts';
import type { ShardId } from '../record/ids.ts';
import type { Store, StoreRow } from '../store/store.ts';

export type StoreReads = Pick<Store, 'answersAtOnce' | 'getMany' | 'scan'>;

/** Of a runner's store: what begins a shard is asked as well. */
export type StoreOfShard = StoreReads & Pick<Store, 'refresh' | 'reset'>;

/** Silent for so long, a store is away. Redis answers within a millisecond, a large step or a slow fsync holds it up for some hundred; a fail-over takes
 *  longer, and a client that waits as long could have been served elsewhere. */
const AWAY_AFTER_MS = 1000;
/** Asked after so long without an answer: an idle region hears of it too. */
const PROBE_EVERY_MS = 500;
/** A process that stood still, or was busy, has not read what the store has answered meanwhile: no more of that counts. */
const TICK_MS_MAX = 200;

export class LateStore implements StoreOfShard {
  readonly answersAtOnce = false;
  readonly #store: StoreOfShard;
  readonly #owed = new Set<() => void>();
  #closed = false;
  /** By the monotonic clock. */
  #tickedAtMs: number | undefined;
  /** Since the last answer, with questions open; … with none open. */
  #silentMs = 0;
  #unaskedMs = 0;
  #probing = false;

  constructor(store: StoreOfShard) {
    this.#store = store;
  }

  /** For how long questions have been open and none has been answered; 0 when none is. */
  get silentMs(): number {
    return this.#silentMs;
  }

  get away(): boolean {
    return this.#silentMs >= AWAY_AFTER_MS;
  }

  /** Time passes. True: it is time for probe(). */
  tick(monotonicMs: number): boolean {
    const passedMs = Math.min(monotonicMs - (this.#tickedAtMs ?? monotonicMs), TICK_MS_MAX);
    this.#tickedAtMs = monotonicMs;
    if (this.#owed.size > 0) this.#silentMs += passedMs;
    else this.#unaskedMs += passedMs;
    return !this.#probing && Math.max(this.#silentMs, this.#unaskedMs) >= PROBE_EVERY_MS;
  }

  /** Asks for any row, to see whether it is answered: nobody else may be asking, and what was asked before a refresh() is never answered. */
  probe(shard: ShardId, rowKey: string): void {
    this.#probing = true;
    this.getMany(shard, [rowKey], () => {
      this.#probing = false;
    });
  }

  getMany(
    shard: ShardId,
    rowKeys: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[]) => void,
  ): void {
    this.#ask(
      (answered) => this.#store.getMany(shard, rowKeys, answered),
      done,
      () => done(rowKeys.map(() => undefined)),
    );
  }

  scan(shard: ShardId, from: string, to: string, limit: number, done: (rows: readonly StoreRow[]) => void): void {
    this.#ask(
      (answered) => this.#store.scan(shard, from, to, limit, answered),
      done,
      () => done([]),
    );
  }

  /** Not answered when the runner ends. */
  refresh(shard: ShardId, done: () => void): void {
    this.#ask<void>(
      (answered) => this.#store.refresh(shard, answered),
      done,
      () => undefined,
    );
  }

  /** Not answered when the runner ends. */
  reset(shard: ShardId, done: () => void): void {
    this.#ask<void>(
      (answered) => this.#store.reset(shard, answered),
      done,
      () => undefined,
    );
  }

  #ask<T>(ask: (answered: (answer: T) => void) => void, done: (answer: T) => void, nothing: () => void): void {
    if (this.#closed) {
      nothing();
      return;
    }
    this.#owed.add(nothing);
    this.#unaskedMs = 0;
    ask((answer) => {
      if (!this.#owed.delete(nothing)) return;
      this.#silentMs = 0;
      done(answer);
    });
  }

  close(): void {
    this.#closed = true;
    this.#silentMs = 0;
    for (const nothing of this.#owed) nothing();
    this.#owed.clear();
  }
}

/** To whoever needs what is not in memory. */
export function storeAway(shard: ShardId): CausewayError {
  return new CausewayError('STORE_AWAY', `the store does not answer, and shard ${shard} needs it for this`, {
    hint: 'go to another region, or try again: keys that are in memory are served. Operators: runbook store-away',
  });
}
