// I3: the incremental digest against one that is computed anew.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LivePart } from '../../src/merge/types.ts';
import type { StateKey } from '../../src/record/ids.ts';
import { Contribution, Digest, EXPIRY_STEP_MS } from '../../src/shard/digest.ts';

const key = fc.constantFrom('a', 'b', 'c', 'd').map((name) => name as StateKey);
const part: fc.Arbitrary<LivePart> = fc.record({
  bytes: fc.uint8Array({ minLength: 1, maxLength: 3 }),
  expiresAtMs: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 20 * EXPIRY_STEP_MS })),
});
const change = fc.tuple(key, fc.array(part, { maxLength: 3 }));

function of(name: string): Contribution {
  const contribution = new Contribution();
  contribution.hashKey(name as StateKey);
  return contribution;
}

function anew(state: ReadonlyMap<StateKey, readonly LivePart[]>, order: 1 | -1): Digest {
  const digest = new Digest();
  const keys = order === 1 ? [...state] : [...state].toReversed();
  for (const [name, parts] of keys) digest.add(of(name), order === 1 ? parts : [...parts].toReversed());
  return digest;
}

test('I3: what was added and taken out leaves what is there, in whatever order, at every moment', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), fc.boolean(), (changes, byContribution) => {
      const digest = new Digest();
      const state = new Map<StateKey, readonly LivePart[]>();
      const contributions = new Map<StateKey, Contribution>();
      for (const [name, parts] of changes) {
        const known = contributions.get(name) ?? of(name);
        contributions.set(name, known);
        if (!byContribution) known.forget();
        digest.remove(known, () => state.get(name) ?? []);
        expect(known.live).toBe((state.get(name) ?? []).length > 0);
        digest.add(known, parts);
        state.set(name, parts);
      }
      for (const asOfMs of [0, 1, EXPIRY_STEP_MS - 1, EXPIRY_STEP_MS, 7 * EXPIRY_STEP_MS + 3, 100 * EXPIRY_STEP_MS]) {
        const expected = digest.asOf(asOfMs);
        expect(anew(state, 1).asOf(asOfMs)).toBe(expected);
        expect(anew(state, -1).asOf(asOfMs)).toBe(expected);
        expect(Digest.restore(digest.snapshot()).asOf(asOfMs)).toBe(expected);
      }
    }),
  );
});

test('I3: a part that expires counts until the end of its step and not after it', () => {
  const digest = new Digest();
  const empty = digest.asOf(0);
  digest.add(of('a'), [{ bytes: Buffer.from('x'), expiresAtMs: 2.5 * EXPIRY_STEP_MS }]);
  expect(digest.asOf(2.9 * EXPIRY_STEP_MS)).not.toBe(empty);
  expect(digest.asOf(3 * EXPIRY_STEP_MS)).toBe(empty);
});

test('I3: the same value under another key, or another value under the same, is another digest', () => {
  const digestOf = (name: string, value: string): string => {
    const digest = new Digest();
    digest.add(of(name), [{ bytes: Buffer.from(value), expiresAtMs: Infinity }]);
    return digest.asOf(0);
  };
  expect(new Set([digestOf('a', 'x'), digestOf('b', 'x'), digestOf('a', 'y'), digestOf('b', 'y')]).size).toBe(4);
});

test('I12: steps are kept only while something expires in them', () => {
  const digest = new Digest();
  const parts = [{ bytes: Buffer.from('x'), expiresAtMs: 5 }];
  const a = of('a');
  digest.add(a, parts);
  digest.remove(a, () => parts);
  expect(digest.snapshot()).toEqual({ low: 0, high: 0, expiring: [] });
});
