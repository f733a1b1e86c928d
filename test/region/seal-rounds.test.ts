// How long rounds wait for each other, by how busy the node is and what a commit costs.

import { expect, test } from 'vitest';
import { SealRounds } from '../../src/region/seal-rounds.ts';
import type { System } from '../../src/system/system.ts';

/** Rounds one after the other on a node that is so busy; the pace afterwards. */
function paceAfter(rounds: number, busy: number, isRemote: boolean): number {
  let nowMs = 0;
  const due: (() => void)[] = [];
  const system = {
    clock: { monotonicMs: () => nowMs },
    load: { busy: () => busy },
    timers: {
      soon: (fn: () => void) => void due.push(fn),
      after: (ms: number, fn: () => void) => {
        due.push(() => {
          nowMs += ms;
          fn();
        });
        return { cancel: () => undefined };
      },
    },
  } as unknown as System;
  const paced = new SealRounds(system, { isRemote }, () => undefined);
  let sealed = 0;
  for (let i = 0; i < rounds; i++) {
    nowMs += 50;
    paced.want({ sealNow: () => void sealed++ });
    due.shift()!();
  }
  expect(sealed).toBe(rounds);
  return paced.paceMs;
}

test.each([
  [0.1, 0, 0],
  [0.45, 0, 65],
  [0.9, 40, 65],
])('at %f of the time: up to %i ms apart on a log of its own, %i ms on servers', (busy, local, remote) => {
  expect(paceAfter(40, busy, false)).toBe(local);
  expect(paceAfter(40, busy, true)).toBe(remote);
});
