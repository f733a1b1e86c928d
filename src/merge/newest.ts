// The stamp of the newest op that a state shows a trace of, for the types whose states keep one of every op (deletes and removes
// stay until nothing older can come).

import type { MergeTypeName } from '../record/op.ts';
import type { MapLww } from './map-lww.ts';
import type { AnyState } from './merge.ts';
import type { RegisterLww } from './register-lww.ts';

/** undefined: the type's states do not tell. 0: nothing is kept. */
export function newestStampOf(type: MergeTypeName, state: AnyState | undefined): number | undefined {
  if (type === 'register-lww') return (state as RegisterLww | undefined)?.stamp ?? 0;
  if (type !== 'map-lww') return undefined;
  const map = state as MapLww | undefined;
  let newest = map?.floor?.stamp ?? 0;
  for (const { version } of map?.fields.values() ?? []) newest = Math.max(newest, version.stamp);
  return newest;
}
