// How long rounds wait for each other, by how busy the node is and what a commit costs.

import { expect, test } from 'vitest';
import { SealRounds } from '../../src/region/seal-rounds.ts';
import type { System } from '../../src/system/system.ts';

/** Rounds one after the other, half as often as the node judges itself, on a node that is busy as `busyAt` says of its pace; the pace afterwards. */
function paceAfter(rounds: number, busyAt: (paceMs: number) => number, isRemote = false): number {
  let nowMs = 0;
  const due: (() => void)[] = [];
  const system = {
    clock: { monotonicMs: () => nowMs },
    load: { busy: () => busyAt(paced.paceMs) },
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
    nowMs += 25;
    paced.want({ sealNow: () => void sealed++ });
    due.shift()!();
  }
  expect(sealed).toBe(rounds);
  return paced.paceMs;
}

test.each([
  [0.1, 0, 0],
  [0.35, 0, 0],
  [0.9, 40, 65],
])('at %f of the time, whatever the pace: %i ms apart on a log of its own, %i ms on servers', (busy, local, remote) => {
  expect(paceAfter(200, () => busy)).toBe(local);
  expect(paceAfter(200, () => busy, true)).toBe(remote);
});

// What was wrong before: a pace that a burst had left behind stayed, while the node had time for twice as many rounds.
test('the pace comes to rest where rounds leave the node the time that it should have, from both sides', () => {
  const costs = (perRoundMs: number) => (paceMs: number) => Math.min(1, perRoundMs / Math.max(1, paceMs));
  let before = 0;
  const burstThen = (perRoundMs: number) => (paceMs: number) => (before++ < 40 ? 1 : costs(perRoundMs)(paceMs));
  expect(paceAfter(1000, costs(4))).toBeCloseTo(4 / 0.5, 0);
  expect(paceAfter(1000, burstThen(4))).toBeCloseTo(4 / 0.5, 0);
  expect(before).toBeGreaterThan(40);
});

test('one long turn does not move the pace by much', () => {
  const busy = (paceMs: number): number => Math.min(1, 4 / Math.max(1, paceMs));
  let judgements = 0;
  const before = paceAfter(400, (paceMs) => {
    judgements++;
    return busy(paceMs);
  });
  let at = 0;
  const after = paceAfter(400, (paceMs) => (++at === judgements ? 1 : busy(paceMs)));
  expect(at).toBe(judgements);
  expect(after / before).toBeGreaterThan(1.1);
  expect(after / before).toBeLessThan(1.2);
});
