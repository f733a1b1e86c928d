// Key states of one shard in the owner's memory, in front of the store: the hot path writes the store and seldom reads it.
// Owns: the durable state of a key, as of what the engine has landed, whether the store has it yet or not.
//
// Bound: `bytesMax` of encoded states; beyond it, entries that the store has and nobody asked for lately go first. Entries that the
// store does not have yet (dirty) are never dropped; the store's writer bounds how many there are.

import { mergeOf, type AnyState } from '../merge/merge.ts';
import { mergeTypeOfCode, MERGE_TYPE_CODES, type MergeTypeName } from '../record/op.ts';
import type { ShardId, StateKey } from '../record/ids.ts';
import type { KeyStates, StateChange } from '../shard/engine.ts';
import type { Store } from '../store/store.ts';

/** Row key of a state, and of a due collection. */
export const STATE_ROW = 'k';
export const DUE_ROW = 't';
export const META_ROW = 'm';

/** What an entry is taken for until its encoding is known. */
const ENTRY_BYTES_GUESS = 256;
const ENTRY_BYTES_OVERHEAD = 200;

interface Entry {
  readonly type: MergeTypeName;
  state: AnyState | undefined;
  bytes: number;
  dirty: boolean;
  /** Asked for since the last time that eviction came by (second chance). */
  touched: boolean;
}

export class StateCache implements KeyStates {
  readonly #shard: ShardId;
  readonly #store: Store;
  readonly #bytesMax: number;
  readonly #entries = new Map<StateKey, Entry>();
  readonly #dirty = new Set<StateKey>();
  /** 't' rows to be written: due row key → type code. */
  readonly #due = new Map<string, Uint8Array | null>();
  /** Rows on their way into the store: until they are there, the store's answer for them is old. */
  #writing: ReadonlyMap<string, Uint8Array | null> = new Map();
  #bytes = 0;

  constructor(shard: ShardId, store: Store, bytesMax: number) {
    this.#shard = shard;
    this.#store = store;
    this.#bytesMax = bytesMax;
  }

  get dirtyCount(): number {
    return this.#dirty.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: StateKey, type: MergeTypeName): AnyState | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      entry.touched = true;
      return entry.state;
    }
    if (this.#fromWriting(key, type)) return this.#entries.get(key)?.state;
    let loaded = false;
    this.#store.getMany(this.#shard, [STATE_ROW + key], (values) => {
      this.#fill(key, type, values[0]);
      loaded = true;
    });
    if (!loaded) throw new Error(`${key} was not loaded before it was needed`);
    return this.#entries.get(key)?.state;
  }

  /** Loads what is not here; `done` may be called at once. */
  load(keys: readonly { key: StateKey; type: MergeTypeName }[], done: () => void): void {
    const missing = keys.filter(({ key, type }) => !this.#entries.has(key) && !this.#fromWriting(key, type));
    if (missing.length === 0) {
      done();
      return;
    }
    this.#store.getMany(
      this.#shard,
      missing.map(({ key }) => STATE_ROW + key),
      (values) => {
        missing.forEach(({ key, type }, i) => this.#fill(key, type, values[i]));
        done();
      },
    );
  }

  #fromWriting(key: StateKey, type: MergeTypeName): boolean {
    const row = this.#writing.get(STATE_ROW + key);
    if (row === undefined) return false;
    this.#fill(key, type, row ?? undefined);
    return true;
  }

  #fill(key: StateKey, type: MergeTypeName, row: Uint8Array | undefined): void {
    if (this.#entries.has(key)) return;
    const state = row === undefined ? undefined : decodeState(row).state;
    this.#insert(key, { type, state, bytes: row?.length ?? 0, dirty: false, touched: false });
  }

  #insert(key: StateKey, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes + ENTRY_BYTES_OVERHEAD;
    if (this.#bytes > this.#bytesMax) this.#evict(key);
  }

  /** `spare`: has just been put here and is about to be used. */
  #evict(spare: StateKey): void {
    let looks = this.#entries.size;
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= this.#bytesMax * 0.95 || looks-- === 0) return;
      if (key === spare) continue;
      if (entry.dirty || entry.touched) {
        entry.touched = false;
        this.#entries.delete(key);
        this.#entries.set(key, entry);
        continue;
      }
      this.#entries.delete(key);
      this.#bytes -= entry.bytes + ENTRY_BYTES_OVERHEAD;
    }
  }

  /** What the engine landed. */
  apply(changes: readonly StateChange[]): void {
    for (const { key, type, state, collectableAt } of changes) {
      const entry = this.#entries.get(key);
      if (entry === undefined) {
        this.#insert(key, { type, state, bytes: ENTRY_BYTES_GUESS, dirty: true, touched: false });
      } else {
        entry.state = state;
        entry.dirty = true;
      }
      this.#dirty.add(key);
      if (collectableAt !== undefined) {
        this.#due.set(dueRow(collectableAt, key), Uint8Array.of(MERGE_TYPE_CODES[type]));
      }
    }
  }

  dropDue(rowKey: string): void {
    this.#due.set(rowKey, null);
  }

  /** The rows of everything that the store does not have yet; from now on it is taken to have them. */
  takeDirty(): [rowKey: string, value: Uint8Array | null][] {
    const rows: [string, Uint8Array | null][] = [];
    for (const key of this.#dirty) {
      const entry = this.#entries.get(key)!;
      entry.dirty = false;
      if (entry.state === undefined) {
        rows.push([STATE_ROW + key, null]);
        continue;
      }
      const row = encodeState(entry.type, entry.state);
      this.#bytes += row.length - entry.bytes;
      entry.bytes = row.length;
      rows.push([STATE_ROW + key, row]);
    }
    this.#dirty.clear();
    for (const row of this.#due) rows.push(row);
    this.#due.clear();
    this.#writing = new Map(rows);
    return rows;
  }

  written(): void {
    this.#writing = new Map();
  }

  /** Rows that the store did not take: what they held is dirty again, unless it has changed since. */
  putBack(rows: readonly (readonly [rowKey: string, value: Uint8Array | null])[]): void {
    this.written();
    for (const [rowKey, value] of rows) {
      if (rowKey.startsWith(DUE_ROW) && !this.#due.has(rowKey)) this.#due.set(rowKey, value);
      if (!rowKey.startsWith(STATE_ROW)) continue;
      const key = rowKey.slice(STATE_ROW.length) as StateKey;
      const entry = this.#entries.get(key);
      if (entry === undefined) {
        // Evicted while the step was under way: the row is all that is left of it.
        if (value === null) continue;
        const { type, state } = decodeState(value);
        this.#insert(key, { type, state, bytes: value.length, dirty: true, touched: false });
      } else entry.dirty = true;
      this.#dirty.add(key);
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
