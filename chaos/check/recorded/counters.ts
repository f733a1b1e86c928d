// I2: a counter is the sum of what was acknowledged, give or take what may have happened. By the clients' facts alone.

import { keyName } from '../../history/names.ts';
import { isExcused } from './acknowledged.ts';
import type { Check } from './check.ts';

interface Bounds {
  definite: bigint;
  /** What may have happened as well: below 0, and above. */
  below: bigint;
  above: bigint;
}

export const counters: Check = {
  name: 'counters',
  promise: 'a counter is the sum of its acknowledged increments, give or take those that may have happened',
  judge: (recording, found) => {
    const bounds = new Map<string, Bounds>();
    for (const op of recording.ops.values()) {
      const { collection, key, intent } = op.first;
      if (collection !== 'counters' || intent.kind !== 'increment') continue;
      const bound = bounds.get(key) ?? { definite: 0n, below: 0n, above: 0n };
      bounds.set(key, bound);
      if (op.outcome === 'failed') continue;
      const by = BigInt(intent.by);
      // What other regions hold back counts in its own.
      const unsure = op.outcome === 'maybe' || isExcused(recording, op) || recording.isHeld(op);
      if (!unsure) bound.definite += by;
      else if (by < 0n) bound.below += by;
      else bound.above += by;
    }
    for (const [key, { definite, below, above }] of bounds) {
      for (const region of recording.regions) {
        const view = recording.finals.get(region)?.get(keyName('counters', key));
        const value = view?.type === 'counter-pn' ? BigInt(view.value) : 0n;
        if (value >= definite + below && value <= definite + above) continue;
        const range = below === above ? `${definite}` : `${definite + below} to ${definite + above}`;
        found(`${region}: counter ${key} is ${value}; its acknowledged increments make ${range}`);
      }
    }
    return { looked: bounds.size * recording.regions.length };
  },
};
