// One page of a scan: keys live in shards by their hash, so each shard is read in key order and the shards are merged.
//
// What the store does not have yet is laid over its rows by the cache (StateCache.scan). The other way, to flush the shards first, was
// rejected: it would put a transaction of up to the whole backlog into the path of a read, wait for a step under way, and leave
// nothing to answer with while the store takes no writes, when reads must go on.
//
// Bound: a page looks at about ROWS_MAX rows and holds about 2 × bytesMax of them, whatever stands between two live keys
// (tombstones, expired values); then it ends early, and its `next` goes on from there.

import { mergeOf, type AnyState } from '../merge/merge.ts';
import type { View } from '../merge/types.ts';
import { viewBytes } from '../merge/view-bytes.ts';
import { compareKeys } from '../record/key-order.ts';
import type { CollectionRef } from '../record/op.ts';
import type { StateCache } from './state-cache.ts';

const ROWS_MAX = 10_000;
/** Rows of one shard at first: with many shards most of a page's keys come with the first look. Doubles with each further one. */
const ROWS_FIRST = 8;

export interface ScanPage {
  readonly entries: { readonly key: string; readonly view: View }[];
  /** The last key that was looked at; undefined: that was all. */
  readonly next: string | undefined;
}

export interface KeyRange {
  readonly collection: CollectionRef;
  /** From ≤ key < to; undefined: to the end of the collection. */
  readonly from: string;
  readonly to: string | undefined;
}

export interface ScanRange extends KeyRange {
  readonly limit: number;
  readonly bytesMax: number;
  readonly nowMs: number;
}

interface Part {
  readonly cache: StateCache;
  /** Looked at and not taken, in order. */
  found: { readonly key: string; readonly state: AnyState }[];
  /** The end of what was looked at; undefined: there is nothing behind `found`. */
  through: string | undefined;
  rows: number;
}

/** Calls `done` once; at once when the store answers at once. */
export function scanPage(caches: readonly StateCache[], range: ScanRange, done: (page: ScanPage) => void): void {
  new PageScan(caches, range, done).begin();
}

class PageScan {
  readonly #range: ScanRange;
  readonly #done: (page: ScanPage) => void;
  readonly #parts: Part[];
  readonly #entries: { key: string; view: View }[] = [];
  #bytes = 0;
  #rowsRead = 0;
  #bytesRead = 0;
  #waiting = 0;
  #advancing = false;
  #ended = false;

  constructor(caches: readonly StateCache[], range: ScanRange, done: (page: ScanPage) => void) {
    this.#range = range;
    this.#done = done;
    const rows = Math.min(ROWS_FIRST, range.limit);
    this.#parts = caches.map((cache) => ({ cache, found: [], through: '', rows }));
  }

  begin(): void {
    this.#look(this.#parts, () => this.#range.from);
  }

  #look(parts: readonly Part[], fromOf: (part: Part) => string): void {
    const { collection, to } = this.#range;
    this.#waiting = parts.length;
    for (const part of parts) {
      part.cache.scan(collection, fromOf(part), to, part.rows, ({ states, through, rows, bytes }) => {
        part.found.push(...states);
        part.through = through;
        this.#rowsRead += rows;
        this.#bytesRead += bytes;
        if (part.rows < this.#range.limit && this.#bytesRead < this.#range.bytesMax) part.rows *= 2;
        this.#waiting--;
        this.#advance();
      });
    }
  }

  /** A loop and not a call from within the answers: a store that answers at once would deepen the stack with each look. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (!this.#ended && this.#waiting === 0) this.#step();
    this.#advancing = false;
  }

  /** Takes what is whole over all shards, then ends the page or looks further. */
  #step(): void {
    let low: string | undefined;
    for (const { through } of this.#parts) {
      if (through !== undefined && (low === undefined || compareKeys(through, low) < 0)) low = through;
    }
    const taken: { readonly key: string; readonly state: AnyState }[] = [];
    for (const part of this.#parts) {
      const { found } = part;
      let count = 0;
      while (count < found.length && (low === undefined || compareKeys(found[count]!.key, low) <= 0)) count++;
      if (count > 0) taken.push(...found.splice(0, count));
    }
    taken.sort((a, b) => compareKeys(a.key, b.key));
    let last: string | undefined;
    for (const { key, state } of taken) {
      const view = mergeOf(this.#range.collection.type).view(state, this.#range.nowMs);
      const bytes = viewBytes(view) + key.length;
      const full = this.#entries.length === this.#range.limit || this.#bytes + bytes > this.#range.bytesMax;
      if (view !== undefined && full && this.#entries.length > 0) {
        this.#end(last ?? this.#entries.at(-1)!.key);
        return;
      }
      last = key;
      if (view === undefined) continue;
      this.#entries.push({ key, view });
      this.#bytes += bytes;
    }
    if (low === undefined) {
      this.#end(undefined);
      return;
    }
    if (this.#entries.length === this.#range.limit || this.#rowsRead >= ROWS_MAX) {
      this.#end(low);
      return;
    }
    const from = `${low}\u0000`;
    this.#look(
      this.#parts.filter(({ through }) => through === low),
      () => from,
    );
  }

  #end(next: string | undefined): void {
    this.#ended = true;
    this.#done({ entries: this.#entries, next });
  }
}
