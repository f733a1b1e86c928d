// What a consumer gets, in which order, and that it misses nothing.

import { describe, expect, test } from 'vitest';
import type { CausewayError } from '../../src/errors/errors.ts';
import type { FeedCursor, FeedEvent, FeedStart, FeedSubscription, SubscribeRequest } from '../../src/feed/types.ts';
import type { OriginId, ShardId } from '../../src/record/ids.ts';
import { outcome, put, TestCluster, type TestRegion } from '../support/node-kit.ts';
import { textOf } from '../support/shard-kit.ts';

class Consumer {
  readonly events: FeedEvent[] = [];
  readonly calls: number[] = [];
  readonly cursor = new Map<ShardId, ReadonlyMap<OriginId, number>>();
  error: CausewayError | undefined;
  /** Calls that are taken before the sink says enough; refilled by resume(). */
  room = Infinity;
  readonly subscription: FeedSubscription;

  constructor(region: TestRegion, start: FeedStart, more: Partial<SubscribeRequest> = {}, room = Infinity) {
    this.room = room;
    const request: SubscribeRequest = { namespace: 'shop', collections: [], keyPrefix: '', start, form: 'op', ...more };
    this.subscription = region.node.subscribe(request, {
      events: (events, shard, cursor) => {
        this.events.push(...events);
        this.calls.push(events.length);
        this.cursor.set(shard, cursor);
        return --this.room > 0;
      },
      failed: (error) => {
        this.error = error;
      },
    });
  }

  get keys(): string[] {
    return this.events.map(({ key }) => key);
  }

  get values(): (string | undefined)[] {
    return this.events.map(({ op }) => (op.kind === 'put' ? Buffer.from(op.value).toString() : op.kind));
  }
}

function dots(events: readonly FeedEvent[]): string[] {
  return events.map(({ shard, version }) => `${shard} ${version.origin} ${version.seq}`);
}

async function pair(shards = 1): Promise<{ cluster: TestCluster; eu: TestRegion; us: TestRegion }> {
  const cluster = await TestCluster.started({ regions: ['eu', 'us'], shards });
  return { cluster, eu: cluster.region('eu'), us: cluster.region('us') };
}

describe('a subscription', () => {
  test('from the beginning gets everything, from now only what comes, in the order of each origin', async () => {
    const { cluster, eu, us } = await pair();
    eu.write([put('a', '1'), put('b', '2')]);
    us.write(put('c', '3'));
    await cluster.run(500);
    const all = new Consumer(eu, { kind: 'beginning' });
    const now = new Consumer(eu, { kind: 'now' });
    await cluster.run(100);
    us.write([put('d', '4'), put('e', '5')]);
    await cluster.run(500);
    expect(all.keys.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(now.keys).toEqual(['d', 'e']);
    const seqs = new Map<string, number>();
    for (const { version } of all.events) {
      expect(version.seq).toBeGreaterThan(seqs.get(version.origin) ?? 0);
      seqs.set(version.origin, version.seq);
    }
  });

  test('I1: shows nothing before it is durable', async () => {
    const { cluster, eu } = await pair();
    const all = new Consumer(eu, { kind: 'beginning' });
    eu.hold();
    eu.write(put('a', '1'));
    await cluster.run(200);
    expect(all.events).toEqual([]);
    eu.release();
    await cluster.run(100);
    expect(all.keys).toEqual(['a']);
  });

  test('by collection, prefix and time', async () => {
    const { cluster, eu } = await pair();
    eu.write([put('user:1', 'a'), put('order:1', 'b')]);
    eu.write({ ...put('user:2', ''), collection: 'counter-pn', intent: { kind: 'increment', by: 1n } });
    await cluster.run(1000);
    const unixMs = eu.clock.nowMs();
    await cluster.run(1000);
    eu.write([put('user:3', 'c')]);
    await cluster.run(500);
    const byPrefix = new Consumer(eu, { kind: 'beginning' }, { keyPrefix: 'user:' });
    const byCollection = new Consumer(eu, { kind: 'beginning' }, { collections: ['counter-pn'] });
    const byTime = new Consumer(eu, { kind: 'time', unixMs });
    const unknown = new Consumer(eu, { kind: 'beginning' }, { collections: ['nowhere'] });
    await cluster.run(200);
    expect(byPrefix.keys).toEqual(['user:1', 'user:2', 'user:3']);
    expect(byCollection.keys).toEqual(['user:2']);
    expect(byTime.keys).toEqual(['user:3']);
    expect(unknown.error?.code).toBe('UNKNOWN_COLLECTION');
  });

  test('a filter that passes everything over moves the cursor all the same', async () => {
    const { cluster, eu } = await pair();
    const none = new Consumer(eu, { kind: 'beginning' }, { keyPrefix: 'nothing' });
    for (let i = 0; i < 5; i++) {
      eu.write(Array.from({ length: 500 }, (_, k) => put(`k${k}`, 'x')));
      await cluster.run(100);
    }
    expect(none.events).toEqual([]);
    expect(none.calls.length).toBeGreaterThan(0);
    expect(none.cursor.get(cluster.shards[0]!)!.get(eu.liveOrigin())).toBeGreaterThanOrEqual(1000);
  });

  test('I8: a slow sink is handed nothing until it says so, and then goes on where it was', async () => {
    const { cluster, eu } = await pair();
    const slow = new Consumer(eu, { kind: 'beginning' }, {}, 1);
    for (let i = 0; i < 30; i++) {
      eu.write(put(`k${i}`, 'x'.repeat(20_000)));
      await cluster.run(20);
    }
    expect(slow.calls).toHaveLength(1);
    for (let i = 0; i < 60 && slow.events.length < 30; i++) {
      slow.room = 1;
      slow.subscription.resume();
      await cluster.run(20);
    }
    expect(slow.keys).toEqual(Array.from({ length: 30 }, (_, i) => `k${i}`));
    slow.subscription.cancel();
    slow.room = Infinity;
    eu.write(put('after', 'x'));
    await cluster.run(100);
    expect(slow.keys).not.toContain('after');
  });
});

describe('a cursor', () => {
  test('goes on in another region and misses nothing, whichever of the two is ahead', async () => {
    const { cluster, eu, us } = await pair(2);
    const write = (region: TestRegion, from: number): void => {
      for (let i = from; i < from + 10; i++) region.write(put(`${region.id}${i}`, `${i}`));
    };
    const before = new Consumer(eu, { kind: 'beginning' });
    write(eu, 0);
    write(us, 0);
    await cluster.run(500);
    cluster.cut('eu', 'us');
    write(eu, 10);
    write(us, 10);
    await cluster.run(500);
    before.subscription.cancel();
    const cursor: FeedCursor = before.cursor;
    // us lacks what the consumer has seen of eu, and has what it has not seen of us.
    const after = new Consumer(us, { kind: 'cursor', cursor });
    await cluster.run(200);
    cluster.cut('eu', 'us', false);
    write(eu, 20);
    await cluster.until(() => after.events.length >= 20);
    await cluster.run(500);
    const seen = [...dots(before.events), ...dots(after.events)];
    expect(new Set(seen).size).toBe(seen.length);
    const reference = new Consumer(us, { kind: 'beginning' });
    await cluster.run(500);
    expect(seen.toSorted()).toEqual(dots(reference.events).toSorted());
    expect(seen).toHaveLength(50);
  });

  test('of the value form waits until the region has what the consumer has seen', async () => {
    const { cluster, eu, us } = await pair();
    cluster.cut('eu', 'us');
    eu.write(put('k', 'new'));
    us.write(put('other', 'x'));
    await cluster.run(300);
    const shard = cluster.shards[0]!;
    const cursor: FeedCursor = new Map([[shard, new Map([[eu.liveOrigin(), 1]])]]);
    const value = new Consumer(us, { kind: 'cursor', cursor }, { form: 'value' });
    await cluster.run(500);
    expect(value.events).toEqual([]);
    cluster.cut('eu', 'us', false);
    await cluster.until(() => value.events.length > 0);
    expect(value.keys).toEqual(['other']);
  });

  test('older than the start of the log is refused', async () => {
    const { cluster, eu } = await pair();
    for (let i = 0; i < 5; i++) {
      eu.write(put(`k${i}`, 'x'));
      await cluster.run(20);
    }
    eu.disk.trim(cluster.shards[0]!, eu.disk.shard(cluster.shards[0]!).tail);
    const cursors = [0, 2, 9].map(
      (seq): FeedCursor => new Map([[cluster.shards[0]!, new Map([[eu.liveOrigin(), seq]])]]),
    );
    const consumers = cursors.map((cursor) => new Consumer(eu, { kind: 'cursor', cursor }));
    const beginning = new Consumer(eu, { kind: 'beginning' });
    await cluster.run(100);
    // Nothing is missed silently.
    expect([...consumers, beginning].map(({ error }) => error?.code)).toEqual([
      'CURSOR_INVALID',
      'CURSOR_INVALID',
      undefined,
      'CURSOR_INVALID',
    ]);
  });
});

test('older than a log of which nothing is left is refused too, though no batch shows the gap', async () => {
  const { cluster, eu } = await pair();
  for (let i = 0; i < 5; i++) {
    eu.write(put(`k${i}`, 'x'));
    await cluster.run(20);
  }
  const shard = cluster.shards[0]!;
  const durable = eu.node.digests(eu.clock.nowMs())[0]!.vector;
  eu.disk.trim(shard, eu.disk.shard(shard).tail + 1);
  const behind = new Map(durable).set(eu.liveOrigin(), durable.get(eu.liveOrigin())! - 1);
  const starts: FeedStart[] = [
    { kind: 'beginning' },
    { kind: 'cursor', cursor: new Map([[shard, behind]]) },
    { kind: 'cursor', cursor: new Map([[shard, durable]]) },
  ];
  const consumers = starts.map((start) => new Consumer(eu, start));
  await cluster.run(100);
  expect(consumers.map(({ error }) => error?.code)).toEqual(['CURSOR_INVALID', 'CURSOR_INVALID', undefined]);
});

test('only the shards that are asked for', async () => {
  const { cluster, eu } = await pair(4);
  for (let i = 0; i < 40; i++) eu.write(put(`k${i}`, 'x'));
  await cluster.run(200);
  const all = new Consumer(eu, { kind: 'beginning' });
  const some = new Consumer(eu, { kind: 'beginning' }, { shards: new Set([1, 3]) });
  await cluster.run(200);
  expect(all.keys).toHaveLength(40);
  const wanted = all.events.filter(({ shard }) => shard === '1/1' || shard === '1/3');
  expect(wanted.length).toBeGreaterThan(0);
  expect(dots(some.events).toSorted()).toEqual(dots(wanted).toSorted());
  expect([...some.cursor.keys()].toSorted()).toEqual(['1/1', '1/3']);
});

describe('a shard that begins anew', () => {
  test('the feed goes on; the value form never goes back to what was before', async () => {
    const { cluster, eu } = await pair();
    eu.write(put('k', '1'));
    await cluster.run(500);
    // From now on the store stands still, so that the shard is read again from far back.
    eu.heldStore = [];
    const value = new Consumer(eu, { kind: 'now' }, { form: 'value' }, 1);
    const op = new Consumer(eu, { kind: 'now' });
    for (let i = 2; i <= 6; i++) {
      eu.write(put('k', `${i}`));
      await cluster.run(20);
    }
    eu.disk.setReadOnly('no space');
    const refused = eu.write(put('k', 'refused'));
    await cluster.run(150);
    expect(outcome(refused)).toBe('READ_ONLY');
    // The consumer asks for more while the shard is being read.
    value.room = Infinity;
    value.subscription.resume();
    await cluster.run(50);
    eu.releaseStore();
    eu.disk.setReadOnly(undefined);
    await cluster.run(2000);
    eu.write(put('k', '7'));
    await cluster.run(200);
    expect(op.values).toEqual(['2', '3', '4', '5', '6', '7']);
    expect(value.values).toEqual(['2', '3', '4', '5', '6', '7']);
    const views = value.events.map(({ view }) => Number(textOf(view)));
    value.values.forEach((written, i) => expect(views[i]).toBeGreaterThanOrEqual(Number(written)));
  });

  test('one that leaves the node ends its subscriptions', async () => {
    const { cluster, eu } = await pair();
    const consumer = new Consumer(eu, { kind: 'beginning' });
    await cluster.run(50);
    eu.ownership.set(cluster.shards[0]!, false);
    expect(consumer.error?.code).toBe('UNAVAILABLE');
  });

  test('a node that drains says so', async () => {
    const { cluster, eu } = await pair();
    const consumer = new Consumer(eu, { kind: 'beginning' });
    void eu.node.drain();
    expect(consumer.error?.code).toBe('DRAINING');
    await cluster.run(100);
  });
});
