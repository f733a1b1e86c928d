// What of a shard's keys the store does not have yet, in the order of keys, for a scan to lay over the store's rows.
//
// Bound: KEYS_MAX of them at a time. A backlog may hold tens of thousands of keys in no order; it is looked through once for a page,
// and neither held nor sorted as a whole, since whoever sorts holds the event loop.

import { compareKeys } from '../record/key-order.ts';

/** A page takes some hundred keys from all shards together. */
const KEYS_MAX = 250;
/** Cut now and then, rather than with each key. */
const KEYS_HELD_MAX = 4 * KEYS_MAX;

interface Named {
  readonly name: string;
}

export class FreshKeys<E extends Named> {
  readonly #from: string;
  readonly #to: string | undefined;
  /** In order, each once. */
  #found: E[] = [];
  /** Everything up to here, itself included, is in `found`; undefined: everything is. */
  #end: string | undefined;

  /** From ≤ name < to; undefined: to the end. */
  constructor(from: string, to: string | undefined) {
    this.#from = from;
    this.#to = to;
  }

  /** No name twice. Most are behind the end of what is held by then, so that is asked first. */
  offer(entry: E): void {
    const { name } = entry;
    if (this.#end !== undefined && compareKeys(name, this.#end) > 0) return;
    if (compareKeys(name, this.#from) < 0 || (this.#to !== undefined && compareKeys(name, this.#to) >= 0)) return;
    this.#found.push(entry);
    if (this.#found.length >= KEYS_HELD_MAX) this.#cut();
  }

  /** All have been offered. */
  sort(): this {
    this.#cut();
    return this;
  }

  #cut(): void {
    this.#found.sort((a, b) => compareKeys(a.name, b.name));
    if (this.#found.length <= KEYS_MAX) return;
    this.#found.length = KEYS_MAX;
    this.#end = this.#found.at(-1)!.name;
  }

  get end(): string | undefined {
    return this.#end;
  }

  /** Whether it tells what is fresh in this range, or its beginning. */
  covers(from: string, to: string | undefined): boolean {
    const { length } = this.#found;
    if (to !== this.#to || compareKeys(from, this.#from) < 0) return false;
    return this.#end === undefined || (length > 0 && compareKeys(from, this.#end) <= 0);
  }

  /** Those from here on. */
  *behind(from: string): Generator<E, void, undefined> {
    let low = 0;
    let high = this.#found.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#found[middle]!.name, from) < 0) low = middle + 1;
      else high = middle;
    }
    for (let i = low; i < this.#found.length; i++) yield this.#found[i]!;
  }
}
