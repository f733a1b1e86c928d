// Subscriptions over real loopback gRPC: cursors, back-pressure, failures, other regions.

import { describe, expect, test } from 'vitest';
import { connect, type FeedBatch, type FeedEvent, type Subscription } from '../../src/client/index.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import type { FakeRegion } from '../support/fake-region.ts';
import { client, failure, serve, until } from '../support/api.ts';

async function write(address: string, count: number, from = 0): Promise<void> {
  const db = connect({ endpoints: [address], namespace: 'app' });
  const producer = db.producer();
  const profiles = db.register<number>('profiles');
  for (let i = from; i < from + count; i++) await producer.send(profiles.op.set(`k${i}`, i));
  await producer.close();
  db.close();
}

async function take(subscription: Subscription, count: number): Promise<FeedEvent[]> {
  const events: FeedEvent[] = [];
  for await (const event of subscription) {
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}

const numberOf = (event: FeedEvent): number =>
  event.op.kind === 'put' ? Number(Buffer.from(event.op.value).toString()) : NaN;
const sorted = (events: readonly FeedEvent[]): number[] => events.map(numberOf).toSorted((a, b) => a - b);
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test('of a client that was closed fails, and leaves the process to others', async () => {
  const { address } = await serve();
  const db = client([address]);
  db.close();
  const subscription = db.subscribe({ from: 'beginning' });
  await failure(subscription.done, 'CANCELLED');
});

describe('events', () => {
  test('of every kind of op', async () => {
    const { address, region } = await serve();
    const db = client([address]);
    const trace = Buffer.alloc(25, 9);
    await db.register('profiles').set('k', 1, { trace, expiresAtMs: 4e12 });
    await db.register('profiles').delete('k');
    await db.counter('delays').increment('k', 2n ** 60n);
    await db.set('routes').add('k', ['a', 'b']);
    await db.set('routes').remove('k', 'a');
    await db.map<number>('flights').update('k', { x: 1 }, { remove: ['y'] });
    const events = await take(db.subscribe({ from: 'beginning' }), 6);
    expect(events.map(({ collection, type, key }) => `${collection} ${type} ${key}`)).toEqual([
      'profiles register-lww k',
      'profiles register-lww k',
      'delays counter-pn k',
      'routes set-aw k',
      'routes set-aw k',
      'flights map-lww k',
    ]);
    expect(events.map(({ op }) => op)).toMatchObject([
      { kind: 'put', value: Buffer.from('1'), expiresAtMs: 4e12 },
      { kind: 'delete' },
      { kind: 'increment', by: 2n ** 60n },
      { kind: 'set-add', elements: [Buffer.from('a'), Buffer.from('b')] },
      { kind: 'set-remove', elements: [Buffer.from('a')] },
      { kind: 'map-update', put: [{ field: 'x', value: Buffer.from('1') }], remove: ['y'] },
    ]);
    expect(events[0]).toMatchObject({ version: { origin: region.origin, seq: 1 }, value: undefined });
    expect(Buffer.from(events[0]?.trace ?? []).equals(trace)).toBe(true);
    expect(events[1]?.trace).toBeUndefined();
  });

  test('with the merged value, absent ones too', async () => {
    const { address } = await serve();
    const db = client([address]);
    await db.counter('delays').increment('k', 2);
    await db.counter('delays').increment('k', 3);
    await db.counter('delays').reset('k');
    const events = await take(db.subscribe({ from: 'beginning', form: 'value' }), 3);
    expect(events.map(({ value }) => value)).toEqual([
      { type: 'counter-pn', value: 2n },
      { type: 'counter-pn', value: 5n },
      undefined,
    ]);
  });

  test('only of some collections and keys', async () => {
    const { address } = await serve();
    const db = client([address]);
    for (const key of ['a1', 'b1', 'a2']) {
      await db.counter('delays').increment(key);
      await db.set('routes').add(key, 'x');
    }
    const events = await take(db.subscribe({ from: 'beginning', collections: ['routes'], keyPrefix: 'a' }), 2);
    expect(events.map(({ collection, key }) => `${collection} ${key}`).toSorted()).toEqual(['routes a1', 'routes a2']);
  });

  test("from 'now' and from a time", async () => {
    const { address, region } = await serve();
    await write(address, 10);
    const db = client([address]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const middle = new Date();
    const now = db.subscribe();
    await until(() => region.subscribers === 1, 'it is subscribed');
    await write(address, 10, 10);
    expect(sorted(await take(now, 10))).toEqual(range(10, 20));
    expect(sorted(await take(db.subscribe({ from: middle }), 10))).toEqual(range(10, 20));
  });
});

describe('cursors', () => {
  test('of any event: what comes after is everything else, once', async () => {
    const { address } = await serve();
    await write(address, 500);
    const db = client([address]);
    const all = await take(db.subscribe({ from: 'beginning' }), 500);
    for (const at of [0, 1, 99, 100, 250, 498]) {
      const cursor = all[at]?.cursor ?? '';
      const rest = await take(db.subscribe({ from: cursor }), 500 - at - 1);
      expect(sorted([...all.slice(0, at + 1), ...rest])).toEqual(range(0, 500));
    }
  });

  test('of a subscription: after what was taken', async () => {
    const { address } = await serve();
    await write(address, 50);
    const db = client([address]);
    const first = db.subscribe({ from: 'beginning' });
    expect(first.cursor).toBeUndefined();
    const events: FeedEvent[] = [];
    for await (const event of first) {
      // Handled when the next one is asked for.
      if (events.length === 20) break;
      events.push(event);
    }
    const rest = await take(db.subscribe({ from: first.cursor ?? '' }), 30);
    expect(sorted([...events, ...rest])).toEqual(range(0, 50));
  });

  test("of a subscription from 'now' leaves out what was before, in every shard", async () => {
    const { address, region } = await serve();
    await write(address, 50);
    const db = client([address]);
    const now = db.subscribe();
    await until(() => region.subscribers === 1, 'it is subscribed');
    await write(address, 1, 50);
    const [event] = await take(now, 1);
    await write(address, 10, 51);
    const rest = db.subscribe({ from: event?.cursor ?? '' });
    expect(sorted(await take(rest, 10))).toEqual(range(51, 61));
  });

  test('hold in another region', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    await write(home.address, 100);
    const events = await take(client([home.address]).subscribe({ from: 'beginning' }), 40);
    away.region.replicateFrom(home.region);
    await write(away.address, 100, 100);
    const rest = await take(client([away.address]).subscribe({ from: events.at(-1)?.cursor ?? '' }), 160);
    expect(sorted([...events, ...rest])).toEqual(range(0, 200));
  });

  test.each(['', 'not a cursor', 'AAAA', Buffer.from([8, 9]).toString('base64url')])('%j is none', (cursor) => {
    const db = client(['127.0.0.1:1']);
    expect(() => db.subscribe({ from: { cursor } })).toThrow(CausewayError);
  });

  test('of another namespace', async () => {
    const { address } = await serve();
    await write(address, 1);
    const [event] = await take(client([address]).subscribe({ from: 'beginning' }), 1);
    const other = client([address], { namespace: 'other' });
    expect(() => other.subscribe({ from: event?.cursor ?? '' })).toThrow(/namespace 'app', not 'other'/);
  });
});

describe('I12: back-pressure', () => {
  test('who does not take costs a bounded buffer; the region waits at a cursor', async () => {
    const { address, region } = await serve({ limits: { subscriberBufferBytesMax: 64 * 1024 } });
    const db = client([address]);
    const subscription = db.subscribe({ from: 'beginning', bufferBytes: 64 * 1024 });
    await until(() => region.subscribers === 1, 'it is subscribed');
    // More than flow control lets through as well.
    const value = 'x'.repeat(50_000);
    const producer = db.producer();
    for (let i = 0; i < 600; i++) await producer.send(db.register<string>('profiles').op.set(`k${i}`, value));
    await producer.flush();
    let before = -1;
    await until(() => {
      const settled = region.deliveredTo === before;
      before = region.deliveredTo;
      return settled;
    }, 'the region waits');
    expect(region.deliveredTo).toBeLessThan(500);
    expect(await take(subscription, 600)).toHaveLength(600);
  });

  test('onEvents is called again when its promise has resolved', async () => {
    const { address } = await serve();
    const db = client([address]);
    const batches: FeedBatch[] = [];
    let running = 0;
    let overlapped = false;
    db.subscribe({
      from: 'beginning',
      onEvents: async (batch) => {
        running += 1;
        overlapped ||= running > 1;
        await new Promise((resolve) => setImmediate(resolve));
        batches.push(batch);
        running -= 1;
      },
    });
    for (let i = 0; i < 20; i++) await write(address, 10, i * 10);
    const events = (): FeedEvent[] => batches.flatMap((batch) => batch.events);
    await until(() => events().length === 200, 'all have come');
    expect(overlapped).toBe(false);
    expect(sorted(events())).toEqual(range(0, 200));
    expect(batches.every((batch) => batch.events.length > 0)).toBe(true);
    const half = batches[Math.floor(batches.length / 2)];
    const before = batches.slice(0, Math.floor(batches.length / 2) + 1).flatMap((batch) => batch.events);
    const rest = await take(db.subscribe({ from: half?.cursor ?? '' }), 200 - before.length);
    expect(sorted([...before, ...rest])).toEqual(range(0, 200));
  });

  test('what onEvents throws ends the subscription with it', async () => {
    const { address } = await serve();
    await write(address, 1);
    const subscription = client([address]).subscribe({
      from: 'beginning',
      onEvents: () => {
        throw new Error('the consumer failed');
      },
    });
    const error = await failure(subscription.done, 'INTERNAL');
    expect(error.message).toBe('the consumer failed');
  });
});

describe('ends', () => {
  test('by close, by signal, by the client', async () => {
    const { address, region } = await serve();
    const db = client([address]);
    const giveUp = new AbortController();
    const closed = db.subscribe();
    const aborted = db.subscribe({ signal: giveUp.signal });
    const owned = db.subscribe();
    await until(() => region.subscribers === 3, 'all are subscribed');
    const iterations = Promise.all([closed, aborted].map((one) => take(one, 1)));
    const iteration = failure(take(owned, 1), 'CANCELLED');
    closed.close();
    giveUp.abort();
    await closed.done;
    await aborted.done;
    expect(await iterations).toEqual([[], []]);
    db.close();
    await iteration;
    await until(() => region.subscribers === 0, 'the region let go of all');
  });

  test('by breaking out of the loop', async () => {
    const { address, region } = await serve();
    await write(address, 3);
    const subscription = client([address]).subscribe({ from: 'beginning' });
    await take(subscription, 1);
    await subscription.done;
    await until(() => region.subscribers === 0, 'the region let go of it');
    await failure(take(subscription, 1), 'INVALID_ARGUMENT');
  });

  test('by a mistake that no retry mends', async () => {
    const { address } = await serve();
    const db = client([address]);
    const error = await failure(take(db.subscribe({ collections: ['flihgts'] }), 1), 'UNKNOWN_COLLECTION');
    expect(error.hint).toBe("did you mean 'flights'?");
  });
});

describe('failures', () => {
  async function collect(subscription: Subscription): Promise<FeedEvent[]> {
    const events: FeedEvent[] = [];
    void (async () => {
      for await (const event of subscription) events.push(event);
    })().catch(() => undefined);
    return events;
  }

  test('a node that dies and comes back: nothing missed, nothing twice', async () => {
    const { address, region, server, port } = await serve();
    const retries: string[] = [];
    const events = await collect(
      client([address]).subscribe({ from: 'beginning', onRetry: (error) => retries.push(error.code) }),
    );
    await write(address, 100);
    await until(() => events.length === 100, 'the first have come');
    await server.stop();
    const again = await serve({ region, port });
    await write(again.address, 100, 100);
    await until(() => events.length === 200, 'the others have come');
    expect(sorted(events)).toEqual(range(0, 200));
    expect(retries.length).toBeGreaterThan(0);
  });

  test("'now', interrupted before anything happened, misses nothing", async () => {
    const { address, region, server, port } = await serve();
    const events = await collect(client([address]).subscribe({ from: 'now' }));
    await until(() => region.subscribers === 1, 'it is subscribed');
    await write(address, 5);
    await until(() => events.length === 5, 'the first have come');
    await server.stop();
    const apart = new FakeWriter(region);
    apart.write(10);
    await serve({ region, port });
    await until(() => new Set(events.map(({ key }) => key)).size === 15, 'all have come');
  });

  test('I4: goes on in another region with the same cursor, and comes home', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const db = client([home.address, away.address]);
    const subscription = db.subscribe({ from: 'beginning' });
    const events = await collect(subscription);
    await write(home.address, 100);
    away.region.replicateFrom(home.region);
    await until(() => events.length === 100, 'the first have come');
    expect(subscription.address).toBe(home.address);

    await home.server.stop();
    await write(away.address, 100, 100);
    await until(() => events.length === 200, 'the second have come');
    expect(subscription.address).toBe(away.address);

    home.region.replicateFrom(away.region);
    const again = await serve({ region: home.region, port: home.port });
    await until(() => subscription.address === again.address, 'it is home');
    await write(again.address, 100, 200);
    await until(() => events.length >= 300, 'the third have come');
    expect(sorted(events)).toEqual(range(0, 300));
  });

  test('what the region says ends it or not, by whether it may be retried', async () => {
    const { address, region } = await serve();
    const db = client([address]);
    const events = await collect(db.subscribe({ from: 'beginning' }));
    await write(address, 10);
    await until(() => events.length === 10, 'the first have come');
    region.failSubscribers(new CausewayError('OVERLOADED', 'a test', { retryAfterMs: 5 }));
    await until(() => region.subscribers === 1, 'it is subscribed again');
    await write(address, 10, 10);
    await until(() => events.length === 20, 'the others have come');
    const other = db.subscribe();
    const ended = failure(take(other, 1), 'CURSOR_INVALID');
    await until(() => region.subscribers === 2, 'both are subscribed');
    region.failSubscribers(new CausewayError('CURSOR_INVALID', 'the log begins later'));
    expect((await ended).message).toBe('the log begins later');
  });
});

/** Writes to a region that no server serves just now. */
class FakeWriter {
  readonly #region: FakeRegion;
  constructor(region: FakeRegion) {
    this.#region = region;
  }
  write(count: number): void {
    const ops = Array.from({ length: count }, (_, i) => ({
      namespace: 'app',
      collection: 'profiles',
      key: `apart${i}`,
      intent: { kind: 'put' as const, value: Buffer.from('1') },
    }));
    this.#region.write({ ops, durability: { kind: 'local' }, deadlineMs: 1000 }, () => undefined);
  }
}
