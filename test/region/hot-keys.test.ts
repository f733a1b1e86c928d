import { expect, test } from 'vitest';
import { HotKeys, SAMPLE_MEAN } from '../../src/region/hot-keys.ts';

const op = (key: string) => ({ namespace: 'shop', collection: 'carts', key });

test('finds the hot one of many, its rate and its share, although it looks at few', () => {
  let nowMs = 0;
  const hot = new HotKeys(() => nowMs);
  // A hundred requests a second of a hundred ops, a fifth of them of one key, always at the same places.
  for (let second = 0; second < 30; second++) {
    for (let i = 0; i < 100; i++) {
      hot.written(Array.from({ length: 100 }, (_, j) => op(j % 5 === 0 ? 'hot' : `cold-${second}-${i}-${j}`)));
    }
    nowMs += 1000;
  }
  const [first, ...others] = hot.top(2);
  expect(first).toMatchObject(op('hot'));
  expect(first!.share).toBeGreaterThan(0.15);
  expect(first!.share).toBeLessThan(0.25);
  expect(first!.perS).toBeGreaterThan(1500);
  expect(first!.perS).toBeLessThan(2500);
  // The others came once each.
  expect(others).toEqual([]);
});

test('looks at one op in SAMPLE_MEAN, however they come', () => {
  for (const size of [1, 64, 1000]) {
    const hot = new HotKeys(() => 0);
    const requests = 200_000 / size;
    for (let i = 0; i < requests; i++)
      hot.read(
        op(''),
        Array.from({ length: size }, () => 'k'),
      );
    const [only] = hot.top(1);
    // As of the first second: the rate is the number.
    expect(only!.perS / 200_000).toBeGreaterThan(0.9);
    expect(only!.perS / 200_000).toBeLessThan(1.1);
  }
  expect(SAMPLE_MEAN).toBe(64);
});

test('keys may have slashes; what was hot is forgotten after two minutes', () => {
  let nowMs = 0;
  const hot = new HotKeys(() => nowMs);
  hot.written(Array.from({ length: 1000 }, () => op('a/b/c')));
  expect(hot.top(1)[0]).toMatchObject(op('a/b/c'));
  nowMs = 90_000;
  expect(hot.top(1)[0]).toMatchObject(op('a/b/c'));
  nowMs = 125_000;
  expect(hot.top(1)).toEqual([]);
});
