// A key in the owner's memory: its durable state, and the speculative one that batches on their way to the log have made of it.
// One object per key, held by the shell's cache and pointed to by batches in flight, so that an op looks its key up once.
//
// Owns nothing; the engine alone writes `state`, `newest` and `contribution` (DESIGN 4: what is speculative is never shown).

import type { AnyState } from '../merge/merge.ts';
import type { StateKey } from '../record/ids.ts';
import type { CollectionRef, MergeTypeName } from '../record/op.ts';
import { Contribution } from './digest.ts';

/** What one batch in flight makes of one key. */
export interface Speculation {
  readonly state: AnyState | undefined;
}

export interface KeySlot {
  readonly key: StateKey;
  readonly type: MergeTypeName;
  /** As of what has landed. */
  state: AnyState | undefined;
  /** Of the last batch in flight (the open one included) that changes this key. While there is one the slot must stay in memory. */
  newest: Speculation | undefined;
  /** What `state` adds to the shard's digest: the slot itself, because a second object would be a second fetch from memory. */
  readonly contribution: Contribution;
}

/** The keys' slots. The shell has loaded every key that an input needs; asking for another is its mistake. */
export interface KeyStates {
  slot(collection: CollectionRef, key: string): KeySlot;
  slotAt(key: StateKey, type: MergeTypeName): KeySlot;
  /** Of a whole batch, undefined for control ops. None of them leaves memory until another slot is asked for. */
  slotsOf(
    ops: readonly { readonly collection: CollectionRef | undefined; readonly key: string }[],
  ): (KeySlot | undefined)[];
}

/** A class, so that all slots have one shape: they are touched several times an op. */
export class Slot extends Contribution implements KeySlot {
  /** stateKeyPrefix of its collection: one string for all of them. */
  readonly prefix: string;
  /** Within its collection. */
  readonly name: string;
  readonly type: MergeTypeName;
  state: AnyState | undefined;
  newest: Speculation | undefined = undefined;

  constructor(prefix: string, name: string, type: MergeTypeName, state: AnyState | undefined) {
    super();
    this.prefix = prefix;
    this.name = name;
    this.type = type;
    this.state = state;
  }

  get contribution(): Contribution {
    return this;
  }

  get key(): StateKey {
    return (this.prefix + this.name) as StateKey;
  }
}

/** What the next op of the key is prepared on. */
export function latest(slot: KeySlot): AnyState | undefined {
  return slot.newest === undefined ? slot.state : slot.newest.state;
}
