// What the merge types are measured against: for each, a pure function from the ops that a region has applied to what a
// reader must see there. Written from DESIGN 6, without states, slots, floors or codecs, and as plainly as possible.

import type { MergeTypeName } from '../../src/record/op.ts';
import { counterPnSpec } from './counter-pn.ts';
import type { Spec } from './history.ts';
import { mapLwwSpec } from './map-lww.ts';
import { registerLwwSpec } from './register-lww.ts';
import { registerMvSpec } from './register-mv.ts';
import { setAwSpec } from './set-aw.ts';

export const SPECS: { readonly [T in MergeTypeName]: Spec } = {
  'register-lww': registerLwwSpec,
  'register-mv': registerMvSpec,
  'counter-pn': counterPnSpec,
  'set-aw': setAwSpec,
  'map-lww': mapLwwSpec,
};
