// Which retries are recognised, and what happens at the bound.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { msOfStamp, stampOfMs } from '../../src/clock/hlc.ts';
import { originId, type Version } from '../../src/record/ids.ts';
import type { Idempotency } from '../../src/record/op.ts';
import { IdempotencyCut } from '../../src/shard/idempotency-cut.ts';
import { IdempotencyTable, OPEN_BATCH_MS_MAX } from '../../src/shard/idempotency.ts';
import { EU, START_MS } from '../support/shard-kit.ts';

const eu = originId(EU, 1);

function version(seq: number, atMs = START_MS + seq): Version {
  return { origin: eu, seq, stamp: stampOfMs(atMs) };
}

function callers(key: string): Idempotency {
  return { kind: 'key', key };
}

test('the first result is the one that is told, whoever comes later', () => {
  const table = new IdempotencyTable(10);
  table.record(callers('a'), version(1), 1);
  table.record(callers('a'), version(2), 2);
  expect(table.look(callers('a'), undefined)).toEqual({ kind: 'duplicate', first: version(1) });
  expect(table.size).toBe(1);
});

test('I12: beyond the bound the oldest are forgotten, and an op from before that is refused, never called new', () => {
  const table = new IdempotencyTable(3);
  for (let i = 1; i <= 5; i++) table.record(callers(`k${i}`), version(i), i);
  expect(table.size).toBe(3);
  expect(table.firstOffset).toBe(3);
  expect(table.look(callers('k5'), START_MS + 5).kind).toBe('duplicate');
  expect(table.look(callers('k1'), START_MS + 1).kind).toBe('forgotten');
  // A stamp is that of its batch's opening: an op may have been tried so much later and be among the forgotten.
  expect(table.look(callers('k1'), START_MS + 2 + OPEN_BATCH_MS_MAX).kind).toBe('forgotten');
  // First tried after everything that was forgotten: new for certain.
  expect(table.look(callers('k6'), START_MS + 3 + OPEN_BATCH_MS_MAX).kind).toBe('new');
});

test('a producer with a forgotten seq is refused below it, and recognised above it', () => {
  const table = new IdempotencyTable(2);
  const of = (seq: number): Idempotency => ({ kind: 'producer', producer: 7, seq });
  for (let i = 1; i <= 3; i++) table.record(of(i), version(i), i);
  expect(table.look(of(1), undefined).kind).toBe('forgotten');
  expect(table.look(of(2), undefined).kind).toBe('duplicate');
  expect(table.look(of(4), undefined).kind).toBe('new');
});

test('a restart knows what was forgotten before it by the horizon', () => {
  const table = new IdempotencyTable(3, stampOfMs(START_MS + 10));
  expect(table.look(callers('x'), START_MS + 10).kind).toBe('forgotten');
  expect(table.look(callers('x'), START_MS + 11 + OPEN_BATCH_MS_MAX).kind).toBe('new');
});

test('against a naive model: no op that names the moment of its first try is ever called new twice', () => {
  const op = fc.record({ id: fc.integer({ min: 0, max: 12 }), producer: fc.integer({ min: 0, max: 2 }) });
  fc.assert(
    fc.property(fc.array(op, { maxLength: 80 }), fc.integer({ min: 1, max: 6 }), (ops, entriesMax) => {
      const table = new IdempotencyTable(entriesMax);
      const applied = new Map<string, Version>();
      const firstTried = new Map<string, number>();
      ops.forEach(({ id, producer }, i) => {
        const nowMs = START_MS + i;
        const idempotency: Idempotency =
          producer === 0 ? callers(`k${id}`) : { kind: 'producer', producer, seq: id + 1 };
        const name = JSON.stringify(idempotency);
        const issuedAtMs = firstTried.get(name) ?? nowMs;
        firstTried.set(name, issuedAtMs);
        const seen = table.look(idempotency, issuedAtMs);
        const before = applied.get(name);
        if (seen.kind === 'duplicate') expect(seen.first).toEqual(before);
        if (seen.kind === 'new') {
          expect(before).toBeUndefined();
          applied.set(name, version(i + 1, nowMs));
          table.record(idempotency, version(i + 1, nowMs), i + 1);
        }
        expect(table.size).toBeLessThanOrEqual(entriesMax);
      });
    }),
  );
});

test('I2: of a log that is read again from anywhere on, no op is called new that stands before', () => {
  const step = fc.record({
    origin: fc.integer({ min: 0, max: 2 }),
    ops: fc.integer({ min: 1, max: 3 }),
    ms: fc.nat(40),
  });
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 30 }),
      fc.array(fc.integer({ min: -500, max: 500 }), { minLength: 3, maxLength: 3 }),
      fc.nat(),
      (steps, clocksMs, anywhere) => {
        // Clocks apart, so that stamps of one origin grow along the log, and those of two do not.
        const last = clocksMs.map((ms) => START_MS + ms);
        const log = steps.map(({ origin, ops, ms }, i) => {
          last[origin] = last[origin]! + 1 + ms;
          return { offset: i + 1, origin: originId(EU, origin + 1), firstStamp: stampOfMs(last[origin]), ops };
        });
        const stamps = new Map(log.map(({ origin, firstStamp, ops }) => [origin, firstStamp + ops - 1]));
        const from = 1 + (anywhere % log.length);
        const table = new IdempotencyTable(1000);
        const cut = new IdempotencyCut([...stamps].map(([id, stamp]) => ({ id, stamp })));
        const keyOf = (offset: number, i: number): Idempotency => callers(`${offset} ${i}`);
        for (const { offset, origin, firstStamp, ops } of log.slice(from - 1)) {
          cut.see(origin, firstStamp);
          for (let i = 0; i < ops; i++)
            table.record(keyOf(offset, i), { origin, seq: offset * 10 + i, stamp: firstStamp + i }, offset);
        }
        table.forgetUpTo(cut.horizonStamp);
        for (const { offset, firstStamp, ops } of log) {
          for (let i = 0; i < ops; i++) {
            const issuedAtMs = Math.floor(msOfStamp(firstStamp + i)) + OPEN_BATCH_MS_MAX;
            const { kind } = table.look(keyOf(offset, i), issuedAtMs);
            expect(kind).toBe(offset < from ? 'forgotten' : 'duplicate');
          }
        }
        // First tried when all of it was written: new.
        const nowMs = Math.max(...last) + 2 * OPEN_BATCH_MS_MAX;
        expect(table.look(callers('another'), nowMs).kind).toBe('new');
      },
    ),
  );
});
