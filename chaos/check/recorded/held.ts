// I5: what is stamped far in the future stays in its region. Every other region holds the stream and says so; it does not take the op, skip
// it, or let its own clock be pushed.

import { dotText, regionOf } from '../../history/names.ts';
import type { Check } from './check.ts';

const ALARM = 'clock-hold';

export const held: Check = {
  name: 'held',
  promise: 'an op that is stamped far in the future is taken by no other region, and each raises an alarm',
  judge: (recording, found) => {
    const { heldFrom, heldRegions } = recording;
    let looked = 0;
    for (const [region, shards] of recording.logs) {
      for (const [shard, entries] of shards) {
        for (const [origin, seq] of entries) {
          if (seq < (heldFrom.get(`${shard} ${origin}`) ?? Infinity)) continue;
          looked++;
          if (regionOf(origin) !== region)
            found(`${region} took ${dotText({ origin, seq })} in ${shard}, which is stamped far in the future`);
        }
      }
    }
    for (const region of recording.regions) {
      if (heldRegions.size === 0 || heldRegions.has(region)) continue;
      const alarmed = recording.samples.some((sample) => sample.region === region && sample.alarms.includes(ALARM));
      if (!alarmed) found(`${region} raised no alarm (${ALARM}) about ${[...heldRegions].join(' and ')}`);
    }
    // A region whose own clock was pushed would be held by the others in turn.
    if (heldRegions.size > 1)
      found(`${[...heldRegions].join(' and ')} stamp far in the future; one clock was set wrong`);
    return { looked, facts: { 'regions whose stream is held': heldRegions.size } };
  },
};
