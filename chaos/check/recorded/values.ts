// I3, I9: every key of every region reads as the reference specification makes of the ops in that region's log: winner of a register,
// siblings, sum of a counter, dots of a set, fields of a map.

import type { Intent } from '../../../src/merge/types.ts';
import type { MergeTypeName } from '../../../src/record/op.ts';
import type { View } from '../../../src/client/index.ts';
import { viewRecord } from '../../history/names.ts';
import type { ViewRecord } from '../../history/records.ts';
import { REFERENCE } from '../reference.ts';
import { Causality, type LoggedKeyOp } from './causality.ts';
import type { Check } from './check.ts';

export const values: Check = {
  name: 'values',
  promise: 'every key reads as the reference specification makes of its ops',
  judge: (recording, found) => {
    const causality = new Causality(recording);
    let [looked, skipped] = [0, 0];
    for (const region of recording.regions) {
      const finals = new Map(recording.finals.get(region));
      for (const { name, type, ops } of causality.keysOf(region)) {
        const got = finals.get(name);
        finals.delete(name);
        if (ops.some((op) => op.hasLostItsPast && asksWhatItSaw(type, op.intent))) {
          skipped++;
          continue;
        }
        looked++;
        const expected = REFERENCE[type](ops, 0);
        const expectedText = textOf(expected === undefined ? undefined : viewRecord(expected as View));
        if (textOf(got) !== expectedText) {
          found(`${region}: ${name} reads as ${textOf(got)}; its ops (${opsText(ops)}) make ${expectedText}`);
        }
      }
      for (const [name, view] of finals)
        found(`${region}: ${name} reads as ${textOf(view)}, and no op of it is in the log`);
    }
    return { looked, facts: { 'keys left out, because a lost disk took what their ops had seen': skipped } };
  },
};

/** Does what such an op does depend on what its author had seen? */
function asksWhatItSaw(type: MergeTypeName, intent: Intent): boolean {
  if (type === 'register-lww' || type === 'map-lww') return false;
  return intent.kind !== 'increment' && intent.kind !== 'set-add';
}

function textOf(view: ViewRecord | undefined): string {
  return view === undefined ? 'absent' : JSON.stringify(view);
}

const OPS_SHOWN = 8;

function opsText(ops: readonly LoggedKeyOp[]): string {
  const shown = ops
    .slice(-OPS_SHOWN)
    .map(({ recorded, version }) => `op ${recorded.op} ${recorded.first.intent.kind}@${version.stamp}`);
  return `${ops.length > OPS_SHOWN ? `${ops.length - OPS_SHOWN} more, ` : ''}${shown.join(', ')}`;
}
