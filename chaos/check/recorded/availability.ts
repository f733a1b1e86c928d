// How long the clients of a region went without a successful write, at most.

import type { Check, Facts } from './check.ts';

export interface Outage {
  readonly home: string;
  readonly fromMs: number;
  readonly ms: number;
}

export const availability: Check = {
  name: 'availability',
  promise: 'clients that may go to other regions go on writing',
  judge: (recording, found) => {
    const { end, regions, run } = recording;
    const facts: Record<string, number> = {};
    let looked = 0;
    for (const home of regions) {
      const ends = recording.writes
        .filter((write) => write.failsOver === true && write.home === home && write.outcome === 'ok')
        .map(({ endMs }) => endMs)
        .filter((ms) => end !== undefined && ms >= end.trafficFromMs && ms <= end.trafficToMs)
        .sort((a, b) => a - b);
      looked += ends.length;
      const longest = longestGap(home, [end?.trafficFromMs ?? 0, ...ends, end?.trafficToMs ?? 0]);
      facts[`${home}: longest ms without a write`] = Math.round(longest.ms);
      const limitMs = run.limits.unavailableMsMax?.[home];
      if (limitMs !== undefined && longest.ms > limitMs) {
        found(
          `clients of ${home} wrote nothing for ${Math.round(longest.ms)} ms from ${Math.round(longest.fromMs)} ms on; at most ${limitMs} ms are promised`,
        );
      }
    }
    return { looked, facts: facts satisfies Facts };
  },
};

function longestGap(home: string, times: readonly number[]): Outage {
  let longest: Outage = { home, fromMs: 0, ms: 0 };
  for (let i = 1; i < times.length; i++) {
    const ms = times[i]! - times[i - 1]!;
    if (ms > longest.ms) longest = { home, fromMs: times[i - 1]!, ms };
  }
  return longest;
}
