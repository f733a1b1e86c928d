// Who is asked for everything, by hand.

import { expect, test } from 'vitest';
import { originId, regionId, shardId, type OriginId } from '../../src/record/ids.ts';
import { FEED_OPS_MIN, Feeders, IN_STEP_MS, STALLED_MS } from '../../src/replication/feeders.ts';

const ap = regionId('ap');
const eu = regionId('eu');
const us = regionId('us');
const ofAp = originId(ap, 1);
const ofEu = originId(eu, 2);
const ofUs = originId(us, 3);
const shard = shardId(1, 0);
const always = (): boolean => true;
const BEHIND = 10 * FEED_OPS_MIN;

function vector(of: Readonly<Record<OriginId, number>>): Map<OriginId, number> {
  return new Map(Object.entries(of) as [OriginId, number][]);
}

/** ap, which lacks much of what eu and us have written, after eu's welcome. */
function fed(): Feeders {
  const feeders = new Feeders(ap);
  const has = vector({ [ofAp]: 5, [ofEu]: BEHIND, [ofUs]: BEHIND });
  expect(feeders.welcomed(shard, eu, has, vector({ [ofAp]: 50, [ofEu]: 10, [ofUs]: 10 }), 0)).toBe(true);
  expect(feeders.of(shard)).toBe(eu);
  return feeders;
}

test('of several that are ahead of us, the first', () => {
  const feeders = fed();
  expect(feeders.welcomed(shard, us, vector({ [ofEu]: 999, [ofUs]: 999 }), new Map(), 0)).toBe(false);
  expect([feeders.of(shard), feeders.shards()]).toEqual([eu, [shard]]);
});

test('nobody while only the peer itself is ahead of us, or the others by little', () => {
  const feeders = new Feeders(ap);
  const taken = vector({ [ofEu]: 10, [ofUs]: 10 });
  expect(feeders.welcomed(shard, eu, vector({ [ofEu]: BEHIND, [ofUs]: 10 }), taken, 0)).toBe(false);
  expect(feeders.welcomed(shard, eu, vector({ [ofEu]: 10, [ofUs]: 10 + FEED_OPS_MIN - 1 }), taken, 0)).toBe(false);
  expect(feeders.welcomed(shard, eu, vector({ [ofAp]: BEHIND, [ofEu]: 10, [ofUs]: 10 }), taken, 0)).toBe(false);
  expect(feeders.of(shard)).toBeUndefined();
});

test('I8: not one that lacks what we have from others: what they send now would wait for it', () => {
  const feeders = new Feeders(ap);
  const older = originId(us, 2);
  const taken = vector({ [ofEu]: 10, [ofUs]: 10, [older]: 7 });
  expect(feeders.welcomed(shard, eu, vector({ [ofEu]: BEHIND, [ofUs]: BEHIND, [older]: 6 }), taken, 0)).toBe(false);
  expect(feeders.welcomed(shard, eu, vector({ [ofEu]: BEHIND, [ofUs]: BEHIND, [older]: 7 }), taken, 0)).toBe(true);
});

test('until what was missing half a second ago is here', () => {
  const feeders = fed();
  const check = (taken: number, atMs: number): boolean =>
    feeders.check(shard, vector({ [ofEu]: 10, [ofUs]: taken }), always, atMs);
  feeders.heard(shard, us, [{ origin: ofUs, seq: 99_999 }]);
  feeders.heard(shard, eu, [{ origin: ofUs, seq: 2 * BEHIND }]);
  expect(check(BEHIND - 1, 700)).toBe(false);
  // It has taken longer: what has come meanwhile is next.
  expect(check(BEHIND, 800)).toBe(false);
  expect(check(2 * BEHIND - 1, 800 + IN_STEP_MS - 1)).toBe(false);
  expect(check(2 * BEHIND, 800 + IN_STEP_MS)).toBe(true);
  expect(feeders.of(shard)).toBeUndefined();
  expect(check(2 * BEHIND, 2000)).toBe(false);
});

test('until nothing comes, or its link is gone', () => {
  const taken = vector({ [ofUs]: 20 });
  const stalled = fed();
  expect(stalled.check(shard, taken, always, 900)).toBe(false);
  expect(stalled.check(shard, taken, always, 900 + STALLED_MS - 1)).toBe(false);
  expect(stalled.check(shard, taken, always, 900 + STALLED_MS)).toBe(true);
  const cut = fed();
  expect(cut.check(shard, taken, (peer) => peer !== eu, 100)).toBe(true);
  expect([stalled.of(shard), cut.of(shard)]).toEqual([undefined, undefined]);
});
