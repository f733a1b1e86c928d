import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteReader, ByteWriter, MalformedBytes } from '../../src/record/bytes.ts';
import {
  MERGE_TYPE_CODES,
  mergeTypeOfCode,
  readOp,
  stateKey,
  type CollectionRef,
  type Op,
} from '../../src/record/op.ts';
import { OpsWriter } from '../../src/record/ops-writer.ts';
import { writeOp } from './plain-op.ts';
import { collections, opsOf } from './samples.ts';

const TABLE: readonly CollectionRef[] = [
  { namespace: 'shop', name: 'carts', id: 1, type: 'set-aw' },
  { namespace: 'shop', name: 'stock', id: 1, type: 'counter-pn' },
];

function bytesOf(op: Op, index: number): Buffer {
  const writer = new ByteWriter();
  writeOp(writer, op, index);
  return writer.finish();
}

function read(bytes: Uint8Array): Op {
  return readOp(new ByteReader(bytes), TABLE);
}

/** The body of an op with its length before it. */
function framed(write: (body: ByteWriter) => ByteWriter): Buffer {
  return new ByteWriter().blob(write(new ByteWriter()).finish()).finish();
}

describe('an op', () => {
  test('comes back with any of its optional fields', () => {
    fc.assert(
      fc.property(opsOf(TABLE), (op) => {
        const reader = new ByteReader(bytesOf(op, op.collection === undefined ? 0 : TABLE.indexOf(op.collection) + 1));
        expect(readOp(reader, TABLE)).toEqual(op);
        reader.end('the test');
      }),
      { numRuns: 500 },
    );
  });

  test('is written by the writer of batches as it is here, and found again where it lies', () => {
    fc.assert(
      fc.property(fc.array(opsOf(TABLE), { minLength: 1, maxLength: 20 }), fc.boolean(), (ops, moved) => {
        const writer = new OpsWriter();
        for (const op of ops) {
          const cut = Math.floor(op.payload.length / 2);
          writer.write(op, op.payload.subarray(0, cut), op.payload.subarray(cut));
        }
        const table = [...writer.collections];
        const plain = ops.map((op) => bytesOf(op, op.collection === undefined ? 0 : table.indexOf(op.collection) + 1));
        expect(writer.view()).toEqual(Buffer.concat(plain));
        const located = moved ? writer.moveTo(Buffer.concat([Buffer.alloc(9), writer.view()]), 9) : writer.located;
        expect(located.all()).toEqual(ops);
        if (!moved) return;
        // The next batch uses the writer's memory.
        writer.add({ collection: TABLE[0], key: 'x'.repeat(50), payload: Buffer.alloc(400) });
        expect(located.all()).toEqual(ops);
        expect(writer.count).toBe(1);
      }),
      { numRuns: 500 },
    );
  });

  test('is pinned byte for byte', () => {
    const op: Op = {
      collection: TABLE[1],
      key: 'k',
      payload: Buffer.of(9),
      idempotency: { kind: 'key', key: 'order-17' },
    };
    expect(bytesOf(op, 2).toString('hex')).toBe('0f02' + '02' + '016b' + '0109' + '08' + '6f726465722d3137');
    expect(MERGE_TYPE_CODES).toEqual({
      'register-lww': 1,
      'register-mv': 2,
      'counter-pn': 3,
      'set-aw': 4,
      'map-lww': 5,
    });
  });

  test('merge types and their codes name each other', () => {
    for (const [name, code] of Object.entries(MERGE_TYPE_CODES)) expect(mergeTypeOfCode(code)).toBe(name);
    expect(mergeTypeOfCode(0)).toBeUndefined();
  });

  test('no two collections, ids or keys share a state key', () => {
    fc.assert(
      fc.property(collections, collections, fc.string(), fc.string(), (a, b, keyA, keyB) => {
        const same = a.namespace === b.namespace && a.name === b.name && a.id === b.id && keyA === keyB;
        expect(stateKey(a, keyA) === stateKey(b, keyB)).toBe(same);
      }),
    );
  });
});

describe('hostile bytes', () => {
  const head = (flags: number) => (body: ByteWriter) => body.u8(flags).varint(1).text('k').blob(Buffer.of(1));

  test.each<[string, Buffer]>([
    ['flags of a newer format', framed((b) => head(32)(b))],
    ['two idempotency keys', framed((b) => head(3)(b).u48(1).varint(1).text('x'))],
    ['a collection beyond the table', framed((b) => b.u8(0).varint(3).text('k').blob(Buffer.of(1)))],
    ['a key above its bound', framed((b) => b.u8(0).varint(1).text('k'.repeat(1025)).blob(Buffer.of(1)))],
    [
      'a key above its bound in bytes, not in characters',
      framed((b) => b.u8(0).varint(1).text('é'.repeat(513)).blob(Buffer.of(1))),
    ],
    ['an idempotency key above its bound', framed((b) => head(2)(b).text('x'.repeat(129)))],
    ['an idempotency key above its bound in bytes', framed((b) => head(2)(b).text('é'.repeat(65)))],
    ['more than its fields', framed((b) => head(0)(b).u8(0))],
    ['less than its fields', framed((b) => head(4)(b).raw(Buffer.alloc(24)))],
    ['a length beyond the end', Buffer.of(200, 1, 0)],
    ['an odd extension', framed((b) => head(16)(b).varint(1).varint(7).blob(Buffer.of(1)))],
    ['more extensions than bytes', framed((b) => head(16)(b).varint(1_000_000))],
  ])('%s: MalformedBytes', (_, bytes) => {
    // What follows would be the next op: it must not be read as part of this one.
    expect(() =>
      read(Buffer.concat([bytes, bytesOf({ collection: undefined, key: 'x', payload: Buffer.alloc(30) }, 0)])),
    ).toThrow(MalformedBytes);
  });

  test('keys of exactly their bounds pass', () => {
    for (const key of ['k'.repeat(1024), 'é'.repeat(512)]) {
      expect(read(framed((b) => b.u8(0).varint(1).text(key).blob(Buffer.of(1)))).key).toBe(key);
    }
    for (const key of ['x'.repeat(127), 'x'.repeat(128), 'é'.repeat(64)]) {
      expect(read(framed((b) => head(2)(b).text(key))).idempotency).toEqual({ kind: 'key', key });
    }
  });

  test('even extensions are passed over', () => {
    const bytes = framed((b) => head(16)(b).varint(2).varint(2).blob(Buffer.of(1)).varint(40).blob(Buffer.alloc(0)));
    expect(read(bytes)).toMatchObject({ key: 'k', payload: Buffer.of(1) });
  });

  test('noise gives an op or MalformedBytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60, size: 'max' }), (noise) => {
        try {
          read(framed((b) => b.raw(noise)));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedBytes);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
