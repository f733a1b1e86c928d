// The reads of one shard's runner from a store that answers later. A runner that ends answers what it still owes as if nothing was there: whoever has
// asked looks whether the runner is still the one that serves the shard, and a store that has lost the shard answers nobody.
//
// Bound: as many as there are readers.

import type { ShardId } from '../record/ids.ts';
import type { Store, StoreRow } from '../store/store.ts';

export type StoreReads = Pick<Store, 'answersAtOnce' | 'getMany' | 'scan'>;

export class LateStore implements StoreReads {
  readonly answersAtOnce = false;
  readonly #store: StoreReads;
  readonly #owed = new Set<() => void>();
  #closed = false;

  constructor(store: StoreReads) {
    this.#store = store;
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

  #ask<T>(ask: (answered: (answer: T) => void) => void, done: (answer: T) => void, nothing: () => void): void {
    if (this.#closed) {
      nothing();
      return;
    }
    this.#owed.add(nothing);
    ask((answer) => {
      if (this.#owed.delete(nothing)) done(answer);
    });
  }

  close(): void {
    this.#closed = true;
    for (const nothing of this.#owed) nothing();
    this.#owed.clear();
  }
}
