import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { lengthBytes, WIRE_LEN, WIRE_VARINT, WireWriter, wireTag } from '../../src/proto/wire.ts';
import '../../src/proto/load.ts';

describe('WireWriter writes what protobufjs reads', () => {
  test('varints', () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeNat()), (values) => {
        const writer = new WireWriter(1);
        for (const value of values) writer.varint(value);
        const reader = protobuf.Reader.create(writer.copy());
        expect(values.map(() => reader.uint64() as unknown as number)).toEqual(values);
        expect(reader.pos).toBe(reader.len);
      }),
    );
  });

  test.each([0, 1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 49 - 1, 2 ** 53 - 1])('varint %d', (value) => {
    const writer = new WireWriter(1);
    writer.varint(value);
    expect(protobuf.Reader.create(writer.copy()).uint64()).toBe(value);
  });

  test('text, of all scripts and lengths', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.nat(6000), (text, padding) => {
        const whole = text + 'x'.repeat(padding);
        const writer = new WireWriter(1);
        writer.text(wireTag(2, WIRE_LEN), whole);
        const reader = protobuf.Reader.create(writer.copy());
        expect(reader.uint32()).toBe(18);
        expect(reader.string()).toBe(Buffer.from(whole).toString());
        expect(reader.pos).toBe(reader.len);
      }),
    );
  });

  test.each([1, 2, 3, 4, 5])('nested messages with a length of %d bytes', (width) => {
    const writer = new WireWriter(1);
    const begun = writer.begin(wireTag(3, WIRE_LEN), width);
    writer.uint(wireTag(1, WIRE_VARINT), 300);
    writer.end(begun, width);
    writer.bool(wireTag(4, WIRE_VARINT), true);
    const reader = protobuf.Reader.create(writer.copy());
    expect(reader.uint32()).toBe(26);
    expect(reader.uint32()).toBe(3);
    expect(reader.uint32()).toBe(8);
    expect(reader.uint32()).toBe(300);
    expect(reader.uint32()).toBe(32);
    expect(reader.bool()).toBe(true);
    expect(reader.pos).toBe(reader.len);
  });

  test('a nested message that does not fit its length is refused, not written wrong', () => {
    const writer = new WireWriter(1);
    const begun = writer.begin(wireTag(3, WIRE_LEN), 1);
    writer.bytes(wireTag(1, WIRE_LEN), Buffer.alloc(200));
    expect(() => writer.end(begun, 1)).toThrow(RangeError);
  });

  test('lengthBytes is enough for every length up to its bound', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), (max) => {
        expect(max).toBeLessThan(2 ** (7 * lengthBytes(max)));
      }),
    );
  });
});
