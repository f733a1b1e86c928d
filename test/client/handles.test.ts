// The typed handles over real loopback gRPC.

import { describe, expect, test } from 'vitest';
import { adminClient, bytes, connect, text } from '../../src/client/index.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import { client, cleanup, failure, serve } from '../support/api.ts';

async function one() {
  const served = await serve();
  return { ...served, db: client([served.address]) };
}

describe('register', () => {
  test('set, get, delete; versions go up', async () => {
    const { db, region } = await one();
    const profiles = db.register<{ name: string }>('profiles');
    expect(await profiles.get('u1')).toBeUndefined();
    const first = await profiles.set('u1', { name: 'Ada' });
    expect(first).toMatchObject({ duplicate: false, version: { origin: region.origin, seq: 1 } });
    const second = await profiles.set('u1', { name: 'Grace' }, { expiresAtMs: 4e12 });
    expect(second.version.stamp).toBeGreaterThan(first.version.stamp);
    expect(await profiles.get('u1')).toEqual({
      value: { name: 'Grace' },
      version: second.version,
      expiresAtMs: 4e12,
      stale: false,
    });
    await profiles.delete('u1');
    expect(await profiles.get('u1')).toBeUndefined();
  });

  test('getMany keeps the order of the keys', async () => {
    const { db } = await one();
    const profiles = db.register<number>('profiles');
    await profiles.set('b', 2);
    await profiles.set('a', 1);
    const values = await profiles.getMany(['a', 'none', 'b']);
    expect(values.map((one_) => one_?.value)).toEqual([1, undefined, 2]);
  });

  test('compareAndSet and createIfAbsent', async () => {
    const { db } = await one();
    const profiles = db.register<number>('profiles');
    const created = await profiles.createIfAbsent('k', 1);
    const error = await failure(profiles.createIfAbsent('k', 2), 'PRECONDITION_FAILED');
    expect(error).toMatchObject({ retriable: false, outcome: 'not-applied' });
    await profiles.compareAndSet('k', created.version, 3);
    await failure(profiles.compareAndSet('k', created.version, 4), 'PRECONDITION_FAILED');
    expect((await profiles.get('k'))?.value).toBe(3);
  });

  test('codecs', async () => {
    const { db } = await one();
    await db.register('profiles', text).set('t', 'čau');
    expect((await db.register('profiles', text).get('t'))?.value).toBe('čau');
    expect(Buffer.from((await db.register('profiles', bytes).get('t'))?.value ?? '').toString()).toBe('čau');
    await db.register('profiles', bytes).set('b', Buffer.from([0xff]));
    const error = await failure(db.register('profiles').get('b'), 'CORRUPT');
    expect(error.message).toContain("'b' in 'profiles'");
    await failure(
      db
        .register('profiles')
        .set('u', undefined)
        .then(() => undefined),
      'INVALID_ARGUMENT',
    );
  });
});

test('counter: numbers and bigints, exact beyond 2^53, 0 when absent', async () => {
  const { db } = await one();
  const delays = db.counter('delays');
  expect(await delays.get('SEA')).toBe(0n);
  await delays.increment('SEA');
  await delays.increment('SEA', 2n ** 62n);
  await delays.decrement('SEA', 3);
  expect(await delays.get('SEA')).toBe(2n ** 62n - 2n);
  await delays.reset('SEA');
  expect(await delays.get('SEA')).toBe(0n);
  await failure(delays.increment('SEA', 1.5), 'INVALID_ARGUMENT');
  await failure(delays.increment('SEA', 2n ** 63n), 'INVALID_ARGUMENT');
});

test('set: one element, several, clear', async () => {
  const { db } = await one();
  const routes = db.set('routes');
  await routes.add('SEA', 'SFO');
  await routes.add('SEA', ['LAX', 'JFK']);
  await routes.remove('SEA', 'LAX');
  expect(await routes.members('SEA')).toEqual(['JFK', 'SFO']);
  await routes.clear('SEA');
  expect(await routes.members('SEA')).toEqual([]);
});

test('map: fields are written, removed and read on their own', async () => {
  const { db } = await one();
  const flights = db.map<number | string>('flights');
  await flights.update('UA1', { from: 'SEA', to: 'SFO', delay: 5 });
  await flights.update('UA1', { delay: 7 }, { remove: ['to'] });
  await flights.remove('UA1', 'from');
  const flight = await flights.get('UA1');
  expect({ ...flight?.value }).toEqual({ delay: 7 });
  expect(flight?.versions['delay']?.seq).toBe(2);
  await flights.delete('UA1');
  expect(await flights.get('UA1')).toBeUndefined();
});

test('multiRegister: siblings, and writes that replace what was read', async () => {
  const { db, region } = await one();
  const drafts = db.multiRegister<string>('drafts');
  await drafts.set('d', 'one');
  const read = await drafts.get('d');
  expect(read?.values.map(({ value }) => value)).toEqual(['one']);
  await drafts.set('d', 'two', { observed: read?.values.map(({ version }) => version) });
  expect(region.applied.at(-1)?.intent).toMatchObject({ observed: [{ origin: region.origin, seq: 1 }] });
  await drafts.delete('d', { observed: [] });
  expect(region.applied.at(-1)?.intent).toMatchObject({ kind: 'delete', observed: [] });
});

test('several ops at once: one result each, in their order', async () => {
  const { db, region } = await one();
  const results = await db.write([
    db.counter('delays').op.increment('a', 2),
    db.register('delays').op.set('a', 1),
    db.map('flights').op.update('f', { x: 1 }),
  ]);
  expect(results[0]).toMatchObject({ version: { origin: region.origin } });
  expect(results[1]).toBeInstanceOf(CausewayError);
  expect(results[1]).toMatchObject({ code: 'WRONG_OPERATION' });
  expect(results[2]).toMatchObject({ duplicate: false });
});

test('any merge type can be read as it is', async () => {
  const { db } = await one();
  await db.counter('delays').increment('a', 2);
  await db.set('routes').add('a', 'b');
  expect(await db.read('delays', ['a', 'z'])).toEqual({
    views: [{ type: 'counter-pn', value: 2n }, undefined],
    stale: false,
  });
  expect((await db.read('routes', ['a'])).views[0]).toMatchObject({ type: 'set-aw' });
});

describe('what is refused', () => {
  test('names, with near ones', async () => {
    const { db } = await one();
    const error = await failure(db.register('profile').set('k', 1), 'UNKNOWN_COLLECTION');
    expect(error.hint).toBe("did you mean 'profiles'?");
    await failure(db.counter('rutes').get('k'), 'UNKNOWN_COLLECTION');
  });

  test('the wrong handle', async () => {
    const { db } = await one();
    await failure(db.counter('profiles').increment('k'), 'WRONG_OPERATION');
    await db.register('profiles').set('k', 1);
    const error = await failure(db.counter('profiles').get('k'), 'WRONG_OPERATION');
    expect(error.message).toContain("'profiles' holds register-lww");
  });

  test('sizes, before anything is sent', async () => {
    const { db, region } = await one();
    await failure(db.register('profiles', bytes).set('k', Buffer.alloc(20 * 1024 * 1024)), 'TOO_LARGE');
    await failure(db.register('profiles').set('k'.repeat(2048), 1), 'TOO_LARGE');
    await failure(db.register('profiles').set('', 1), 'INVALID_ARGUMENT');
    await failure(db.map('flights').update('k', {}), 'INVALID_ARGUMENT');
    await failure(db.set('routes').add('k', []), 'INVALID_ARGUMENT');
    expect(region.writes).toHaveLength(0);
  });

  test('options that make no sense', async () => {
    expect(() => connect({ endpoints: [], namespace: 'app' })).toThrow(/at least one endpoint/);
    expect(() => connect({ endpoints: ['nowhere'], namespace: 'app' })).toThrow(/host:port/);
    expect(() => connect({ endpoints: ['a:1'], namespace: '' })).toThrow(/namespace/);
    expect(() => connect({ endpoints: ['a:1'], namespace: 'app', session: '!!' })).toThrow(/session/);
    expect(() => connect({ endpoints: ['a:1'], namespace: 'app', durability: { regions: 0 } })).toThrow(/durability/);
    const { db } = await one();
    expect(() => db.producer({ maxBatchOps: 0 })).toThrow(/maxBatchOps/);
    await failure(db.register('profiles').get('k', { deadlineMs: 0 }), 'INVALID_ARGUMENT');
  });
});

test('what a write asks for reaches the region', async () => {
  const { db, region } = await one();
  const trace = Buffer.alloc(25, 7);
  await db
    .register('profiles')
    .set('k', 1, { durability: { regions: 2 }, idempotencyKey: 'order-1', trace, deadlineMs: 2000 });
  expect(region.writes[0]).toMatchObject({ durability: { kind: 'regions', n: 2 } });
  expect(region.writes[0]?.deadlineMs).toBeGreaterThan(1000);
  expect(region.writes[0]?.deadlineMs).toBeLessThanOrEqual(2000);
  expect(region.writes[0]?.ops[0]).toMatchObject({ idempotency: { kind: 'key', key: 'order-1' } });
  expect(Buffer.from(region.writes[0]?.ops[0]?.trace ?? []).equals(trace)).toBe(true);
  await db.register('profiles').set('k', 1, { durability: 'applied' });
  expect(region.writes[1]).toMatchObject({ durability: { kind: 'applied' } });
  expect(region.writes[1]?.ops[0]).toMatchObject({ idempotency: { kind: 'producer', seq: 2 } });
});

test('a durability that was not reached says that the op is applied here, and is not sent again', async () => {
  const { db, region } = await one();
  region.loseAnswer = () => new CausewayError('DURABILITY_NOT_REACHED', 'durable in 1 region');
  const error = await failure(
    db.register('profiles').set('k', 1, { durability: { regions: 1 } }),
    'DURABILITY_NOT_REACHED',
  );
  expect(error.outcome).toBe('applied-locally');
  expect(region.writes).toHaveLength(1);
});

test('topology tells namespaces, collections, limits', async () => {
  const { db } = await one();
  const topology = await db.topology();
  expect(topology).toMatchObject({
    region: 'us-west',
    ready: true,
    namespaces: [{ name: 'app', shards: 4 }],
    limits: { valueBytesMax: 1024 * 1024, keyBytesMax: 1024, opsPerRequestMax: 10_000 },
    peers: ['far-away'],
  });
  expect(topology.namespaces[0]?.collections).toContainEqual({ name: 'delays', id: 1, type: 'counter-pn' });
});

describe('the admin client', () => {
  test('status, digests, conflicts, ping', async () => {
    const { region, address } = await one();
    region.conflictList = [
      {
        atMs: 5,
        offset: 7,
        index: 0,
        shard: '1/0' as never,
        collection: { namespace: 'app', name: 'profiles', id: 1, type: 'register-lww' },
        key: 'k',
        field: undefined,
        loser: { origin: region.origin, seq: 1, stamp: 2 },
        loserValue: Buffer.from('old'),
        loserExpiresAtMs: undefined,
        winner: { origin: region.origin, seq: 2, stamp: 3 },
        winnerDeletes: true,
      },
    ];
    const admin = adminClient(address);
    cleanup(() => admin.close());
    expect(await admin.ping()).toMatchObject({ region: 'us-west', node: 'us-west-1', ready: true });
    const status = await admin.status();
    expect(status).toMatchObject({
      region: 'us-west',
      state: 'ready',
      log: { engine: 'memory', durable: false, state: 'ready' },
      peers: [
        {
          region: 'far-away',
          link: { kind: 'down', reason: 'connection refused', retryInMs: 250 },
          lagMs: 12.5,
          clock: { offsetMs: -3, rttMs: 80 },
          unacknowledgedOps: 7,
        },
      ],
      alarms: [{ sinceMs: 5, code: 'clock-hold', message: 'a test' }],
    });
    expect(status.peers[0]?.opLagMsP50).toBeUndefined();
    expect(status.collections).toContainEqual({ namespace: 'app', name: 'routes', id: 1, type: 'set-aw' });
    expect(await admin.digests()).toHaveLength(4);
    const old = await failure(admin.digests(1000), 'INVALID_ARGUMENT');
    expect(old.message).toMatch(/last minute/);
    const { offset: _offset, index: _index, ...told } = region.conflictList[0]!;
    expect(await admin.conflicts()).toEqual([told]);
    expect(await admin.conflicts({ namespace: 'other' })).toEqual([]);
  });

  test('a node that is not there', async () => {
    const admin = adminClient('127.0.0.1:1');
    cleanup(() => admin.close());
    const error = await failure(admin.ping(), 'UNAVAILABLE');
    expect(error).toMatchObject({ outcome: 'not-applied', retriable: true });
    expect(error.message).toContain('127.0.0.1:1');
  });
});
