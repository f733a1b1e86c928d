// I3: when everything has healed, all regions agree, soon. A region whose stream is held for its stamps agrees with nobody until it is
// cured; the others agree all the same.

import type { Check } from './check.ts';

export const convergence: Check = {
  name: 'convergence',
  promise: 'after healing all regions have equal digests within the time',
  judge: (recording, found) => {
    const { converged, run } = recording;
    const { convergeMsMax } = run.limits;
    if (converged?.afterMs === undefined) found('the digests did not become equal');
    else if (converged.afterMs > convergeMsMax)
      found(`the digests were equal ${converged.afterMs} ms after healing; ${convergeMsMax} ms are promised`);
    const held = recording.heldRegions;
    const [first, ...others] = recording.digests.filter(({ region }) => !held.has(region));
    let looked = 0;
    for (const other of others) {
      for (const { shard, digest, vector } of first!.shards) {
        looked++;
        const theirs = other.shards.find((each) => each.shard === shard);
        if (theirs?.digest === digest) continue;
        const differing = Object.keys({ ...vector, ...theirs?.vector }).filter(
          (origin) => vector[origin] !== theirs?.vector[origin],
        );
        const why = differing.length === 0 ? 'with equal vectors' : `they differ in ${differing.join(', ')}`;
        found(`${first!.region} and ${other.region} have different digests of ${shard}, ${why}`);
      }
    }
    return { looked, facts: { 'ms to equal digests': Math.round(converged?.afterMs ?? -1) } };
  },
};
