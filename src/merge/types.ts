// What a merge type is: the contract that every file beside this one fulfils.
//
// States are immutable: apply, collect and mergeStates return a new state and leave their arguments as they were, because the
// engine keeps the durable state and the speculative one beside each other (DESIGN 4). `undefined` is the absent state.
//
// Laws, held by properties in test/merge against test/spec:
// - apply depends on the op and the state alone, and ops are applied in a causal order, each dot once (I2, I4): under that
//   delivery every region reaches the same state (I3);
// - mergeStates is commutative, associative and idempotent for states with their causal contexts;
// - decode(encode(s)) equals s, and decode refuses hostile bytes with MalformedBytes;
// - collect(s, floor) never changes what is live, nor what any op with a stamp above `floor` would make of it (I9).

import type { ByteWriter } from '../record/bytes.ts';
import type { Dot, Version } from '../record/ids.ts';
import type { MergeTypeName } from '../record/op.ts';
import type { ReadonlyVector } from '../record/vector.ts';

/** What a client asks for. Which merge type takes which is in each file; others are refused as WRONG_OPERATION. */
export type Intent =
  /** register-lww, register-mv. `observed` (register-mv): the dots that the writer had read; absent = all that are here. */
  | {
      readonly kind: 'put';
      readonly value: Uint8Array;
      readonly expiresAtMs?: number;
      readonly observed?: readonly Dot[];
    }
  /** Every type: the key reads as absent afterwards. counter-pn: a reset; set-aw: removes what is here; map-lww: the floor rises. */
  | { readonly kind: 'delete'; readonly observed?: readonly Dot[] }
  /** counter-pn. Negative to decrement; within ±2^63. */
  | { readonly kind: 'increment'; readonly by: bigint }
  /** set-aw. */
  | { readonly kind: 'set-add'; readonly elements: readonly Uint8Array[]; readonly expiresAtMs?: number }
  | { readonly kind: 'set-remove'; readonly elements: readonly Uint8Array[] }
  /** map-lww. A field that stands in both is an error. */
  | {
      readonly kind: 'map-update';
      readonly put: readonly { readonly field: string; readonly value: Uint8Array; readonly expiresAtMs?: number }[];
      readonly remove: readonly string[];
    };

/** What a reader sees. Versions are those of the writes that are visible. Expired parts are left out. */
export type View =
  | {
      readonly type: 'register-lww';
      readonly value: Uint8Array;
      readonly version: Version;
      readonly expiresAtMs?: number | undefined;
    }
  | {
      readonly type: 'register-mv';
      readonly siblings: readonly { readonly value: Uint8Array; readonly version: Version }[];
    }
  | { readonly type: 'counter-pn'; readonly value: bigint }
  /** Sorted by bytes. */
  | { readonly type: 'set-aw'; readonly elements: readonly Uint8Array[] }
  /** Sorted by field (UTF-16 order). */
  | {
      readonly type: 'map-lww';
      readonly fields: readonly { readonly field: string; readonly value: Uint8Array; readonly version: Version }[];
    };

export interface PrepareContext {
  /** The dot and stamp that the op will have. */
  readonly version: Version;
  readonly nowMs: number;
}

/** The op that is being applied, and what it had seen. */
export interface OpContext {
  readonly version: Version;
  /** Had the op's author seen this dot (its deps, and everything earlier of its own origin)? */
  seen(dot: Dot): boolean;
}

/** A current version that the op replaced. The engine judges whether that is a conflict (DESIGN 6). */
export interface Displaced {
  readonly loser: Version;
  /** map-lww: the field. */
  readonly field?: string;
  /** undefined: the loser was a delete. */
  readonly value: Uint8Array | undefined;
  /** Unix ms at which the value would have stopped being there. */
  readonly expiresAtMs?: number | undefined;
}

export interface Applied<S> {
  readonly state: S | undefined;
  /** Only register-lww and map-lww lose versions; the others keep or observe them. */
  readonly displaced?: readonly Displaced[];
}

/** One live part of a state, in canonical bytes: equal live states give equal sets of parts in every region (I3). */
export interface LivePart {
  readonly bytes: Uint8Array;
  /** Unix ms at which the part stops being live; Infinity when it never does. */
  readonly expiresAtMs: number;
}

export interface Merge<S> {
  readonly name: MergeTypeName;
  /** Of the state's encoding; the first byte of it. A reader knows its own and all lower ones. */
  readonly stateVersion: number;

  /** Turns an intent into the op's payload, prepared on `state`. Throws CausewayError WRONG_OPERATION, INVALID_ARGUMENT or TOO_LARGE. */
  prepare(state: S | undefined, intent: Intent, context: PrepareContext): Uint8Array;
  /** Throws MalformedBytes for a payload that no version of this type wrote; never for a state. Keeps no view on the payload. */
  apply(state: S | undefined, payload: Uint8Array, op: OpContext): Applied<S>;
  /** Merges whole states: what one side lacks is dropped iff that side's vector covers its dot. An origin whose entry has been
   *  folded away must stand in the vectors all the same (with its end, or Infinity): absent means "nothing of it was seen". */
  mergeStates(a: S | undefined, aSeen: ReadonlyVector, b: S | undefined, bSeen: ReadonlyVector): S | undefined;

  /** What a reader sees at `nowMs`, undefined when nothing live is there. */
  view(state: S | undefined, nowMs: number): View | undefined;
  /** The live parts, expiring ones included whatever the time is. Their bytes may be changed by the next call of any merge. */
  liveParts(state: S): readonly LivePart[];
  /** The lowest stamp at which collect could drop something; undefined when it holds nothing to collect. For a tombstone
   *  its stamp; for an expiring version the stamp of max(its own, expiry + EXPIRY_GRACE_MS). */
  collectableAt(state: S): number | undefined;
  /** Drops what only an op with a stamp at or below `floor` could still lose to. */
  collect(state: S, floor: number): S | undefined;

  /** Writes the state's bytes behind what `into` holds. */
  encode(state: S, into: ByteWriter): void;
  /** Throws MalformedBytes. The state keeps views on `bytes`: they must not change any more. */
  decode(bytes: Uint8Array): S;

  /** The same payload for people and programs (feed, key history): what the op does, without its context. Throws MalformedBytes
   *  exactly when apply does: batches are judged by it before they are logged. */
  describe(payload: Uint8Array): OpDescription;
  /** describe without its answer, for who only wants it to throw. */
  check(payload: Uint8Array): void;
}

export type OpDescription =
  | { readonly kind: 'put'; readonly value: Uint8Array; readonly expiresAtMs?: number | undefined }
  | { readonly kind: 'delete' }
  | { readonly kind: 'increment'; /** of the op alone */ readonly by: bigint }
  | { readonly kind: 'set-add'; readonly elements: readonly Uint8Array[] }
  | { readonly kind: 'set-remove'; readonly elements: readonly Uint8Array[] }
  | {
      readonly kind: 'map-update';
      readonly put: readonly { readonly field: string; readonly value: Uint8Array }[];
      readonly remove: readonly string[];
    };

/** An expired version stays this long, so that a digest pinned to a moment in the last minute can still count it. */
export const EXPIRY_GRACE_MS = 60_000;

/** Bounds of one key's state and of one op. Beyond them prepare refuses with TOO_LARGE; apply never does (remote regions may differ). */
export const LIMITS = {
  valueBytesMax: 1024 * 1024,
  /** The payload of one op. */
  opBytesMax: 4 * 1024 * 1024,
  /** Values, fields and elements of one key, those included that wait for collection. */
  stateBytesMax: 16 * 1024 * 1024,
  siblingsMax: 64,
  setElementBytesMax: 1024,
  setElementsMax: 65_536,
  setElementsPerOpMax: 4096,
  mapFieldBytesMax: 1024,
  mapFieldsMax: 65_536,
  mapFieldsPerOpMax: 4096,
  counterMax: 2n ** 63n - 1n,
} as const;
