// What of one shard waits until its keys are in memory, in the order in which it came: writes of clients, batches of peers. Only behind a store that
// answers later; with all keys in memory nothing waits (shard-runner.ts).
// Owns: that nothing overtakes what came before it. What an item has asked for stays in memory until it has run.
//
// While the store is away (late-store.ts) only batches of peers wait here.
//
// I12 Whoever puts something in looks first: writes are refused where `bytes` are beyond inFlightBytesMax; of batches none goes in while it is full
//     (intake.ts has them wait outside, where they hold their link's credit), but one that has been taken out of the parking.

import type { KeyOf, StateCache } from './state-cache.ts';

export interface Waiting {
  /** Of memory, about. */
  readonly bytes: number;
  /** By the monotonic clock; undefined: it has time. */
  readonly deadlineAtMs?: number;
  /** Its keys are in memory until this returns, and everything before it has run. */
  run(): void;
  /** It will not run. */
  over(why: Over): void;
}

/** Its time is up, the store is away, or the runner has ended. */
export type Over = 'expired' | 'away' | 'stopped';

interface Item {
  readonly waiting: Waiting;
  readonly release: () => void;
  loaded: boolean;
}

export class KeyQueue {
  readonly #cache: StateCache;
  readonly #bytesMax: number;
  readonly #room: () => void;
  #items: Item[] = [];
  #bytes = 0;
  #running = false;

  /** `bytesMax`: from so much on it is full. `room`: called when it was full and is not any more. */
  constructor(cache: StateCache, bytesMax: number, room: () => void) {
    this.#cache = cache;
    this.#bytesMax = bytesMax;
    this.#room = room;
  }

  get length(): number {
    return this.#items.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  push(keys: readonly KeyOf[], waiting: Waiting): void {
    const item: Item = { waiting, release: this.#cache.keep(keys), loaded: false };
    this.#items.push(item);
    this.#bytes += waiting.bytes;
    // All of the queue are asked for at once: they do not wait for each other's way to the store.
    this.#cache.load(keys, () => {
      item.loaded = true;
      this.#advance();
    });
  }

  #advance(): void {
    if (this.#running) return;
    this.#running = true;
    const wasFull = this.isFull;
    while (this.#items[0]?.loaded === true) {
      const { waiting, release } = this.#items.shift()!;
      this.#bytes -= waiting.bytes;
      waiting.run();
      release();
    }
    this.#running = false;
    if (wasFull && !this.isFull) this.#room();
  }

  expire(monotonicMs: number): void {
    this.#end('expired', ({ deadlineAtMs = Infinity }) => monotonicMs >= deadlineAtMs);
    this.#advance();
  }

  /** The store does not answer: who has no time to wait is told so. All of them, those with their keys in memory too: they may stand behind one of their
   *  own stream that is refused, and must not overtake it when that comes again. */
  refuse(): void {
    this.#end('away', ({ deadlineAtMs }) => deadlineAtMs !== undefined);
    this.#advance();
  }

  stop(): void {
    this.#end('stopped', () => true);
  }

  #end(why: Over, which: (waiting: Waiting) => boolean): void {
    const over = this.#items.filter(({ waiting }) => which(waiting));
    if (over.length === 0) return;
    const wasFull = this.isFull;
    this.#items = this.#items.filter((item) => !over.includes(item));
    for (const { waiting, release } of over) {
      this.#bytes -= waiting.bytes;
      release();
      waiting.over(why);
    }
    if (wasFull && !this.isFull) this.#room();
  }
}
