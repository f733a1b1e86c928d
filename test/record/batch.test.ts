import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BATCH_BYTES_MAX,
  BATCH_HEADER_BYTES,
  BATCH_OPS_MAX,
  decodeBatch,
  decodeOps,
  encodeBatch,
  NewerFormat,
  NO_CHECKSUM,
  OrderedDeps,
  readBatchHeader,
  type BatchToEncode,
} from '../../src/record/batch.ts';
import { ByteWriter, MalformedBytes } from '../../src/record/bytes.ts';
import { checksum64 } from '../../src/record/hash.ts';
import { originRegion, shardId, type OriginId } from '../../src/record/ids.ts';
import { DEFINITIONS, runTimeId, type CollectionRef, type MergeTypeName, type Op } from '../../src/record/op.ts';
import { BatchPeeker } from '../../src/record/peek.ts';
import { opLists, origins, OTHERS, OWN, shards } from './samples.ts';

const COLLECTION: CollectionRef = { namespace: 'shop', name: 'carts', id: 1, type: 'set-aw' };
const OP: Op = { collection: COLLECTION, key: 'cart-7', payload: Buffer.from('payload') };

function batchOf(ops: readonly Op[], more: Partial<BatchToEncode> = {}): BatchToEncode {
  return {
    shard: shardId(2, 5),
    origin: OWN,
    firstSeq: 41,
    firstStamp: 775_000_000_000_000,
    deps: new OrderedDeps([OTHERS[0]!, OTHERS[1]!], [7, 300]),
    depsBefore: undefined,
    previousChecksum: Buffer.from('0123456789abcdef', 'hex'),
    ops,
    ...more,
  };
}

/** Makes damage pass the checksum and the length, as a faulty or hostile peer would. */
function signed(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(copy.length, 4);
  checksum64(copy.subarray(16)).copy(copy, 8);
  return copy;
}

function read(bytes: Uint8Array, before = OrderedDeps.empty): unknown {
  const header = readBatchHeader(bytes);
  const ops = decodeOps(bytes, header);
  const { located, ...batch } = decodeBatch(bytes, header, before);
  expect(located.all()).toEqual(ops);
  return { ...batch, ops };
}

/** undefined when it was refused as it should; any other error is a failure. */
function accepted(bytes: Uint8Array): unknown {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof MalformedBytes || error instanceof NewerFormat) return undefined;
    throw error;
  }
}

describe('a batch', () => {
  const peeker = new BatchPeeker();

  test('comes back as it went in', () => {
    const seq = fc.integer({ min: 1, max: 2 ** 50 });
    fc.assert(
      fc.property(shards, origins, seq, seq, opLists, (shard, origin, firstSeq, firstStamp, ops) => {
        const bytes = encodeBatch(batchOf(ops, { shard, origin, firstSeq, firstStamp }));
        const header = readBatchHeader(bytes);
        expect(header).toEqual({
          shard,
          origin,
          firstSeq,
          lastSeq: firstSeq + ops.length - 1,
          firstStamp,
          lastStamp: firstStamp + ops.length - 1,
          count: ops.length,
          checksum: bytes.subarray(8, 16),
          previousChecksum: Buffer.from('0123456789abcdef', 'hex'),
        });
        const batch = decodeBatch(bytes, header, OrderedDeps.empty);
        expect(batch.located.all()).toEqual(ops);
        expect(decodeOps(bytes, header)).toEqual(ops);
        expect(batch.deps).toEqual(new OrderedDeps([OTHERS[0]!, OTHERS[1]!], [7, 300]));
        expect(peeker.peek(bytes)).toEqual({ origin, region: originRegion(origin), firstSeq, lastSeq: header.lastSeq });
        // The same whether read from a Buffer or from plain bytes.
        expect(readBatchHeader(Uint8Array.from(bytes))).toEqual(header);
        // Encoded once (DESIGN 4): the bytes are a function of the content, so a resend is byte for byte the same.
        expect(encodeBatch({ ...batchOf(batch.located.all()), shard, origin, firstSeq, firstStamp })).toEqual(bytes);
      }),
    );
  });

  test('is pinned byte for byte, because every log holds it', () => {
    const op: Op = { ...OP, idempotency: { kind: 'producer', producer: 0xfeed, seq: 300 }, schemaId: 9 };
    const bytes = encodeBatch(batchOf([op, { collection: undefined, key: '', payload: Buffer.of(1) }]));
    expect(bytes.toString('hex')).toBe(
      [
        '010000008d000000', // version, reserved, features, length
        '51445a42b2559f7a', // checksum
        '020000006c000000', // ops, offset of the first
        '29000000000000000070b3bfdbc00200', // first seq, first stamp
        '0123456789abcdef', // previous checksum
        'bc0a0000000002000500010700000000', // incarnation, placement, shard, flags, length of region, reserved
        '65752d77657374', // region
        '0202617000000000000007027361010000000000ac02010473686f70056361727473010400', // deps, collections, extensions
        '1a090106636172742d37077061796c6f6164edfe00000000ac0209050000000101', // ops
      ].join(''),
    );
  });

  test('costs little more than its ops: a header of a few dozen bytes', () => {
    const before = new OrderedDeps([...OTHERS], [7, 300, 12]);
    const deps = before.next(new Map(OTHERS.map((origin, i) => [origin, before.seqs[i]! + 1])), OWN);
    const bytes = encodeBatch(batchOf([OP], { deps, depsBefore: before }));
    expect(bytes.length).toBeLessThan(BATCH_HEADER_BYTES + 70);
  });

  test('refuses to be empty, or above its bounds', () => {
    expect(() => encodeBatch(batchOf([]))).toThrow(RangeError);
    expect(() => encodeBatch(batchOf(Array.from({ length: BATCH_OPS_MAX + 1 }, () => OP)))).toThrow(RangeError);
    const large = { ...OP, payload: Buffer.alloc(BATCH_BYTES_MAX) };
    expect(() => encodeBatch(batchOf([large]))).toThrow(RangeError);
    expect(read(encodeBatch(batchOf([OP])))).toMatchObject({ ops: [OP] });
  });
});

describe('deps', () => {
  /** What an origin's vector does from batch to batch: entries rise, appear, and fold away for ever when their origin is closed. */
  const histories = fc.array(
    fc.record({
      raise: fc.array(fc.tuple(fc.nat({ max: OTHERS.length - 1 }), fc.integer({ min: 1, max: 2 ** 40 })), {
        maxLength: 3,
      }),
      fold: fc.option(fc.nat({ max: OTHERS.length - 1 }), { nil: undefined, freq: 4 }),
      full: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  );

  test('I4: come back through any chain of deltas', () => {
    fc.assert(
      fc.property(histories, (history) => {
        const vector = new Map<OriginId, number>([[OWN, 17]]);
        const folded = new Set<number>();
        let sent = OrderedDeps.empty;
        let received = OrderedDeps.empty;
        history.forEach(({ raise, fold, full }, i) => {
          if (fold !== undefined) folded.add(fold);
          if (fold !== undefined) vector.delete(OTHERS[fold]!);
          for (const [at, by] of raise.filter(([each]) => !folded.has(each)))
            vector.set(OTHERS[at]!, (vector.get(OTHERS[at]!) ?? 0) + by);
          const deps = sent.next(vector, OWN);
          const bytes = encodeBatch(batchOf([OP], { deps, depsBefore: full || i === 0 ? undefined : sent }));
          received = decodeBatch(bytes, readBatchHeader(bytes), received).deps;
          sent = deps;
          expect(received).toEqual(deps);
          const expected = new Map(vector);
          expected.delete(OWN);
          expect(received.toVector()).toEqual(expected);
          for (const origin of OTHERS) expect(received.get(origin)).toBe(expected.get(origin) ?? 0);
        });
      }),
    );
  });

  test('come back in another order too, and when an entry was replaced', () => {
    const before = new OrderedDeps([OTHERS[0]!, OTHERS[1]!], [7, 8]);
    for (const deps of [new OrderedDeps([OTHERS[1]!, OTHERS[0]!], [8, 7]), new OrderedDeps([OTHERS[2]!], [1])]) {
      const bytes = encodeBatch(batchOf([OP], { deps, depsBefore: before }));
      expect(decodeBatch(bytes, readBatchHeader(bytes), before).deps).toEqual(deps);
    }
  });

  test('that go back are refused by the encoder: the delta could only leave them out', () => {
    const before = new OrderedDeps([OTHERS[0]!, OTHERS[1]!], [7, 8]);
    const deps = new OrderedDeps([OTHERS[0]!, OTHERS[1]!], [7, 3]);
    expect(() => encodeBatch(batchOf([OP], { deps, depsBefore: before }))).toThrow(RangeError);
  });

  test('relative to other ones than the reader holds are refused where that can be seen', () => {
    const before = new OrderedDeps([...OTHERS], [1, 2, 3]);
    const deps = before.next(new Map([[OTHERS[2]!, 4]]), OWN);
    const bytes = encodeBatch(batchOf([OP], { deps, depsBefore: before }));
    expect(() => read(bytes, OrderedDeps.empty)).not.toThrow(TypeError);
    expect(() => decodeBatch(bytes, readBatchHeader(bytes), OrderedDeps.empty)).toThrow(MalformedBytes);
  });

  test('never name their own origin', () => {
    const bytes = encodeBatch(batchOf([OP], { deps: new OrderedDeps([OWN], [3]) }));
    expect(() => decodeBatch(bytes, readBatchHeader(bytes), OrderedDeps.empty)).toThrow(MalformedBytes);
  });
});

describe('hostile bytes', () => {
  const sample = encodeBatch(batchOf([OP, { ...OP, trace: Buffer.alloc(25, 3) }], { previousChecksum: NO_CHECKSUM }));

  test('every single flipped bit is refused by the header alone', () => {
    for (let at = 0; at < sample.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bytes = Buffer.from(sample);
        bytes[at]! ^= 1 << bit;
        let error: unknown;
        try {
          readBatchHeader(bytes);
        } catch (thrown) {
          error = thrown;
        }
        expect(error instanceof MalformedBytes || error instanceof NewerFormat, `byte ${at} bit ${bit}`).toBe(true);
      }
    }
  });

  test('so is every truncation, and anything appended', () => {
    for (let length = 0; length < sample.length; length++) {
      expect(() => readBatchHeader(sample.subarray(0, length))).toThrow(MalformedBytes);
    }
    expect(() => readBatchHeader(Buffer.concat([sample, Buffer.of(0)]))).toThrow(MalformedBytes);
  });

  test('damage behind a right checksum gives a batch, MalformedBytes or NewerFormat, and nothing else', () => {
    const damage = fc.record({
      ops: opLists,
      at: fc.nat({ max: 10_000 }),
      byte: fc.oneof(fc.nat({ max: 8 }), fc.nat({ max: 255 })),
      kind: fc.constantFrom('replace', 'insert', 'remove', 'truncate'),
    });
    fc.assert(
      fc.property(damage, ({ ops, at, byte, kind }) => {
        const bytes = encodeBatch(batchOf(ops));
        const i = at % bytes.length;
        const before = bytes.subarray(0, i);
        const after = bytes.subarray(i);
        const harmed = {
          replace: [before, Buffer.of(byte), after.subarray(1)],
          insert: [before, Buffer.of(byte), after],
          remove: [before, after.subarray(1)],
          truncate: [before, Buffer.alloc(Math.max(0, BATCH_HEADER_BYTES - i))],
        }[kind];
        accepted(signed(Buffer.concat(harmed)));
      }),
      { numRuns: 3000 },
    );
  });

  test('noise behind a right checksum neither', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 200, size: 'max' }), fc.boolean(), (noise, plausible) => {
        const bytes = Buffer.from(noise);
        // With a plausible header the noise gets as far as the deps, the table and the ops.
        if (plausible) {
          sample.copy(bytes, 0, 0, BATCH_HEADER_BYTES);
          bytes[59] = 0;
        }
        bytes[0] = 1;
        bytes.writeUInt16LE(0, 2);
        accepted(signed(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  const patched = (patch: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(sample);
    patch(bytes);
    return signed(bytes);
  };

  test.each<[string, (bytes: Buffer) => void]>([
    ['no ops', (b) => b.writeUInt32LE(0, 16)],
    ['more ops than a batch may have', (b) => b.writeUInt32LE(BATCH_OPS_MAX + 1, 16)],
    ['ops that begin inside the header', (b) => b.writeUInt32LE(63, 20)],
    ['ops that begin behind the end', (b) => b.writeUInt32LE(sample.length + 1, 20)],
    ['seq 0', (b) => b.writeBigUInt64LE(0n, 24)],
    ['a seq that is not exact', (b) => b.writeBigUInt64LE(2n ** 53n, 24)],
    ['stamp 0', (b) => b.writeBigUInt64LE(0n, 32)],
    ['a stamp that is not exact', (b) => b.writeBigUInt64LE(2n ** 53n - 1n, 32)],
    ['a region without a name', (b) => (b[59] = 0)],
    ['a badly named region', (b) => (b[64] = 0x2d)],
    ['a reserved byte', (b) => (b[1] = 1)],
    ['a reserved word', (b) => b.writeUInt32LE(1, 60)],
    ['flags of nobody', (b) => (b[58] = 3)],
    ['version 0', (b) => (b[0] = 0)],
  ])('%s: MalformedBytes, from the header alone', (_, patch) => {
    expect(() => readBatchHeader(patched(patch))).toThrow(MalformedBytes);
  });

  test('a count that the bytes cannot hold is refused before anything is allocated for it', () => {
    const bytes = patched((b) => b.writeUInt32LE(BATCH_OPS_MAX, 16));
    expect(() => read(bytes)).toThrow(MalformedBytes);
  });
});

describe('newer versions', () => {
  const sample = encodeBatch(batchOf([OP]));

  test('a newer format, or a required feature that is not known here, is NewerFormat and never half-read', () => {
    for (const [at, value] of [
      [0, 2],
      [0, 255],
      [2, 1],
      [3, 128],
    ] as const) {
      const bytes = Buffer.from(sample);
      bytes[at] = value;
      expect(() => readBatchHeader(bytes)).toThrow(NewerFormat);
    }
  });

  function withExtension(tag: number): Buffer {
    const opsAt = sample.readUInt32LE(20);
    const extension = new ByteWriter().varint(1).varint(tag).blob(Buffer.from('signature')).finish();
    const bytes = Buffer.concat([sample.subarray(0, opsAt - 1), extension, sample.subarray(opsAt)]);
    bytes.writeUInt32LE(opsAt - 1 + extension.length, 20);
    return signed(bytes);
  }

  test('an even header extension is passed over, an odd one refused', () => {
    expect(read(withExtension(2))).toMatchObject({ ops: [OP] });
    expect(read(withExtension(1000))).toMatchObject({ ops: [OP] });
    expect(() => read(withExtension(3))).toThrow(MalformedBytes);
  });

  test('I13: a merge type that is not known here is refused', () => {
    const bytes = Buffer.from(sample);
    const at = bytes.indexOf('carts') + 'carts'.length + 1;
    expect(bytes[at]).toBe(4);
    bytes[at] = 99;
    expect(() => read(signed(bytes))).toThrow('merge type 99');
  });

  test('definitions of collections are known by their object, however many other collections were met', () => {
    const own = { ...DEFINITIONS };
    for (let i = 0; i < 5000; i++)
      read(encodeBatch(batchOf([{ ...OP, collection: { ...COLLECTION, name: `c${i}` } }])));
    const bytes = encodeBatch(batchOf([{ ...OP, collection: own }]));
    const ops = decodeOps(bytes, readBatchHeader(bytes));
    expect(ops[0]!.collection).toBe(DEFINITIONS);
  });

  test('an id of run time with another merge type than its own is refused: no state meets an op of another type', () => {
    const id = runTimeId(3, 'set-aw');
    const of = (type: MergeTypeName): Buffer =>
      encodeBatch(batchOf([{ ...OP, collection: { ...COLLECTION, id, type } }], { depsBefore: undefined }));
    expect(read(of('set-aw'))).toMatchObject({ ops: [{ collection: { id, type: 'set-aw' } }] });
    expect(() => read(of('map-lww'))).toThrow(`collection ${id} is of merge type 4, not 5`);
  });
});
