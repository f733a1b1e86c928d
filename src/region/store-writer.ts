// Writes what all shards of the node have landed to the store, many shards and many ops in one transaction, behind the log's back:
// the store is a cache (I11), so nobody waits for it.
//
// Many rows are made in slices, a turn of the event loop each, while ops go on landing. A step's rows are those of its cursor all the same (state-cache.ts).
//
// Bound: the writer never has more than one transaction under way; what lands meanwhile waits in the shards' caches, whose dirty
// entries are counted against limits.storeBacklogMax at admission.

import type { ShardId } from '../record/ids.ts';
import type { Store, StoreStep } from '../store/store.ts';
import type { System, Timers, TimerHandle } from '../system/system.ts';
import type { ShardRunner } from './shard-runner.ts';

/** Shards take turns: of those that are dirty a slice at a time, the longest dirty first, so that each comes once in flushMs. Rows of one shard stand in the same pages, and LMDB writes whole pages: 5 µs a row when 500 random ones of 12,500 go
 *  in a transaction, 1.8 when 4,000 do, 1.4 with 8,000; and a key that was written twice meanwhile goes once. What a crash loses of it is read again from the log. */
const FLUSH_SLICES = 8;
/** A shard with so many goes at once, or with its share of half of what may wait in all. */
const FLUSH_KEYS = 16_384;
/** … or when so much of its log is not in the store: its values are in memory until then. */
const FLUSH_BYTES = 32 * 1024 * 1024;
/** So many rows are made in one turn of the event loop: about 2 ms … */
const SLICE_ROWS = 512;
/** … or such a part of what waits beside them, if that is more. Turns of a node that has much to do are long: what is made in them must keep up
 *  with what lands in them. */
const SLICES_MAX = 32;
/** The first slice; each is twice the one before. So steps of few keys, such as the simulator's, are taken in several turns too. */
const SLICE_ROWS_FIRST = 8;
/** After a failed transaction. */
const RETRY_MS = 200;

export interface StoreWriterHost {
  /** A transaction has ended well, or there was nothing to write. */
  wrote(): void;
  failed(message: string): void;
}

export class StoreWriter {
  readonly #store: Store;
  readonly #timers: Timers;
  readonly #random: System['random'];
  readonly #backlogMax: number;
  readonly #sliceMs: number;
  readonly #runners: () => Iterable<ShardRunner>;
  readonly #host: StoreWriterHost;
  readonly #idle: (() => void)[] = [];
  /** Shards with something to write, the longest dirty first. */
  readonly #dirty = new Set<ShardRunner>();
  /** Shards of the transaction under way or being put together, and who waits for its end. */
  readonly #shards = new Set<ShardId>();
  readonly #ended: (() => void)[] = [];
  #timer: TimerHandle | undefined;
  #urgent = false;
  /** From the first step that is taken to the end of the transaction. */
  #writing = false;
  #stopped = false;

  /** `flushMs`: how long a change may wait. `backlogMax`: how many may, before clients are asked to. */
  constructor(
    store: Store,
    { timers, random }: Pick<System, 'timers' | 'random'>,
    bounds: { readonly flushMs: number; readonly backlogMax: number },
    runners: () => Iterable<ShardRunner>,
    host: StoreWriterHost,
  ) {
    this.#store = store;
    this.#timers = timers;
    this.#random = random;
    this.#backlogMax = bounds.backlogMax;
    this.#sliceMs = Math.ceil(bounds.flushMs / FLUSH_SLICES);
    this.#runners = runners;
    this.#host = host;
  }

  get backlog(): number {
    let keys = 0;
    for (const runner of this.#runners()) keys += runner.cache.dirtyCount;
    return keys;
  }

  dirty(runner: ShardRunner): void {
    this.#dirty.add(runner);
    if (this.#stopped || this.#writing) return;
    if (!this.#urgent && this.#isFull(runner)) {
      this.#urgent = true;
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#timers.soon(() => this.#flush());
      return;
    }
    this.#timer ??= this.#timers.after(this.#waitMs(), () => this.#flush());
  }

  /** Not all nodes of a machine in step, nor a node with its own segments: each of them makes the others wait for the disk and the cores. */
  #waitMs(): number {
    return Math.ceil(this.#sliceMs * (0.75 + this.#random.float() / 4));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const done of this.#idle.splice(0)) done();
  }

  /** Calls `fn` when no step of the shard is under way: rows and cursor must not move under who begins to read them. */
  afterStepOf(shard: ShardId, fn: () => void): void {
    if (this.#shards.has(shard)) this.#ended.push(fn);
    else fn();
  }

  /** Writes everything that is there; `done` when nothing is left, the store refuses, or the writer stops. */
  drain(done: () => void): void {
    if (this.#stopped) {
      done();
      return;
    }
    this.#idle.push(done);
    if (!this.#writing) this.#flush();
  }

  #isFull(runner: ShardRunner): boolean {
    const share = this.#backlogMax / 2 / Math.max(1, this.#dirty.size);
    const rows = runner.cache.dirtyCount + runner.journal.waiting;
    return rows >= Math.min(FLUSH_KEYS, share) || runner.unstoredBytes >= FLUSH_BYTES;
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#urgent = false;
    if (this.#stopped || this.#writing) return;
    this.#writing = true;
    this.#take(this.#due());
  }

  #take(due: readonly ShardRunner[]): void {
    const steps: StoreStep[] = [];
    const runners = new Map<ShardId, ShardRunner>();
    let next = 0;
    /** Whose step lacks rows. */
    let taking: ShardRunner | undefined;
    let rowsMax = SLICE_ROWS_FIRST;
    const slice = (): void => {
      if (this.#stopped) {
        this.#end();
        return;
      }
      for (let rows = 0; rows < rowsMax;) {
        if (taking !== undefined) {
          const { taken, isWhole } = taking.takeRows(rowsMax - rows);
          rows += taken;
          if (isWhole) taking = undefined;
          continue;
        }
        const runner = due[next++];
        if (runner === undefined) {
          this.#write(steps, runners);
          return;
        }
        const step = runner.takeStep();
        // While a runner still replays its log it gives nothing, and is asked again.
        if (step !== undefined || runner.recovered || runner.stopped) this.#dirty.delete(runner);
        if (step === undefined) continue;
        rows += step.rows.length;
        steps.push(step);
        runners.set(runner.shard, runner);
        this.#shards.add(runner.shard);
        taking = runner;
      }
      rowsMax = Math.max(Math.min(SLICE_ROWS, rowsMax * 2), Math.floor(this.backlog / SLICES_MAX));
      this.#timers.soon(slice);
    };
    slice();
  }

  /** No step is under way any more. */
  #end(): void {
    this.#writing = false;
    this.#shards.clear();
    for (const fn of this.#ended.splice(0)) fn();
  }

  #write(steps: readonly StoreStep[], runners: ReadonlyMap<ShardId, ShardRunner>): void {
    if (steps.length === 0) {
      this.#end();
      this.#host.wrote();
      for (const done of this.#idle.splice(0)) done();
      if (this.#dirty.size > 0) this.#timer ??= this.#timers.after(this.#waitMs(), () => this.#flush());
      return;
    }
    this.#store.write(steps, (outcomes) => {
      this.#writing = false;
      this.#shards.clear();
      let retry = false;
      steps.forEach((step, i) => {
        const runner = runners.get(step.shard)!;
        const outcome = outcomes[i]!;
        if (outcome.kind === 'written') runner.stepWritten(step.toCursor);
        else if (outcome.kind === 'moved') {
          runner.stepRefused(
            `the store of ${step.shard} stands at ${outcome.cursor}, not at ${step.fromCursor}: another owner writes it`,
          );
        } else {
          runner.stepFailed();
          this.#host.failed(outcome.message);
          this.#dirty.add(runner);
          retry = true;
        }
      });
      for (const fn of this.#ended.splice(0)) fn();
      if (this.#stopped) return;
      if (!retry) this.#host.wrote();
      if (retry) {
        for (const done of this.#idle.splice(0)) done();
        this.#timer ??= this.#timers.after(RETRY_MS, () => this.#flush());
      } else if (this.#idle.length > 0 || this.#dirty.size > 0)
        this.#timer ??= this.#timers.after(this.#idle.length > 0 ? 0 : this.#waitMs(), () => this.#flush());
    });
  }

  /** Whose turn it is; everybody's while somebody waits for the end. */
  #due(): ShardRunner[] {
    if (this.#idle.length > 0) return [...this.#runners()];
    const slice = Math.ceil(this.#dirty.size / FLUSH_SLICES);
    return [...this.#dirty].filter((runner, i) => i < slice || this.#isFull(runner));
  }
}
