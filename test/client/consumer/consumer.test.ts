// Consumer groups on regions in memory: nothing is missed when members and regions come and go.

import { afterEach, describe, expect, test } from 'vitest';
import type { Causeway, Consumer, ConsumerOptions, FeedEvent } from '../../../src/client/index.ts';
import { CausewayError } from '../../../src/errors/errors.ts';
import { startCluster, type ClusterOptions, type TestCluster } from '../../../src/testing/index.ts';
import { failure, until } from '../../support/api.ts';

const clusters: TestCluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.close();
});

async function started(options: Partial<ClusterOptions> = {}): Promise<TestCluster> {
  const cluster = await startCluster({
    regions: ['eu', 'us'],
    collections: { orders: 'register-lww', likes: 'counter-pn', 'consumer-groups': 'register-lww' },
    ...options,
  });
  clusters.push(cluster);
  return cluster;
}

/** Whoever reads for the group, and all that it was given. */
class Seen {
  readonly keys = new Map<string, number>();

  readonly add = (event: FeedEvent): void => {
    this.keys.set(event.key, (this.keys.get(event.key) ?? 0) + 1);
  };

  has(from: number, to: number): boolean {
    for (let i = from; i < to; i++) if (!this.keys.has(`o${i}`)) return false;
    return true;
  }

  missing(from: number, to: number): string[] {
    return Array.from({ length: to - from }, (_, i) => `o${from + i}`).filter((key) => !this.keys.has(key));
  }
}

function member(client: Causeway, seen: Seen, options: Partial<ConsumerOptions> = {}): Consumer {
  return client.consumer({
    group: 'billing',
    collections: ['orders'],
    leaseMs: 1000,
    autoCommitMs: 20,
    onEvents: ({ events }) => events.forEach(seen.add),
    ...options,
  });
}

async function write(client: Causeway, from: number, to: number): Promise<void> {
  const producer = client.producer();
  const orders = client.register<number>('orders');
  for (let i = from; i < to; i++) await producer.send(orders.op.set(`o${i}`, i));
  await producer.close();
}

describe('a group of one', () => {
  test('gets everything, goes on where it was, and can be iterated', async () => {
    const cluster = await started();
    const client = cluster.client('eu');
    await write(client, 0, 50);
    const first = new Seen();
    const consumer = client.consumer({ group: 'billing', collections: ['orders'], leaseMs: 1000 });
    for await (const event of consumer) {
      first.add(event);
      if (first.keys.size === 30) await consumer.commit(event);
      if (first.keys.size === 30) break;
    }
    await consumer.done;
    expect(first.keys.size).toBe(30);

    await write(client, 50, 100);
    const second = new Seen();
    const next = member(client, second);
    await until(() => second.keys.size >= 70, 'the rest');
    // Committed one by one, closed in good order: nothing twice.
    expect([...second.keys.keys()].filter((key) => first.keys.has(key))).toEqual([]);
    await next.close();
    expect(next.shards).toEqual([]);
  });

  test('what the loop has not come back from is handed over again', async () => {
    const cluster = await started();
    const client = cluster.client('eu');
    await write(client, 0, 10);
    const consumer = client.consumer({ group: 'billing', collections: ['orders'], autoCommitMs: false });
    let last: string | undefined;
    for await (const event of consumer) {
      last = event.key;
      break;
    }
    const seen = new Seen();
    member(client, seen);
    await until(() => seen.has(0, 10), 'all of them');
    expect(seen.keys.has(last!)).toBe(true);
  });

  test('from now begins at the first start, not at each', async () => {
    const cluster = await started();
    const client = cluster.client('eu');
    await write(client, 0, 10);
    const seen = new Seen();
    const consumer = member(client, seen, { from: 'now', autoCommitMs: false });
    await until(() => consumer.shards.length === 4, 'its shards');
    client.close();
    const other = cluster.client('eu');
    await write(other, 10, 20);
    member(other, seen, { from: 'now' });
    await until(() => seen.has(10, 20), 'what came while nobody was there');
    expect(seen.missing(0, 10)).toHaveLength(10);
  });

  test('from a time begins there, also for a member that comes before anything was handled', async () => {
    const cluster = await started();
    const client = cluster.client('eu');
    await write(client, 0, 10);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const from = new Date();
    const seen = new Seen();
    const early = member(client, seen, { from });
    await until(() => early.shards.length === 4, 'its shards');
    await early.close();
    await write(client, 10, 20);
    member(client, seen, { from });
    await until(() => seen.has(10, 20), 'what came after the time');
    expect(seen.missing(0, 10)).toHaveLength(10);
  });

  test('pause, resume and lag', async () => {
    const cluster = await started();
    const client = cluster.client('eu');
    const seen = new Seen();
    const consumer = member(client, seen);
    await until(() => consumer.shards.length === 4, 'its shards');
    expect(consumer.region).toBe('eu');
    consumer.pause();
    await write(client, 0, 40);
    // Every shard has received something.
    await until(() => consumer.shards.length === 4, 'its shards');
    await untilAsync(async () => (await consumer.lag()).ms !== undefined, 'all that is to be handed over is here');
    const behind = await consumer.lag();
    expect(behind.ops).toBeGreaterThanOrEqual(40);
    expect(behind.ms).toBeGreaterThan(0);
    expect(seen.keys.size).toBe(0);
    const [one] = consumer.shards;
    consumer.resume([one!]);
    consumer.pause([one!]);
    expect(seen.keys.size).toBe(0);
    consumer.resume();
    await until(() => seen.has(0, 40), 'all of them');
    await untilAsync(async () => (await consumer.lag()).ms === 0 || (await consumer.lag()).ms === undefined, 'no lag');
    expect((await consumer.lag()).shards.map(({ shard }) => shard)).toEqual(['1/0', '1/1', '1/2', '1/3']);
  });

  test('what a handler throws ends the consumer', async () => {
    const cluster = await started();
    const client = cluster.client('eu');
    await write(client, 0, 1);
    const consumer = member(client, new Seen(), {
      onEvents: () => {
        throw new CausewayError('CORRUPT', 'told so by a test');
      },
    });
    expect((await failure(consumer.done, 'CORRUPT')).message).toBe('told so by a test');
    await failure(consumer.commit(), 'CORRUPT');
  });
});

async function untilAsync(condition: () => Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('a group of several', () => {
  test('shares the shards, and a newcomer gets its part without a gap', async () => {
    const cluster = await started();
    const client = cluster.client('eu');
    const seen = new Seen();
    const ann = member(client, seen, { member: 'ann' });
    await until(() => ann.shards.length === 4, 'all shards');
    const writing = write(client, 0, 2000);
    const told: number[] = [];
    const ben = member(client, seen, { member: 'ben', onShards: (shards) => told.push(shards.length) });
    await until(() => ann.shards.length === 2 && ben.shards.length === 2, 'two each');
    expect(new Set([...ann.shards, ...ben.shards]).size).toBe(4);
    await writing;
    await until(() => seen.has(0, 2000), 'all of them');
    // On a machine that is busy a member may miss a lease of a second; then shards go there and back.
    await until(() => told.at(-1) === 2, 'two each again');
    await ben.close();
    await until(() => ann.shards.length === 4, 'all shards again');
    expect(told.at(-1)).toBe(0);
  });

  test('a member that dies in mid-stream loses nothing: the other has its shards after the lease', async () => {
    const cluster = await started();
    const [one, two] = [cluster.client('eu'), cluster.client('eu')];
    const dead = new Seen();
    const seen = new Seen();
    // A lease that a machine which is busy does not miss: who lost it had its commit refused, and everything is handed over again.
    const ann = member(one, dead, {
      member: 'ann',
      leaseMs: 5000,
      autoCommitMs: 30,
      onEvents: async ({ events }) => {
        for (const event of events) {
          dead.add(event);
          if (dead.keys.size % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
    });
    const ben = member(two, seen, { member: 'ben', leaseMs: 5000 });
    await until(() => ann.shards.length === 2 && ben.shards.length === 2, 'two each', 30_000);
    const writing = write(cluster.client('eu'), 0, 3000);
    await until(() => dead.keys.size > 300, 'the middle of the stream');
    await ann.commit();
    const committed = dead.keys.size;
    await until(() => dead.keys.size > committed, 'some more');
    // As a process that is killed: nothing is committed, nothing given back.
    one.close();
    expect(ann.shards).toEqual([]);
    await writing;
    await until(() => ben.shards.length === 4, 'all shards', 20_000);
    await until(() => new Set([...dead.keys.keys(), ...seen.keys.keys()]).size === 3000, 'all of them', 20_000);
    // What was committed is not handed over again.
    expect([...dead.keys.keys()].some((key) => !seen.keys.has(key))).toBe(true);
  });

  test('two that both believe they have a shard hand over twice, lose nothing, and do not take the cursor back', async () => {
    const cluster = await started();
    const client = cluster.client('eu');
    const seen = new Seen();
    const ann = member(client, seen, { member: 'ann', leaseMs: 60_000, autoCommitMs: false });
    await until(() => ann.shards.length === 4, 'all shards');
    await write(client, 0, 100);
    await until(() => seen.has(0, 100), 'the first hundred');
    await ann.commit();
    // Somebody takes the leases away; ann does not hear of it for 15 s.
    const groups = cluster.client('eu').register('consumer-groups');
    const keys: string[] = [];
    for await (const { key } of groups.scan({ prefix: '{test/billing}/' })) keys.push(key);
    for (const key of keys.filter((name) => /\/(?:lease|member)\//.test(name))) await groups.delete(key);
    const other = new Seen();
    const ben = member(cluster.client('eu'), other, { member: 'ben', autoCommitMs: false });
    await until(() => ben.shards.length === 4, 'all shards');
    await write(client, 100, 200);
    await until(() => seen.has(100, 200) && other.has(100, 200), 'twice');
    await ben.commit();
    await write(client, 200, 300);
    await until(() => seen.has(200, 300), 'the third hundred');
    await ann.commit();
    // Lower than what is stored, and later.
    await ben.commit();
    ann.abort(new CausewayError('CANCELLED', 'gone'));
    ben.abort(new CausewayError('CANCELLED', 'gone'));
    await write(client, 300, 310);
    for await (const { key } of groups.scan({ prefix: '{test/billing}/lease/' })) await groups.delete(key);
    const after = new Seen();
    member(cluster.client('eu'), after, { member: 'cid' });
    await until(() => after.has(300, 310), 'what nobody had');
    expect(after.keys.size).toBe(10);
  });
});

describe('a group that moves', () => {
  test('to another region in mid-stream misses nothing, though the cursors are on their way', async () => {
    const cluster = await started({ linkDelayMs: 20 });
    const [eu, us] = [cluster.client('eu'), cluster.client('us')];
    const seen = new Seen();
    const writing = Promise.all([write(eu, 0, 2000), write(us, 2000, 4000)]);
    let client = cluster.client('eu');
    for (const region of ['us', 'eu', 'us', 'eu']) {
      const before = seen.keys.size;
      const consumer = member(client, seen);
      await until(() => seen.keys.size > before + 300 || seen.keys.size === 4000, 'the middle of the stream');
      if (region === 'us') client.close();
      else await consumer.close();
      client = cluster.client(region);
    }
    await writing;
    member(client, seen);
    await until(() => seen.has(0, 4000), 'all of them', 20_000);
  });

  test('because its region died goes on by itself, and comes home', async () => {
    const cluster = await started();
    const seen = new Seen();
    const retried: string[] = [];
    const consumer = member(cluster.client(['eu', 'us']), seen, { onRetry: ({ code }) => retried.push(code) });
    const us = cluster.client('us');
    await write(us, 0, 500);
    await until(() => seen.has(0, 500), 'the first part');
    expect(consumer.region).toBe('eu');
    await cluster.converged();
    cluster.kill('eu');
    await write(us, 500, 1000);
    await until(() => seen.has(500, 1000), 'the second part', 20_000);
    expect(consumer.region).toBe('us');
    await cluster.restart('eu');
    await until(() => consumer.region === 'eu' && consumer.shards.length === 4, 'home', 20_000);
    await write(us, 1000, 1500);
    await until(() => seen.has(1000, 1500), 'the third part', 20_000);
    await consumer.close();
    expect(retried.length).toBeLessThan(50);
  });

  test('across a partition does not take back what the other side has committed', async () => {
    const cluster = await started();
    const [eu, us] = [cluster.client('eu'), cluster.client('us')];
    await write(eu, 0, 100);
    await cluster.converged();
    cluster.partition('eu', 'us');
    const [inEu, inUs] = [new Seen(), new Seen()];
    const one = member(eu, inEu);
    await until(() => inEu.has(0, 100), 'all of them');
    await one.close();
    // It knows nothing of the other, begins at the beginning, and commits less, later.
    const two = us.consumer({ group: 'billing', collections: ['orders'], leaseMs: 1000 });
    let taken = 0;
    for await (const event of two) {
      inUs.add(event);
      if (++taken === 20) break;
    }
    cluster.heal();
    await cluster.converged();
    await write(eu, 100, 110);
    await cluster.converged();
    for (const region of ['us', 'eu']) {
      const after = new Seen();
      const client = cluster.client(region);
      const last = member(client, after, { autoCommitMs: false });
      await until(() => after.has(100, 110), 'what is new');
      expect(after.keys.size, region).toBe(10);
      client.close();
      void last;
      await write(eu, 100, 110);
      await cluster.converged();
    }
  });
});

describe('RESYNC', () => {
  test('after the log was trimmed the group takes the state and goes on from there', async () => {
    const cluster = await started({ regions: ['eu'] });
    const client = cluster.client('eu');
    const seen = new Seen();
    await write(client, 0, 100);
    const before = member(client, seen);
    await until(() => seen.has(0, 100), 'the first part');
    await before.close();
    await write(client, 100, 200);
    await client.register('orders').delete('o150');
    cluster.forgetHistory('eu');

    const refused = client.consumer({ group: 'billing', collections: ['orders'], leaseMs: 1000 });
    expect((await failure(refused.done, 'CURSOR_INVALID')).hint).toContain('onResync');

    const state = new Map<string, string>();
    const shards: string[] = [];
    const options: Partial<ConsumerOptions> = {
      leaseMs: 1500,
      onResync: async (resync) => {
        shards.push(...resync.shards);
        expect(resync.reason.code).toBe('CURSOR_INVALID');
        for await (const { collection, key } of resync.state()) state.set(key, collection);
      },
    };
    const consumer = member(client, seen, options);
    await until(() => shards.length === 4, 'a resync of all shards', 20_000);
    await write(client, 200, 210);
    await until(() => seen.has(200, 210), 'what came afterwards');
    expect(new Set(shards).size).toBe(4);
    expect(state.size).toBe(199);
    expect(state.has('o150')).toBe(false);
    expect(new Set(state.values())).toEqual(new Set(['orders']));
    await consumer.close();

    // And the next member goes on from there.
    const next = new Seen();
    await write(client, 210, 220);
    member(client, next, { onResync: () => expect.unreachable('once is enough') });
    await until(() => next.has(210, 220), 'what is new');
    expect(next.keys.size).toBe(10);
  });

  test('a region that dies while its state is taken: once more, in another region', async () => {
    const cluster = await started();
    await write(cluster.client('us'), 0, 100);
    await cluster.converged();
    for (const region of cluster.regions) cluster.forgetHistory(region);
    const seen = new Seen();
    const states: number[] = [];
    const consumer = member(cluster.client(['eu', 'us']), seen, {
      onResync: async ({ state }) => {
        const keys = new Set<string>();
        states.push(0);
        if (states.length === 1) cluster.kill('eu');
        for await (const { key } of state()) keys.add(key);
        states[states.length - 1] = keys.size;
      },
    });
    await until(() => states.at(-1) === 100, 'the state of the other region', 20_000);
    await write(cluster.client('us'), 100, 110);
    await until(() => seen.has(100, 110), 'what came afterwards', 20_000);
    expect(consumer.region).toBe('us');
    expect(states[0]).toBe(0);
  });

  test('what a resync throws ends the consumer, and nothing is committed', async () => {
    const cluster = await started({ regions: ['eu'] });
    const client = cluster.client('eu');
    await write(client, 0, 10);
    cluster.forgetHistory('eu');
    const consumer = member(client, new Seen(), {
      onResync: () => Promise.reject(new CausewayError('CORRUPT', 'told so by a test')),
    });
    await failure(consumer.done, 'CORRUPT');
    let times = 0;
    member(cluster.client('eu'), new Seen(), { onResync: () => void times++ });
    await until(() => times > 0, 'it is asked again');
  });
});

describe('what is refused', () => {
  test('options that make no sense', async () => {
    const cluster = await started({ regions: ['eu'] });
    const client = cluster.client('eu');
    const wrong: [Partial<ConsumerOptions>, RegExp][] = [
      [{ group: 'a b' }, /group is 1 to 64/],
      [{ group: '' }, /group is 1 to 64/],
      [{ member: 'x/y' }, /member is 1 to 64/],
      [{ collections: [] }, /at least one collection/],
      [{ collections: ['consumer-groups'] }, /would wake itself/],
      [{ leaseMs: 10 }, /leaseMs is 500/],
      [{ autoCommitMs: 0 }, /autoCommitMs/],
      [{ from: new Date(NaN) }, /invalid Date/],
    ];
    for (const [options, message] of wrong) expect(() => member(client, new Seen(), options)).toThrow(message);
  });

  test('a region that has nowhere to keep groups is told what to configure', async () => {
    const cluster = await started({
      regions: ['eu'],
      collections: { orders: 'register-lww', 'consumer-groups': 'set-aw' },
    });
    const client = cluster.client('eu');
    expect((await failure(member(client, new Seen()).done, 'WRONG_OPERATION')).message).toContain('is set-aw');
    const missing = await failure(
      member(client, new Seen(), { groups: { collection: 'elsewhere' } }).done,
      'UNKNOWN_COLLECTION',
    );
    expect(missing.message).toContain("collection 'elsewhere' of namespace 'test'");
    expect(missing.hint).toContain('causeway collection create test/elsewhere --type register-lww');
    const nowhere = member(client, new Seen(), { groups: { namespace: 'mars' } });
    expect((await failure(nowhere.done, 'UNKNOWN_COLLECTION')).message).toContain("namespace 'mars'");
  });
});
