// The store in memory: for tests and for the simulator.
//
// A MemoryStoreDisk survives a crash of the MemoryStore that writes to it. Nothing here reads a clock or rolls dice: `complete`
// decides when a call takes effect and is answered; calls take effect in the order in which they were made. With the
// default everything happens before the method returns.
//
// Faults:
//   store.crash('process')   kill -9: steps that have taken effect are kept, those under way are lost, nothing is called back
//   store.crash('machine')   loss of power: as after a restart of the machine, rows are proven only if nothing was written since the
//                            last checkpoint() or close(); else the next open() starts empty, with every cursor at 0
//   disk.failWrites(message) steps fail with that message until failWrites(undefined)
//   disk.clear()             the database is emptied while no store has it
//   disk.flush()             … and under a running node: its store notices at the next call that takes effect (onLost)
//   disk.goBack(image)       as after a fail-over to a replica that was behind; `image` is of disk.image()

import { invariant } from '../errors/errors.ts';
import type { ShardId } from '../record/ids.ts';
import type { StepOutcome, Store, StoreRow, StoreStep } from './store.ts';

class DiskShard {
  cursor = 0;
  /** The name of the last step; undefined: none was made. */
  head: object | undefined;
  readonly rows = new Map<string, Uint8Array>();
  /** Row keys in order; undefined after a key came or went. */
  #sorted: { readonly rowKey: string; readonly bytes: Buffer }[] | undefined;

  set(rowKey: string, value: Uint8Array | null): void {
    if (value === null) {
      if (this.rows.delete(rowKey)) this.#sorted = undefined;
      return;
    }
    if (!this.rows.has(rowKey)) this.#sorted = undefined;
    // A copy, as a disk makes one.
    this.rows.set(rowKey, Buffer.from(value));
  }

  scan(from: string, to: string, limit: number): StoreRow[] {
    // Compared as UTF-8 bytes: the order of JavaScript's `<` is another one beyond U+FFFF.
    this.#sorted ??= [...this.rows.keys()]
      .map((rowKey) => ({ rowKey, bytes: Buffer.from(rowKey) }))
      .sort((a, b) => a.bytes.compare(b.bytes));
    const sorted = this.#sorted;
    const fromBytes = Buffer.from(from);
    const toBytes = Buffer.from(to);
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sorted[middle]!.bytes.compare(fromBytes) < 0) low = middle + 1;
      else high = middle;
    }
    const found: StoreRow[] = [];
    for (let i = low; i < sorted.length && found.length < limit; i++) {
      const { rowKey, bytes } = sorted[i]!;
      if (bytes.compare(toBytes) >= 0) break;
      found.push({ rowKey, value: this.rows.get(rowKey)! });
    }
    return found;
  }
}

export type MemoryStoreImage = ReadonlyMap<
  ShardId,
  { readonly cursor: number; readonly head: object | undefined; readonly rows: ReadonlyMap<string, Uint8Array> }
>;

export class MemoryStoreDisk {
  readonly #shards = new Map<ShardId, DiskShard>();
  #writtenSinceCheckpoint = false;
  #identity: string | undefined;
  #failing: string | undefined;

  failWrites(message: string | undefined): void {
    this.#failing = message;
  }

  clear(): void {
    this.#shards.clear();
  }

  flush(): void {
    this.goBack(new Map());
  }

  image(): MemoryStoreImage {
    return new Map(
      [...this.#shards].map(([shard, { cursor, head, rows }]) => [shard, { cursor, head, rows: new Map(rows) }]),
    );
  }

  goBack(image: MemoryStoreImage): void {
    this.#shards.clear();
    for (const [id, { cursor, head, rows }] of image) {
      const shard = this.shard(id);
      shard.cursor = cursor;
      shard.head = head;
      for (const [rowKey, value] of rows) shard.set(rowKey, value);
    }
  }

  // For MemoryStore

  open(identity: string | undefined): void {
    if (this.#identity !== identity) this.clear();
    this.#identity = identity;
  }

  shard(id: ShardId): DiskShard {
    let at = this.#shards.get(id);
    if (at === undefined) {
      at = new DiskShard();
      this.#shards.set(id, at);
    }
    return at;
  }

  step(step: StoreStep): StepOutcome {
    if (this.#failing !== undefined) return { kind: 'failed', message: this.#failing };
    const at = this.shard(step.shard);
    if (at.cursor !== step.fromCursor) return { kind: 'moved', cursor: at.cursor };
    this.#writtenSinceCheckpoint = true;
    for (const [rowKey, value] of step.rows) at.set(rowKey, value);
    at.cursor = step.toCursor;
    at.head = {};
    return { kind: 'written' };
  }

  reset(shard: ShardId): void {
    this.#writtenSinceCheckpoint = true;
    this.#shards.delete(shard);
  }

  checkpoint(): void {
    this.#writtenSinceCheckpoint = false;
  }

  losePower(): void {
    if (this.#writtenSinceCheckpoint) this.clear();
    this.#writtenSinceCheckpoint = false;
  }

  get bytes(): number {
    let bytes = 0;
    for (const { rows } of this.#shards.values())
      for (const [rowKey, value] of rows) bytes += rowKey.length + value.length;
    return bytes;
  }
}

export interface MemoryStoreOptions {
  readonly disk: MemoryStoreDisk;
  /** Which log the rows are made from; another one than at the last open() empties the store. */
  readonly logIdentity?: string;
  /** Calls `fn` when the next call shall take effect. Default: at once. */
  readonly complete?: (fn: () => void) => void;
  /** As of RedisStore: the shard's rows are not those that this store wrote. */
  readonly onLost?: (shard: ShardId, why: string) => void;
}

export class MemoryStore implements Store {
  readonly engine = 'memory';
  readonly #disk: MemoryStoreDisk;
  readonly #logIdentity: string | undefined;
  readonly #complete: ((fn: () => void) => void) | undefined;
  readonly #onLost: ((shard: ShardId, why: string) => void) | undefined;
  /** The last steps that were made here, or found by open() and refresh(). */
  readonly #heads = new Map<ShardId, object | undefined>();
  /** Nothing of them is answered before refresh(). */
  readonly #lost = new Set<ShardId>();
  readonly #queue: (() => void)[] = [];
  #due = 0;
  #draining = false;
  #open = false;
  #life = 0;

  constructor(options: MemoryStoreOptions) {
    this.#disk = options.disk;
    this.#logIdentity = options.logIdentity;
    this.#complete = options.complete;
    this.#onLost = options.onLost;
  }

  get answersAtOnce(): boolean {
    return this.#complete === undefined;
  }

  open(shards: readonly ShardId[]): Promise<void> {
    invariant(!this.#open, 'a memory store is opened once, until it is closed or crashes');
    this.#open = true;
    this.#life++;
    this.#disk.open(this.#logIdentity);
    this.#lost.clear();
    for (const shard of shards) this.#heads.set(shard, this.#disk.shard(shard).head);
    return Promise.resolve();
  }

  cursor(shard: ShardId): number {
    return this.#disk.shard(shard).cursor;
  }

  refresh(shard: ShardId, done: () => void): void {
    this.#inTurn(() => {
      this.#lost.delete(shard);
      this.#heads.set(shard, this.#disk.shard(shard).head);
      done();
    });
  }

  /** Are the rows those of the last step? If not it is told. */
  #isOurs(shard: ShardId): boolean {
    if (this.#onLost === undefined) return true;
    if (this.#lost.has(shard)) return false;
    if (this.#heads.get(shard) === this.#disk.shard(shard).head) return true;
    this.#lost.add(shard);
    this.#onLost(shard, `the rows of shard ${shard} are not those of the last step`);
    return false;
  }

  /** At shards that nobody asks about too, as RedisStore does now and then by itself. */
  look(): void {
    for (const shard of this.#heads.keys()) this.#isOurs(shard);
  }

  #step(step: StoreStep): StepOutcome {
    const { shard } = step;
    if (!this.#isOurs(shard)) return { kind: 'moved', cursor: 0 };
    const outcome = this.#disk.step(step);
    this.#heads.set(shard, this.#disk.shard(shard).head);
    return outcome;
  }

  getMany(
    shard: ShardId,
    rowKeys: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[]) => void,
  ): void {
    this.#inTurn(() => {
      if (!this.#isOurs(shard)) return;
      const { rows } = this.#disk.shard(shard);
      done(rowKeys.map((rowKey) => rows.get(rowKey)));
    });
  }

  peek(shard: ShardId, rowKey: string, done: (value: Uint8Array | undefined) => void): void {
    this.#inTurn(() => done(this.#disk.shard(shard).rows.get(rowKey)));
  }

  scan(shard: ShardId, from: string, to: string, limit: number, done: (rows: readonly StoreRow[]) => void): void {
    this.#inTurn(() => {
      if (this.#isOurs(shard)) done(this.#disk.shard(shard).scan(from, to, limit));
    });
  }

  write(steps: readonly StoreStep[], done: (outcomes: readonly StepOutcome[]) => void): void {
    this.#inTurn(() => done(steps.map((step) => this.#step(step))));
  }

  reset(shard: ShardId, done: () => void): void {
    this.#inTurn(() => {
      if (this.#isOurs(shard)) this.#disk.reset(shard);
      this.#heads.set(shard, undefined);
      done();
    });
  }

  checkpoint(): Promise<void> {
    return new Promise((resolve) => {
      this.#inTurn(() => {
        this.#disk.checkpoint();
        resolve();
      });
    });
  }

  bytes(): number {
    return this.#disk.bytes;
  }

  close(): Promise<void> {
    if (!this.#open) return Promise.resolve();
    return new Promise((resolve) => {
      this.#inTurn(() => {
        this.#disk.checkpoint();
        this.#end();
        resolve();
      });
    });
  }

  /** Between open() and close() or crash(). */
  get isOpen(): boolean {
    return this.#open;
  }

  crash(what: 'process' | 'machine'): void {
    invariant(this.#open, 'only an open memory store crashes');
    this.#end();
    if (what === 'machine') this.#disk.losePower();
  }

  #end(): void {
    this.#open = false;
    this.#life++;
    this.#queue.length = 0;
    this.#due = 0;
    this.#draining = false;
  }

  #inTurn(action: () => void): void {
    invariant(this.#open, 'a memory store is used while it is open');
    if (this.#complete === undefined) {
      // Also from within a callback of its own: it says that it answers at once.
      action();
      return;
    }
    this.#queue.push(action);
    const life = this.#life;
    const turn = (): void => {
      if (life !== this.#life) return;
      this.#due++;
      this.#drain();
    };
    this.#complete(turn);
  }

  /** A callback that calls the store again comes back here; the outer call goes on with its work. */
  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    const life = this.#life;
    while (this.#due > 0) {
      this.#due--;
      this.#queue.shift()!();
      if (life !== this.#life) return;
    }
    this.#draining = false;
  }
}
