// Giving a loser's value back: what to write, and whether what displaced it still stands (DESIGN 6). Pure.
//
// Only register-lww and map-lww lose versions; the other merge types keep what was concurrent, and have no entries.
// A restore is a new write like any other: it has seen the winner, so it is no conflict with it, and it may lose to another one.

import { CausewayError } from '../errors/errors.ts';
import type { AnyState } from '../merge/merge.ts';
import type { MapLww } from '../merge/map-lww.ts';
import type { RegisterLww } from '../merge/register-lww.ts';
import type { Intent } from '../merge/types.ts';
import type { Version } from '../record/ids.ts';
import { sameDot, type Conflict } from './entry.ts';

/** The version that a reader of the key, or of its field, meets now; deletes count. undefined: nothing is kept of it any more. */
function current({ collection, field }: Conflict, state: AnyState | undefined): Version | undefined {
  if (state === undefined) return undefined;
  if (collection.type === 'register-lww') return state as RegisterLww;
  const { fields, floor } = state as MapLww;
  return fields.get(field ?? '')?.version ?? floor;
}

/** Is the winner still the last word? A delete whose tombstone is gone is, as long as the key is absent. */
export function winnerStands(conflict: Conflict, state: AnyState | undefined): boolean {
  const version = current(conflict, state);
  return version === undefined ? conflict.winnerDeletes : sameDot(version, conflict.winner);
}

/**
 * The one write that gives back all these entries, which are of one loser and hence of one key. Throws CausewayError
 * PRECONDITION_FAILED when a value has expired since: written again it would never go.
 */
export function restoringIntent(conflicts: readonly Conflict[], nowMs: number): Intent {
  const [first] = conflicts;
  if (first === undefined) throw new CausewayError('INTERNAL', 'nothing to restore');
  for (const { loserExpiresAtMs } of conflicts) {
    if (loserExpiresAtMs === undefined || loserExpiresAtMs > nowMs) continue;
    throw new CausewayError(
      'PRECONDITION_FAILED',
      `the value that lost expired at ${new Date(loserExpiresAtMs).toISOString()}`,
      { hint: 'if it is wanted all the same, write it with put' },
    );
  }
  if (first.collection.type === 'register-lww') {
    if (first.loserValue === undefined) return { kind: 'delete' };
    return { kind: 'put', value: first.loserValue, ...expiryOf(first) };
  }
  const put: { field: string; value: Uint8Array; expiresAtMs?: number }[] = [];
  const remove: string[] = [];
  for (const conflict of conflicts) {
    const field = conflict.field ?? '';
    if (conflict.loserValue === undefined) remove.push(field);
    else put.push({ field, value: conflict.loserValue, ...expiryOf(conflict) });
  }
  return { kind: 'map-update', put, remove };
}

function expiryOf({ loserExpiresAtMs }: Conflict): { expiresAtMs?: number } {
  return loserExpiresAtMs === undefined ? {} : { expiresAtMs: loserExpiresAtMs };
}
