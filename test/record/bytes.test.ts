import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteReader, ByteWriter, MalformedBytes } from '../../src/record/bytes.ts';

const anyBytes = fc.uint8Array({ maxLength: 40 });
/** Around every length of the magnitude, where the short form and the long one meet too. */
const bigints = fc.oneof(
  fc.bigInt(-(2n ** 200n), 2n ** 200n),
  fc
    .tuple(fc.bigInt(0n, 72n), fc.bigInt(-2n, 2n), fc.boolean())
    .map(([bits, offset, negative]) => (negative ? -1n : 1n) * (2n ** bits + offset)),
);
const field = fc.oneof(
  fc.record({ kind: fc.constant('u8' as const), value: fc.nat({ max: 255 }) }),
  fc.record({ kind: fc.constant('u16' as const), value: fc.nat({ max: 65_535 }) }),
  fc.record({ kind: fc.constant('u32' as const), value: fc.nat({ max: 2 ** 32 - 1 }) }),
  fc.record({ kind: fc.constant('u48' as const), value: fc.maxSafeNat().map((n) => n % 2 ** 48) }),
  fc.record({ kind: fc.constant('u64' as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('varint' as const), value: fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat()) }),
  fc.record({ kind: fc.constant('bigint' as const), value: bigints }),
  fc.record({ kind: fc.constant('blob' as const), value: anyBytes }),
  fc.record({
    kind: fc.constant('latin1Blob' as const),
    value: anyBytes.map((bytes) => Buffer.from(bytes).toString('latin1')),
  }),
  fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'binary', maxLength: 20 }) }),
);

describe('what is written is read', () => {
  test('in any sequence, also when the writer has to grow or is used again', () => {
    const shared = new ByteWriter(1);
    fc.assert(
      fc.property(fc.array(field, { maxLength: 30 }), (fields) => {
        shared.reset();
        for (const { kind, value } of fields) (shared[kind] as (value: unknown) => unknown).call(shared, value);
        expect(shared.view()).toEqual(shared.finish());
        expect(shared.length).toBe(shared.finish().length);
        const reader = new ByteReader(shared.finish());
        for (const { kind, value } of fields) {
          const read = reader[kind]();
          if (kind === 'blob') expect(Buffer.compare(read as Buffer, value as Uint8Array)).toBe(0);
          else expect(read).toBe(value);
        }
        reader.end('the test');
      }),
    );
  });

  test('from a plain Uint8Array, and from a range of one', () => {
    const bytes = Uint8Array.of(9, 9, 1, 2, 3, 9);
    const reader = new ByteReader(bytes, 2, 5);
    expect([reader.u8(), reader.u8(), reader.at, reader.left]).toEqual([1, 2, 4, 1]);
    expect(reader.raw(1)).toEqual(Buffer.of(3));
    expect(() => reader.u8()).toThrow(MalformedBytes);
    expect(() => new ByteReader(bytes, 4, 7)).toThrow(MalformedBytes);
    expect(() => new ByteReader(bytes, 4, 3)).toThrow(MalformedBytes);
  });

  test('a finished copy does not change with the writer, a view does', () => {
    const writer = new ByteWriter().u8(1);
    const copy = writer.finish();
    const view = writer.view();
    writer.reset();
    writer.u8(2);
    expect([copy[0], view[0]]).toEqual([1, 2]);
  });

  test('patches land where they should', () => {
    const writer = new ByteWriter().u32(0).u8(7).raw(Buffer.alloc(2));
    writer.patchU32(0, 0xdeadbeef);
    writer.patchRaw(5, Buffer.of(1, 2));
    expect(writer.finish()).toEqual(Buffer.of(0xef, 0xbe, 0xad, 0xde, 7, 1, 2));
  });
});

describe('the forms are pinned, because logs hold them', () => {
  test.each<[string, (writer: ByteWriter) => ByteWriter, string]>([
    ['u16', (w) => w.u16(0x0102), '0201'],
    ['u32', (w) => w.u32(0x01020304), '04030201'],
    ['u48', (w) => w.u48(0x010203040506), '060504030201'],
    ['u64', (w) => w.u64(Number.MAX_SAFE_INTEGER), 'ffffffffffff1f00'],
    ['varint 0', (w) => w.varint(0), '00'],
    ['varint 127', (w) => w.varint(127), '7f'],
    ['varint 128', (w) => w.varint(128), '8001'],
    ['varint 300', (w) => w.varint(300), 'ac02'],
    ['varint 2^53-1', (w) => w.varint(Number.MAX_SAFE_INTEGER), 'ffffffffffffff0f'],
    ['bigint 0', (w) => w.bigint(0n), '00'],
    ['bigint 1', (w) => w.bigint(1n), '0201'],
    ['bigint -1', (w) => w.bigint(-1n), '0301'],
    ['bigint 2^48-1', (w) => w.bigint(2n ** 48n - 1n), '0cffffffffffff'],
    ['bigint -2^48', (w) => w.bigint(-(2n ** 48n)), '0f01000000000000'],
    ['bigint 2^64', (w) => w.bigint(2n ** 64n), '12010000000000000000'],
    ['text', (w) => w.text('é'), '02c3a9'],
    ['blob', (w) => w.blob(Buffer.of(1, 2)), '020102'],
    ['blob of latin1', (w) => w.latin1Blob('\u0001\u00ff'), '0201ff'],
  ])('%s', (_, write, hex) => {
    expect(write(new ByteWriter()).finish().toString('hex')).toBe(hex);
  });
});

describe('hostile bytes', () => {
  const read = (hex: string): ByteReader => new ByteReader(Buffer.from(hex, 'hex'));

  test('a varint is read in its shortest form only, and up to 2^53-1', () => {
    expect(() => read('8000').varint()).toThrow(MalformedBytes);
    expect(() => read('ffffffffffffff1f').varint()).toThrow(MalformedBytes);
    expect(() => read('ffffffffffffffffff01').varint()).toThrow(MalformedBytes);
    expect(() => read('80').varint()).toThrow(MalformedBytes);
  });

  test('so is a bigint', () => {
    expect(() => read('01').bigint()).toThrow(MalformedBytes);
    expect(() => read('040001').bigint()).toThrow(MalformedBytes);
    expect(() => read('0601').bigint()).toThrow(MalformedBytes);
  });

  test('a bigint has at most 512 bits', () => {
    const largest = 2n ** 512n - 1n;
    expect(new ByteReader(new ByteWriter().bigint(-largest).finish()).bigint()).toBe(-largest);
    expect(() => new ByteWriter().bigint(largest + 1n)).toThrow(RangeError);
    const tooLong = new ByteWriter()
      .varint(65 * 2)
      .raw(Buffer.alloc(65, 1))
      .finish();
    expect(() => new ByteReader(tooLong).bigint()).toThrow(MalformedBytes);
  });

  test('a 64-bit integer that is not exact is refused', () => {
    expect(() => read('0000000000002000').u64()).toThrow(MalformedBytes);
    expect(() => read('ffffffffffffffff').u64()).toThrow(MalformedBytes);
  });

  test('text is strict UTF-8; a real U+FFFD and a byte order mark pass', () => {
    for (const hex of ['01ff', '02c080', '03eda080', '02c3', '04f5808080']) {
      expect(() => read(hex).text()).toThrow(MalformedBytes);
    }
    expect(read('03efbfbd').text()).toBe('\ufffd');
    expect(read('03efbbbf').text()).toBe('\ufeff');
    expect(() => read('04efbfbdff').text()).toThrow(MalformedBytes);
  });

  test('I12: a length beyond the end is refused before anything is allocated', () => {
    const huge = new ByteWriter().varint(Number.MAX_SAFE_INTEGER).finish();
    expect(() => new ByteReader(huge).blob()).toThrow(MalformedBytes);
    expect(() => new ByteReader(huge).text()).toThrow(MalformedBytes);
    expect(() => new ByteReader(huge).latin1Blob()).toThrow(MalformedBytes);
    expect(() => new ByteReader(huge).bigint()).toThrow(MalformedBytes);
  });

  test('any bytes read as anything give a value or MalformedBytes', () => {
    const kinds = fc.constantFrom('u8', 'u16', 'u32', 'u48', 'u64', 'varint', 'bigint', 'blob', 'latin1Blob', 'text');
    fc.assert(
      fc.property(anyBytes, fc.array(kinds), (bytes, reads) => {
        const reader = new ByteReader(bytes);
        try {
          for (const kind of reads) reader[kind as 'u8']();
          reader.end('the test');
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedBytes);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('trailing bytes are refused', () => {
    expect(() => read('00').end('a record')).toThrow('a record has 1 bytes too many');
  });

  test('a writer refuses what its reader would', () => {
    for (const value of [-1, 1.5, 2 ** 53, Number.NaN])
      expect(() => new ByteWriter().varint(value)).toThrow(RangeError);
  });
});
