// The life of origins over several engines, and of an engine over restarts.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stampOfMs } from '../../src/clock/hlc.ts';
import { readBatchHeader } from '../../src/record/batch.ts';
import type { MergeTypeName } from '../../src/record/op.ts';
import { stateKey } from '../../src/record/op.ts';
import {
  AP,
  beat,
  collection,
  EU,
  gossip,
  lastBatch,
  put,
  ship,
  ShardHost,
  US,
  type Snapshot,
} from '../support/shard-kit.ts';

function three(): [ShardHost, ShardHost, ShardHost] {
  return [EU, US, AP].map((region, i) => new ShardHost(region).open(i + 1)) as [ShardHost, ShardHost, ShardHost];
}

describe('an origin', () => {
  test('whose region restarts is frozen, closed at the highest that any member holds, and folded', () => {
    const [eu, us, ap] = three();
    eu.write('register-lww', 'k', put('1'));
    gossip([eu, us, ap], 2);
    eu.write('register-lww', 'k', put('2'));
    const old = eu.own;
    const next = eu.restart(eu.snapshot());
    next.nowMs += 3000;
    us.nowMs = next.nowMs;
    ap.nowMs = next.nowMs;
    next.open(11);
    const all = [next, us, ap];
    gossip(all, 12);
    for (const host of all) {
      expect(host.engine.origins.get(old)).toMatchObject({ closed: true, end: { seq: 2 }, foldedDurable: true });
      expect(host.view('register-lww', 'k')).toBe('2');
      expect(host.engine.beat(host.nowMs).watermarks.map(({ origin }) => origin)).not.toContain(old);
    }
    // It leaves what later batches depend on.
    us.write('register-lww', 'k', put('3'));
    expect(us.engine.origins.depsVector().has(old)).toBe(false);
    gossip(all, 2);
    expect(new Set(all.map((host) => host.digest(next.nowMs))).size).toBe(1);
    expect(all.flatMap(({ verdicts }) => verdicts)).toEqual([]);
  });

  test('is not closed while a member is silent, and not before what only that member holds is fetched', () => {
    const [eu, us, ap] = three();
    gossip([eu, us, ap], 2);
    const early = eu.log.length;
    eu.write('register-lww', 'k', put('only ap has it'));
    ship(eu, ap);
    const old = eu.own;
    // eu comes back from an older copy of its log.
    const next = eu.restart(undefined, eu.log.slice(0, early));
    for (const host of [us, ap]) host.nowMs += 3000;
    next.nowMs = us.nowMs;
    next.open(11);
    gossip([next, us], 10);
    expect(next.engine.origins.get(old)).toMatchObject({ frozen: true, closed: false });
    expect(us.engine.origins.get(old)!.seq).toBe(0);
    const all = [next, us, ap];
    ap.nowMs = next.nowMs;
    gossip(all, 14);
    for (const host of all) {
      expect(host.engine.origins.get(old)).toMatchObject({ closed: true, end: { seq: 1 } });
      expect(host.view('register-lww', 'k')).toBe('only ap has it');
    }
  });

  test('that is frozen is taken no further than somebody is known to hold it', () => {
    const [eu, us, ap] = three();
    gossip([eu, us, ap], 2);
    const old = eu.own;
    const next = eu.restart();
    next.nowMs += 3000;
    us.nowMs = next.nowMs;
    next.open(11);
    gossip([next, us], 2);
    // A deposed owner that still talks, and whose op no member has.
    eu.nowMs = next.nowMs;
    eu.write('register-lww', 'k', put('too late'));
    expect(us.refusalOf(lastBatch(eu))).toBe('frozen');
    us.engine.origins.prove(old, 1, { region: AP, stamp: 0 });
    expect(us.engine.isBehind(us.nowMs)).toBe(true);
    expect(us.refusalOf(lastBatch(eu))).toBe('taken');
  });
});

/**
 * Of eu, whose disk is lost at the end: `tail` stands on an op that only ap and eu have, and `vouches` is the first batch of eu's next
 * incarnation, which stands on both. us has them in hand and can take neither.
 */
function lostTail([eu, us, ap]: [ShardHost, ShardHost, ShardHost]): { tail: Uint8Array; vouches: Uint8Array } {
  eu.write('register-lww', 'k', put('everywhere'));
  gossip([eu, us, ap], 2);
  ap.write('register-lww', 'k', put('us lacks it'));
  ship(ap, eu);
  eu.write('register-lww', 'k', put('lost'));
  const tail = lastBatch(eu);
  const next = eu.restart();
  next.nowMs += 3000;
  next.open(11);
  next.seal();
  next.land();
  const vouches = lastBatch(next);
  us.nowMs = next.nowMs;
  ap.nowMs = next.nowMs;
  expect([us.refusalOf(tail), us.refusalOf(vouches)]).toEqual(['wait', 'wait']);
  return { tail, vouches };
}

describe('the tail of a lost disk', () => {
  test('is not taken by whom it has reached, once the origin is frozen: no member will report it', () => {
    const [eu, us, ap] = three();
    const { tail, vouches } = lostTail([eu, us, ap]);
    const fresh = new ShardHost(EU);
    fresh.nowMs = us.nowMs + 3000;
    us.nowMs = fresh.nowMs;
    ap.nowMs = fresh.nowMs;
    fresh.open(12);
    // Whatever comes from ap comes late.
    for (let round = 0; round < 8; round++) {
      gossip([fresh, us], 1);
      // What is parked is looked at whenever something was taken.
      for (const parked of [tail, vouches]) expect(us.refusalOf(parked)).not.toBe('taken');
      gossip([fresh, ap], 1);
    }
    expect(fresh.engine.origins.get(eu.own)).toMatchObject({ closed: true, end: { seq: 1 } });
    // The incarnation that only us has heard of, and nothing but a batch that it cannot take, ends as well.
    const unheard = readBatchHeader(vouches).origin;
    expect(fresh.engine.origins.get(unheard)).toMatchObject({ closed: true, end: { seq: 0 } });
    ship(ap, us);
    expect(us.engine.origins.get(ap.own)!.takenSeq).toBe(ap.engine.origins.get(ap.own)!.takenSeq);
    expect(['frozen', 'beyond-end']).toContain(us.refusalOf(tail));
    gossip([fresh, us, ap], 12);
    for (const host of [fresh, us, ap]) {
      expect(host.engine.origins.get(eu.own)).toMatchObject({ seq: 1, end: { seq: 1 }, foldedDurable: true });
      expect(host.engine.origins.get(unheard)).toMatchObject({ foldedDurable: true });
    }
    expect([us.refusalOf(tail), us.refusalOf(vouches)]).toEqual(['beyond-end', 'beyond-end']);
    expect(new Set([fresh, us, ap].map((host) => host.digest(us.nowMs))).size).toBe(1);
  });

  test('is taken when another member has it: its report says so, and the origin ends there', () => {
    const [eu, us, ap] = three();
    const { tail } = lostTail([eu, us, ap]);
    expect(ap.refusalOf(tail)).toBe('taken');
    const fresh = new ShardHost(EU);
    fresh.nowMs = us.nowMs + 3000;
    us.nowMs = fresh.nowMs;
    ap.nowMs = fresh.nowMs;
    fresh.open(12);
    gossip([fresh, us, ap], 14);
    for (const host of [fresh, us, ap]) {
      expect(host.engine.origins.get(eu.own)).toMatchObject({ seq: 2, end: { seq: 2 }, foldedDurable: true });
      expect(host.view('register-lww', 'k')).toBe('lost');
    }
  });
});

describe('collection', () => {
  test('I9: a tombstone goes when every member has passed it, and no sooner', () => {
    const [eu, us, ap] = three();
    const all = [eu, us, ap];
    eu.write('register-lww', 'k', put('1'));
    gossip(all, 3);
    const gone = eu.version('register-lww', 'k', { kind: 'delete' });
    // ap is cut off.
    gossip([eu, us], 10);
    expect(eu.engine.stableFloor(eu.nowMs)).toBeLessThan(gone.stamp);
    ap.nowMs = eu.nowMs;
    gossip(all, 4);
    const floor = eu.engine.stableFloor(eu.nowMs);
    expect(floor).toBeGreaterThan(gone.stamp);
    const key = stateKey(collection('register-lww'), 'k');
    const digest = eu.digest();
    const changes = eu.engine.collect([{ key, type: 'register-lww' }], floor, eu.states);
    expect(changes).toHaveLength(1);
    expect(eu.states.slotAt(key, 'register-lww').state).toBeUndefined();
    expect(eu.digest()).toBe(digest);
  });

  test('I9: the floor is below everything that still comes', () => {
    const [eu, us, ap] = three();
    const all = [eu, us, ap];
    let floor = 0;
    for (let i = 0; i < 40; i++) {
      const host = all[i % 3]!;
      const late = host.version('register-lww', `k${i}`, put('x'));
      expect(late.stamp).toBeGreaterThan(floor);
      if (i % 5 === 0) ship(host, all[(i + 1) % 3]!);
      if (i % 7 === 0) gossip(all, 1, 30);
      for (const from of all) for (const to of all) if (from !== to && i % 4 === 0) beat(from, to);
      floor = Math.max(...all.map((each) => each.engine.stableFloor(each.nowMs)));
    }
    expect(floor).toBeGreaterThan(0);
  });

  test.each(['register-lww', 'map-lww'] as const)(
    'how far has been collected is known: below it a state does not tell what it was (%s)',
    (type) => {
      const host = new ShardHost(EU, { members: [EU] }).open(1);
      host.write(type, 'k', { kind: 'delete' });
      const floor = stampOfMs(host.nowMs + 60_000);
      const key = stateKey(collection(type), 'k');
      const none = stateKey(collection('register-lww'), 'never written');
      host.engine.collect([{ key: none, type: 'register-lww' }], floor, host.states);
      expect(host.engine.collectedUpTo).toBe(0);
      host.engine.collect([{ key, type }], floor, host.states);
      expect(host.engine.collectedUpTo).toBe(floor);
    },
  );

  test('a key with a change on its way is left for later', () => {
    const host = new ShardHost(EU, { members: [EU] }).open(1);
    host.write('register-lww', 'k', { kind: 'delete' });
    host.lands = false;
    host.write('register-lww', 'k', put('1'));
    const key = stateKey(collection('register-lww'), 'k');
    const [change] = host.engine.collect([{ key, type: 'register-lww' }], stampOfMs(host.nowMs + 60_000), host.states);
    expect(change!.collectableAt).toBeDefined();
    expect(host.states.state(collection('register-lww'), 'k')).toBeDefined();
    host.land();
    expect(host.view('register-lww', 'k')).toBe('1');
  });
});

// ── Restarts ──────────────────────────────────────────────────────────────────────────────────────────────────────

type Step =
  | {
      readonly kind: 'write';
      readonly who: number;
      readonly type: MergeTypeName;
      readonly key: number;
      readonly what: number;
    }
  | { readonly kind: 'seal'; readonly who: number }
  | { readonly kind: 'ship'; readonly who: number; readonly to: number }
  | { readonly kind: 'beat'; readonly who: number; readonly to: number }
  | { readonly kind: 'time'; readonly who: number; readonly ms: number };

const TYPES: readonly MergeTypeName[] = ['register-lww', 'register-mv', 'counter-pn', 'set-aw', 'map-lww'];
const who = fc.integer({ min: 0, max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      who,
      type: fc.constantFrom(...TYPES),
      key: fc.nat(2),
      what: fc.nat(5),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('seal' as const), who }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('ship' as const), who, to: who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('beat' as const), who, to: who }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('time' as const), who, ms: fc.integer({ min: 1, max: 900 }) }),
  },
);

function write(host: ShardHost, { type, key, what }: Extract<Step, { kind: 'write' }>, i: number): void {
  const name = `k${key}`;
  const options = what % 2 === 0 ? { idempotency: { kind: 'key', key: `op ${i}` } as const } : {};
  if (what === 5) host.admit(type, name, { kind: 'delete' }, options);
  else if (type === 'counter-pn') host.admit(type, name, { kind: 'increment', by: BigInt(what - 2) }, options);
  else if (type === 'set-aw') {
    host.admit(
      type,
      name,
      { kind: what > 2 ? 'set-remove' : 'set-add', elements: [Buffer.from(`e${what % 3}`)] },
      options,
    );
  } else if (type === 'map-lww') {
    host.admit(
      type,
      name,
      { kind: 'map-update', put: [{ field: `f${what % 2}`, value: Buffer.from(`${i}`) }], remove: [] },
      options,
    );
  } else host.admit(type, name, put(`${i}`, what === 3 ? host.nowMs + 5000 : undefined), options);
}

test('I1, I2, I3: a log that is read again, from its start or from any proven point, makes the same shard', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
      const hosts = three();
      const snapshots: Snapshot[][] = hosts.map((host) => [host.snapshot()]);
      steps.forEach((each, i) => {
        const host = hosts[each.who]!;
        if (each.kind === 'write') write(host, each, i);
        if (each.kind === 'seal') host.seal();
        if (each.kind === 'ship' && each.to !== each.who) ship(host, hosts[each.to]!);
        if (each.kind === 'beat' && each.to !== each.who) beat(host, hosts[each.to]!);
        if (each.kind === 'time') {
          host.nowMs += each.ms;
          host.tick();
        }
        for (const [at, one] of hosts.entries()) snapshots[at]!.push(one.snapshot());
      });
      for (const host of hosts) host.seal();
      for (const [at, host] of hosts.entries()) {
        const own = snapshots[at]!;
        for (const from of [undefined, own[0], own[own.length >> 1], own.at(-1)]) {
          const again = host.restart(from);
          expect(again.vector()).toEqual(host.vector());
          expect(again.digest()).toBe(host.digest());
          expect(again.digest(host.nowMs + 60_000)).toBe(host.digest(host.nowMs + 60_000));
          expect(again.engine.keys).toBe(host.engine.keys);
          expect(again.engine.offset).toBe(host.engine.offset);
          expect(again.engine.idempotencySize).toBe(host.engine.idempotencySize);
          // The same verdicts: a conflict does not depend on who applied what when.
          if (from === undefined) expect(again.verdicts).toEqual(host.verdicts);
          // Retries are recognised, and what it stamps next beats all that it holds.
          again.open(99);
          steps.forEach((each, i) => {
            if (each.kind !== 'write' || each.what % 2 !== 0) return;
            const idempotency = { kind: 'key', key: `op ${i}` } as const;
            const options = { idempotency };
            const known = host.admit('register-lww', 'retry', put('x'), { ...options, condition: { kind: 'exists' } });
            const retry = again.admit('register-lww', 'retry', put('x'), { ...options, condition: { kind: 'exists' } });
            expect(retry.kind).toBe(known.kind);
            if (known.kind === 'duplicate') expect(retry).toEqual(known);
          });
          const highest = Math.max(0, ...[...host.engine.origins.all()].map(({ stamp }) => stamp));
          expect(again.version('register-lww', 'last', put('x')).stamp).toBeGreaterThan(highest);
        }
      }
      // And everybody ends up equal, once their clocks agree: what is stamped too far ahead is held.
      const latest = Math.max(...hosts.map(({ nowMs }) => nowMs));
      for (const host of hosts) host.nowMs = latest;
      gossip(hosts, 4);
      const now = Math.max(...hosts.map(({ nowMs }) => nowMs));
      expect(new Set(hosts.map((host) => host.digest(now))).size).toBe(1);
    }),
    {
      numRuns: 60,
      examples: [
        [
          [
            // A clock that is further ahead than is believed.
            { kind: 'time', who: 2, ms: 2301 },
            { kind: 'write', who: 0, type: 'register-lww', key: 0, what: 0 },
            { kind: 'write', who: 2, type: 'register-lww', key: 0, what: 0 },
          ],
        ],
      ],
    },
  );
});
