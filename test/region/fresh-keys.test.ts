// What the store does not have yet, in order: against sorting all of it.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareKeys } from '../../src/record/key-order.ts';
import { FreshKeys } from '../../src/region/fresh-keys.ts';

function freshOf(names: readonly string[], from: string, to: string | undefined): FreshKeys<{ name: string }> {
  const fresh = new FreshKeys<{ name: string }>(from, to);
  for (const name of names) fresh.offer({ name });
  return fresh.sort();
}

const inOrder = (names: readonly string[]): string[] => names.toSorted(compareKeys);

test('holds those of the range, in order, and finds them from anywhere', () => {
  const name = fc.string({ maxLength: 3 });
  fc.assert(
    fc.property(
      fc.uniqueArray(name, { maxLength: 30 }),
      name,
      fc.option(name, { nil: undefined }),
      name,
      (names, from, to, at) => {
        const fresh = freshOf(names, from, to);
        const wanted = inOrder(names).filter(
          (each) => compareKeys(each, from) >= 0 && (to === undefined || compareKeys(each, to) < 0),
        );
        expect([...fresh.behind('')].map((each) => each.name)).toEqual(wanted);
        expect([...fresh.behind(at)].map((each) => each.name)).toEqual(
          wanted.filter((each) => compareKeys(each, at) >= 0),
        );
        expect(fresh.end).toBeUndefined();
        expect(fresh.covers(at, to)).toBe(compareKeys(at, from) >= 0);
        expect(fresh.covers(from, `${to ?? ''}x`)).toBe(false);
      },
    ),
  );
});

test('I12: of very many it holds the first, says where it ends, and covers no further', () => {
  for (const count of [250, 251, 1000, 6000]) {
    const names = Array.from({ length: count }, (_, i) => `k${String((i * 7919) % count).padStart(6, '0')}`);
    const wanted = inOrder(names);
    let from = '';
    const found: string[] = [];
    for (;;) {
      const fresh = freshOf(names, from, undefined);
      const some = [...fresh.behind(from)].map(({ name }) => name);
      expect(some.length).toBeLessThanOrEqual(250);
      found.push(...some);
      if (fresh.end === undefined) break;
      expect(fresh.end).toBe(some.at(-1));
      expect(fresh.covers(fresh.end, undefined)).toBe(true);
      from = `${fresh.end}\u0000`;
      expect(fresh.covers(from, undefined)).toBe(false);
    }
    expect(found).toEqual(wanted);
  }
});
