// The checkers against histories that are bad on purpose: one that has never failed proves nothing.

import { describe, expect, test } from 'vitest';
import { CausewayError } from '../../src/errors/errors.ts';
import { originId, regionId, type RegionId, type Version } from '../../src/record/ids.ts';
import type { MergeTypeName } from '../../src/record/op.ts';
import { msOfStamp, stampOfMs } from '../../src/clock/hlc.ts';
import type { Conflict, ConflictSink, RegionStatus, ScanRequest, ScanResult } from '../../src/region/region.ts';
import { ConflictCheck } from '../../chaos/check/conflicts.ts';
import { LevelCheck } from '../../chaos/check/levels.ts';
import { checkLag } from '../../chaos/check/lag.ts';
import { FeedCheck } from '../../chaos/check/feeds.ts';
import { keyName } from '../../chaos/check/history.ts';
import { PromiseCheck } from '../../chaos/check/promises.ts';
import { expectedConflicts, REFERENCE, viewText, type SpecOp } from '../../chaos/check/reference.ts';
import { ResidencyCheck } from '../../chaos/check/residency.ts';
import { ScanCheck } from '../../chaos/check/scans.ts';
import type { ClientOp } from '../../chaos/check/clients.ts';
import type { Intent, View } from '../../src/merge/types.ts';
import { Bench, collection, EU, EU1, put, SHARD, US, US1 } from './histories.ts';

const LOCAL = { kind: 'local' } as const;
const NAME = keyName('shop', 'register-lww', 'k');

describe('history', () => {
  test('I2: a good history passes', () => {
    const b = new Bench();
    const first = b.batch(EU1, 10, [b.asked(put('a'))]);
    b.durable(EU, first);
    b.durable(US, first);
    const second = b.batch(US1, 20, [b.asked(put('b'))], { [EU1]: 1 });
    b.durable(US, second);
    b.durable(EU, second);
    expect(b.history.log(EU, SHARD).vector).toEqual(
      new Map([
        [EU1, 1],
        [US1, 1],
      ]),
    );
  });

  test('I2: the same batch twice in a log, and a gap', () => {
    const b = new Bench();
    const first = b.batch(EU1, 10, [b.asked(put('a'))]);
    const second = b.batch(EU1, 20, [b.asked(put('b'))]);
    b.durable(EU, first);
    b.durable(EU, second);
    expect(() => b.durable(EU, first)).toThrow(/a second time/);
    expect(() => b.durable(US, second, 1)).toThrow(/gap/);
  });

  test('I4: a batch before what it depends on', () => {
    const b = new Bench();
    b.durable(EU, b.batch(EU1, 10, [b.asked(put('a'))]));
    b.durable(US, b.batch(US1, 5, [b.asked(put('b'))]));
    const dependent = b.batch(EU1, 20, [b.asked(put('c'))], { [US1]: 1 });
    expect(() => b.durable(EU, dependent)).toThrow(/depends on us~000000000001:1/);
  });

  test('I4: an own batch that was prepared on less than what stands before it', () => {
    const b = new Bench();
    const remote = b.batch(US1, 5, [b.asked(put('b'))]);
    b.durable(US, remote);
    b.durable(EU, remote);
    expect(() => b.durable(EU, b.batch(EU1, 20, [b.asked(put('c'))]))).toThrow(/one past/);
  });

  test('I5: stamps that do not increase, and a stamp below what was seen', () => {
    const b = new Bench();
    b.durable(EU, b.batch(EU1, 10, [b.asked(put('a')), b.asked(put('b'))]));
    expect(() => b.durable(EU, b.batch(EU1, 11, [b.asked(put('c'))]))).toThrow(/not above 11/);

    const c = new Bench();
    const high = c.batch(US1, 50, [c.asked(put('b'))]);
    c.durable(US, high);
    c.durable(EU, high);
    expect(() => c.durable(EU, c.batch(EU1, 40, [c.asked(put('c'))], { [US1]: 1 }))).toThrow(
      /has seen us~000000000001:1 with stamp 50/,
    );
  });

  test('I6: one dot with two contents; a new batch that reuses seqs', () => {
    const b = new Bench();
    b.durable(EU, b.batch(EU1, 10, [b.asked(put('a'))]));
    const other = b.batch(EU1, 11, [b.asked(put('b'))], {}, { firstSeq: 1 });
    expect(() => b.durable(US, other)).toThrow(/other bytes/);
    const wide = b.batch(EU1, 12, [b.asked(put('b'))], {}, { firstSeq: 3 });
    expect(() => b.durable(EU, wide)).toThrow(/history ends at 1/);
  });

  test('I6: a batch that does not follow the one before it', () => {
    const b = new Bench();
    b.durable(EU, b.batch(EU1, 10, [b.asked(put('a'))]));
    const stray = b.batch(EU1, 20, [b.asked(put('b'))], {}, { previousChecksum: Buffer.alloc(8, 7) });
    expect(() => b.durable(EU, stray)).toThrow(/checksum/);
  });

  test('I7: a batch of a region that the region itself never had', () => {
    const b = new Bench();
    expect(() => b.durable(US, b.batch(EU1, 10, [b.asked(put('a'))]))).toThrow(/never durable in its own region/);
  });

  test('close: an op beyond the end', () => {
    const b = new Bench();
    const old = originId(EU, 9);
    b.durable(EU, b.batch(old, 10, [b.asked(put('a'))]));
    b.durable(EU, b.batch(EU1, 20, [{ kind: 'close', origin: old, endSeq: 1, endStamp: 10 }], { [old]: 1 }));
    expect(() => b.durable(EU, b.batch(old, 30, [b.asked(put('b'))], { [EU1]: 1 }))).toThrow(/beyond the origin's end/);
  });

  test('a rewound log may be filled again, with the same bytes', () => {
    const b = new Bench();
    const first = b.batch(EU1, 10, [b.asked(put('a'))]);
    const second = b.batch(EU1, 20, [b.asked(put('b'))]);
    b.durable(EU, first);
    b.durable(EU, second);
    b.rewind(EU, 1);
    expect(b.history.log(EU, SHARD).vector).toEqual(new Map([[EU1, 1]]));
    b.durable(EU, second);
    expect(b.history.log(EU, SHARD).vector).toEqual(new Map([[EU1, 2]]));
  });

  test('I4: an old copy that takes the place of a disk that was lost meanwhile: what only the lost one had is gone', () => {
    const b = new Bench();
    const copied = b.batch(originId(US, 1), 10, [b.asked(put('a'))]);
    b.durable(US, copied);
    b.durable(EU, copied);
    b.rewind(EU, 0);
    b.durable(EU, b.batch(EU1, 20, [b.asked(put('b'))]));
    b.durable(EU, copied);
    b.rewind(EU, [copied]);
    expect(b.history.log(EU, SHARD).tail).toBe(0);
    b.durable(EU, copied);
    // It stands on what the copy has, and on nothing of the disk that was lost.
    b.durable(EU, b.batch(originId(EU, 2), 30, [b.asked(put('c'))], { [originId(US, 1)]: 1 }));
  });
});

describe('promises', () => {
  test('I5: an op at or below an earlier promise, whichever comes first', () => {
    const b = new Bench();
    const promises = new PromiseCheck(b.history);
    b.history.onNewBatch = (batch) => promises.logged(batch);
    promises.heard(SHARD, { origin: EU1, seq: 0, stamp: 100 });
    expect(() => b.durable(EU, b.batch(EU1, 100, [b.asked(put('a'))]))).toThrow(/promised to stay above 100/);

    const c = new Bench();
    const late = new PromiseCheck(c.history);
    c.history.onNewBatch = (batch) => late.logged(batch);
    c.durable(EU, c.batch(EU1, 50, [c.asked(put('a')), c.asked(put('b'))]));
    late.heard(SHARD, { origin: EU1, seq: 1, stamp: 50 });
    expect(() => late.heard(SHARD, { origin: EU1, seq: 1, stamp: 51 })).toThrow(/its op 2 has 51/);
  });

  test('a promise about later ops says nothing of earlier ones', () => {
    const b = new Bench();
    const promises = new PromiseCheck(b.history);
    b.history.onNewBatch = (batch) => promises.logged(batch);
    promises.heard(SHARD, { origin: EU1, seq: 2, stamp: 100 });
    b.durable(EU, b.batch(EU1, 40, [b.asked(put('a')), b.asked(put('b'))]));
    expect(() => b.durable(EU, b.batch(EU1, 90, [b.asked(put('c'))]))).toThrow(/promised/);
  });

  test('I9: a new incarnation below what its region has promised', () => {
    const b = new Bench();
    const promises = new PromiseCheck(b.history);
    b.history.onNewBatch = (batch) => promises.logged(batch);
    promises.heard(SHARD, { origin: originId(EU, 9), seq: 4, stamp: 100 });
    expect(() => b.durable(EU, b.batch(EU1, 99, [b.asked(put('a'))]))).toThrow(/new incarnation/);
  });

  test('I9: a region that lost its disk, below what every member has counted of it and has promised itself', () => {
    const ap = regionId('ap');
    const before = (start: number, counted: readonly RegionId[], promised = 100): (() => void) => {
      const b = new Bench();
      const promises = new PromiseCheck(b.history, { hasLostData: () => true, members: () => [EU, US, ap] });
      b.history.onNewBatch = (batch) => promises.logged(batch);
      const promise = { origin: originId(EU, 9), seq: 0, stamp: 100 };
      promises.heard(SHARD, promise);
      for (const member of counted) promises.reached(member, SHARD, promise);
      for (const member of [US, ap]) promises.heard(SHARD, { origin: originId(member, 1), seq: 0, stamp: promised });
      return () => b.durable(EU, b.batch(EU1, start, [b.asked(put('a'))]));
    };
    expect(before(100, [US, ap])).toThrow(/new incarnation/);
    before(101, [US, ap])();
    // Nobody can have built on what one member never heard of, or above what a member has promised.
    before(99, [US])();
    before(99, [US, ap], 98)();
    expect(before(98, [US, ap], 98)).toThrow(/new incarnation/);
    // It counts where the ops are of which it speaks.
    const b = new Bench();
    const promises = new PromiseCheck(b.history, { hasLostData: () => true, members: () => [EU, US] });
    b.history.onNewBatch = (batch) => promises.logged(batch);
    promises.heard(SHARD, { origin: US1, seq: 0, stamp: 100 });
    promises.reached(US, SHARD, { origin: originId(EU, 9), seq: 4, stamp: 100 });
    b.durable(EU, b.batch(EU1, 99, [b.asked(put('a'))]));
  });
});

describe('clients', () => {
  const version = (seq: number, stamp: number): Version => ({ origin: EU1, seq, stamp });
  const ok = (v: Version, duplicate = false) => ({ ok: true, shard: SHARD, version: v, duplicate }) as const;

  test('I1: acknowledged and not durable', () => {
    const b = new Bench();
    const op = b.asked(put('a'));
    expect(() => b.clients.answered(op, EU, ok(version(1, 10)), LOCAL, undefined)).toThrow(/not durable/);
    b.durable(EU, b.batch(EU1, 10, [op]));
    b.clients.answered(op, EU, ok(version(1, 10)), LOCAL, undefined);
    b.clients.final(() => [EU]);
    expect(() => b.clients.final(() => [EU, US])).toThrow(/is not in us/);
  });

  test('I1: acknowledged as durable in more regions than it is', () => {
    const b = new Bench();
    const op = b.asked(put('a'));
    b.durable(EU, b.batch(EU1, 10, [op]));
    expect(() => b.clients.answered(op, EU, ok(version(1, 10)), { kind: 'regions', n: 1 }, undefined)).toThrow(
      /1 more regions/,
    );
  });

  test('I1: what was lost with a disk and written again is looked for where it is now', () => {
    const b = new Bench();
    const op = b.asked(put('a'));
    const error = new CausewayError('DURABILITY_NOT_REACHED', 'in none of 1', { outcome: 'applied-locally' });
    const answer = (): void => b.clients.answered(op, EU, { ok: false, error }, LOCAL, undefined);
    b.durable(EU, b.batch(EU1, 10, [op]));
    b.rewind(EU, 0);
    b.clients.rewound();
    expect(answer).toThrow(/is not durable in eu/);
    b.durable(EU, b.batch(originId(EU, 2), 20, [op]));
    answer();
    expect(op.acked).toMatchObject({ origin: originId(EU, 2) });
  });

  test('I1: what only a lost disk had is excused, what a peer has is not', () => {
    const b = new Bench();
    const kept = b.asked(put('a'));
    const lost = b.asked(put('b'));
    const first = b.batch(EU1, 10, [kept]);
    b.durable(EU, first);
    b.durable(US, first);
    b.durable(EU, b.batch(EU1, 20, [lost]));
    b.clients.answered(kept, EU, ok(version(1, 10)), LOCAL, undefined);
    b.clients.answered(lost, EU, ok(version(2, 20)), LOCAL, undefined);
    b.rewind(EU, 0);
    b.clients.rewound();
    expect(() => b.clients.final(() => [EU])).toThrow(/client op 1, /);
    b.durable(EU, first);
    b.clients.final(() => [EU, US]);
  });

  test('I2: an op that takes effect twice', () => {
    const b = new Bench();
    const op = b.asked(put('a'));
    b.durable(EU, b.batch(EU1, 10, [op]));
    expect(() => b.durable(EU, b.batch(EU1, 20, [op]))).toThrow(/took effect 2 times/);
  });

  test('I2: told not-applied, and applied', () => {
    const b = new Bench();
    const op = b.asked(put('a'));
    b.clients.answered(op, EU, { ok: false, error: new CausewayError('OVERLOADED', 'later') }, LOCAL, undefined);
    expect(() => b.durable(EU, b.batch(EU1, 10, [op]))).toThrow(/answered not-applied/);
  });

  test('an unknown outcome may have happened, and a later refusal does not undo it', () => {
    const b = new Bench();
    const op = b.asked(put('a'), { open: 2, attempts: 2 });
    b.clients.answered(op, EU, { ok: false, error: new CausewayError('DEADLINE_EXCEEDED', 'late') }, LOCAL, undefined);
    b.clients.answered(op, EU, { ok: false, error: new CausewayError('OVERLOADED', 'later') }, LOCAL, undefined);
    b.durable(EU, b.batch(EU1, 10, [op]));
    expect(b.clients.refused).toBe(0);
  });

  test('I2: a retry that is answered with another result', () => {
    const b = new Bench();
    const op = b.asked(put('a'), { attempts: 2, open: 2 });
    const other = b.asked(put('b'));
    b.durable(EU, b.batch(EU1, 10, [op, other]));
    b.clients.answered(op, EU, ok(version(1, 10)), LOCAL, undefined);
    expect(() => b.clients.answered(op, EU, ok(version(2, 11), true), LOCAL, undefined)).toThrow(
      /that dot is client op 2/,
    );
  });

  test('session: a write stamped at or below what its session had seen', () => {
    const b = new Bench();
    const op = b.asked(put('a'));
    b.durable(EU, b.batch(EU1, 10, [op]));
    const session = new Map([[SHARD, new Map([[US1, 10]])]]);
    expect(() => b.clients.answered(op, EU, ok(version(1, 10)), LOCAL, session)).toThrow(/its session had seen/);
  });
});

describe('views', () => {
  function twoWrites(): Bench {
    const b = new Bench();
    b.durable(EU, b.batch(EU1, 10, [b.asked(put('a'))]));
    b.durable(EU, b.batch(EU1, 20, [b.asked(put('b'))]));
    return b;
  }
  const view = (text: string, seq: number, stamp: number) =>
    ({ type: 'register-lww', value: Buffer.from(text), version: { origin: EU1, seq, stamp } }) as const;

  test('I3: a read that its own token explains, and one that it does not', () => {
    const b = twoWrites();
    b.views.read(EU, SHARD, 'register-lww', NAME, view('a', 1, 10), new Map([[EU1, 10]]), 0, 0);
    b.views.read(EU, SHARD, 'register-lww', NAME, undefined, new Map(), 0, 0);
    expect(() => b.views.read(EU, SHARD, 'register-lww', NAME, view('b', 2, 20), new Map([[EU1, 10]]), 0, 0)).toThrow(
      /up to offset 2 would explain it/,
    );
    expect(() => b.views.read(EU, SHARD, 'register-lww', NAME, view('c', 3, 30), new Map([[EU1, 30]]), 0, 0)).toThrow(
      /no prefix/,
    );
  });

  test('I9: a deleted value that is back', () => {
    const b = twoWrites();
    b.durable(EU, b.batch(EU1, 30, [b.asked({ kind: 'delete' })]));
    expect(() => b.views.read(EU, SHARD, 'register-lww', NAME, view('b', 2, 20), new Map([[EU1, 30]]), 0, 0)).toThrow(
      /absent/,
    );
  });

  test('session: an answer from a state without what the session had seen', () => {
    const b = twoWrites();
    b.views.causal(EU, SHARD, new Map([[EU1, 10]]), new Map([[EU1, 10]]));
    expect(() => b.views.causal(EU, SHARD, new Map([[EU1, 20]]), new Map([[EU1, 10]]))).toThrow(
      /without eu~000000000001:2/,
    );
  });

  test('feed: a value that was never the state since the event', () => {
    const b = twoWrites();
    b.views.sent(EU, SHARD, 'register-lww', NAME, view('b', 2, 20), 1, 0, 0);
    expect(() => b.views.sent(EU, SHARD, 'register-lww', NAME, view('a', 1, 10), 2, 0, 0)).toThrow(
      /no state since then/,
    );
  });
});

describe('feed', () => {
  function three(): {
    b: Bench;
    feed: FeedCheck;
    event: (seq: number) => { shard: typeof SHARD; version: Version; name: string };
  } {
    const b = new Bench();
    b.durable(EU, b.batch(EU1, 10, [b.asked(put('a')), b.asked(put('b')), b.asked(put('c'))]));
    const feed = new FeedCheck(b.history, () => true);
    feed.subscribed(EU);
    return { b, feed, event: (seq) => ({ shard: SHARD, version: { origin: EU1, seq, stamp: 9 + seq }, name: NAME }) };
  }

  test('every op once, in order', () => {
    const { feed, event } = three();
    feed.received(SHARD, [event(1), event(2)], new Map([[EU1, 2]]));
    feed.received(SHARD, [event(3)], new Map([[EU1, 3]]));
    expect(feed.missing(EU, SHARD)).toBeUndefined();
  });

  test('a gap, a repetition, a wrong order, an op that is not durable, a cursor that runs ahead', () => {
    expect(() => {
      const { feed, event } = three();
      feed.received(SHARD, [event(1), event(3)], new Map([[EU1, 3]]));
    }).toThrow(/passed over/);
    expect(() => {
      const { feed, event } = three();
      feed.received(SHARD, [event(1)], new Map([[EU1, 1]]));
      feed.received(SHARD, [event(1)], new Map([[EU1, 2]]));
    }).toThrow(/again/);
    expect(() => {
      const { feed, event } = three();
      feed.received(SHARD, [event(2), event(1)], new Map([[EU1, 2]]));
    }).toThrow(/after eu~000000000001:2/);
    expect(() => {
      const { feed } = three();
      feed.subscribed(US);
      feed.received(
        SHARD,
        [{ shard: SHARD, version: { origin: EU1, seq: 1, stamp: 10 }, name: NAME }],
        new Map([[EU1, 1]]),
      );
    }).toThrow(/not durable/);
    expect(() => {
      const { feed } = three();
      feed.received(SHARD, [], new Map([[EU1, 4]]));
    }).toThrow(/not durable/);
    expect(() => {
      const { feed } = three();
      feed.received(SHARD, [], new Map([[EU1, 1]]));
    }).toThrow(/passed over/);
  });

  test('a consumer that moves goes on where its cursor stands', () => {
    const { b, feed, event } = three();
    feed.received(SHARD, [event(1)], new Map([[EU1, 1]]));
    b.durable(US, b.history.op(SHARD, EU1, 1)!.batch.bytes);
    feed.subscribed(US);
    feed.received(SHARD, [event(2), event(3)], new Map([[EU1, 3]]));
    expect(feed.missing(US, SHARD)).toBeUndefined();
  });
});

describe('reference', () => {
  const v = (region: string, seq: number, stamp: number): Version => ({
    origin: originId(region as never, 1),
    seq,
    stamp,
  });
  const op = (version: Version, intent: Intent, seen: readonly Version[] = []): SpecOp => ({
    version,
    intent,
    seen: (dot) =>
      dot.origin === version.origin
        ? dot.seq < version.seq
        : seen.some((s) => s.origin === dot.origin && s.seq >= dot.seq),
  });
  const set = (kind: 'set-add' | 'set-remove', ...elements: string[]): Intent => ({
    kind,
    elements: elements.map((e) => Buffer.from(e)),
  });

  test('a concurrent add wins over a remove, and a reset leaves what it had not seen', () => {
    const add = op(v('eu', 1, 10), set('set-add', 'x'));
    const again = op(v('us', 1, 12), set('set-add', 'x'));
    const remove = op(v('eu', 2, 20), set('set-remove', 'x'));
    expect(REFERENCE['set-aw']([add, remove], 0)).toBeUndefined();
    expect(viewText(REFERENCE['set-aw']([remove, again, add], 0))).toBe('set 78');

    const plus = (version: Version, by: bigint, seen: readonly Version[] = []): SpecOp =>
      op(version, { kind: 'increment', by }, seen);
    const reset = op(v('eu', 2, 20), { kind: 'delete' }, []);
    expect(viewText(REFERENCE['counter-pn']([plus(v('eu', 1, 10), 5n), plus(v('us', 1, 11), 3n), reset], 0))).toBe(
      'counter 3',
    );
  });

  test('siblings stay until a write has seen them', () => {
    const a = op(v('eu', 1, 10), put('a'));
    const b = op(v('us', 1, 11), put('b'));
    const c = op(v('eu', 2, 20), put('c'), [b.version]);
    expect(REFERENCE['register-mv']([a, b], 0)).toMatchObject({ siblings: [{}, {}] });
    expect(REFERENCE['register-mv']([a, b, c], 0)).toMatchObject({ siblings: [{ version: c.version }] });
  });

  test('a conflict is what was current at home and was displaced by who had not seen it', () => {
    const isEu = ({ origin }: Version): boolean => origin.startsWith('eu');
    const mine = op(v('eu', 1, 10), put('a'));
    const blind = op(v('us', 1, 20), put('b'));
    const aware = op(v('us', 1, 20), put('b'), [mine.version]);
    expect(expectedConflicts('register-lww', [mine, blind], isEu)).toEqual([
      { field: undefined, loser: mine.version, winner: blind.version, loserIsCollected: false },
    ]);
    expect(expectedConflicts('register-lww', [mine, aware], isEu)).toEqual([]);
    expect(expectedConflicts('register-lww', [blind, op(v('eu', 1, 30), put('a'), [blind.version])], isEu)).toEqual([]);
  });

  test('what a conflict says of a loser that is collected once all have it', () => {
    const collected = (type: MergeTypeName, lost: Intent, won: Intent): unknown =>
      expectedConflicts(type, [op(v('eu', 1, 10), lost), op(v('us', 1, 20), won)], () => true).map(
        (verdict) => verdict.loserIsCollected,
      );
    const update = (change: Partial<Extract<Intent, { kind: 'map-update' }>>): Intent => ({
      kind: 'map-update',
      put: [],
      remove: [],
      ...change,
    });
    const value = Buffer.from('x');
    const again = update({ put: [{ field: 'f', value }] });
    expect(collected('register-lww', put('a'), put('b'))).toEqual([false]);
    expect(collected('register-lww', { kind: 'delete' }, put('b'))).toEqual([true]);
    expect(collected('register-lww', { kind: 'put', value, expiresAtMs: 1 }, put('b'))).toEqual([true]);
    expect(collected('map-lww', again, again)).toEqual([false]);
    expect(collected('map-lww', update({ put: [{ field: 'f', value, expiresAtMs: 1 }] }), again)).toEqual([true]);
    expect(collected('map-lww', update({ remove: ['f'] }), again)).toEqual([true]);
    expect(collected('map-lww', { kind: 'delete' }, again)).toEqual([true]);
    expect(collected('map-lww', again, { kind: 'delete' })).toEqual([false]);
  });
});

describe('lag', () => {
  const status = (lagMs: number | undefined, seq: number): RegionStatus =>
    ({
      region: US,
      nowMs: msOfStamp(stampOfMs(1_800_000_000_000)),
      peers: [{ region: EU, lagMs }],
      shards: [{ shard: SHARD, origins: [{ origin: EU1, seq, state: 'open' }] }],
    }) as unknown as RegionStatus;

  test('I14: a lag that is shorter than the age of an op that is missing', () => {
    const b = new Bench();
    b.lease(EU, EU1, stampOfMs(1_800_000_000_000));
    b.durable(EU, b.batch(EU1, stampOfMs(1_799_999_999_000), [b.asked(put('a'))]));
    checkLag(b.history, status(1000, 0));
    checkLag(b.history, status(undefined, 0));
    checkLag(b.history, status(5, 1));
    expect(() => checkLag(b.history, status(999, 0))).toThrow(/that is 1000 ms old/);
  });
});

test('I14: ops of an earlier origin that a peer got back from others are not its lag', () => {
  const b = new Bench();
  const early = b.batch(EU1, stampOfMs(1_799_999_990_000), [b.asked(put('a'))]);
  b.durable(EU, early);
  b.rewind(EU, 0);
  b.lease(EU, originId(EU, 2), stampOfMs(1_800_000_000_000));
  b.durable(EU, early);
  const nowMs = msOfStamp(stampOfMs(1_800_000_000_000));
  const peers = [{ region: EU, lagMs: 5 }];
  const origins = [{ origin: EU1, seq: 0, state: 'frozen' }];
  checkLag(b.history, { region: US, nowMs, peers, shards: [{ shard: SHARD, origins }] } as unknown as RegionStatus);
});

describe('conditions', () => {
  test('create-if-absent on a key that is there, also within one batch', () => {
    const absent = { condition: { kind: 'absent' } } as const;
    const b = new Bench();
    b.history.onNewBatch = (batch) => b.views.conditions(batch, EU);
    b.durable(EU, b.batch(EU1, 10, [b.asked(put('a'), absent)]));
    expect(() => b.durable(EU, b.batch(EU1, 20, [b.asked(put('b'), absent)]))).toThrow(/required 'absent'/);
    const c = new Bench();
    c.history.onNewBatch = (batch) => c.views.conditions(batch, EU);
    expect(() => c.durable(EU, c.batch(EU1, 10, [c.asked(put('a'), absent), c.asked(put('b'), absent)]))).toThrow(
      /client op 2/,
    );
  });
});

describe('residency', () => {
  test('I10: a vector of a shard that crosses to a region outside its placement', () => {
    const check = new ResidencyCheck(() => [EU]);
    expect(() => check.sent('eu', 'us', { kind: 'ack', shards: [{ shard: SHARD, durable: new Map() }] })).toThrow(
      /us is not in its placement/,
    );
    check.sent('eu', 'us', { kind: 'ping', sentAtMs: 1 });
  });
});

describe('levels', () => {
  /** eu holds its own op at stamp 10 and one of us at 20; us has written another, at 30, that eu lacks. */
  function two(): { b: Bench; levels: LevelCheck } {
    const b = new Bench();
    const first = b.batch(EU1, 10, [b.asked(put('a'))]);
    const second = b.batch(US1, 20, [b.asked(put('b'))]);
    b.durable(EU, first);
    b.durable(US, second);
    b.durable(EU, second);
    b.durable(US, b.batch(US1, 30, [b.asked(put('c'))]));
    return { b, levels: new LevelCheck(b.history, b.views) };
  }
  const value = (text: string, seq: number, stamp: number, origin = US1): View => ({
    type: 'register-lww',
    value: Buffer.from(text),
    version: { origin, seq, stamp },
  });

  test('bounded: an answer that lacks what it says it has, one that is older than was asked for, one that names nothing', () => {
    const { levels } = two();
    levels.readBounded(EU, SHARD, 29, 1000, msOfStamp(29));
    expect(() => levels.readBounded(EU, SHARD, 30, 1000, msOfStamp(30))).toThrow(/without us~000000000001:2@30/);
    expect(() => levels.readBounded(EU, SHARD, 29, 1, msOfStamp(29) + 3)).toThrow(/the answer is as of 3 ms ago/);
    expect(() => levels.readBounded(EU, SHARD, undefined, 1000, 0)).toThrow(/as of nothing/);
  });

  test('stable: an op above the cut, one below it that is missing, one that comes below it later', () => {
    const { levels } = two();
    levels.readStable(EU, SHARD, 'register-lww', NAME, value('b', 1, 20), 25);
    levels.final();
    expect(() => levels.readStable(EU, SHARD, 'register-lww', NAME, value('b', 1, 20), 15)).toThrow(
      /as of 15 reads as/,
    );
    expect(() => levels.readStable(EU, SHARD, 'register-lww', NAME, value('b', 1, 20), 30)).toThrow(
      /as of 30 reads as/,
    );
    expect(() => levels.readStable(EU, SHARD, 'register-lww', NAME, undefined, undefined)).toThrow(/names no cut/);

    const { b, levels: fooled } = two();
    fooled.readStable(EU, SHARD, 'register-lww', NAME, value('c', 2, 30), 40);
    b.durable(US, b.batch(US1, 35, [b.asked(put('late'))]));
    expect(() => fooled.final()).toThrow(/us~000000000001:3@35 came later/);
  });
});

describe('scans', () => {
  /** eu holds k at 10 and m at 20, both of its own; j is in us alone, at 30. */
  function scanned(): { b: Bench; levels: LevelCheck; scans: ScanCheck } {
    const b = new Bench();
    const at = (key: string): Partial<ClientOp> => ({ key, name: keyName('shop', 'register-lww', key) });
    b.durable(EU, b.batch(EU1, 10, [b.asked(put('k'), at('k'))]));
    b.durable(EU, b.batch(EU1, 20, [b.asked(put('m'), at('m'))]));
    b.durable(US, b.batch(US1, 30, [b.asked(put('j'), at('j'))]));
    const levels = new LevelCheck(b.history, b.views);
    return { b, levels, scans: new ScanCheck(b.history, b.views, levels) };
  }
  const entry = (key: string, seq: number, stamp: number, origin = EU1): ScanResult['entries'][number] => ({
    key,
    view: { type: 'register-lww', value: Buffer.from(key), version: { origin, seq, stamp } },
  });
  const K = entry('k', 1, 10);
  const M = entry('m', 2, 20);

  function page(
    entries: ScanResult['entries'],
    more: { request?: Partial<ScanRequest>; result?: Partial<ScanResult> } = {},
  ): () => void {
    const { scans } = scanned();
    const request = {
      prefix: '',
      after: undefined,
      limit: 10,
      consistency: { kind: 'local' },
      ...more.request,
    } as const;
    const session = new Map([[SHARD, new Map([[EU1, 20]])]]);
    const result = { entries, next: undefined, session, stale: false, ...more.result };
    return () => scans.page(EU, [SHARD], collection('register-lww'), request, result, 0, 0);
  }

  test('I3: a key that is left out, is there twice, in another order, or was never written', () => {
    page([K, M])();
    page([K], { result: { next: 'k' } })();
    page([M], { request: { after: 'k' } })();
    page([K], { request: { prefix: 'k' } })();
    expect(page([K])).toThrow(/register-lww\/m .* reads as/);
    expect(page([K, M], { result: { next: 'k' } })).toThrow(/goes on after k, and has m already/);
    expect(page([M, K])).toThrow(/has k after m/);
    expect(page([K, K, M])).toThrow(/has k after k/);
    expect(page([K, M, entry('z', 9, 9)])).toThrow(/z, which nobody has written/);
    expect(page([K, M], { request: { prefix: 'k' } })).toThrow(/of 'k' has m/);
    expect(page([K, M], { request: { after: 'k' } })).toThrow(/has k after k/);
    expect(page([K, M], { request: { limit: 1 } })).toThrow(/2 entries; 1 were asked for/);
    expect(page([], { request: { after: 'm' }, result: { next: 'm' } })).toThrow(/after m goes on after m/);
  });

  test('stable: a page that lacks what lies below its cut, has what lies above it, or names none', () => {
    const consistency = { kind: 'stable' } as const;
    page([K, M], { request: { consistency }, result: { asOfStamp: 29 } })();
    expect(page([K, M], { request: { consistency }, result: { asOfStamp: 30 } })).toThrow(/j \(1\/0\) as of 30/);
    expect(page([K, M], { request: { consistency }, result: { asOfStamp: 19 } })).toThrow(/m \(1\/0\) as of 19/);
    expect(page([K, M], { request: { consistency } })).toThrow(/names no cut/);
  });
});

describe('atomic writes', () => {
  test('a part of one in a batch without the rest, or in a state', () => {
    const b = new Bench();
    const all = [1, 2].map(() => b.asked(put('x'), { atomicWith: [1, 2] }));
    expect(() => b.durable(EU, b.batch(EU1, 10, [all[0]!]))).toThrow(/2 of the same atomic write is not in its batch/);

    const c = new Bench();
    const whole = [1, 2].map(() => c.asked(put('x'), { atomicWith: [1, 2] }));
    c.durable(EU, c.batch(EU1, 10, whole));
    const view = (seq: number): View => ({
      type: 'register-lww',
      value: Buffer.from('x'),
      version: { origin: EU1, seq, stamp: 9 + seq },
    });
    c.views.read(EU, SHARD, 'register-lww', NAME, view(2), new Map([[EU1, 11]]), 0, 0);
    expect(() => c.views.read(EU, SHARD, 'register-lww', NAME, view(1), new Map([[EU1, 10]]), 0, 0)).toThrow(
      /within a batch with an atomic write that ends at 11/,
    );
  });

  test('answers that differ', () => {
    const b = new Bench();
    const ops = [b.asked(put('x')), b.asked(put('x'))];
    const ok = { ok: true, shard: SHARD, version: { origin: EU1, seq: 1, stamp: 10 }, duplicate: false } as const;
    const refused = { ok: false, error: new CausewayError('PRECONDITION_FAILED', 'no') } as const;
    b.clients.answeredAsOne(ops, [ok, ok]);
    b.clients.answeredAsOne(ops, [refused, refused]);
    expect(() => b.clients.answeredAsOne(ops, [ok, refused])).toThrow(/answered ok and not-applied/);
  });
});

describe('conflict journals', () => {
  /** eu's op at stamp 10 is displaced in eu by us's at 20, which had not seen it. */
  async function judged(
    journal: readonly Conflict[],
    told: readonly (readonly Conflict[])[],
    lost = false,
  ): Promise<ConflictCheck> {
    const b = new Bench();
    const mine = b.batch(EU1, 10, [b.asked(put('a'))]);
    const theirs = b.batch(US1, 20, [b.asked(put('b'))]);
    b.durable(EU, mine);
    b.durable(US, theirs);
    b.durable(EU, theirs);
    const node = {
      conflicts: (_: unknown, done: (page: object) => void) => done({ conflicts: journal, next: undefined }),
      watchConflicts: (_: unknown, sink: ConflictSink) => {
        for (const each of told) sink.conflicts(each, new Map(), lost);
        return { cancel: () => undefined, resume: () => undefined };
      },
    };
    const region = { id: EU, shards: [SHARD], rewound: false, nodes: [] as object[] };
    const simNode = { name: 'eu-0', node, region, state: 'up', life: { alive: true } };
    region.nodes.push(simNode);
    const cluster = {
      plan: { lateStore: false },
      regions: [region],
      collections: [collection('register-lww')],
      history: b.history,
      region: () => region,
      nodeFor: () => simNode,
    };
    const check = new ConflictCheck(cluster as never, b.views);
    check.collectAll();
    await check.final((_what, _ms, condition) => {
      expect(condition()).toBe(true);
      return Promise.resolve();
    });
    return check;
  }
  const verdict = (change: Partial<Conflict> = {}): Conflict => ({
    atMs: 1,
    offset: 2,
    index: 0,
    shard: SHARD,
    collection: collection('register-lww'),
    key: 'k',
    field: undefined,
    loser: { origin: EU1, seq: 1, stamp: 10 },
    loserValue: Buffer.from('a'),
    loserExpiresAtMs: undefined,
    winner: { origin: US1, seq: 1, stamp: 20 },
    winnerDeletes: false,
    ...change,
  });
  const other = verdict({ loser: { origin: EU1, seq: 7, stamp: 17 } });

  test('one that has every verdict once passes', async () => {
    expect((await judged([verdict()], [[verdict()]])).count).toBe(1);
  });

  test.each<[string, Conflict[], Conflict[][], boolean, RegExp]>([
    ['a verdict that the journal lacks', [], [[verdict()]], false, /its journal does not say so/],
    ['a verdict that the stream lacks', [verdict()], [[]], false, /its stream does not say so/],
    ['a verdict that stands twice', [verdict(), verdict()], [[verdict()]], false, /stands in the journal twice/],
    ['a verdict that is told twice', [verdict()], [[verdict()], [verdict()]], false, /told twice/],
    ['a verdict about no conflict', [verdict(), other], [[verdict()]], false, /which is no conflict/],
    ['the wrong winner', [verdict({ winner: other.loser })], [[verdict()]], false, /was judged to lose to/],
    ['a stream that says that some were dropped', [verdict()], [[verdict()]], true, /were dropped behind a cursor/],
  ])('%s is found', async (_name, journal, told, lost, says) => {
    await expect(judged(journal, told, lost)).rejects.toThrow(says);
  });
});
