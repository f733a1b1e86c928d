// What Space-Saving promises, against counting everything: nothing counted too low, nothing beyond its error too high, no heavy name missed.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SpaceSaving } from '../../src/metrics/space-saving.ts';

const stream = fc.array(
  fc.record({ name: fc.integer({ min: 0, max: 40 }).map((n) => `k${Math.floor(n ** 2 / 40)}`), times: fc.nat(5) }),
  { maxLength: 400 },
);

test('counts bound the truth from above, and less their error from below', () => {
  fc.assert(
    fc.property(stream, fc.integer({ min: 1, max: 12 }), (events, size) => {
      const sketch = new SpaceSaving(size);
      const truth = new Map<string, number>();
      let total = 0;
      for (const { name, times } of events) {
        sketch.add(name, times);
        truth.set(name, (truth.get(name) ?? 0) + times);
        total += times;
      }
      const counted = sketch.top(size);
      expect(sketch.total).toBe(total);
      expect(counted.reduce((sum, { count }) => sum + count, 0)).toBe(total);
      expect(counted.length).toBeLessThanOrEqual(size);
      for (const { name, count, error } of counted) {
        const really = truth.get(name) ?? 0;
        expect(count).toBeGreaterThanOrEqual(really);
        expect(count - error).toBeLessThanOrEqual(really);
        expect(error).toBeLessThanOrEqual(total / size);
      }
      for (const [name, really] of truth) {
        if (really > total / size) expect(counted.map((each) => each.name)).toContain(name);
      }
    }),
  );
});

test('heaviest first, and no more than were asked for', () => {
  const sketch = new SpaceSaving(8);
  for (const [name, times] of [
    ['a', 3],
    ['b', 9],
    ['c', 3],
    ['d', 1],
  ] as const)
    sketch.add(name, times);
  expect(sketch.top(3).map(({ name, count }) => `${name} ${count}`)).toEqual(['b 9', 'a 3', 'c 3']);
});
