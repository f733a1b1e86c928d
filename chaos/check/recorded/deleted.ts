// I9, I1: an element that was added and not removed is in every region; one whose removal was acknowledged by the region that had
// acknowledged the add is in none. Elements are unique, so that nothing else can put them back.

import { compareVersions } from '../../../src/record/ids.ts';
import { keyName, regionOf, versionOf } from '../../history/names.ts';
import type { RecordedOp } from '../../history/recording.ts';
import { isExcused } from './acknowledged.ts';
import type { Check } from './check.ts';

interface Element {
  add: RecordedOp | undefined;
  readonly removes: RecordedOp[];
}

export const deleted: Check = {
  name: 'deleted',
  promise: 'what was added stays until it is removed, and what was removed does not come back',
  judge: (recording, found) => {
    const elements = new Map<string, Map<string, Element>>();
    for (const op of recording.ops.values()) {
      const { collection, key, intent } = op.first;
      if (collection !== 'sets' || (intent.kind !== 'set-add' && intent.kind !== 'set-remove')) continue;
      const ofKey = elements.get(key) ?? new Map<string, Element>();
      elements.set(key, ofKey);
      for (const name of intent.elements) {
        const element = ofKey.get(name) ?? { add: undefined, removes: [] };
        ofKey.set(name, element);
        if (intent.kind === 'set-add') element.add = op;
        else element.removes.push(op);
      }
    }
    let [looked, resurrected] = [0, 0];
    for (const [key, ofKey] of elements) {
      for (const region of recording.regions) {
        const view = recording.finals.get(region)?.get(keyName('sets', key));
        const there = new Set(view?.type === 'set-aw' ? view.elements : []);
        for (const [name, { add, removes }] of ofKey) {
          looked++;
          if (add === undefined || add.outcome === 'failed') {
            if (there.has(name)) found(`${region}: set ${key} has ${name}, which was not added`);
            continue;
          }
          if ([add, ...removes].some((op) => recording.isHeld(op) || isExcused(recording, op))) continue;
          if (removes.some((remove) => hadSeen(remove, add))) {
            if (there.has(name)) {
              resurrected++;
              found(`${region}: set ${key} has ${name}, whose removal was acknowledged`);
            }
          } else if (add.outcome === 'ok' && !there.has(name) && removes.every(({ outcome }) => outcome === 'failed')) {
            found(`${region}: set ${key} lost ${name}, which was acknowledged and never removed`);
          }
        }
        for (const name of there) if (!ofKey.has(name)) found(`${region}: set ${key} has ${name}, which nobody added`);
      }
    }
    return { looked, facts: { resurrected } };
  },
};

/** A removal takes away what its region had: certainly the add, if that was acknowledged by the same region before. */
function hadSeen(remove: RecordedOp, add: RecordedOp): boolean {
  if (remove.outcome !== 'ok' || remove.version === undefined || add.version === undefined) return false;
  return (
    regionOf(remove.version.origin) === regionOf(add.version.origin) &&
    add.tries.some(({ outcome, endMs }) => outcome === 'ok' && endMs <= remove.first.startMs) &&
    compareVersions(versionOf(remove.version), versionOf(add.version)) > 0
  );
}
