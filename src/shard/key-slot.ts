// A key in the owner's memory: its durable state, and the speculative one that batches on their way to the log have made of it.
// One object per key, held by the shell's cache and pointed to by batches in flight, so that an op looks its key up once.
//
// Owns nothing; the engine alone writes `state`, `pending` and `contribution` (DESIGN 4: what is speculative is never shown).

import type { AnyState } from '../merge/merge.ts';
import type { StateKey } from '../record/ids.ts';
import type { MergeTypeName } from '../record/op.ts';
import type { Contribution } from './digest.ts';

export interface KeySlot {
  readonly key: StateKey;
  readonly type: MergeTypeName;
  /** As of what has landed. */
  state: AnyState | undefined;
  /** What the batches in flight have made of it; meaningless while pendingCount is 0. */
  pending: AnyState | undefined;
  /** Batches in flight (the open one included) that change this key. While there are any the slot must stay in memory. */
  pendingCount: number;
  /** What `state` adds to the shard's digest, when that is known and nothing of it expires. */
  contribution: Contribution | undefined;
}

/** The keys' slots. The shell has loaded every key that an input needs; asking for another is its mistake. */
export interface KeyStates {
  slot(key: StateKey, type: MergeTypeName): KeySlot;
}

/** A class, so that all slots have one shape: they are touched several times an op. */
export class Slot implements KeySlot {
  readonly key: StateKey;
  readonly type: MergeTypeName;
  state: AnyState | undefined;
  pending: AnyState | undefined = undefined;
  pendingCount = 0;
  contribution: Contribution | undefined = undefined;

  constructor(key: StateKey, type: MergeTypeName, state: AnyState | undefined) {
    this.key = key;
    this.type = type;
    this.state = state;
  }
}

/** What the next op of the key is prepared on. */
export function latest(slot: KeySlot): AnyState | undefined {
  return slot.pendingCount > 0 ? slot.pending : slot.state;
}
