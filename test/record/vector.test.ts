import fc from 'fast-check';
import { expect, test } from 'vitest';
import { covers, dominates, joinInto, missingFrom, vectorsEqual, type VersionVector } from '../../src/record/vector.ts';
import { OTHERS } from './samples.ts';

const vectors: fc.Arbitrary<VersionVector> = fc
  .array(fc.nat({ max: 3 }), { minLength: OTHERS.length, maxLength: OTHERS.length })
  .chain((seqs) => fc.subarray(OTHERS.map((origin, i) => [origin, seqs[i]!] as const)))
  .map((entries) => new Map(entries));

test('I2: a vector covers the dots up to its entry, and none of an origin that it does not name', () => {
  const vector = new Map([[OTHERS[0]!, 5]]);
  expect([1, 5, 6].map((seq) => covers(vector, OTHERS[0]!, seq))).toEqual([true, true, false]);
  expect(covers(vector, OTHERS[1]!, 1)).toBe(false);
});

test('an entry of 0 is as good as none', () => {
  expect(vectorsEqual(new Map([[OTHERS[0]!, 0]]), new Map())).toBe(true);
});

test('the join is the least vector that dominates both', () => {
  fc.assert(
    fc.property(vectors, vectors, vectors, (a, b, upper) => {
      const joined = new Map(a);
      joinInto(joined, b);
      expect(dominates(joined, a) && dominates(joined, b)).toBe(true);
      if (dominates(upper, a) && dominates(upper, b)) expect(dominates(upper, joined)).toBe(true);
      expect(vectorsEqual(a, b)).toBe(dominates(a, b) && dominates(b, a));
    }),
  );
});

test('what is missing is exactly what has to be fetched to dominate', () => {
  fc.assert(
    fc.property(vectors, vectors, (a, b) => {
      const missing = missingFrom(a, b);
      expect(missing.length === 0).toBe(dominates(a, b));
      const filled = new Map(a);
      for (const { origin, have, need } of missing) {
        expect(filled.get(origin) ?? 0).toBe(have);
        filled.set(origin, need);
      }
      expect(dominates(filled, b)).toBe(true);
    }),
  );
});
