// Values, versions and tags as text: what goes out comes back, whatever it is.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { observedDots, parseVersion, versionText, writeCondition } from '../../../src/api/http/conditions.ts';
import { elementBytes, elementJson, isJson, valueBytes, valueJson } from '../../../src/api/http/values.ts';
import { originId, regionId } from '../../../src/record/ids.ts';

/** Bytes of every kind that a value may be: JSON, other text, neither, and JSON that looks like our own wrapping. */
const anyValue: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.json().map((text) => Buffer.from(text)),
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  fc.uint8Array(),
  fc
    .record({ name: fc.constantFrom('$text', '$base64'), value: fc.oneof(fc.string(), fc.integer()) })
    .map(({ name, value }) => Buffer.from(JSON.stringify({ [name]: value }))),
);

function hasUnsafeInteger(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(hasUnsafeInteger);
}

test('a value in a document is one line of JSON, and reads back as what it was', () => {
  fc.assert(
    fc.property(anyValue, (bytes) => {
      const text = valueJson(bytes);
      expect(text).not.toMatch(/[\r\n]/);
      const value = JSON.parse(text) as unknown;
      // Stands as it was sent; taken back by a program that keeps numbers as doubles it would be another.
      fc.pre(!hasUnsafeInteger(value));
      const back = valueBytes(value, 'a value');
      // JSON may come back with other white space and escapes; anything else byte for byte.
      if (isJson(bytes))
        expect(JSON.parse(Buffer.from(back).toString())).toEqual(JSON.parse(Buffer.from(bytes).toString()));
      else expect(Buffer.from(back).equals(bytes)).toBe(true);
    }),
  );
});

test('JSON that looks like a wrapping is wrapped, and comes back byte for byte', () => {
  for (const text of ['{"$text":"a"}', '{ "$base64": "YQ==" }', '{"$text":1}']) {
    const out = valueJson(Buffer.from(text));
    expect(JSON.parse(out)).toEqual({ $text: text });
    expect(Buffer.from(valueBytes(JSON.parse(out), 'v')).toString()).toBe(text);
  }
  // Two members: no wrapping.
  expect(valueJson(Buffer.from('{"$text":"a","b":1}'))).toBe('{"$text":"a","b":1}');
});

test('elements come back byte for byte', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        const back = elementBytes(JSON.parse(elementJson(bytes)), 'an element');
        expect(Buffer.from(back).equals(bytes)).toBe(true);
      },
    ),
  );
});

test('versions come back as they were, and nothing else is one', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('eu', 'us-west', 'a1'),
      fc.integer({ min: 0, max: 2 ** 48 - 1 }),
      fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      (region, incarnation, seq, stamp) => {
        const version = { origin: originId(regionId(region), incarnation), seq, stamp };
        const text = versionText(version);
        expect(parseVersion(text)).toEqual(version);
        expect(writeCondition('register-lww', `"${text}"`, undefined)).toEqual({ kind: 'version', version });
        expect(observedDots(`"${text}", ${text}`)).toEqual([
          { origin: version.origin, seq },
          { origin: version.origin, seq },
        ]);
      },
    ),
  );
  const good = 'eu~0f3a5b7c9d1e.7.1000000';
  expect(parseVersion(good)).toBeDefined();
  for (const bad of [
    '',
    'x',
    `${good}.1`,
    good.replace('.7', '.0'),
    good.replace('.7', '.9007199254740993'),
    good.toUpperCase(),
  ]) {
    expect(parseVersion(bad), bad).toBeUndefined();
  }
});
