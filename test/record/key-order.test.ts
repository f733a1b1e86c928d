// The order of keys, against Buffer.compare of their UTF-8 bytes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { afterPrefix, compareKeys } from '../../src/record/key-order.ts';

const texts = fc.string({ unit: 'binary', maxLength: 6 });
const awkward = fc.array(fc.constantFrom('a', '\u0000', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'), {
  maxLength: 4,
});

test('is that of the UTF-8 bytes', () => {
  const text = fc.oneof(
    texts,
    awkward.map((characters) => characters.join('')),
  );
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: 1000 },
  );
});

test('what comes after a prefix comes after all that begin with it, and before all else', () => {
  fc.assert(
    fc.property(
      awkward.map((characters) => characters.join('')),
      texts,
      texts,
      (prefix, rest, other) => {
        const after = afterPrefix(prefix);
        if (after === undefined) return;
        expect(compareKeys(prefix + rest, after)).toBeLessThan(0);
        if (compareKeys(other, prefix) >= 0 && compareKeys(other, after) < 0) {
          expect(other.startsWith(prefix)).toBe(true);
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('nothing comes after the empty prefix, or after the last character', () => {
  expect(afterPrefix('')).toBeUndefined();
  expect(afterPrefix('\u{10ffff}')).toBeUndefined();
  expect(afterPrefix('a\u{10ffff}')).toBe('b');
  expect(afterPrefix('ab')).toBe('ac');
});
