import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Landings } from '../../src/region/landings.ts';

test('what landed is told to within 5 ms, or not at all', () => {
  const step = fc.record({ entries: fc.integer({ min: 1, max: 5 }), ms: fc.integer({ min: -3, max: 40 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const landings = new Landings();
      const truth = new Map<number, number>();
      let [offset, nowMs] = [0, 1000];
      for (const { entries, ms } of steps) {
        nowMs += ms;
        for (let i = 0; i < entries; i++) truth.set(++offset, nowMs);
        landings.add(offset, nowMs);
      }
      for (const [at, landedMs] of truth) {
        const told = landings.at(at);
        if (told !== undefined && steps.every(({ ms }) => ms >= 0)) {
          expect(landedMs - told).toBeGreaterThanOrEqual(0);
          expect(landedMs - told).toBeLessThan(5);
        }
      }
      expect(landings.at(offset + 1)).toBeUndefined();
    }),
  );
});

test('I12: the oldest are forgotten, and what is left is right', () => {
  const landings = new Landings();
  for (let i = 1; i <= 10_000; i++) landings.add(i, i * 10);
  expect(landings.at(10_000)).toBe(100_000);
  expect(landings.at(9000)).toBe(90_000);
  expect(landings.at(10_000 - 2047)).toBe((10_000 - 2047) * 10);
  expect(landings.at(10_000 - 2048)).toBeUndefined();
  expect(landings.at(1)).toBeUndefined();
});
