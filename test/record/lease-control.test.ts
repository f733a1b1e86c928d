import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteWriter, MalformedBytes } from '../../src/record/bytes.ts';
import { decodeControl, encodeControl, type ControlOp } from '../../src/record/control.ts';
import { decodeLease, encodeLease } from '../../src/record/lease.ts';
import { origins, OWN } from './samples.ts';

function isRefusedOrRead(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedBytes);
  }
}

describe('a lease', () => {
  test('I5: comes back with its bound', () => {
    fc.assert(
      fc.property(origins, fc.maxSafeNat(), (origin, bound) => {
        expect(decodeLease(encodeLease({ origin, bound }))).toEqual({ origin, bound });
      }),
    );
  });

  test('is pinned byte for byte', () => {
    const hex = '01' + 'bc0a00000000' + '0700000000000000' + '0765752d77657374' + '00';
    expect(encodeLease({ origin: OWN, bound: 7 }).toString('hex')).toBe(hex);
  });

  test('passes over even extensions, and refuses odd ones, other versions and anything cut or added', () => {
    const bytes = encodeLease({ origin: OWN, bound: 7 });
    const extended = (tag: number): Buffer =>
      Buffer.concat([bytes.subarray(0, -1), new ByteWriter().varint(1).varint(tag).blob(Buffer.of(1)).finish()]);
    expect(decodeLease(extended(4))).toEqual({ origin: OWN, bound: 7 });
    const unknown = Buffer.from(bytes);
    unknown[0] = 2;
    for (const bad of [extended(5), unknown, Buffer.concat([bytes, Buffer.of(0)])]) {
      expect(() => decodeLease(bad)).toThrow(MalformedBytes);
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeLease(bytes.subarray(0, length))).toThrow(MalformedBytes);
    }
  });

  test('of noise is refused', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => isRefusedOrRead(() => decodeLease(noise))));
  });
});

describe('a control op', () => {
  const checksum = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes));
  const seq = fc.integer({ min: 1, max: 2 ** 50 });
  const controls: fc.Arbitrary<ControlOp> = fc.oneof(
    fc.record({ kind: fc.constant('freeze' as const), origin: origins }),
    fc.record({
      kind: fc.constant('close' as const),
      origin: origins,
      endSeq: fc.maxSafeNat(),
      endStamp: fc.maxSafeNat(),
    }),
    fc
      .record({ kind: fc.constant('skip' as const), origin: origins, fromSeq: seq, toSeq: seq, checksum })
      .map((op) => ({ ...op, toSeq: Math.max(op.fromSeq, op.toSeq) })),
    fc.record({ kind: fc.constant('fold' as const), origin: origins }),
  );

  test('comes back as it went in', () => {
    fc.assert(
      fc.property(controls, (op) => {
        expect(decodeControl(encodeControl(op))).toEqual(op);
      }),
    );
  });

  test('is pinned byte for byte', () => {
    const about = '0765752d77657374' + 'bc0a00000000';
    expect(encodeControl({ kind: 'freeze', origin: OWN }).toString('hex')).toBe(`01${about}`);
    const close: ControlOp = { kind: 'close', origin: OWN, endSeq: 300, endStamp: 5 };
    expect(encodeControl(close).toString('hex')).toBe(`02${about}ac02` + '0500000000000000');
    const skip: ControlOp = { kind: 'skip', origin: OWN, fromSeq: 1, toSeq: 2, checksum: Buffer.alloc(8, 0xee) };
    expect(encodeControl(skip).toString('hex')).toBe(`03${about}0102eeeeeeeeeeeeeeee`);
    expect(encodeControl({ kind: 'fold', origin: OWN }).toString('hex')).toBe(`04${about}`);
  });

  test('of an unknown kind, cut, extended, or about nothing is refused', () => {
    fc.assert(
      fc.property(controls, (op) => {
        const bytes = encodeControl(op);
        for (let length = 0; length < bytes.length; length++) {
          expect(() => decodeControl(bytes.subarray(0, length))).toThrow(MalformedBytes);
        }
        expect(() => decodeControl(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(MalformedBytes);
        for (const kind of [0, 5, 255]) {
          expect(() => decodeControl(Buffer.concat([Buffer.of(kind), bytes.subarray(1)]))).toThrow(MalformedBytes);
        }
      }),
      { numRuns: 50 },
    );
    const checksum = Buffer.alloc(8);
    const backwards: ControlOp = { kind: 'skip', origin: OWN, fromSeq: 9, toSeq: 8, checksum };
    const fromNothing: ControlOp = { kind: 'skip', origin: OWN, fromSeq: 0, toSeq: 8, checksum };
    expect(() => decodeControl(encodeControl(backwards))).toThrow(MalformedBytes);
    expect(() => decodeControl(encodeControl(fromNothing))).toThrow(MalformedBytes);
  });

  test('of noise is refused', () => {
    const noise = fc.tuple(fc.integer({ min: 0, max: 5 }), fc.uint8Array({ maxLength: 40 }));
    fc.assert(
      fc.property(noise, ([kind, rest]) => isRefusedOrRead(() => decodeControl(Buffer.from([kind, ...rest])))),
      { numRuns: 1000 },
    );
  });
});
