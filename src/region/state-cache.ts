// Key states of one shard in the owner's memory, in front of the store: the hot path writes the store and seldom reads it.
// Owns: the durable state of a key, as of what the engine has landed, whether the store has it yet or not.
//
// Bound: `bytesMax` of encoded states; beyond it, entries that the store has and nobody asked for lately go first. Entries that the
// store does not have yet (dirty, or on their way) are never dropped; the store's writer bounds how many there are.

import { mergeOf, type AnyState } from '../merge/merge.ts';
import { mergeTypeOfCode, MERGE_TYPE_CODES, type MergeTypeName } from '../record/op.ts';
import type { ShardId, StateKey } from '../record/ids.ts';
import type { StateChange } from '../shard/engine.ts';
import { Slot, type KeySlot, type KeyStates } from '../shard/key-slot.ts';
import type { Store } from '../store/store.ts';

/** Row key of a state, and of a due collection. */
export const STATE_ROW = 'k';
export const DUE_ROW = 't';
export const META_ROW = 'm';

/** What an entry costs beside its encoding. */
const ENTRY_BYTES_OVERHEAD = 200;

class Entry extends Slot {
  bytes: number;
  dirty = false;
  /** On its way into the store, which until then answers with an older row. */
  writing = false;
  /** Asked for since the last time that eviction came by (second chance). */
  touched = false;

  constructor(key: StateKey, type: MergeTypeName, state: AnyState | undefined, bytes: number) {
    super(key, type, state);
    this.bytes = bytes;
  }
}

export class StateCache implements KeyStates {
  readonly #shard: ShardId;
  readonly #store: Store;
  readonly #bytesMax: number;
  readonly #entries = new Map<StateKey, Entry>();
  #dirty: Entry[] = [];
  /** 't' rows to be written: due row key → type code. */
  readonly #due = new Map<string, Uint8Array | null>();
  #writing: readonly Entry[] = [];
  #bytes = 0;

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

  slot(key: StateKey, type: MergeTypeName): KeySlot {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      entry.touched = true;
      return entry;
    }
    let loaded = false;
    this.#store.getMany(this.#shard, [STATE_ROW + key], (values) => {
      this.#fill(key, type, values[0]);
      loaded = true;
    });
    if (!loaded) throw new Error(`${key} was not loaded before it was needed`);
    return this.#entries.get(key)!;
  }

  /** The durable state: what readers may see. */
  get(key: StateKey, type: MergeTypeName): AnyState | undefined {
    return this.slot(key, type).state;
  }

  /** Loads what is not here; `done` may be called at once. */
  load(keys: readonly { key: StateKey; type: MergeTypeName }[], done: () => void): void {
    let missing: { key: StateKey; type: MergeTypeName }[] | undefined;
    for (const wanted of keys) {
      if (this.#entries.has(wanted.key)) continue;
      missing ??= [];
      missing.push(wanted);
    }
    if (missing === undefined) {
      done();
      return;
    }
    const wanted = missing;
    this.#store.getMany(
      this.#shard,
      wanted.map(({ key }) => STATE_ROW + key),
      (values) => {
        wanted.forEach(({ key, type }, i) => this.#fill(key, type, values[i]));
        done();
      },
    );
  }

  #fill(key: StateKey, type: MergeTypeName, row: Uint8Array | undefined): void {
    if (this.#entries.has(key)) return;
    const state = row === undefined ? undefined : decodeState(row).state;
    this.#insert(key, type, state, row?.length ?? 0);
  }

  #insert(key: StateKey, type: MergeTypeName, state: AnyState | undefined, bytes: number): Entry {
    const entry = new Entry(key, type, state, bytes);
    this.#entries.set(key, entry);
    this.#bytes += bytes + ENTRY_BYTES_OVERHEAD;
    if (this.#bytes > this.#bytesMax) this.#evict(key);
    return entry;
  }

  /** `spare`: has just been put here and is about to be used. */
  #evict(spare: StateKey): void {
    let looks = this.#entries.size;
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= this.#bytesMax * 0.95 || looks-- === 0) return;
      if (key === spare) continue;
      if (entry.dirty || entry.writing || entry.touched || entry.pendingCount > 0) {
        entry.touched = false;
        this.#entries.delete(key);
        this.#entries.set(key, entry);
        continue;
      }
      this.#entries.delete(key);
      this.#bytes -= entry.bytes + ENTRY_BYTES_OVERHEAD;
    }
  }

  /** What the engine landed: slots of this cache whose state is new. */
  apply(changes: readonly StateChange[]): void {
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

/** A state's row: the merge type's code, then the type's own encoding (whose first byte is its version). */
export function encodeState(type: MergeTypeName, state: AnyState): Uint8Array {
  const body = mergeOf(type).encode(state);
  const row = Buffer.allocUnsafe(body.length + 1);
  row[0] = MERGE_TYPE_CODES[type];
  row.set(body, 1);
  return row;
}

export function decodeState(row: Uint8Array): { type: MergeTypeName; state: AnyState } {
  const type = mergeTypeOfCode(row[0]!);
  if (type === undefined) throw new Error(`a stored state of merge type ${row[0]}, which this version does not know`);
  return { type, state: mergeOf(type).decode(row.subarray(1)) };
}
