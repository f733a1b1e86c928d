// Key states of one shard in the owner's memory, in front of the store: the hot path writes the store and seldom reads it.
// Owns: the durable state of a key, as of what the engine has landed, whether the store has it yet or not.
//
// Bound: `bytesMax` of encoded states; beyond it, entries that the store has and nobody asked for lately go first. Entries that the
// store does not have yet (dirty, or on their way) are never dropped; the store's writer bounds how many there are.

import { mergeOf, type AnyState } from '../merge/merge.ts';
import {
  mergeTypeOfCode,
  MERGE_TYPE_CODES,
  splitStateKey,
  stateKeyPrefix,
  type CollectionRef,
  type MergeTypeName,
} from '../record/op.ts';
import { ByteWriter } from '../record/bytes.ts';
import { afterPrefix, compareKeys } from '../record/key-order.ts';
import type { ShardId, StateKey } from '../record/ids.ts';
import type { StateChange } from '../shard/engine.ts';
import { Slot, type KeySlot, type KeyStates } from '../shard/key-slot.ts';
import type { Store } from '../store/store.ts';
import { FreshKeys } from './fresh-keys.ts';

/** Row key of a state, and of a due collection. */
export const STATE_ROW = 'k';
export const DUE_ROW = 't';
export const META_ROW = 'm';

/** What an entry costs beside its encoding. */
const ENTRY_BYTES_OVERHEAD = 200;

/** The keys of one collection, by their name in it: what is looked up is the string that came with the op, as it is. */
class Collected {
  readonly prefix: string;
  readonly type: MergeTypeName;
  readonly entries = new Map<string, Entry>();

  constructor(prefix: string, type: MergeTypeName) {
    this.prefix = prefix;
    this.type = type;
  }
}

class Entry extends Slot {
  bytes: number;
  dirty = false;
  /** On its way into the store, which until then answers with an older row. */
  writing = false;
  /** Asked for since the last time that eviction came by (second chance). */
  touched = false;

  constructor(of: Collected, name: string, state: AnyState | undefined, bytes: number) {
    super(of.prefix, name, of.type, state);
    this.bytes = bytes;
  }
}

/** A stretch of a collection's keys in one shard, in their order. */
export interface StateRange {
  readonly states: readonly { readonly key: string; readonly state: AnyState }[];
  /** Everything up to here, itself included, has been looked at; undefined: everything that was asked for. */
  readonly through: string | undefined;
  /** The store's rows that were read for it, for bounds. */
  readonly rows: number;
  readonly bytes: number;
}

export class StateCache implements KeyStates {
  readonly #shard: ShardId;
  readonly #store: Store;
  readonly #bytesMax: number;
  /** By stateKeyPrefix, and by who names the collection: there are few objects that do. */
  readonly #collected = new Map<string, Collected>();
  readonly #byRef = new WeakMap<CollectionRef, Collected>();
  #dirty: Entry[] = [];
  /** 't' rows to be written: due row key → type code. */
  readonly #due = new Map<string, Uint8Array | null>();
  #writing: readonly Entry[] = [];
  /** For the looks of one page of a scan; gone with the next change. */
  #fresh: { readonly of: Collected; readonly keys: FreshKeys<Entry> } | undefined;
  #bytes = 0;
  #gathering = false;

  constructor(shard: ShardId, store: Store, bytesMax: number) {
    this.#shard = shard;
    this.#store = store;
    this.#bytesMax = bytesMax;
  }

  get dirtyCount(): number {
    return this.#dirty.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  slot(collection: CollectionRef, key: string): KeySlot {
    return this.#entry(this.#collectedOf(collection), key);
  }

  #collectedOf(collection: CollectionRef): Collected {
    let of = this.#byRef.get(collection);
    if (of === undefined) {
      of = this.#of(stateKeyPrefix(collection), collection.type);
      this.#byRef.set(collection, of);
    }
    return of;
  }

  slotAt(key: StateKey, type: MergeTypeName): KeySlot {
    const { prefix, key: name } = splitStateKey(key);
    return this.#entry(this.#of(prefix, type), name);
  }

  slotsOf(ops: readonly { collection: CollectionRef | undefined; key: string }[]): (KeySlot | undefined)[] {
    const slots: (KeySlot | undefined)[] = [];
    // What was found first must still be there when the last one has been loaded.
    this.#gathering = true;
    try {
      for (let i = 0; i < ops.length; i++) {
        const { collection, key } = ops[i]!;
        slots.push(collection === undefined ? undefined : this.slot(collection, key));
      }
    } finally {
      this.#gathering = false;
    }
    return slots;
  }

  /** Brings the states of keys that are about to be written near, all at once: see statesMet in the engine. Returns how many are there. */
  fetch(ops: readonly { collection: CollectionRef; key: string }[]): number {
    const slots = this.slotsOf(ops);
    let there = 0;
    for (let i = 0; i < slots.length; i++) if (slots[i]!.state !== undefined) there++;
    return there;
  }

  #of(prefix: string, type: MergeTypeName): Collected {
    let of = this.#collected.get(prefix);
    if (of === undefined) {
      of = new Collected(prefix, type);
      this.#collected.set(prefix, of);
    }
    return of;
  }

  #entry(of: Collected, name: string): Entry {
    const entry = of.entries.get(name);
    if (entry !== undefined) {
      entry.touched = true;
      return entry;
    }
    let loaded: Entry | undefined;
    this.#store.getMany(this.#shard, [STATE_ROW + of.prefix + name], (values) => {
      loaded = this.#fill(of, name, values[0]);
    });
    if (loaded === undefined) throw new Error(`${of.prefix}${name} was not loaded before it was needed`);
    return loaded;
  }

  /** The durable state: what readers may see. */
  get(key: StateKey, type: MergeTypeName): AnyState | undefined {
    return this.slotAt(key, type).state;
  }

  /** Loads what is not here; `done` may be called at once. */
  load(keys: readonly { key: StateKey; type: MergeTypeName }[], done: () => void): void {
    const missing: { readonly of: Collected; readonly name: string }[] = [];
    for (const { key, type } of keys) {
      const { prefix, key: name } = splitStateKey(key);
      const of = this.#of(prefix, type);
      if (!of.entries.has(name)) missing.push({ of, name });
    }
    if (missing.length === 0) {
      done();
      return;
    }
    this.#store.getMany(
      this.#shard,
      missing.map(({ of, name }) => STATE_ROW + of.prefix + name),
      (values) => {
        missing.forEach(({ of, name }, i) => this.#fill(of, name, values[i]));
        done();
      },
    );
  }

  /**
   * Durable states with from ≤ key < to (undefined: to the end of the collection), in the order of keys, about `limit` of them: rows of
   * the store, with everything laid over them that the store does not have yet. `done` may be called at once. Nothing is put into the
   * cache: a scan must not push out what is asked for often.
   */
  scan(
    collection: CollectionRef,
    from: string,
    to: string | undefined,
    limit: number,
    done: (range: StateRange) => void,
  ): void {
    const of = this.#collectedOf(collection);
    const first = STATE_ROW + of.prefix;
    // The prefix ends with NUL, so there is a text behind it.
    this.#store.scan(this.#shard, first + from, to === undefined ? afterPrefix(first)! : first + to, limit, (rows) => {
      // In the same turn as the rows were read: what is written between two looks would be in neither.
      const fresh = this.#freshOf(of, from, to);
      // Each side may have been cut somewhere: what is whole is what lies before both ends.
      let through = rows.length === limit ? rows.at(-1)!.rowKey.slice(first.length) : undefined;
      if (fresh.end !== undefined && (through === undefined || compareKeys(fresh.end, through) < 0))
        through = fresh.end;
      const states: { key: string; state: AnyState }[] = [];
      const push = (key: string, state: AnyState | undefined): void => {
        if (state === undefined || (through !== undefined && compareKeys(key, through) > 0)) return;
        states.push({ key, state });
      };
      const overlay = fresh.behind(from);
      let next = overlay.next();
      let bytes = 0;
      for (const { rowKey, value } of rows) {
        const name = rowKey.slice(first.length);
        for (; next.done !== true && compareKeys(next.value.name, name) < 0; next = overlay.next())
          push(next.value.name, next.value.state);
        if (next.done !== true && next.value.name === name) next = overlay.next();
        const entry = of.entries.get(name);
        bytes += value.length;
        push(name, entry === undefined ? decodeState(value).state : entry.state);
      }
      for (; next.done !== true; next = overlay.next()) push(next.value.name, next.value.state);
      done({ states, through, rows: rows.length, bytes });
    });
  }

  #freshOf(of: Collected, from: string, to: string | undefined): FreshKeys<Entry> {
    if (this.#fresh?.of === of && this.#fresh.keys.covers(from, to)) return this.#fresh.keys;
    const keys = new FreshKeys<Entry>(from, to);
    for (const entry of this.#dirty) if (entry.prefix === of.prefix) keys.offer(entry);
    // One that has changed again while it is on its way stands in both lists.
    for (const entry of this.#writing) if (!entry.dirty && entry.prefix === of.prefix) keys.offer(entry);
    this.#fresh = { of, keys: keys.sort() };
    return keys;
  }

  #fill(of: Collected, name: string, row: Uint8Array | undefined): Entry {
    const known = of.entries.get(name);
    if (known !== undefined) return known;
    const state = row === undefined ? undefined : decodeState(row).state;
    const entry = new Entry(of, name, state, row?.length ?? 0);
    of.entries.set(name, entry);
    this.#bytes += entry.bytes + ENTRY_BYTES_OVERHEAD;
    if (this.#bytes > this.#bytesMax && !this.#gathering) this.#evict(entry);
    return entry;
  }

  /** `spare`: has just been put here and is about to be used. */
  #evict(spare: Entry): void {
    const enough = this.#bytesMax * 0.95;
    for (const { entries } of this.#collected.values()) {
      let looks = entries.size;
      for (const [name, entry] of entries) {
        if (this.#bytes <= enough) return;
        if (looks-- === 0) break;
        if (entry === spare) continue;
        if (entry.dirty || entry.writing || entry.touched || entry.newest !== undefined) {
          entry.touched = false;
          entries.delete(name);
          entries.set(name, entry);
          continue;
        }
        entries.delete(name);
        this.#bytes -= entry.bytes + ENTRY_BYTES_OVERHEAD;
      }
    }
  }

  /** What the engine landed: slots of this cache whose state is new. */
  apply(changes: readonly StateChange[]): void {
    this.#fresh = undefined;
    for (const { slot, collectableAt } of changes) {
      const entry = slot as Entry;
      if (!entry.dirty) {
        entry.dirty = true;
        this.#dirty.push(entry);
      }
      if (collectableAt !== undefined) {
        this.#due.set(dueRow(collectableAt, slot.key), Uint8Array.of(MERGE_TYPE_CODES[slot.type]));
      }
    }
  }

  dropDue(rowKey: string): void {
    this.#due.set(rowKey, null);
  }

  /** The rows of everything that the store does not have yet; from now on it is taken to have them. */
  takeDirty(): [rowKey: string, value: Uint8Array | null][] {
    this.#fresh = undefined;
    const rows: [string, Uint8Array | null][] = [];
    for (const entry of this.#dirty) {
      entry.dirty = false;
      entry.writing = true;
      if (entry.state === undefined) {
        rows.push([STATE_ROW + entry.key, null]);
        continue;
      }
      const row = encodeState(entry.type, entry.state);
      this.#bytes += row.length - entry.bytes;
      entry.bytes = row.length;
      rows.push([STATE_ROW + entry.key, row]);
    }
    this.#writing = this.#dirty;
    this.#dirty = [];
    for (const row of this.#due) rows.push(row);
    this.#due.clear();
    return rows;
  }

  written(): void {
    this.#fresh = undefined;
    for (const entry of this.#writing) entry.writing = false;
    this.#writing = [];
  }

  /** The store did not take the step: its keys are dirty again, and its due rows too unless they have changed since. */
  putBack(rows: readonly (readonly [rowKey: string, value: Uint8Array | null])[]): void {
    const entries = this.#writing;
    this.written();
    for (const [rowKey, value] of rows) {
      if (rowKey.startsWith(DUE_ROW) && !this.#due.has(rowKey)) this.#due.set(rowKey, value);
    }
    for (const entry of entries) {
      if (entry.dirty) continue;
      entry.dirty = true;
      this.#dirty.push(entry);
    }
  }
}

/** `t`, the stamp in 14 hex digits, the key: in order of stamps. */
export function dueRow(stamp: number, key: StateKey): string {
  return DUE_ROW + stamp.toString(16).padStart(14, '0') + key;
}

export function keyOfDueRow(rowKey: string): StateKey {
  return rowKey.slice(DUE_ROW.length + 14) as StateKey;
}

const scratch = new ByteWriter(4096);

/** A state's row: the merge type's code, then the type's own encoding (whose first byte is its version). */
export function encodeState(type: MergeTypeName, state: AnyState): Buffer {
  scratch.reset();
  mergeOf(type).encode(state, scratch.u8(MERGE_TYPE_CODES[type]));
  return scratch.finish();
}

export function decodeState(row: Uint8Array): { type: MergeTypeName; state: AnyState } {
  const type = mergeTypeOfCode(row[0]!);
  if (type === undefined) throw new Error(`a stored state of merge type ${row[0]}, which this version does not know`);
  return { type, state: mergeOf(type).decode(row.subarray(1)) };
}
