// I14: while a region can log nothing, every other region's lag to it is at least as old as that, never zero.

import type { Check } from './check.ts';

/** What a region may have promised ahead (its lease of stamps), a heartbeat, and the sampler's own waiting. */
const SLACK_MS = 3000;

export const silence: Check = {
  name: 'silence',
  promise: 'lag to a region that can log nothing grows as time passes, wherever it is told',
  judge: (recording, found) => {
    let looked = 0;
    let shownMs = 0;
    for (const { region, fromMs, toMs } of recording.silences) {
      for (const { region: other, atMs, lagMs } of recording.samples) {
        const shown = lagMs[region];
        if (other === region || shown === undefined || atMs < fromMs + SLACK_MS || atMs > toMs) continue;
        looked++;
        shownMs = Math.max(shownMs, shown);
        if (shown < atMs - fromMs - SLACK_MS) {
          found(
            `${other} told a lag of ${shown} ms to ${region} at ${Math.round(atMs)} ms, which had logged nothing for ${Math.round(atMs - fromMs)} ms`,
          );
        }
      }
    }
    return { looked, facts: { 'longest lag told, ms': shownMs } };
  },
};
