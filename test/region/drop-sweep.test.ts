// When a shard is looked at for what a dropped collection has left, and how fast that is deleted.

import { describe, expect, test } from 'vitest';
import { Scheduler } from '../../chaos/sim/scheduler.ts';
import { stampOfMs } from '../../src/clock/hlc.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import { originId, regionId, shardId, type RegionId } from '../../src/record/ids.ts';
import type { CollectionRef } from '../../src/record/op.ts';
import {
  DONE_LOOK_MS,
  DropSweep,
  LOOK_AGAIN_MS,
  sweeperOf,
  type Drop,
  type SweptShard,
} from '../../src/region/drop-sweep.ts';
import type { System } from '../../src/system/system.ts';

const [EU, US, AP] = ['eu', 'us', 'ap'].map(regionId) as [RegionId, RegionId, RegionId];
const CARTS: CollectionRef = { namespace: 'shop', name: 'carts', id: 17, type: 'register-lww' };
const AT_MS = 1_000_000;

function dropIn(region: RegionId, members: readonly RegionId[] = [EU, US]): Drop {
  return { collection: CARTS, dropped: { stamp: stampOfMs(AT_MS), origin: originId(region, 1), seq: 1 }, members };
}

class FakeShard implements SweptShard {
  readonly shard;
  readonly keys = new Set<string>();
  floorMs = 0;
  room = true;
  gone = false;
  error: CausewayError | undefined;
  scans = 0;
  deletes = 0;
  answers = true;
  readonly #later: (fn: () => void) => void;

  constructor(index: number, later: (fn: () => void) => void) {
    this.shard = shardId(1, index);
    this.#later = later;
  }

  stableFloor(): number {
    return stampOfMs(this.floorMs);
  }

  hasRoom(): boolean {
    return this.room;
  }

  scan(_: CollectionRef, from: string, limit: { keys: number }, done: Parameters<SweptShard['scan']>[3]): void {
    this.scans++;
    if (this.gone) {
      done(undefined);
      return;
    }
    const found = [...this.keys].sort().filter((key) => key >= from);
    const keys = found.slice(0, limit.keys);
    expect(limit.keys).toBeLessThanOrEqual(256);
    if (this.answers) done({ keys, next: found.length > keys.length ? keys.at(-1) : undefined });
  }

  delete(_: CollectionRef, keys: readonly string[], done: (error: CausewayError | undefined) => void): void {
    this.deletes++;
    this.#later(() => {
      if (this.error === undefined) for (const key of keys) this.keys.delete(key);
      done(this.error);
    });
  }
}

function started(drops: readonly Drop[] = [dropIn(EU)], shards = 2) {
  const scheduler = new Scheduler();
  const system = {
    clock: { nowMs: () => AT_MS + scheduler.now, monotonicMs: () => scheduler.now },
    timers: {
      soon: (fn: () => void) => void scheduler.after(0, fn),
      every: (ms: number, fn: () => void) => {
        let task = scheduler.after(ms, function again() {
          task = scheduler.after(ms, again);
          fn();
        });
        return { cancel: () => task.cancel() };
      },
    },
  } as unknown as System;
  const all = Array.from({ length: shards }, (_, i) => new FakeShard(i, (fn) => void scheduler.after(5, fn)));
  const state = { drops, shards: all as readonly FakeShard[] };
  const sweep = new DropSweep({
    region: EU,
    maxSkewMs: 500,
    system,
    drops: () => state.drops,
    shardsOf: () => state.shards,
  });
  sweep.start();
  const run = (ms: number): Promise<boolean> => scheduler.run(scheduler.now + ms);
  return { sweep, state, shards: all, run };
}

function fill(shard: FakeShard, count: number): void {
  for (let i = 0; i < count; i++) shard.keys.add(`k${String(i).padStart(5, '0')}`);
}

describe('a sweep', () => {
  test('deletes what is there, in slices, one shard after the other, and then looks for what comes late', async () => {
    const { sweep, shards, run } = started();
    const [one, two] = shards as [FakeShard, FakeShard];
    fill(one, 1000);
    fill(two, 10);
    await run(900);
    expect(sweep.sweptKeys).toBe(0);
    await run(1000);
    expect([one.keys.size, two.keys.size, sweep.sweptKeys]).toEqual([0, 0, 1010]);
    expect([one.deletes, two.deletes]).toEqual([4, 1]);
    expect(sweep.unswept).toBe(2);
    one.keys.add('late');
    await run(LOOK_AGAIN_MS + 1000);
    expect(one.keys.size).toBe(0);
    expect([sweep.sweptKeys, sweep.unswept]).toEqual([1011, 1]);
    await run(LOOK_AGAIN_MS + 1000);
    expect(sweep.unswept).toBe(0);
  });

  test('looks seldom once nothing from before the drop can come any more', async () => {
    const { shards, run } = started([dropIn(EU)], 1);
    const [shard] = shards as [FakeShard];
    await run(5 * LOOK_AGAIN_MS);
    const before = shard.scans;
    expect(before).toBeGreaterThan(3);
    shard.floorMs = AT_MS + 60_000;
    await run(2 * LOOK_AGAIN_MS);
    const whenDone = shard.scans;
    await run(DONE_LOOK_MS / 2);
    expect(shard.scans).toBe(whenDone);
    shard.keys.add('later still');
    await run(DONE_LOOK_MS);
    expect(shard.keys.size).toBe(0);
  });

  test('waits while a shard has no room, and goes on with it', async () => {
    const { shards, run } = started();
    const [one, two] = shards as [FakeShard, FakeShard];
    fill(one, 1000);
    fill(two, 1000);
    one.room = false;
    await run(5000);
    expect([one.keys.size, two.keys.size, one.scans]).toEqual([1000, 0, 0]);
    one.room = true;
    await run(1006);
    one.room = false;
    await run(5000);
    expect(one.keys.size).toBeGreaterThan(0);
    expect(one.keys.size).toBeLessThan(1000);
    one.room = true;
    await run(5000);
    expect(one.keys.size).toBe(0);
  });

  test('tries again what was refused, and gives up a shard that has moved or never answers', async () => {
    const { state, shards, run } = started();
    const [one, two] = shards as [FakeShard, FakeShard];
    fill(one, 10);
    fill(two, 10);
    one.error = new CausewayError('NOT_READY', 'the shard is moving');
    two.gone = true;
    await run(5000);
    expect([one.keys.size, two.keys.size]).toEqual([10, 10]);
    one.error = undefined;
    two.gone = false;
    two.answers = false;
    await run(5000);
    expect(one.keys.size).toBe(0);
    // It comes back under a new owner of this node.
    state.shards = [one];
    await run(100_000);
    two.answers = true;
    state.shards = [one, two];
    await run(100_000);
    expect(two.keys.size).toBe(0);
  });

  test('is that of one region: the one that dropped the collection, or the first member', async () => {
    expect(sweeperOf(dropIn(US))).toBe(US);
    expect(sweeperOf(dropIn(AP))).toBe(EU);
    expect(sweeperOf(dropIn(AP, [US, EU]))).toBe(EU);
    expect(sweeperOf(dropIn(AP, []))).toBeUndefined();
    const { shards, run } = started([dropIn(US)]);
    fill(shards[0]!, 10);
    await run(60_000);
    expect(shards[0]!.scans).toBe(0);
  });

  test('ends', async () => {
    const { sweep, shards, run } = started();
    fill(shards[0]!, 1000);
    await run(1006);
    sweep.stop();
    const left = shards[0]!.keys.size;
    await run(10_000);
    expect(shards[0]!.keys.size).toBeGreaterThanOrEqual(left - 256);
    expect(shards[0]!.keys.size).toBeGreaterThan(0);
  });
});
