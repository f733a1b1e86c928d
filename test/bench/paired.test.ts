import { expect, test } from 'vitest';
import { intervalOf, runPairs } from './paired.ts';

test('an interval is that of the textbook', () => {
  // Student's own sleep data (1908), the ten differences: mean 1.58, 95 % from 0.70 to 2.46.
  const { mean, low, high } = intervalOf([1.2, 2.4, 1.3, 1.3, 0, 1, 1.8, 0.8, 4.6, 1.4]);
  expect(mean).toBeCloseTo(1.58, 10);
  expect(low).toBeCloseTo(0.7001, 3);
  expect(high).toBeCloseTo(2.4599, 3);
  expect(intervalOf([3])).toEqual({ mean: 3, low: -Infinity, high: Infinity });
  expect(() => intervalOf([])).toThrow(RangeError);
});

test('pairs take turns in who is first, and are told one by one', async () => {
  const order: string[] = [];
  const pairs = await runPairs(3, async (variant, pair) => {
    order.push(`${pair} ${variant}`);
    return variant === 'off' ? 40 : 41;
  });
  expect(order).toEqual(['0 off', '0 on', '1 on', '1 off', '2 off', '2 on']);
  expect(pairs).toHaveLength(3);
  for (const pair of pairs) {
    expect(pair).toMatchObject({ off: 40, on: 41 });
    expect(pair.percent).toBeCloseTo(2.5, 10);
  }
});
