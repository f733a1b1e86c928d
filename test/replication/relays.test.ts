// Who is asked for whose ops, and from when on.

import { describe, expect, test } from 'vitest';
import { regionId, shardId } from '../../src/record/ids.ts';
import { RELAY_AFTER_MS, Relays } from '../../src/replication/relays.ts';

const shard = shardId(1, 0);
const eu = regionId('eu');
const us = regionId('us');
const ap = regionId('ap');

/** Notes, for each step, whether the link was up at that time, and tells whether the region was relayed then. */
function relayedAt(steps: readonly (readonly [up: boolean, atMs: number])[]): boolean[] {
  const relays = new Relays();
  return steps.map(([up, atMs]) => {
    const before = relays.isRelayed(shard, us);
    const changed = relays.note(shard, us, up, atMs);
    const relayed = relays.isRelayed(shard, us);
    if (atMs > 0) expect(changed).toBe(relayed !== before);
    return relayed;
  });
}

describe('a region is asked of others', () => {
  test('from the start, until a link to it was up once', () => {
    expect(
      relayedAt([
        [false, 0],
        [false, 10_000],
        [true, 10_001],
      ]),
    ).toEqual([true, true, false]);
    expect(relayedAt([[true, 0]])).toEqual([false]);
  });

  test('when its link has been gone for a while, and not when it flaps', () => {
    expect(
      relayedAt([
        [true, 0],
        [false, 5000],
        [false, 5000 + RELAY_AFTER_MS - 1],
        [true, 6000],
        [false, 6001],
        [false, 6000 + RELAY_AFTER_MS],
        [false, 6001 + RELAY_AFTER_MS],
      ]),
    ).toEqual([false, false, false, false, false, false, true]);
  });

  test('no more as soon as its link is back: a backlog must not come twice', () => {
    expect(
      relayedAt([
        [true, 0],
        [false, 5000],
        [false, 9000],
        [true, 9001],
      ]),
    ).toEqual([false, false, true, false]);
  });
});

test('a peer is always asked for its own ops and for ours, and for those of regions that nobody else serves', () => {
  const relays = new Relays();
  relays.note(shard, us, true, 0);
  relays.note(shard, ap, false, 0);
  const asked = (): string[] => relays.regionsOf(shard, us, eu, [eu, us, ap]);
  expect(asked()).toEqual(['ap', 'eu', 'us']);
  relays.note(shard, ap, true, 1);
  expect(asked()).toEqual(['eu', 'us']);
  expect(relays.noteFormer(shard, regionId('sa'))).toBe(true);
  expect(relays.noteFormer(shard, regionId('sa'))).toBe(false);
  expect(asked()).toEqual(['eu', 'sa', 'us']);
});
