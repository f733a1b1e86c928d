// One page of a scan as of a cut that no later write can change: what StableRead is for keys that are named, for a range of keys.
//
// Which keys the range holds, and held, only its rows tell, and a row says no more than the newest state. So the bound is a shard's:
// at first everything that has landed there, then only what changes the range itself. The page may be read once the front has reached
// the bounds of all shards, and is a cut if nothing of the range landed while it was read. A range that is written all the time is
// refused at the deadline; writes beside it hold nothing up after the first wait.
//
// Each page is a cut of its own: it says as of which stamp.

import type { RegionId, StateKey } from '../record/ids.ts';
import { compareKeys } from '../record/key-order.ts';
import { stateKeyPrefix } from '../record/op.ts';
import type { Landed } from '../shard/engine.ts';
import { lowest, stableFront, type Front } from './read-levels.ts';
import type { KeyRange } from './scan.ts';
import type { ShardRunner } from './shard-runner.ts';
import type { Cut } from './stable-read.ts';

interface Part {
  runner: ShardRunner;
  /** No op of the range that has landed in the shard has a stamp above it. */
  bound: number;
}

export class StableScan implements Cut {
  readonly #range: KeyRange;
  readonly #prefix: string;
  readonly #parts: readonly Part[];
  readonly #own: RegionId;
  changes = 0;

  constructor(range: KeyRange, runners: readonly ShardRunner[], own: RegionId) {
    this.#range = range;
    this.#prefix = stateKeyPrefix(range.collection);
    this.#parts = runners.map((runner) => ({ runner, bound: runner.engine.landedStamp }));
    this.#own = own;
  }

  /** The bounds are those of the shards, which are known. */
  look(_nowMs: number, done: () => void): void {
    done();
  }

  landed(runner: ShardRunner, changed: ReadonlySet<StateKey>, batches: Landed['batches']): void {
    const part = this.#parts.find((one) => one.runner === runner);
    if (part === undefined || ![...changed].some((key) => this.#holds(key))) return;
    this.changes++;
    for (const { header } of batches) if (part.bound < header.lastStamp) part.bound = header.lastStamp;
  }

  moved(runners: readonly ShardRunner[]): void {
    this.#parts.forEach((part, i) => {
      const runner = runners[i]!;
      if (runner === part.runner) return;
      part.runner = runner;
      part.bound = runner.engine.landedStamp;
      this.changes++;
    });
  }

  get bound(): number {
    return Math.max(...this.#parts.map(({ bound }) => bound));
  }

  judge(nowMs: number): { readonly front: Front; readonly beyond: readonly string[] } {
    const front = lowest(this.#parts.map(({ runner }) => stableFront(runner, this.#own, nowMs)));
    // A front at 0 is no cut: somebody has promised nothing yet.
    const beyond = this.#parts.filter(({ bound }) => bound > front.stamp || front.stamp <= 0);
    return { front, beyond: beyond.map(({ runner }) => `shard ${runner.shard}`) };
  }

  #holds(stateKey: StateKey): boolean {
    if (!stateKey.startsWith(this.#prefix)) return false;
    const key = stateKey.slice(this.#prefix.length);
    const { from, to } = this.#range;
    return compareKeys(key, from) >= 0 && (to === undefined || compareKeys(key, to) < 0);
  }
}
