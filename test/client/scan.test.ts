// Multi-get and scan of the typed handles, over real loopback gRPC.

import { describe, expect, test } from 'vitest';
import { CausewayError } from '../../src/errors/errors.ts';
import { client, failure, serve } from '../support/api.ts';
import { SCAN_CUT } from '../support/fake-region.ts';

async function one() {
  const served = await serve();
  return { ...served, db: client([served.address]) };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('scan', () => {
  test('goes through all pages, with values and versions', async () => {
    const { db, region } = await one();
    const profiles = db.register<number>('profiles');
    const acks = await db.write(Array.from({ length: 25 }, (_, i) => profiles.op.set(`u/${10 + i}`, i)));
    await profiles.set('v', 99);
    const found = await collect(profiles.scan({ prefix: 'u/', pageSize: 10 }));
    expect(found).toHaveLength(25);
    expect(found[3]).toEqual({
      key: 'u/13',
      value: 3,
      version: (acks[3] as { version: object }).version,
      expiresAtMs: undefined,
      stale: false,
    });
    expect(region.scans.map(({ after }) => after)).toEqual([undefined, 'u/19', 'u/29']);
    // One page, where the caller keeps the place.
    const page = await db.scan('profiles', { pageSize: 20 });
    expect(page.entries).toHaveLength(20);
    const rest = await db.scan('profiles', { pageToken: page.nextPageToken });
    expect(rest).toMatchObject({ nextPageToken: '' });
    expect(rest.entries.map(({ key }) => key)).toEqual(['u/30', 'u/31', 'u/32', 'u/33', 'u/34', 'v']);
  });

  test('takes the levels of a read, and says as of when a page is', async () => {
    const { db, region } = await one();
    await db.register('profiles').set('anna', 1);
    expect(await db.scan('profiles', { consistency: 'stable' })).toMatchObject({ asOfStamp: SCAN_CUT });
    expect(await db.scan('profiles', { consistency: { maxStaleMs: 500 } })).toMatchObject({ asOfStamp: undefined });
    for await (const entry of db.register('profiles').scan({ consistency: 'stable' })) {
      expect(entry.asOfStamp).toBe(SCAN_CUT);
    }
    expect(region.scans.map(({ consistency }) => consistency)).toEqual([
      { kind: 'stable' },
      { kind: 'bounded', maxStaleMs: 500 },
      { kind: 'stable' },
    ]);
    const error = await failure(db.scan('profiles', { consistency: { maxStaleMs: 0 } }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(error.message).toContain('a bounded read has max_stale_ms from 1 to 3600000; got 0');
  });

  test('stops asking when the caller stops', async () => {
    const { db, region } = await one();
    const delays = db.counter('delays');
    await db.write(['a', 'b', 'c', 'd'].map((key) => delays.op.increment(key, 2)));
    for await (const { key, value } of delays.scan({ pageSize: 2 })) {
      expect(value).toBe(2n);
      if (key === 'b') break;
    }
    expect(region.scans).toHaveLength(1);
  });

  test('every merge type', async () => {
    const { db } = await one();
    await db.set('routes').add('SEA', ['SFO', 'LAX']);
    await db.map('flights').update('UA1', { to: 'SFO' });
    await db.multiRegister('drafts').set('d', 'one');
    expect(await collect(db.set('routes').scan())).toEqual([{ key: 'SEA', members: ['LAX', 'SFO'] }]);
    const [flight] = await collect(db.map('flights').scan());
    expect({ ...flight?.value }).toEqual({ to: 'SFO' });
    expect(await collect(db.multiRegister('drafts').scan())).toMatchObject([{ key: 'd', values: [{ value: 'one' }] }]);
  });

  test('what is wrong comes as a rejection', async () => {
    const { db } = await one();
    await db.set('routes').add('SEA', 'SFO');
    await failure(collect(db.register('routes').scan()), 'WRONG_OPERATION');
    await failure(collect(db.register('nowhere').scan()), 'UNKNOWN_COLLECTION');
    await failure(db.scan('profiles', { pageSize: -1 }), 'INVALID_ARGUMENT');
    await failure(db.scan('profiles', { pageSize: 1.5 }), 'INVALID_ARGUMENT');
    await failure(db.scan('profiles', { pageToken: 'nobody' }), 'INVALID_ARGUMENT');
  });

  test('goes on in another region', async () => {
    const [home, away] = [await serve({ name: 'us-west' }), await serve({ name: 'us-east' })];
    const db = client([home.address, away.address]);
    const profiles = db.register<number>('profiles');
    await db.write(['a', 'b', 'c', 'd'].map((key, i) => profiles.op.set(key, i)));
    away.region.replicateFrom(home.region);
    const keys: string[] = [];
    for await (const { key } of profiles.scan({ pageSize: 2 })) {
      keys.push(key);
      if (key === 'b') home.region.setReady(false);
    }
    expect(keys).toEqual(['a', 'b', 'c', 'd']);
    expect([home.region.scans.length, away.region.scans.length]).toEqual([2, 1]);
  });

  test('an aborted one ends', async () => {
    const { db, region } = await one();
    region.stall();
    const gone = new AbortController();
    const waiting = failure(collect(db.counter('delays').scan({ signal: gone.signal })), 'CANCELLED');
    gone.abort();
    expect(await waiting).toBeInstanceOf(CausewayError);
    region.release();
  });
});

test('getMany of every merge type: one per key, in their order', async () => {
  const { db } = await one();
  await db.counter('delays').increment('b', 2);
  await db.set('routes').add('SEA', 'SFO');
  await db.map('flights').update('UA1', { to: 'SFO' });
  await db.multiRegister('drafts').set('d', 'one');
  expect(await db.counter('delays').getMany(['a', 'b'])).toEqual([0n, 2n]);
  expect(await db.set('routes').getMany(['SEA', 'none'])).toEqual([['SFO'], []]);
  const flights = await db.map('flights').getMany(['none', 'UA1']);
  expect(flights[0]).toBeUndefined();
  expect(flights[1]?.versions['to']).toMatchObject({ seq: 1 });
  const drafts = await db.multiRegister('drafts').getMany(['d', 'none']);
  expect(drafts[0]?.values).toMatchObject([{ value: 'one', version: { seq: 1 } }]);
  expect(drafts[1]).toBeUndefined();
});
