import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeBatch, OrderedDeps, NO_CHECKSUM } from '../../src/record/batch.ts';
import { originId, regionId, shardId } from '../../src/record/ids.ts';
import { TRACE_BYTES, type Op } from '../../src/record/op.ts';
import { contextBytes, isSampled, spanContextOf } from '../../src/tracing/context.ts';
import { visitTraced } from '../../src/tracing/traced-ops.ts';

const digits = (length: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: length / 2, maxLength: length / 2 }).map((bytes) => Buffer.from(bytes).toString('hex'));

test('a context is 25 bytes, sampled, and read back as it was', () => {
  fc.assert(
    fc.property(digits(32), digits(16), (traceId, spanId) => {
      const bytes = contextBytes({ traceId, spanId });
      expect(bytes).toHaveLength(TRACE_BYTES);
      expect(isSampled(bytes)).toBe(true);
      const named = !/^0*$/.test(traceId) && !/^0*$/.test(spanId);
      expect(spanContextOf(bytes)).toEqual(named ? { traceId, spanId } : undefined);
    }),
  );
});

test('as W3C gives them: the flag alone says whether a trace is recorded, and names of zeros name nothing', () => {
  // The example of the standard: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
  const example = Buffer.from('4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b701', 'hex');
  expect(spanContextOf(example)).toEqual({
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    spanId: '00f067aa0ba902b7',
  });
  expect(isSampled(example)).toBe(true);
  const unsampled = Buffer.from(example);
  unsampled[24] = 0b1111_1110;
  expect(isSampled(unsampled)).toBe(false);
  expect(isSampled(undefined)).toBe(false);
  expect(spanContextOf(Buffer.alloc(TRACE_BYTES, 0))).toBeUndefined();
  expect(spanContextOf(example.subarray(1))).toBeUndefined();
});

const profiles = { namespace: 'demo', name: 'profiles', id: 1, type: 'register-lww' } as const;

function batchOf(ops: readonly Op[]): Buffer {
  return encodeBatch({
    shard: shardId(1, 3),
    origin: originId(regionId('eu'), 7),
    firstSeq: 1,
    firstStamp: 1000,
    deps: OrderedDeps.empty,
    depsBefore: undefined,
    previousChecksum: NO_CHECKSUM,
    ops,
  });
}

const anyOp = fc.record({
  key: fc.string({ minLength: 1, maxLength: 300 }),
  payload: fc.uint8Array({ maxLength: 400 }),
  trace: fc.option(
    fc.tuple(fc.uint8Array({ minLength: 24, maxLength: 24 }), fc.boolean()).map(([bytes, sampled]) => {
      return Buffer.from([...bytes, sampled ? 1 : 0]);
    }),
    { nil: undefined },
  ),
  idempotency: fc.constantFrom(
    undefined,
    { kind: 'producer' as const, producer: 2 ** 40, seq: 300 },
    { kind: 'key' as const, key: 'order-17' },
  ),
});

test('the ops that are recorded are found in a batch, whatever stands around them', () => {
  fc.assert(
    fc.property(fc.array(anyOp, { minLength: 1, maxLength: 40 }), (drawn) => {
      const ops: Op[] = drawn.map((op) => ({ collection: profiles, ...op }));
      const found: [number, string][] = [];
      visitTraced(batchOf(ops), (index, context) => found.push([index, Buffer.from(context).toString('hex')]));
      expect(found).toEqual(
        ops.flatMap(({ trace }, i) => (isSampled(trace) ? [[i, Buffer.from(trace).toString('hex')]] : [])),
      );
    }),
  );
});

test('what is no batch, or ends too early, has none and does no harm', () => {
  const trace = contextBytes({ traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8) });
  const whole = batchOf([{ collection: profiles, key: 'anna', payload: Buffer.from('x'), trace }]);
  let seen = 0;
  for (let length = 0; length < whole.length; length++) visitTraced(whole.subarray(0, length), () => seen++);
  visitTraced(Buffer.alloc(500, 0xff), () => seen++);
  expect(seen).toBe(0);
  visitTraced(whole, () => seen++);
  expect(seen).toBe(1);
});
