// A key in the owner's memory: its durable state, and the speculative one that batches on their way to the log have made of it.
// Of last-writer-wins registers, which are most keys, both are in the shard's RegisterTable. Of every other type there is one object per
// key, held by the shell's cache and pointed to by batches in flight, so that an op looks its key up once.
//
// Owns nothing; the engine alone writes what is durable and what is newest (DESIGN 4: what is speculative is never shown).

import type { AnyState } from '../merge/merge.ts';
import type { RegisterTable } from '../merge/register-table.ts';
import { asciiHash } from '../record/key-hash.ts';
import type { LocatedOps } from '../record/located-ops.ts';
import type { StateKey } from '../record/ids.ts';
import { stateKeyPrefix, type CollectionRef, type MergeTypeName } from '../record/op.ts';
import { Contribution } from './digest.ts';

/** What one batch in flight makes of one key. */
export interface Speculation {
  readonly state: AnyState | undefined;
}

/** The keys' states. What an answer names stays in memory until the shell does something else with the shard. */
export interface KeyStates {
  /** Of a key that is no register-lww. */
  slot(collection: CollectionRef, key: string): Slot;
  slotAt(key: StateKey, type: MergeTypeName): Slot;
  readonly registers: RegisterTable;
  /** The place of a register-lww; it is there from now on. `collection` is the table's number, `hash` keyHash() of the bytes. */
  register(collection: number, hash: number, bytes: Buffer, at: number, length: number): number;
  registerAt(key: StateKey): number;
}

/** A class, so that all slots have one shape: they are touched several times an op. */
export class Slot extends Contribution {
  /** stateKeyPrefix of its collection: one string for all of them. */
  readonly prefix: string;
  /** Within its collection. */
  readonly name: string;
  readonly type: MergeTypeName;
  /** As of what has landed. */
  state: AnyState | undefined;
  /** Of the last batch in flight (the open one included) that changes this key. While there is one the slot must stay in memory. */
  newest: Speculation | undefined = undefined;

  constructor(prefix: string, name: string, type: MergeTypeName, state: AnyState | undefined) {
    super();
    this.prefix = prefix;
    this.name = name;
    this.type = type;
    this.state = state;
  }

  get key(): StateKey {
    return (this.prefix + this.name) as StateKey;
  }
}

/** What the next op of the key is prepared on. */
export function latest(slot: Slot): AnyState | undefined {
  return slot.newest === undefined ? slot.state : slot.newest.state;
}

/** Where the registers of a batch are, op by op; -1 for every other op. */
export function placesOf(ops: LocatedOps, states: KeyStates): number[] {
  // By the batch's own table; -1: of another type.
  const collections = ops.collections.map((collection) =>
    collection.type === 'register-lww' ? states.registers.collection(stateKeyPrefix(collection)) : -1,
  );
  const collectionOf = (i: number): number => {
    const at = ops.collectionAt(i);
    return at === 0 ? -1 : collections[at - 1]!;
  };
  bringNear(states.registers, ops, collectionOf);
  const places: number[] = [];
  for (let i = 0; i < ops.count; i++) {
    const collection = collectionOf(i);
    places.push(
      collection < 0 ? -1 : states.register(collection, ops.keyHash(i), ops.bytes, ops.keyAt(i), ops.keyLength(i)),
    );
  }
  return places;
}

const guesses: number[] = [];

function bringNear(registers: RegisterTable, ops: LocatedOps, collectionOf: (i: number) => number): void {
  guesses.length = 0;
  for (let i = 0; i < ops.count; i++) {
    const collection = collectionOf(i);
    if (collection >= 0) guesses.push(registers.guess(collection, ops.keyHash(i)));
  }
  registers.bringNear(guesses);
}

/** For ops that are about to be admitted: see RegisterTable.bringNear. */
export function bringKeysNear(
  registers: RegisterTable,
  ops: readonly { readonly collection: CollectionRef; readonly key: string }[],
): void {
  guesses.length = 0;
  let of: CollectionRef | undefined;
  let collection = 0;
  for (let i = 0; i < ops.length; i++) {
    const op = ops[i]!;
    if (op.collection.type !== 'register-lww') continue;
    if (op.collection !== of) {
      of = op.collection;
      collection = registers.collection(stateKeyPrefix(of));
    }
    guesses.push(registers.guess(collection, asciiHash(op.key)));
  }
  registers.bringNear(guesses);
}
