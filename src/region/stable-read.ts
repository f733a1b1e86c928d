// One read as of a cut that no later write can change (level `stable`, DESIGN 8).
//
// What is in memory is the newest state of a key, not its past. But where no op of the key lies above the stable front, the newest state
// *is* the state as of the front. So a read notes a bound per key, above which the key has no op, and may be answered once the front of
// every shard that it reads has reached the bounds of all its keys. A key that is written meanwhile gets a higher bound; one that is
// written faster than the front follows (some heartbeats) is refused at the deadline, never answered from beside the cut.
//
// HAZARD: what was collected had a stamp below the front of its own shard, and a cut through several shards lies at the lowest of theirs: a
// delete that is collected here may be above it, and the state no longer says so. So no bound is below what this shard has collected.
// HAZARD: a state that was collected before a restart may have had ops above what counts as stable now. Until the front has passed
// everything that the log showed at the start, bounds are those of the whole shard.

import { newestStampOf } from '../merge/newest.ts';
import type { RegionId, StateKey } from '../record/ids.ts';
import type { MergeTypeName } from '../record/op.ts';
import type { Landed } from '../shard/engine.ts';
import { lowest, stableFront, type Front } from './read-levels.ts';
import type { ShardRunner } from './shard-runner.ts';

/** What is read at level `stable` and waits for the front. */
export interface Cut {
  /** Counts changes of what is read: what was read from between two of them is no cut. */
  readonly changes: number;
  /** Notes the bounds of this moment; `done` may be called at once. */
  look(nowMs: number, done: () => void): void;
  /** Batches have landed in a shard, and have changed these keys. */
  landed(runner: ShardRunner, changed: ReadonlySet<StateKey>, batches: Landed['batches']): void;
  /** The runners of this moment, in the order of the first ones: one that has begun anew from its log is another look. */
  moved(runners: readonly ShardRunner[]): void;
  /** No op of what is read, that has landed, has a stamp above it. */
  readonly bound: number;
  /** The front of all its shards together, and what lies beyond it, for people. */
  judge(nowMs: number): { readonly front: Front; readonly beyond: readonly string[] };
}

export interface StableKey {
  readonly key: string;
  readonly stateKey: StateKey;
  runner: ShardRunner;
}

interface Bounded extends StableKey {
  /** No op of the key that has landed has a stamp above it. Infinity: not looked at yet. */
  bound: number;
}

export class StableRead implements Cut {
  readonly #type: MergeTypeName;
  readonly #keys: readonly Bounded[];
  readonly #own: RegionId;
  changes = 0;

  constructor(type: MergeTypeName, keys: readonly StableKey[], own: RegionId) {
    this.#type = type;
    this.#keys = keys.map((key) => ({ ...key, bound: Infinity }));
    this.#own = own;
  }

  look(nowMs: number, done: () => void): void {
    let left = this.#keys.length;
    for (const key of this.#keys) {
      const { runner, stateKey } = key;
      const type = this.#type;
      runner.cache.load([{ key: stateKey, type }], () => {
        const newest = newestStampOf(type, runner.cache.get(stateKey, type));
        const told = newest !== undefined && runner.stableFloor(nowMs) >= runner.engine.recoveredBound;
        key.bound = told ? Math.max(newest, runner.engine.collectedUpTo) : runner.engine.landedStamp;
        if (--left === 0) done();
      });
    }
  }

  landed(runner: ShardRunner, changed: ReadonlySet<StateKey>, batches: Landed['batches']): void {
    for (const key of this.#keys) {
      if (key.runner !== runner || !changed.has(key.stateKey)) continue;
      this.changes++;
      for (const { header } of batches) if (key.bound < header.lastStamp) key.bound = header.lastStamp;
    }
  }

  moved(runners: readonly ShardRunner[]): void {
    this.#keys.forEach((key, i) => {
      const runner = runners[i]!;
      if (runner === key.runner) return;
      key.runner = runner;
      key.bound = runner.engine.landedStamp;
      this.changes++;
    });
  }

  get bound(): number {
    return Math.max(...this.#keys.map(({ bound }) => bound));
  }

  judge(nowMs: number): { readonly front: Front; readonly beyond: readonly string[] } {
    const runners = [...new Set(this.#keys.map(({ runner }) => runner))];
    const front = lowest(runners.map((runner) => stableFront(runner, this.#own, nowMs)));
    // A front at 0 is no cut: somebody has promised nothing yet.
    const beyond = this.#keys.filter(({ bound }) => bound > front.stamp || front.stamp <= 0);
    return { front, beyond: beyond.map(({ key }) => key) };
  }
}
