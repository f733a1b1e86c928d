// What counts of promises and reports, and when.

import { describe, expect, test } from 'vitest';
import { NO_CHECKSUM, OrderedDeps, type BatchHeader } from '../../src/record/batch.ts';
import { originId, type OriginId } from '../../src/record/ids.ts';
import type { MemberReport } from '../../src/shard/beat.ts';
import { decodeMeta, encodeMeta } from '../../src/shard/meta.ts';
import { OriginTable } from '../../src/shard/origins.ts';
import { Reports } from '../../src/shard/reports.ts';
import { AP, EU, SHARD, US } from '../support/shard-kit.ts';

const NOW_MS = 1_800_000_000_000;

const eu = originId(EU, 1);
const us = originId(US, 2);
const ap = originId(AP, 3);

function header(origin: OriginId, firstSeq: number, lastSeq: number, lastStamp: number): BatchHeader {
  return {
    shard: SHARD,
    origin,
    firstSeq,
    lastSeq,
    firstStamp: lastStamp - (lastSeq - firstSeq),
    lastStamp,
    count: lastSeq - firstSeq + 1,
    checksum: Buffer.alloc(8, lastSeq),
    previousChecksum: NO_CHECKSUM,
  };
}

function arrive(table: OriginTable, origin: OriginId, firstSeq: number, lastSeq: number, lastStamp: number): void {
  const batch = header(origin, firstSeq, lastSeq, lastStamp);
  table.take(batch, OrderedDeps.empty);
  table.land(batch, OrderedDeps.empty);
}

describe('promises', () => {
  test('I14: a promise counts when the vector has reached its seq, and not when it is heard', () => {
    const table = new OriginTable();
    table.promise({ origin: us, seq: 3, stamp: 500 });
    expect(table.get(us)!.counted).toBe(0);
    arrive(table, us, 1, 2, 100);
    expect(table.get(us)!.counted).toBe(100);
    const batch = header(us, 3, 3, 200);
    table.take(batch, OrderedDeps.empty);
    expect(table.get(us)!.counted).toBe(100);
    table.land(batch, OrderedDeps.empty);
    expect(table.get(us)!.counted).toBe(500);
  });

  test('I14: never goes back: an older promise, heard late, changes nothing', () => {
    const table = new OriginTable();
    table.promise({ origin: us, seq: 0, stamp: 900 });
    table.promise({ origin: us, seq: 0, stamp: 500 });
    expect(table.get(us)!.counted).toBe(900);
    expect(table.get(us)!.latest!.stamp).toBe(900);
  });

  test('I14: while ops lag far behind their promises, those count one after another as the ops come', () => {
    const table = new OriginTable();
    // A promise each 100 ms, and ops that come 40 promises later, over two paths.
    for (let i = 1; i <= 200; i++) {
      table.promise({ origin: us, seq: i, stamp: i * 100 + 50 });
      table.promise({ origin: us, seq: i, stamp: i * 100 + 50 });
      if (i > 40) arrive(table, us, i - 40, i - 40, (i - 40) * 100);
      expect(table.get(us)!.pending.length).toBeLessThanOrEqual(8);
      if (i > 60) expect(table.get(us)!.latest!.stamp).toBe(i * 100 + 50);
    }
    const { pending, counted } = table.get(us)!;
    expect(counted).toBeGreaterThanOrEqual(160 * 100);
    // The next to be reached are still among them, not only the newest.
    expect(Math.min(...pending.map(({ seq }) => seq))).toBeLessThan(200);
  });

  test('I12: pending promises are bounded', () => {
    const table = new OriginTable();
    for (let i = 1; i <= 1000; i++) table.promise({ origin: us, seq: i, stamp: i });
    expect(table.get(us)!.pending).toHaveLength(8);
    expect(table.get(us)!.pending.map(({ stamp }) => stamp)).toContain(1000);
  });
});

describe('the floor', () => {
  test('I9: is nothing without an origin of our own, and never above what anybody knows', () => {
    const table = new OriginTable();
    arrive(table, us, 1, 1, 100);
    const passed = (): number => Infinity;
    expect(table.floor(undefined, passed)).toBe(0);
    const own = { origin: eu, seq: 0, stamp: 900 };
    expect(table.floor(own, passed)).toBe(100);
    table.promise({ origin: us, seq: 1, stamp: 700 });
    expect(table.floor(own, passed)).toBe(700);
    expect(table.floor(own, (origin) => (origin === us ? 50 : Infinity))).toBe(50);
    // Somebody has heard of an origin that is new here.
    table.ensure(ap);
    expect(table.floor(own, passed)).toBe(0);
  });

  test('a closed origin that is here to its end holds nothing down, one that is not holds all', () => {
    const table = new OriginTable();
    arrive(table, us, 1, 1, 100);
    const own = { origin: eu, seq: 0, stamp: 900 };
    table.close(us, 2, 200);
    expect(table.floor(own, () => Infinity)).toBe(100);
    arrive(table, us, 2, 2, 200);
    expect(table.floor(own, () => Infinity)).toBe(900);
  });
});

describe('frozen and closed', () => {
  test('a frozen origin is taken as far as some member is known to hold it, a closed one to its end', () => {
    const table = new OriginTable();
    arrive(table, us, 1, 2, 100);
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(Infinity);
    table.freezeTaken(us, 300);
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(2);
    table.prove(us, 5, { region: AP, stamp: 0 });
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(5);
    table.closeTaken(us, 4, 400);
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(4);
    // Whoever closes it again says the same.
    table.closeTaken(us, 9, 900);
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(4);
  });

  test('a region that is about to begin: nothing of its earlier origins counts above the answer, and nothing unproven is taken', () => {
    const table = new OriginTable();
    arrive(table, us, 1, 2, 100);
    const next = originId(US, 77);
    table.begin(next, 500, NOW_MS);
    expect([table.credible(us, 500, NOW_MS), table.credible(us, 501, NOW_MS)]).toEqual([true, false]);
    expect([table.credible(next, 501, NOW_MS), table.credible(ap, 501, NOW_MS)]).toEqual([true, true]);
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(2);
    table.prove(us, 3, { region: AP, stamp: 0 });
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(3);
    // One that nobody here has heard of is a later one: a log that is whole begins without asking.
    expect(table.acceptedUpTo(originId(US, 78), NOW_MS)).toBe(Infinity);
    expect([table.acceptedUpTo(next, NOW_MS), table.acceptedUpTo(ap, NOW_MS)]).toEqual([Infinity, Infinity]);
    // Whoever asked may have been mistaken: then the true owner goes on.
    expect(table.credible(us, 501, NOW_MS + 10_000)).toBe(true);
    expect(table.acceptedUpTo(us, NOW_MS + 10_000)).toBe(Infinity);
  });

  test('what its own region said before the freeze is no proof: that log may be lost; what it says since, and what others say, is', () => {
    const table = new OriginTable();
    arrive(table, us, 1, 2, 100);
    table.prove(us, 9, { region: US, stamp: 299 });
    table.freezeTaken(us, 300);
    expect(table.get(us)!.proven).toBe(9);
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(2);
    // Said before and heard later, or said to a member that cannot tell when.
    table.prove(us, 9, { region: US, stamp: 299 });
    table.prove(us, 9, { region: US, stamp: 0 });
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(2);
    // A later freeze by an even later incarnation changes nothing.
    table.freezeTaken(us, 600);
    table.prove(us, 5, { region: US, stamp: 300 });
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(5);
    table.prove(us, 7, { region: AP, stamp: 200 });
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(7);
  });

  test('what others said before the freeze counts after it', () => {
    const table = new OriginTable();
    table.prove(us, 7, { region: AP, stamp: 50 });
    table.freezeTaken(us, 300);
    expect(table.acceptedUpTo(us, NOW_MS)).toBe(7);
  });

  test('a folded origin leaves deps and floor, and is remembered', () => {
    const table = new OriginTable();
    arrive(table, us, 1, 1, 100);
    table.close(us, 1, 100);
    table.fold(us);
    expect(table.depsVector().has(us)).toBe(false);
    expect(table.taken.get(us)).toBe(1);
  });
});

describe('meta', () => {
  test('only what is durable goes through it, the infinite included', () => {
    const table = new OriginTable();
    arrive(table, us, 1, 2, 100);
    table.take(header(us, 3, 3, 300), OrderedDeps.empty);
    table.freezeTaken(us, 300);
    arrive(table, ap, 1, 1, 10);
    table.close(ap, 1, 10);
    table.fold(ap);
    table.freezeTaken(eu, 700);
    table.freeze(eu);
    const digest = { low: 1, high: 2, expiring: [[3, 4, 5]] as const };
    const meta = {
      offset: 7,
      origins: [...table.all()],
      digest,
      keys: 3,
      bound: 99,
      leased: true,
      idempotencyFrom: 2,
      idempotencyHorizon: 1,
    };
    const again = decodeMeta(encodeMeta(meta))!;
    expect(again).toMatchObject({
      offset: 7,
      digest,
      keys: 3,
      bound: 99,
      leased: true,
      idempotencyFrom: 2,
      idempotencyHorizon: 1,
    });
    const [first, second, third] = again.origins;
    expect(first).toMatchObject({
      id: us,
      seq: 2,
      takenSeq: 2,
      takenStamp: 100,
      counted: 100,
      frozen: false,
      frozenTaken: false,
      frozenAt: 0,
    });
    expect(second).toMatchObject({
      id: ap,
      counted: Infinity,
      closed: true,
      end: { seq: 1, stamp: 10 },
      folded: false,
    });
    expect(third).toMatchObject({ id: eu, frozen: true, frozenTaken: true, frozenAt: 700 });
    expect(decodeMeta(Buffer.from('{"version":99}'))).toBeUndefined();
    expect(decodeMeta(Buffer.from('no json'))).toBeUndefined();
  });
});

describe('reports', () => {
  function report(over: Partial<MemberReport>): MemberReport {
    return { member: US, origin: us, seq: 0, stamp: 1, counted: [], frozen: [], reached: [], ...over };
  }

  test('I9: a report counts when everything that its member had written before it is here', () => {
    const reports = new Reports([US]);
    const durable = new Map<OriginId, number>();
    reports.hear(report({ seq: 2, stamp: 10, counted: [{ origin: eu, stamp: 500 }] }), durable);
    expect(reports.passed(eu)).toBe(0);
    durable.set(us, 2);
    reports.advance(durable);
    expect(reports.passed(eu)).toBe(500);
  });

  test('I9: nothing is passed until every member has said so; a silent member delays', () => {
    const reports = new Reports([US, AP]);
    const durable = new Map<OriginId, number>();
    reports.hear(report({ stamp: 10, counted: [{ origin: eu, stamp: 500 }] }), durable);
    expect(reports.passed(eu)).toBe(0);
    expect(reports.everyCounted()).toBeUndefined();
    reports.hear(report({ member: AP, origin: ap, stamp: 11, counted: [{ origin: eu, stamp: 300 }] }), durable);
    expect(reports.passed(eu)).toBe(300);
    // An origin that one of them has not heard of is not passed.
    reports.hear(report({ stamp: 20, counted: [{ origin: us, stamp: 20 }] }), durable);
    expect(reports.passed(us)).toBe(0);
    expect(reports.passed(eu)).toBe(300);
  });

  test('what a member has passed stays passed, and an older report that comes late changes nothing', () => {
    const reports = new Reports([US]);
    const durable = new Map<OriginId, number>();
    reports.hear(report({ stamp: 20, counted: [{ origin: eu, stamp: 500 }] }), durable);
    reports.hear(report({ stamp: 10, counted: [{ origin: eu, stamp: 100 }] }), durable);
    expect(reports.passed(eu)).toBe(500);
    reports.hear(report({ stamp: 30, counted: [], reached: [eu] }), durable);
    expect(reports.passed(eu)).toBe(Infinity);
    expect(reports.hasReached(eu)).toBe(true);
  });

  test('of a region that is no member are not ours to count', () => {
    const reports = new Reports([US]);
    reports.hear(report({ member: AP, origin: ap, counted: [{ origin: eu, stamp: 1 }] }), new Map());
    expect(reports.newest()).toEqual([]);
  });

  test('I9: reports count while their member writes faster than its ops come', () => {
    const reports = new Reports([US]);
    const durable = new Map<OriginId, number>();
    for (let i = 1; i <= 200; i++) {
      reports.hear(report({ seq: i, stamp: i, counted: [{ origin: eu, stamp: i }] }), durable);
      durable.set(us, i - 40);
      reports.advance(durable);
    }
    // One of the last eight-odd promises behind the front, not none at all.
    expect(reports.passed(eu)).toBeGreaterThan(100);
    expect(reports.newest()[0]!.stamp).toBe(200);
  });
});
