// One engine, or a few that exchange batches by hand: sequencing, applying, landing.

import { describe, expect, test } from 'vitest';
import { msOfStamp, stampOfMs } from '../../src/clock/hlc.ts';
import { readBatchHeader } from '../../src/record/batch.ts';
import { decodeLease } from '../../src/record/lease.ts';
import { AP, collection, EU, lastBatch, put, ship, ShardHost, START_MS, US } from '../support/shard-kit.ts';

function pair(): [ShardHost, ShardHost] {
  return [new ShardHost(EU, { members: [EU, US] }).open(1), new ShardHost(US, { members: [EU, US] }).open(2)];
}

describe('speculative and durable', () => {
  test('I1: what is admitted is prepared on, and shown to nobody before the log has it', () => {
    const host = new ShardHost(EU).open(1);
    host.lands = false;
    host.admit('counter-pn', 'n', { kind: 'increment', by: 2n });
    const digest = host.digest();
    host.admit('counter-pn', 'n', { kind: 'increment', by: 3n });
    host.seal();
    expect(host.view('counter-pn', 'n')).toBeUndefined();
    expect(host.engine.origins.durable.get(host.own)).toBeUndefined();
    expect(host.digest()).toBe(digest);
    expect(host.engine.meta().offset).toBeLessThan(host.log.length);
    const landed = host.land();
    expect(landed.batches).toHaveLength(1);
    expect(host.view('counter-pn', 'n')).toBe('5');
    expect(host.digest()).not.toBe(digest);
  });

  test('I3: a key that goes and comes back within batches in flight is prepared on as the last of them leaves it', () => {
    const host = new ShardHost(EU).open(1);
    host.write('set-aw', 's', { kind: 'set-add', elements: [Buffer.from('a')] });
    host.lands = false;
    // Removed, added and removed again: the first and the last leave the same thing behind, nothing.
    host.write('set-aw', 's', { kind: 'set-remove', elements: [Buffer.from('a')] });
    const removed = host.log.length;
    host.write('set-aw', 's', { kind: 'set-add', elements: [Buffer.from('b')] });
    const added = host.log.length;
    host.write('set-aw', 's', { kind: 'set-remove', elements: [Buffer.from('b')] });
    host.land(removed);
    host.land(added);
    expect(host.view('set-aw', 's')).toBe('b');
    host.write('set-aw', 's', { kind: 'set-add', elements: [Buffer.from('c')] });
    host.land();
    expect(host.view('set-aw', 's')).toBe('c');
    expect(host.restart().digest()).toBe(host.digest());
  });

  test('several batches that land in one call on one key are counted once each in the digest', () => {
    const host = new ShardHost(EU).open(1);
    host.lands = false;
    host.write('register-lww', 'k', put('1'));
    host.write('register-lww', 'k', put('2'));
    host.write('register-lww', 'k', put('3'));
    host.land();
    expect(host.engine.keys).toBe(1);
    expect(host.restart().digest()).toBe(host.digest());
  });

  test('I4: a remote batch is refused while a batch is open', () => {
    const [eu, us] = pair();
    us.write('register-lww', 'k', put('us'));
    const inspection = eu.engine.inspect(lastBatch(us), eu.nowMs);
    eu.admit('register-lww', 'k', put('eu'));
    expect(inspection.kind).toBe('ready');
    if (inspection.kind === 'ready') expect(() => eu.engine.take(inspection, eu.states)).toThrow(/I4/);
  });
});

describe('remote batches', () => {
  test('I2: a batch takes effect once, whichever way and how often it comes', () => {
    const [eu, us] = pair();
    eu.write('counter-pn', 'n', { kind: 'increment', by: 1n });
    const bytes = lastBatch(eu);
    expect(us.refusalOf(bytes)).toBe('taken');
    expect(us.refusalOf(bytes)).toBe('duplicate');
    us.lands = false;
    eu.write('counter-pn', 'n', { kind: 'increment', by: 1n });
    expect(us.refusalOf(lastBatch(eu))).toBe('taken');
    // In flight counts as taken.
    expect(us.refusalOf(lastBatch(eu))).toBe('duplicate');
    us.land();
    expect(us.view('counter-pn', 'n')).toBe('2');
  });

  test('I2: a gap is named, and nothing behind it is taken', () => {
    const [eu, us] = pair();
    eu.write('register-lww', 'a', put('1'));
    const first = lastBatch(eu);
    eu.write('register-lww', 'a', put('2'));
    const second = lastBatch(eu);
    const early = us.receive(second);
    expect(early).toMatchObject({ kind: 'not-now', decision: { kind: 'gap', from: 1 } });
    expect(us.refusalOf(first)).toBe('taken');
    expect(us.refusalOf(second)).toBe('taken');
  });

  test('I4: a batch waits for what its author had seen, and says what is missing', () => {
    const hosts = [EU, US, AP].map((region, i) => new ShardHost(region).open(i + 1)) as [
      ShardHost,
      ShardHost,
      ShardHost,
    ];
    const [eu, us, ap] = hosts;
    eu.write('register-lww', 'k', put('first'));
    ship(eu, us);
    us.write('register-lww', 'k', put('second'));
    expect(ap.receive(lastBatch(us))).toMatchObject({
      kind: 'not-now',
      decision: { kind: 'wait', missing: [{ origin: eu.own, have: 0, need: 1 }] },
    });
    expect(ap.refusalOf(lastBatch(eu))).toBe('taken');
    expect(ap.refusalOf(lastBatch(us))).toBe('taken');
    expect(ap.view('register-lww', 'k')).toBe('second');
    expect(ap.verdicts).toEqual([]);
  });

  test('I10: a batch of another shard, or of a region that does not hold this one, is misrouted', () => {
    const eu = new ShardHost(EU, { members: [EU, US] }).open(1);
    const ap = new ShardHost(AP).open(3);
    ap.write('register-lww', 'k', put('ap'));
    expect(eu.refusalOf(lastBatch(ap))).toBe('misrouted');
    const other = Buffer.from(lastBatch(ap));
    expect(eu.refusalOf(other.subarray(0, 40))).toBe('garbage');
    other[70]! ^= 1;
    expect(eu.refusalOf(other)).toBe('garbage');
  });

  test('I3: two regions that write the same keys at the same time end up equal', () => {
    const [eu, us] = pair();
    for (let i = 0; i < 20; i++) {
      for (const host of [eu, us]) {
        host.write('register-lww', `k${i % 3}`, put(`${host.region}${i}`));
        host.write('register-mv', `m${i % 2}`, put(`${host.region}${i}`));
        host.write('counter-pn', 'n', { kind: 'increment', by: BigInt(i) });
        host.write('set-aw', 's', {
          kind: i % 4 === 3 ? 'set-remove' : 'set-add',
          elements: [Buffer.from(`e${i % 5}`)],
        });
        host.write('map-lww', 'm', {
          kind: 'map-update',
          put: [{ field: `f${i % 4}`, value: Buffer.from(`${i}`) }],
          remove: [],
        });
        host.nowMs += 1;
      }
      if (i % 6 === 5) ship(eu, us);
      if (i % 7 === 6) ship(us, eu);
    }
    ship(eu, us);
    ship(us, eu);
    expect(us.vector()).toEqual(eu.vector());
    expect(us.digest()).toBe(eu.digest());
  });
});

describe('conflicts', () => {
  test('of two writes that did not see each other the loser is judged once, in its own region', () => {
    const [eu, us] = pair();
    const loser = eu.version('register-lww', 'k', put('eu'));
    us.nowMs += 5;
    const winner = us.version('register-lww', 'k', put('us'));
    ship(eu, us);
    ship(us, eu);
    ship(eu, us);
    expect(us.verdicts).toEqual([]);
    expect(eu.verdicts).toMatchObject([{ key: 'k', loser, winner, field: undefined }]);
    expect(Buffer.from(eu.verdicts[0]!.loserValue!).toString()).toBe('eu');
  });

  test('a write over one that it has seen is none, and neither is one that lost before it was seen', () => {
    const [eu, us] = pair();
    eu.write('register-lww', 'k', put('1'));
    ship(eu, us);
    us.nowMs += 5;
    us.write('register-lww', 'k', put('2'));
    ship(us, eu);
    expect(eu.verdicts).toEqual([]);
    // eu's own second write displaced its first: only the second can lose to another region's.
    eu.nowMs += 10;
    us.nowMs += 20;
    eu.write('register-lww', 'k', put('3'));
    const second = eu.version('register-lww', 'k', put('4'));
    us.write('register-lww', 'k', put('5'));
    ship(us, eu);
    expect(eu.verdicts.map(({ loser }) => loser)).toEqual([second]);
  });

  test('a verdict comes when the batch is durable, not before', () => {
    const [eu, us] = pair();
    eu.write('register-lww', 'k', put('eu'));
    us.nowMs += 5;
    us.write('register-lww', 'k', put('us'));
    eu.lands = false;
    expect(eu.refusalOf(lastBatch(us))).toBe('taken');
    expect(eu.verdicts).toEqual([]);
    eu.land();
    expect(eu.verdicts).toHaveLength(1);
  });
});

describe('conditions', () => {
  test('see what was sequenced before, durable or not', () => {
    const host = new ShardHost(EU).open(1);
    host.lands = false;
    const first = host.admit('register-lww', 'k', put('1'), { condition: { kind: 'absent' } });
    expect(first.kind).toBe('sequenced');
    const again = host.admit('register-lww', 'k', put('2'), { condition: { kind: 'absent' } });
    expect(again).toMatchObject({ kind: 'refused', error: { code: 'PRECONDITION_FAILED' } });
    if (first.kind !== 'sequenced') throw new Error('not sequenced');
    const { version } = first;
    const swapped = host.admit('register-lww', 'k', put('3'), { condition: { kind: 'version', version } });
    expect(swapped.kind).toBe('sequenced');
    const stale = host.admit('register-lww', 'k', put('4'), { condition: { kind: 'version', version } });
    expect(stale).toMatchObject({ kind: 'refused', error: { code: 'PRECONDITION_FAILED' } });
    host.admit('register-lww', 'k', { kind: 'delete' });
    const gone = host.admit('register-lww', 'k', put('5'), { condition: { kind: 'exists' } });
    expect(gone).toMatchObject({ kind: 'refused', error: { code: 'PRECONDITION_FAILED' } });
    expect(host.admit('register-lww', 'k', put('6'), { condition: { kind: 'absent' } }).kind).toBe('sequenced');
  });

  test('by version are for register-lww; a refused op leaves no batch open', () => {
    const host = new ShardHost(EU).open(1);
    host.write('counter-pn', 'n', { kind: 'increment', by: 1n });
    const condition = { kind: 'version', version: { origin: host.own, seq: 1, stamp: 1 } } as const;
    expect(host.admit('counter-pn', 'n', { kind: 'increment', by: 1n }, { condition })).toMatchObject({
      kind: 'refused',
      error: { code: 'WRONG_OPERATION' },
    });
    expect(host.admit('counter-pn', 'n', put('x'))).toMatchObject({
      kind: 'refused',
      error: { code: 'WRONG_OPERATION' },
    });
    expect(host.engine.openOps).toBe(0);
  });

  test('without an origin nothing is sequenced', () => {
    const host = new ShardHost(EU);
    expect(host.admit('register-lww', 'k', put('1'))).toMatchObject({ kind: 'refused', error: { code: 'NOT_READY' } });
  });
});

describe('retries', () => {
  const idempotency = { kind: 'key', key: 'order-17' } as const;

  test('are recognised within the open batch, in flight, landed, and in another region', () => {
    const [eu, us] = pair();
    eu.lands = false;
    const first = eu.admit('counter-pn', 'n', { kind: 'increment', by: 1n }, { idempotency });
    const retry = eu.admit('counter-pn', 'n', { kind: 'increment', by: 1n }, { idempotency });
    if (first.kind !== 'sequenced') throw new Error('not sequenced');
    expect(retry).toEqual({ kind: 'duplicate', version: first.version });
    eu.seal();
    expect(eu.admit('counter-pn', 'n', { kind: 'increment', by: 1n }, { idempotency }).kind).toBe('duplicate');
    eu.land();
    ship(eu, us);
    expect(us.admit('counter-pn', 'n', { kind: 'increment', by: 1n }, { idempotency })).toEqual({
      kind: 'duplicate',
      version: first.version,
    });
    expect(us.view('counter-pn', 'n')).toBe('1');
  });

  test('that were refused the first time are new', () => {
    const host = new ShardHost(EU).open(1);
    const condition = { kind: 'exists' } as const;
    expect(host.admit('register-lww', 'k', put('1'), { idempotency, condition }).kind).toBe('refused');
    expect(host.admit('register-lww', 'k', put('1'), { idempotency }).kind).toBe('sequenced');
  });
});

describe('stamps and promises', () => {
  test('I5: no stamp is given above the bound of a lease that stands before it in the log', () => {
    const host = new ShardHost(EU, { leaseMs: 1000 }).open(1);
    for (let i = 0; i < 200; i++) {
      host.admit('register-lww', `k${i}`, put('x'));
      if (i % 7 === 0) host.seal();
      host.nowMs += i % 5 === 0 ? 700 : 0;
      if (i % 11 === 0) host.tick();
    }
    host.seal();
    let bound = 0;
    for (const { kind, bytes } of host.log) {
      if (kind === 'lease') bound = Math.max(bound, decodeLease(bytes).bound);
      else expect(readBatchHeader(bytes).lastStamp).toBeLessThanOrEqual(bound);
    }
  });

  test('I5: a promise stays below what is open or in flight, and below the durable lease', () => {
    const host = new ShardHost(EU, { leaseMs: 1000 }).open(1);
    host.lands = false;
    const admitted = host.admit('register-lww', 'k', put('1'));
    if (admitted.kind !== 'sequenced') throw new Error('not sequenced');
    host.nowMs += 300;
    expect(host.engine.promise(host.nowMs)).toEqual({ origin: host.own, seq: 0, stamp: admitted.version.stamp - 1 });
    host.seal();
    host.nowMs += 300;
    expect(host.engine.promise(host.nowMs)!.stamp).toBe(admitted.version.stamp - 1);
    host.land();
    const promised = host.engine.promise(host.nowMs)!;
    expect(promised).toEqual({ origin: host.own, seq: 1, stamp: stampOfMs(host.nowMs) });
    // No tick renewed the lease: the promise ends where it does.
    host.nowMs += 5000;
    const lease = decodeLease(host.log.find(({ kind }) => kind === 'lease')!.bytes).bound;
    expect(host.engine.promise(host.nowMs)!.stamp).toBe(lease);
  });

  test('I5: every stamp is above every promise made before it, also when the clock steps back', () => {
    const host = new ShardHost(EU).open(1);
    let promised = 0;
    const steps = [5, 40, -3000, 1, 1, 900, -10, 2000, 3, -1, 600];
    for (const step of steps) {
      host.nowMs += step;
      host.tick();
      const promise = host.engine.promise(host.nowMs)!;
      expect(promise.stamp).toBeGreaterThanOrEqual(promised);
      promised = promise.stamp;
      expect(host.version('register-lww', 'k', put('x')).stamp).toBeGreaterThan(promised);
    }
  });

  test('I5: a successor starts above the last bound in the log, however slow its clock is', () => {
    const host = new ShardHost(EU).open(1);
    host.write('register-lww', 'k', put('1'));
    host.nowMs += 800;
    host.tick();
    const promised = host.engine.promise(host.nowMs)!.stamp;
    const bound = Math.max(
      ...host.log.filter(({ kind }) => kind === 'lease').map(({ bytes }) => decodeLease(bytes).bound),
    );
    for (const from of [undefined, host.snapshot()]) {
      const next = host.restart(from);
      next.nowMs = START_MS - 60_000;
      next.open(9);
      const version = next.version('register-lww', 'k', put('2'));
      expect(version.stamp).toBeGreaterThan(Math.max(promised, bound));
      expect(next.view('register-lww', 'k')).toBe('2');
    }
  });

  test('I5: after a restart from the store, too, a write beats what was applied before it', () => {
    const [eu, us] = pair();
    us.nowMs += 1900;
    us.write('register-lww', 'k', put('ahead'));
    ship(us, eu);
    for (const from of [undefined, eu.snapshot()]) {
      const again = eu.restart(from).open(7);
      again.write('register-lww', 'k', put('later'));
      expect(again.view('register-lww', 'k')).toBe('later');
    }
  });

  test('I5: members are believed when they have heard higher promises than the log shows', () => {
    const host = new ShardHost(EU);
    const above = stampOfMs(START_MS + 90_000);
    host.open(1, above);
    expect(host.version('register-lww', 'k', put('1')).stamp).toBeGreaterThan(above);
  });

  test('I9: who restarts has forgotten what it heard, and answers no less than the lease below which it helped to build', () => {
    const [eu, us] = pair();
    us.write('register-lww', 'k', put('1'));
    ship(us, eu);
    us.nowMs += 800;
    eu.nowMs += 800;
    us.append(us.engine.tick(us.nowMs).append);
    eu.append(eu.engine.tick(eu.nowMs).append);
    eu.engine.hear(us.engine.beat(us.nowMs), eu.nowMs);
    const heard = us.engine.promise(us.nowMs)!.stamp;
    expect(eu.engine.boundOf(US, eu.nowMs)).toBeGreaterThanOrEqual(heard);
    const again = eu.restart();
    expect(again.engine.boundOf(US, again.nowMs)).toBeGreaterThanOrEqual(eu.engine.promise(eu.nowMs)!.stamp);
    expect(again.engine.boundOf(US, again.nowMs)).toBe(again.engine.recoveredBound);
  });

  test('I5: a bound from a time when the clock was far ahead is not handed on', () => {
    const eu = new ShardHost(EU, { nowMs: START_MS + 86_400_000 }).open(1);
    const again = eu.restart();
    again.nowMs = START_MS;
    expect(again.engine.recoveredBound).toBeGreaterThan(stampOfMs(START_MS + 86_400_000));
    expect(again.engine.boundOf(US, again.nowMs)).toBe(stampOfMs(START_MS + 2000));
  });

  test('I6: a new incarnation never continues the seqs of another', () => {
    const host = new ShardHost(EU).open(1);
    host.write('register-lww', 'k', put('1'));
    const next = host.restart().open(2);
    const version = next.version('register-lww', 'k', put('2'));
    expect(version.origin).not.toBe(host.own);
    expect(version.seq).toBeLessThanOrEqual(2);
  });
});

describe('streams that stop', () => {
  test('I5: a stamp from the future holds its own origin, never the clock, and passes when time has come', () => {
    const hosts = [EU, US, AP].map((region, i) => new ShardHost(region).open(i + 1)) as [
      ShardHost,
      ShardHost,
      ShardHost,
    ];
    const [eu, us, ap] = hosts;
    us.nowMs += 10_000;
    us.write('register-lww', 'k', put('future'));
    const before = eu.clock.last;
    expect(eu.refusalOf(lastBatch(us))).toBe('hold');
    expect(eu.clock.last).toBe(before);
    expect(eu.engine.origins.get(us.own)?.hold?.kind).toBe('clock');
    ap.write('register-lww', 'k', put('now'));
    expect(eu.refusalOf(lastBatch(ap))).toBe('taken');
    eu.write('register-lww', 'k', put('mine'));
    expect(eu.view('register-lww', 'k')).toBe('mine');
    eu.nowMs += 9000;
    expect(eu.refusalOf(lastBatch(us))).toBe('taken');
    expect(eu.engine.origins.get(us.own)?.hold).toBeUndefined();
  });

  test('I5: what follows a held batch is held too: it is neither parked nor asked for while the clock is the reason', () => {
    const [eu, us] = pair();
    us.nowMs += 10_000;
    us.write('register-lww', 'k', put('1'));
    const first = lastBatch(us);
    us.write('register-lww', 'k', put('2'));
    expect(eu.refusalOf(first)).toBe('hold');
    expect(eu.refusalOf(lastBatch(us))).toBe('hold');
    eu.engine.origins.prove(us.own, 2, { region: AP, stamp: 0 });
    expect(eu.engine.isBehind(eu.nowMs)).toBe(false);
    eu.nowMs += 9000;
    expect(eu.refusalOf(first)).toBe('taken');
    expect(eu.refusalOf(lastBatch(us))).toBe('taken');
  });

  test('I5: a promise from the future is not counted and not passed on', () => {
    const [eu, us] = pair();
    us.nowMs += 10_000;
    us.tick();
    eu.engine.hear(us.engine.beat(us.nowMs), eu.nowMs);
    const beat = eu.engine.beat(eu.nowMs);
    expect(beat.watermarks.filter(({ origin }) => origin === us.own)).toEqual([]);
  });

  test('a beat says what its owner says of itself; what others have said is passed on when that is asked for', () => {
    const [eu, us] = pair();
    us.write('register-lww', 'k', put('1'));
    ship(us, eu);
    eu.engine.hear(us.engine.beat(us.nowMs), eu.nowMs);
    const whole = eu.engine.beat(eu.nowMs);
    const own = eu.engine.beat(eu.nowMs, false);
    expect(whole.watermarks.map(({ origin }) => origin).toSorted()).toEqual([eu.own, us.own].toSorted());
    expect(whole.reports.map(({ member }) => member).toSorted()).toEqual([EU, US].toSorted());
    expect(own.watermarks.map(({ origin }) => origin)).toEqual([eu.own]);
    expect(own.reports).toEqual(whole.reports.filter(({ member }) => member === EU));
  });

  test('a fork stops that origin and nothing else', () => {
    const us = new ShardHost(US).open(2);
    const eu = new ShardHost(EU).open(1);
    us.write('register-lww', 'k', put('1'));
    ship(us, eu);
    // The same identity goes on from an older copy of its log.
    const twin = new ShardHost(US).open(2);
    twin.write('register-lww', 'k', put('another first'));
    twin.write('register-lww', 'k', put('2'));
    expect(eu.refusalOf(lastBatch(twin))).toBe('fork');
    us.write('register-lww', 'k', put('2'));
    expect(eu.refusalOf(lastBatch(us))).toBe('stopped');
    const ap = new ShardHost(AP).open(3);
    ap.write('register-lww', 'k', put('3'));
    expect(eu.refusalOf(lastBatch(ap))).toBe('taken');
    expect(eu.engine.isBehind(eu.nowMs)).toBe(false);
  });

  test('I6: an op of our own live origin that we have not given out is a fork of ours', () => {
    const eu = new ShardHost(EU).open(1);
    const twin = new ShardHost(EU).open(1);
    twin.write('register-lww', 'k', put('1'));
    expect(eu.refusalOf(lastBatch(twin))).toBe('fork');
    eu.write('register-lww', 'k', put('1'));
    expect(eu.refusalOf(lastBatch(eu))).toBe('duplicate');
  });

  test('a batch that cannot be applied is quarantined whole', async () => {
    const { encodeBatch, OrderedDeps, NO_CHECKSUM } = await import('../../src/record/batch.ts');
    const eu = new ShardHost(EU).open(1);
    const us = new ShardHost(US).open(2);
    const bytes = encodeBatch({
      shard: eu.engine.settings.shard,
      origin: us.own,
      firstSeq: 1,
      firstStamp: stampOfMs(START_MS),
      deps: OrderedDeps.empty,
      depsBefore: undefined,
      previousChecksum: NO_CHECKSUM,
      ops: [
        { collection: collection('register-lww'), key: 'good', payload: Buffer.from([1, 65]) },
        { collection: collection('register-lww'), key: 'bad', payload: Buffer.from([99]) },
      ],
    });
    expect(eu.refusalOf(bytes)).toBe('quarantine');
    expect(eu.view('register-lww', 'good')).toBeUndefined();
    expect(eu.refusalOf(bytes)).toBe('stopped');
    expect(msOfStamp(eu.engine.origins.get(us.own)!.hold!.stamp)).toBe(START_MS);
  });
});
