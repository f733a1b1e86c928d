// Rows of a step in few chunks of memory, against the rows that were put in.

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PackedRows, ROW_KEY_BYTES_MAX } from '../../src/store/packed-rows.ts';

type Row = readonly [rowKey: string, value: Uint8Array | null];

const sizes = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 2, arbitrary: fc.integer({ min: 3000, max: 20_000 }) },
);
const row = fc
  .tuple(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), fc.option(sizes), fc.nat(255))
  .map(([rowKey, size, fill]): Row => [rowKey, size === null ? null : new Uint8Array(size).fill(fill)]);

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('are the rows that were put in, in order, whatever happens to what was given', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 30 }), (rows) => {
      const given = rows.map(([rowKey, value]): Row => [rowKey, value === null ? null : Uint8Array.from(value)]);
      const packed = PackedRows.of(given);
      for (const [, value] of given) value?.fill(0xaa);
      expect(packed.length).toBe(rows.length);
      expect(packed.valueBytes).toBe(rows.reduce((sum, [, value]) => sum + (value?.length ?? 0), 0));
      const each: Row[] = [];
      packed.each((rowKey, value) => each.push([rowKey.toString(), value]));
      for (const read of [[...packed], each]) {
        expect(read.map(([rowKey]) => rowKey)).toEqual(rows.map(([rowKey]) => rowKey));
        // Element by element takes a minute.
        expect(read.map(([, value]) => value && hash(value))).toEqual(rows.map(([, value]) => value && hash(value)));
      }
    }),
  );
});

test('thousands of them are in few chunks of their own, none of which is larger than it must be', () => {
  const packed = PackedRows.of(Array.from({ length: 20_000 }, (_, i): Row => [`key ${i}`, new Uint8Array(200)]));
  const chunks = packed.chunks();
  expect(chunks.length).toBeLessThan(15);
  for (const { buffer, byteOffset } of chunks) {
    expect(byteOffset).toBe(0);
    expect(buffer.byteLength).toBeLessThanOrEqual(1 << 20);
  }
  const large = PackedRows.of([['large', new Uint8Array(3 << 20)]]);
  expect(large.chunks()[0]!.buffer.byteLength).toBeLessThan((3 << 20) + 100);
  expect(new PackedRows().chunks()).toEqual([]);
});

test('a row key has 1 to so many bytes', () => {
  const packed = new PackedRows();
  packed.push('ü'.repeat(ROW_KEY_BYTES_MAX / 2), null);
  expect(() => packed.push(`${'ü'.repeat(ROW_KEY_BYTES_MAX / 2)}x`, null)).toThrow(
    `a row key has 1 to ${ROW_KEY_BYTES_MAX} bytes; got ${ROW_KEY_BYTES_MAX + 1}`,
  );
  expect(() => packed.push('', new Uint8Array(1))).toThrow(/row key/);
  expect(packed.length).toBe(1);
});
