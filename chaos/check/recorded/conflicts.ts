// DESIGN 6: a write that lost in its own region to one that had not seen it stands in that region's conflict journal, once, and nothing
// else does. Against the reference, from the regions' logs. A region that lost its disk is not asked: its journal went with it.

import { dotText, regionOf } from '../../history/names.ts';
import type { VersionRecord } from '../../history/records.ts';
import { expectedConflicts } from '../reference.ts';
import { Causality } from './causality.ts';
import type { Check } from './check.ts';

export const conflicts: Check = {
  name: 'conflicts',
  promise: 'every lost write is in the conflict journal of its region, once, and nothing else is',
  judge: (recording, found) => {
    const causality = new Causality(recording);
    let [looked, missed, invented] = [0, 0, 0];
    for (const region of recording.regions) {
      if (recording.lostItsDisk(region)) continue;
      const journal = new Map<string, VersionRecord>();
      for (const { dropped, entries } of recording.conflicts.filter((record) => record.region === region)) {
        if (dropped > 0) found(`${region} dropped ${dropped} conflicts: there are too many of them for this check`);
        for (const { shard, collection, key, field, loser, winner } of entries) {
          const verdict = nameOf(shard, `${collection}/${key}`, field, loser);
          if (journal.has(verdict)) found(`${region}: ${verdict} is in the journal twice`);
          journal.set(verdict, winner);
        }
      }
      for (const { shard, name, type, ops } of causality.keysOf(region)) {
        // What such an op had seen cannot be known any more.
        const unsure = new Set(
          ops.filter(({ hasLostItsPast }) => hasLostItsPast).map(({ version }) => dotText(version)),
        );
        const isLocal = ({ origin }: VersionRecord): boolean => regionOf(origin) === region;
        for (const { field, loser, winner, loserIsCollected } of expectedConflicts(type, ops, isLocal)) {
          const verdict = nameOf(shard, name, field, loser);
          const there = journal.get(verdict);
          journal.delete(verdict);
          if (unsure.has(dotText(winner))) continue;
          // All had it, and it was collected; who lost his disk since then does not know of it.
          if (there === undefined && loserIsCollected && recording.lostItsDisk(regionOf(winner.origin))) continue;
          looked++;
          if (there === undefined) {
            missed++;
            found(
              `${region}: ${verdict} lost to ${dotText(winner)}, which had not seen it, and the journal does not say so`,
            );
          } else if (dotText(there) !== dotText(winner)) {
            found(`${region}: ${verdict} lost to ${dotText(winner)}; the journal says ${dotText(there)}`);
          }
        }
        for (const [verdict, winner] of journal) if (unsure.has(dotText(winner))) journal.delete(verdict);
      }
      for (const [verdict, winner] of journal) {
        invented++;
        found(`${region}: the journal says that ${verdict} lost to ${dotText(winner)}, which is no conflict`);
      }
    }
    return { looked, facts: { missed, invented } };
  },
};

function nameOf(shard: string, name: string, field: string | undefined, loser: VersionRecord): string {
  return `${name}${field === undefined ? '' : `.${field}`} ${dotText(loser)} in ${shard}`;
}
