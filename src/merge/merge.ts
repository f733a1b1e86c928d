// Every merge type there is. A type that is forgotten here is a compile error; adding one is one file and one line in each
// of the two tables, and a code in record/op.ts.
// I13 this is the only place where a merge rule exists.

import { ByteWriter } from '../record/bytes.ts';
import type { MergeTypeName } from '../record/op.ts';
import { counterPn, type CounterPn } from './counter-pn.ts';
import { mapLww, type MapLww } from './map-lww.ts';
import { registerLww, type RegisterLww } from './register-lww.ts';
import { registerMv, type RegisterMv } from './register-mv.ts';
import { setAw, type SetAw } from './set-aw.ts';
import type { Merge } from './types.ts';

export interface StateOf {
  'register-lww': RegisterLww;
  'register-mv': RegisterMv;
  'counter-pn': CounterPn;
  'set-aw': SetAw;
  'map-lww': MapLww;
}

export type AnyState = StateOf[MergeTypeName];

export const MERGES: { readonly [T in MergeTypeName]: Merge<StateOf[T]> } = {
  'register-lww': registerLww,
  'register-mv': registerMv,
  'counter-pn': counterPn,
  'set-aw': setAw,
  'map-lww': mapLww,
};

/** A state's bytes, in a buffer of their own. */
export function encoded(type: MergeTypeName, state: AnyState): Buffer {
  const writer = new ByteWriter();
  mergeOf(type).encode(state, writer);
  return writer.finish();
}

/** For callers that hold states of any type: a state must only be given to the merge that made it. */
export function mergeOf(type: MergeTypeName): Merge<AnyState> {
  return MERGES[type] as Merge<AnyState>;
}
