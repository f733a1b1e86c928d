// What a fault had to bring about: a loss is noticed, and told; somebody else takes over. That it came, and in time.

import type { Check } from './check.ts';

export const effects: Check = {
  name: 'effects',
  promise: 'what is lost or broken is noticed and made good within its time',
  judge: (recording, found) => {
    const facts: Record<string, number> = {};
    for (const { region, says, withinMs, afterMs, atMs } of recording.effects) {
      if (afterMs === undefined) {
        found(`${region} by ${Math.round(atMs)} ms: ${says}: not seen; ${withinMs} ms are promised`);
        continue;
      }
      const name = `${region}: ${says}, ms`;
      facts[name] = Math.max(facts[name] ?? 0, afterMs);
      if (afterMs > withinMs) found(`${region}: ${says} after ${afterMs} ms; ${withinMs} ms are promised`);
    }
    return { looked: recording.effects.length, facts };
  },
};
