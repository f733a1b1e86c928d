import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  comparePlaces,
  decodeEntry,
  encodeEntry,
  entryRowKey,
  placeOfRowKey,
  type Conflict,
} from '../../src/conflicts/entry.ts';
import { MalformedBytes } from '../../src/record/bytes.ts';
import { SHARDS, verdict } from './support.ts';

const SHARD = SHARDS[0]!;

test.each<[string, Partial<Conflict>]>([
  ['a value', {}],
  ['an empty value', { loserValue: Buffer.alloc(0) }],
  ['a delete', { loserValue: undefined }],
  ['a field with an expiry that lost to its removal', { field: 'größe', loserExpiresAtMs: 4e12, winnerDeletes: true }],
  ['a field with an empty name', { field: '' }],
])('%s comes back from its row', (_name, more) => {
  const conflict: Conflict = { ...verdict(7), atMs: 1234, shard: SHARD, ...more };
  expect(decodeEntry(SHARD, entryRowKey(conflict), encodeEntry(conflict))).toEqual(conflict);
});

test('row keys are in the order of places', () => {
  const place = fc.record({ offset: fc.integer({ min: 1, max: 2 ** 48 }), index: fc.integer({ min: 0, max: 65_535 }) });
  fc.assert(
    fc.property(place, place, (a, b) => {
      expect(placeOfRowKey(entryRowKey(a))).toEqual(a);
      expect(Math.sign(comparePlaces(a, b))).toBe(
        Math.sign(Buffer.compare(Buffer.from(entryRowKey(a)), Buffer.from(entryRowKey(b)))),
      );
    }),
  );
});

test('bytes that no journal wrote are refused, whatever they are', () => {
  const row = encodeEntry({
    ...verdict(7, { field: 'f', loserExpiresAtMs: 5 }),
    atMs: 1,
    shard: SHARD,
    loserValue: undefined,
  });
  const key = entryRowKey({ offset: 7, index: 0 });
  for (let length = 0; length < row.length; length++) {
    expect(() => decodeEntry(SHARD, key, row.subarray(0, length)), `${length} bytes`).toThrow(MalformedBytes);
  }
  expect(() => decodeEntry(SHARD, key, Buffer.concat([row, Buffer.of(0)]))).toThrow(MalformedBytes);
  expect(() => decodeEntry(SHARD, key, Buffer.concat([Buffer.of(2), row.subarray(1)]))).toThrow(/version 2/);
});
