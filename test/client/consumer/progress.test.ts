// What two statements about a group's progress make together: a join, so that no order of arrival loses the higher one.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  covers,
  cursorOf,
  joinProgress,
  opsBetween,
  progressOf,
  vectorIn,
  type Progress,
} from '../../../src/client/consumer/progress.ts';
import { groupPrefix, parseGroupKey } from '../../../src/client/consumer/group-keys.ts';

const origins = ['eu~000000000001', 'eu~0f3a5b7c9d1e', 'us~00000000000a'];
const vector = fc
  .dictionary(fc.constantFrom(...origins), fc.integer({ min: 1, max: 9 }))
  .map((entries): ReadonlyMap<string, number> => new Map(Object.entries(entries)));
const progress = fc.record({ epoch: fc.integer({ min: 0, max: 2 }), vector });

const plain = ({ epoch, vector: of }: Progress): unknown => ({
  epoch,
  vector: [...of].toSorted(([a], [b]) => (a < b ? -1 : 1)),
});

test('joins in any order and grouping, however often, are the same', () => {
  fc.assert(
    fc.property(progress, progress, progress, (a, b, c) => {
      expect(plain(joinProgress(a, b))).toEqual(plain(joinProgress(b, a)));
      expect(plain(joinProgress(joinProgress(a, b), c))).toEqual(plain(joinProgress(a, joinProgress(b, c))));
      expect(plain(joinProgress(a, a))).toEqual(plain(a));
    }),
  );
});

test('a join covers both, and is the least that does', () => {
  fc.assert(
    fc.property(progress, progress, progress, (a, b, c) => {
      const joined = joinProgress(a, b);
      expect(covers(joined, a) && covers(joined, b)).toBe(true);
      if (covers(c, a) && covers(c, b)) expect(covers(c, joined)).toBe(true);
      expect(covers(a, b)).toBe(JSON.stringify(plain(joinProgress(a, b))) === JSON.stringify(plain(a)));
    }),
  );
});

test('a later epoch stands, whatever an earlier one has seen', () => {
  const before = { epoch: 1, vector: new Map([[origins[0]!, 900]]) };
  const reset = { epoch: 2, vector: new Map<string, number>() };
  expect(joinProgress(before, reset)).toEqual(reset);
  expect(covers(reset, before)).toBe(true);
});

test('what is stored comes back', () => {
  fc.assert(
    fc.property(progress, ({ epoch, vector: of }) => {
      const cursor = cursorOf('1/3', of, 'app');
      const stored = progressOf('1/3', { epoch, cursor, member: 'ann', atMs: 1 });
      expect(plain(stored)).toEqual(plain({ epoch, vector: of }));
      expect(vectorIn(cursor, '1/4').size).toBe(0);
    }),
  );
  expect(() => progressOf('1/3', { epoch: -0.5, cursor: 'x', member: 'ann', atMs: 1 })).toThrow('is none');
});

test('opsBetween counts what is missing, per origin', () => {
  const from = new Map([[origins[0]!, 5]]);
  const to = new Map([
    [origins[0]!, 3],
    [origins[1]!, 2],
    [origins[2]!, 4],
  ]);
  expect(opsBetween(from, to)).toBe(6);
  expect(opsBetween(to, from)).toBe(2);
});

test('keys say whose they are', () => {
  const key = `${groupPrefix('app', 'billing', 'cursor', 'eu-west')}1/3`;
  expect(key).toBe('{app/billing}/cursor/eu-west/1/3');
  expect(parseGroupKey(key)).toEqual({ group: 'billing', kind: 'cursor', region: 'eu-west', name: '1/3' });
  expect(parseGroupKey('{app/billing}/member/eu/ann')).toMatchObject({ kind: 'member', name: 'ann' });
  for (const other of ['', 'billing', '{app/billing}/other/eu/1', '{app}/cursor/eu/1/3', '{app/billing}/cursor/eu']) {
    expect(parseGroupKey(other), other).toBeUndefined();
  }
});
