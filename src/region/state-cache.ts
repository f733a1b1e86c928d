// Key states of one shard in the owner's memory, in front of the store: the hot path writes the store and seldom reads it.
// Owns: the durable state of a key, as of what the engine has landed, whether the store has it yet or not.
//
// Bound: `bytesMax` of encoded states; beyond it, entries that the store has and nobody asked for lately go first. Entries that the
// store does not have yet (dirty, or on their way) are never dropped; the store's writer bounds how many there are. Nor are those that somebody keeps
// (keep()): of a store that answers later, what an op needs has to be here before the engine asks.

import { invariant } from '../errors/errors.ts';
import { mergeOf, type AnyState } from '../merge/merge.ts';
import { registerLww } from '../merge/register-lww.ts';
import { RegisterTable } from '../merge/register-table.ts';
import {
  DEFINITIONS,
  mergeTypeOfCode,
  MERGE_TYPE_CODES,
  splitStateKey,
  stateKey,
  stateKeyPrefix,
  type CollectionRef,
  type MergeTypeName,
} from '../record/op.ts';
import { ByteWriter } from '../record/bytes.ts';
import { afterPrefix, compareKeys } from '../record/key-order.ts';
import type { ShardId, StateKey } from '../record/ids.ts';
import type { LocatedOps } from '../record/located-ops.ts';
import type { StateChange } from '../shard/engine.ts';
import { Slot, type KeyStates } from '../shard/key-slot.ts';
import { FreshKeys } from './fresh-keys.ts';
import { PackedRows } from '../store/packed-rows.ts';
import type { StoreReads } from './late-store.ts';

/** A step's rows, in no order: key, and value or null for none. */

/** Row key of a state, and of a due collection. */
export const STATE_ROW = 'k';
export const DUE_ROW = 't';
export const META_ROW = 'm';

const DEFINITIONS_PREFIX = stateKeyPrefix(DEFINITIONS);

/** What an entry costs beside its encoding. */
const ENTRY_BYTES_OVERHEAD = 200;

/** The keys of one collection that is none of registers, by their name in it: what is looked up is the string that came with the op. */
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

export interface KeyOf {
  readonly key: StateKey;
  readonly type: MergeTypeName;
}

/** A key that the store does not have as it is here. */
interface Fresh {
  readonly name: string;
  readonly state: AnyState | undefined;
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
  readonly registers = new RegisterTable();
  readonly #shard: ShardId;
  readonly #store: StoreReads;
  readonly #bytesMax: number;
  /** By stateKeyPrefix, and by who names the collection: there are few objects that do. */
  readonly #collected = new Map<string, Collected>();
  readonly #byRef = new WeakMap<CollectionRef, Collected>();
  #dirty: Entry[] = [];
  /** 't' rows to be written: due row key → type code. */
  #due = new Map<string, Uint8Array | null>();
  /** On their way to the store. */
  #dueWriting = new Map<string, Uint8Array | null>();
  #writing: readonly Entry[] = [];
  #registersWriting: readonly number[] = [];
  /** The step that is being taken, and how many of the registers on their way have been looked at for it. */
  #taking: PackedRows | undefined;
  #registersTaken = 0;
  /** For the looks of one page of a scan; gone with the next change. */
  #fresh: { readonly prefix: string; readonly keys: FreshKeys<Fresh> } | undefined;
  /** Without the registers. */
  #bytes = 0;
  /** How often each is kept. */
  readonly #kept = new Map<StateKey, number>();

  constructor(shard: ShardId, store: StoreReads, bytesMax: number) {
    this.#shard = shard;
    this.#store = store;
    this.#bytesMax = bytesMax;
  }

  get dirtyCount(): number {
    return this.#dirty.length + this.registers.dirtyCount;
  }

  get bytes(): number {
    return this.#bytes + this.registers.bytes;
  }

  // ── For the engine. Nothing leaves memory here: what was asked for first must still be there when the last one has been loaded. ──

  slot(collection: CollectionRef, key: string): Slot {
    let of = this.#byRef.get(collection);
    if (of === undefined) {
      of = this.#of(stateKeyPrefix(collection), collection.type);
      this.#byRef.set(collection, of);
    }
    return this.#entry(of, key);
  }

  slotAt(key: StateKey, type: MergeTypeName): Slot {
    const { prefix, key: name } = splitStateKey(key);
    return this.#entry(this.#of(prefix, type), name);
  }

  register(collection: number, hash: number, bytes: Buffer, at: number, length: number): number {
    const place = this.registers.find(collection, hash, bytes, at, length);
    if (place >= 0) {
      this.registers.touch(place);
      return place;
    }
    const loaded = this.registers.insert(collection, hash, bytes, at, length);
    this.#loadRegister(loaded);
    return loaded;
  }

  registerAt(key: StateKey): number {
    const { prefix, key: name } = splitStateKey(key);
    const collection = this.registers.collection(prefix);
    const place = this.registers.findKey(collection, name);
    if (place >= 0) {
      this.registers.touch(place);
      return place;
    }
    const loaded = this.registers.insertKey(collection, name);
    this.#loadRegister(loaded);
    return loaded;
  }

  #loadRegister(place: number): void {
    let answered = false;
    this.#store.getMany(this.#shard, [STATE_ROW + this.registers.keyOf(place)], ([row]) => {
      answered = true;
      this.#fillRegister(place, row);
    });
    if (!answered) throw new Error(`${this.registers.keyOf(place)} was not loaded before it was needed`);
  }

  #fillRegister(place: number, row: Uint8Array | undefined): void {
    if (row === undefined) return;
    if (row[0] !== MERGE_TYPE_CODES['register-lww'])
      throw new Error(`a stored state of merge type ${row[0]} where a register-lww was expected`);
    this.registers.load(place, registerLww.decode(row.subarray(1)));
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

  // ── For readers ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** The durable state: what readers may see. With a store that answers later only of what load() has brought, in the same turn. */
  get(key: StateKey, type: MergeTypeName): AnyState | undefined {
    if (this.#store.answersAtOnce) this.#evict();
    return type === 'register-lww' ? this.registers.state(this.registerAt(key)) : this.slotAt(key, type).state;
  }

  /** Loads what is not here; `done` may be called at once. Until it returns all of them are here. */
  load(keys: readonly KeyOf[], done: () => void): void {
    this.#evict();
    const missing: { readonly rowKey: string; readonly fill: (row: Uint8Array | undefined) => void }[] = [];
    for (const { key, type } of keys) {
      const fill = type === 'register-lww' ? this.#missingRegister(key) : this.#missingEntry(key, type);
      if (fill !== undefined) missing.push({ rowKey: STATE_ROW + key, fill });
    }
    if (missing.length === 0) {
      done();
      return;
    }
    // What is here now must not have gone when the rest has come.
    const release = this.#store.answersAtOnce ? undefined : this.keep(keys);
    this.#store.getMany(
      this.#shard,
      missing.map(({ rowKey }) => rowKey),
      (values) => {
        missing.forEach(({ fill }, i) => fill(values[i]));
        done();
        release?.();
      },
    );
  }

  /** None of them leaves memory, once it is there, until what this returns has been called. */
  keep(keys: readonly KeyOf[]): () => void {
    for (const { key } of keys) this.#kept.set(key, (this.#kept.get(key) ?? 0) + 1);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      for (const { key } of keys) {
        const times = this.#kept.get(key)! - 1;
        if (times > 0) this.#kept.set(key, times);
        else this.#kept.delete(key);
      }
    };
  }

  has(keys: readonly KeyOf[]): boolean {
    return keys.every(({ key, type }) => {
      if (type === 'register-lww') return this.registers.findStateKey(key) >= 0;
      const { prefix, key: name } = splitStateKey(key);
      return this.#collected.get(prefix)?.entries.has(name) === true;
    });
  }

  /** Is everything here that the engine will ask for? */
  hasOps(ops: readonly { readonly collection: CollectionRef; readonly key: string }[]): boolean {
    let of: CollectionRef | undefined;
    let collection = 0;
    for (const op of ops) {
      if (op.collection.type !== 'register-lww') {
        if (!this.#hasEntry(op.collection, op.key)) return false;
        continue;
      }
      if (op.collection !== of) {
        of = op.collection;
        collection = this.registers.collection(stateKeyPrefix(of));
      }
      if (this.registers.findKey(collection, op.key) < 0) return false;
    }
    return true;
  }

  hasLocated(ops: LocatedOps): boolean {
    const collections = ops.collections.map((of) => this.registers.collection(stateKeyPrefix(of)));
    for (let i = 0; i < ops.count; i++) {
      const of = ops.collection(i);
      if (of === undefined) continue;
      if (of.type !== 'register-lww') {
        if (!this.#hasEntry(of, ops.key(i))) return false;
        continue;
      }
      const collection = collections[ops.collectionAt(i) - 1]!;
      if (this.registers.find(collection, ops.keyHash(i), ops.bytes, ops.keyAt(i), ops.keyLength(i)) < 0) return false;
    }
    return true;
  }

  #hasEntry(collection: CollectionRef, key: string): boolean {
    return this.#collected.get(stateKeyPrefix(collection))?.entries.has(key) === true;
  }

  #missingEntry(key: StateKey, type: MergeTypeName): ((row: Uint8Array | undefined) => void) | undefined {
    const { prefix, key: name } = splitStateKey(key);
    const of = this.#of(prefix, type);
    return of.entries.has(name) ? undefined : (row) => void this.#fill(of, name, row);
  }

  #missingRegister(key: StateKey): ((row: Uint8Array | undefined) => void) | undefined {
    if (this.registers.findStateKey(key) >= 0) return undefined;
    return (row) => {
      if (this.registers.findStateKey(key) >= 0) return;
      const { prefix, key: name } = splitStateKey(key);
      this.#fillRegister(this.registers.insertKey(this.registers.collection(prefix), name), row);
    };
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
    const prefix = stateKeyPrefix(collection);
    const first = STATE_ROW + prefix;
    // The prefix ends with NUL, so there is a text behind it.
    this.#store.scan(this.#shard, first + from, to === undefined ? afterPrefix(first)! : first + to, limit, (rows) => {
      // In the same turn as the rows were read: what is written between two looks would be in neither.
      const fresh = this.#freshOf(collection, prefix, from, to);
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
        bytes += value.length;
        push(name, this.#stateHere(collection, prefix, name, value));
      }
      for (; next.done !== true; next = overlay.next()) push(next.value.name, next.value.state);
      done({ states, through, rows: rows.length, bytes });
    });
  }

  /** What is in memory is newer than its row, or the same. */
  #stateHere(collection: CollectionRef, prefix: string, name: string, row: Uint8Array): AnyState | undefined {
    if (collection.type === 'register-lww') {
      const place = this.registers.findKey(this.registers.collection(prefix), name);
      return place < 0 ? decodeState(row).state : this.registers.state(place);
    }
    const entry = this.#collected.get(prefix)?.entries.get(name);
    return entry === undefined ? decodeState(row).state : entry.state;
  }

  #freshOf(collection: CollectionRef, prefix: string, from: string, to: string | undefined): FreshKeys<Fresh> {
    if (this.#fresh?.prefix === prefix && this.#fresh.keys.covers(from, to)) return this.#fresh.keys;
    const keys = new FreshKeys<Fresh>(from, to);
    if (collection.type === 'register-lww') this.#offerRegisters(keys, prefix);
    else {
      for (const entry of this.#dirty) if (entry.prefix === prefix) keys.offer(entry);
      // One that has changed again while it is on its way stands in both lists.
      for (const entry of this.#writing) if (!entry.dirty && entry.prefix === prefix) keys.offer(entry);
    }
    this.#fresh = { prefix, keys: keys.sort() };
    return keys;
  }

  #offerRegisters(keys: FreshKeys<Fresh>, prefix: string): void {
    const { registers } = this;
    const collection = registers.collection(prefix);
    const offer = (place: number): void => {
      if (registers.collectionOf(place) === collection) keys.offer(new FreshRegister(registers, place));
    };
    for (const place of registers.dirty) offer(place);
    for (const place of this.#registersWriting) if (!registers.isDirty(place)) offer(place);
  }

  #fill(of: Collected, name: string, row: Uint8Array | undefined): Entry {
    const known = of.entries.get(name);
    if (known !== undefined) return known;
    const state = row === undefined ? undefined : decodeState(row).state;
    const entry = new Entry(of, name, state, row?.length ?? 0);
    of.entries.set(name, entry);
    this.#bytes += entry.bytes + ENTRY_BYTES_OVERHEAD;
    return entry;
  }

  #evict(): void {
    if (this.bytes <= this.#bytesMax) return;
    const all = this.#bytesMax * 0.95;
    // The registers' share is what the others leave, and the other way round: whoever has more gives first.
    const enough = all - Math.min(this.registers.bytes, all / 2);
    for (const { entries, prefix } of this.#collected.values()) {
      // Few, and looked up by who cannot wait (collection-changes.ts).
      if (prefix === DEFINITIONS_PREFIX && !this.#store.answersAtOnce) continue;
      let looks = entries.size;
      for (const [name, entry] of entries) {
        if (this.#bytes <= enough || looks-- === 0) break;
        const kept = this.#kept.size > 0 && this.#kept.has(entry.key);
        if (kept || entry.dirty || entry.writing || entry.touched || entry.newest !== undefined) {
          entry.touched = false;
          entries.delete(name);
          entries.set(name, entry);
          continue;
        }
        entries.delete(name);
        this.#bytes -= entry.bytes + ENTRY_BYTES_OVERHEAD;
      }
    }
    const kept = this.#kept.size === 0 ? undefined : (place: number) => this.#kept.has(this.registers.keyOf(place));
    this.registers.evict(all - this.#bytes, kept);
  }

  /** What the engine landed: slots of this cache whose state is new, and registers, which know it themselves. */
  apply(changes: readonly StateChange[]): void {
    this.#fresh = undefined;
    for (const { slot, key, type, collectableAt } of changes) {
      if (slot !== undefined) this.#setDirty(slot as Entry);
      if (collectableAt !== undefined) this.#due.set(dueRow(collectableAt, key), Uint8Array.of(MERGE_TYPE_CODES[type]));
    }
    this.#evict();
  }

  #setDirty(entry: Entry): void {
    if (entry.dirty) return;
    entry.dirty = true;
    this.#dirty.push(entry);
  }

  dropDue(rowKey: string): void {
    this.#due.set(rowKey, null);
  }

  /** The rows of everything that the store does not have yet; from now on it is taken to have them. */
  takeDirty(): PackedRows {
    const rows = this.beginTaking();
    this.takeMore(Infinity);
    return rows;
  }

  /**
   * As takeDirty(), but registers, of which there can be many thousands, come into the rows with takeMore(). They come as they are now (I11: rows are
   * the state at the step's cursor): one that changes before its turn has come is put in by the change.
   */
  beginTaking(): PackedRows {
    invariant(this.#taking === undefined, 'one step at a time is taken from the states of a shard');
    this.#fresh = undefined;
    const rows = new PackedRows();
    for (const entry of this.#dirty) {
      entry.dirty = false;
      entry.writing = true;
      if (entry.state === undefined) {
        rows.push(STATE_ROW + entry.key, null);
        continue;
      }
      const row = encodeState(entry.type, entry.state);
      this.#bytes += row.length - entry.bytes;
      entry.bytes = row.length;
      rows.push(STATE_ROW + entry.key, row);
    }
    this.#writing = this.#dirty;
    this.#dirty = [];
    this.#registersWriting = this.registers.takeDirty((place) => this.#takeRegister(place));
    this.#registersTaken = 0;
    if (this.#registersWriting.length > 0) this.#taking = rows;
    for (const [rowKey, value] of this.#due) rows.push(rowKey, value);
    this.#dueWriting = this.#due;
    this.#due = new Map();
    return rows;
  }

  /** Some of the rows are still to come. */
  get isTaking(): boolean {
    return this.#taking !== undefined;
  }

  /** Looks at up to so many registers of the step that was begun; returns at how many. */
  takeMore(registersMax: number): number {
    if (this.#taking === undefined) return 0;
    const places = this.#registersWriting;
    const from = this.#registersTaken;
    const to = Math.min(places.length, from + registersMax);
    for (let i = from; i < to; i++) this.#takeRegister(places[i]!);
    this.#registersTaken = to;
    if (to === places.length) this.#taking = undefined;
    return to - from;
  }

  #takeRegister(place: number): void {
    if (!this.registers.readPending(place)) return;
    this.#taking!.push(STATE_ROW + this.registers.keyOf(place), this.#registerRow(place));
  }

  /** A view, valid until the next. */
  #registerRow(place: number): Buffer | null {
    if (!this.registers.isPresent(place)) return null;
    scratch.reset();
    this.registers.encode(place, scratch.u8(MERGE_TYPE_CODES['register-lww']));
    return scratch.view();
  }

  written(): void {
    this.#fresh = undefined;
    this.#dueWriting = new Map();
    for (const entry of this.#writing) entry.writing = false;
    this.#writing = [];
    this.registers.written(this.#registersWriting);
    this.#registersWriting = [];
  }

  /** The store did not take the step: its keys are dirty again, and its due rows too unless they have changed since. */
  putBack(): void {
    const [entries, due] = [this.#writing, this.#dueWriting];
    this.registers.putBack(this.#registersWriting);
    this.#registersWriting = [];
    this.written();
    for (const [rowKey, value] of due) if (!this.#due.has(rowKey)) this.#due.set(rowKey, value);
    for (const entry of entries) this.#setDirty(entry);
  }
}

/** Its state is only made when it is shown. */
class FreshRegister implements Fresh {
  readonly name: string;
  readonly #registers: RegisterTable;
  readonly #place: number;

  constructor(registers: RegisterTable, place: number) {
    this.#registers = registers;
    this.#place = place;
    this.name = registers.nameOf(place);
  }

  get state(): AnyState | undefined {
    return this.#registers.state(this.#place);
  }
}

/** `t`, the stamp in 14 hex digits, the key: in order of stamps. */
export function dueRow(stamp: number, key: StateKey): string {
  return DUE_ROW + stamp.toString(16).padStart(14, '0') + key;
}

export function keyOfDueRow(rowKey: string): StateKey {
  return rowKey.slice(DUE_ROW.length + 14) as StateKey;
}

/** Of a client's ops. */
export function keysOfOps(ops: readonly { readonly collection: CollectionRef; readonly key: string }[]): KeyOf[] {
  return ops.map(({ collection, key }) => ({ key: stateKey(collection, key), type: collection.type }));
}

export function keysOfLocated(ops: LocatedOps): KeyOf[] {
  const keys: KeyOf[] = [];
  for (let i = 0; i < ops.count; i++) {
    const collection = ops.collection(i);
    if (collection !== undefined) keys.push({ key: stateKey(collection, ops.key(i)), type: collection.type });
  }
  return keys;
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
