// Reads that wait for a store that answers later: when it is away they end, and none begins that needs it.

import type { CausewayError } from '../errors/errors.ts';
import { storeAway } from './late-store.ts';
import type { ShardRunner } from './shard-runner.ts';

interface Reader {
  readonly runners: readonly ShardRunner[];
  refused(error: CausewayError): void;
}

export class StoreReaders {
  readonly #waiting = new Set<Reader>();

  /**
   * Asks, unless the store of one of the runners that `needs` it is away. `done` is called once: with the answer, or with why there
   * is none.
   */
  ask<T>(
    runners: readonly ShardRunner[],
    needs: (runner: ShardRunner) => boolean,
    ask: (answered: (answer: T) => void) => void,
    done: (answer: T | CausewayError) => void,
  ): void {
    const away = runners.find((runner) => runner.storeAway && needs(runner));
    if (away !== undefined) {
      done(storeAway(away.shard));
      return;
    }
    const reader = { runners, refused: done };
    this.#waiting.add(reader);
    ask((answer) => {
      if (this.#waiting.delete(reader)) done(answer);
    });
  }

  /** Time has passed. */
  check(): void {
    for (const reader of this.#waiting) {
      const away = reader.runners.find((runner) => runner.storeAway);
      if (away === undefined) continue;
      this.#waiting.delete(reader);
      reader.refused(storeAway(away.shard));
    }
  }
}
