import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CALL_SECONDS, Histogram, LAG_SECONDS, SYNC_SECONDS } from '../../src/metrics/histogram.ts';

test('a value is counted in the first bucket that it fits into, its bound included', () => {
  const histogram = new Histogram([1, 2, 5]);
  for (const value of [0, 1, 1.5, 2, 5, 6, 100]) histogram.add(value);
  histogram.add(2, 10);
  expect([...histogram.counts]).toEqual([2, 12, 1, 2]);
  expect(histogram.count).toBe(17);
  expect(histogram.sum).toBe(115.5 + 20);
});

test('as counting one by one would have it', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 100, noNaN: true })), (values) => {
      const histogram = new Histogram(CALL_SECONDS);
      for (const value of values) histogram.add(value);
      const expected = [...CALL_SECONDS, Infinity].map(
        (bound, i) => values.filter((value) => value <= bound && value > (CALL_SECONDS[i - 1] ?? -Infinity)).length,
      );
      expect([...histogram.counts]).toEqual(expected);
    }),
  );
});

test('bounds ascend', () => {
  for (const bounds of [CALL_SECONDS, LAG_SECONDS, SYNC_SECONDS])
    expect(bounds.toSorted((a, b) => a - b)).toEqual(bounds);
});
