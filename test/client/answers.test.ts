// What a write answers with: the key after it; and several keys at once, or none. Over real loopback gRPC.

import { describe, expect, test } from 'vitest';
import { CausewayError } from '../../src/errors/errors.ts';
import { client, failure, serve, until } from '../support/api.ts';

async function one() {
  const served = await serve();
  return { ...served, db: client([served.address]) };
}

describe('the value after a write', () => {
  test('comes with every change of a counter', async () => {
    const { db } = await one();
    const delays = db.counter('delays');
    expect(await delays.increment('SEA', 5)).toMatchObject({ value: 5n, duplicate: false });
    expect(await delays.decrement('SEA', 2n)).toMatchObject({ value: 3n });
    expect(await delays.increment('SEA', 1, { idempotencyKey: 'x' })).toMatchObject({ value: 4n });
    expect(await delays.increment('SEA', 1, { idempotencyKey: 'x' })).toMatchObject({ value: 4n, duplicate: true });
    expect(await delays.reset('SEA')).toMatchObject({ value: 0n });
  });

  test('and of the other types when it is asked for', async () => {
    const { db, region } = await one();
    const want = { returnValue: true };
    const routes = db.set('routes');
    expect(await routes.add('SEA', 'SFO')).toMatchObject({ value: undefined });
    expect(region.writes.at(-1)).toMatchObject({ valueBytesMax: undefined });
    expect(await routes.add('SEA', 'LAX', want)).toMatchObject({ value: ['LAX', 'SFO'] });
    expect(await routes.remove('SEA', 'LAX', want)).toMatchObject({ value: ['SFO'] });
    expect(await routes.clear('SEA', want)).toMatchObject({ value: [] });
    const flights = db.map<number>('flights');
    expect({ ...(await flights.update('UA1', { delay: 5, gate: 1 }, want)).value }).toEqual({ delay: 5, gate: 1 });
    expect({ ...(await flights.remove('UA1', 'gate', want)).value }).toEqual({ delay: 5 });
    expect((await flights.delete('UA1', want)).value).toBeUndefined();
    const profiles = db.register<number>('profiles');
    const created = await profiles.createIfAbsent('k', 1, want);
    expect(created.value).toBe(1);
    expect(await profiles.compareAndSet('k', created.version, 2, want)).toMatchObject({ value: 2 });
    expect((await profiles.delete('k', want)).value).toBeUndefined();
    expect(await db.multiRegister('drafts').set('d', 'one', want)).toMatchObject({ value: ['one'] });
    const [ack] = await db.write([db.set('routes').op.add('X', 'Y')], want);
    expect(ack).toMatchObject({ after: { view: { type: 'set-aw', elements: [Buffer.from('Y')] } } });
  });

  test('what cannot be decoded was written all the same, and the error says so', async () => {
    const { db, region } = await one();
    await db.set('routes').add('SEA', 'not json');
    const strange = db.set('routes', {
      encode: (value: string) => Buffer.from(value),
      decode: () => {
        throw new Error('no');
      },
    });
    const error = await failure(strange.add('SEA', 'x', { returnValue: true }), 'CORRUPT');
    expect(error).toMatchObject({ outcome: 'applied-locally', message: expect.stringMatching(/^written, but/) });
    expect(region.applied).toHaveLength(2);
  });
});

describe('writeAtomic', () => {
  test('sends all ops in one call, and answers with one acknowledgement each', async () => {
    const { db, region } = await one();
    const acks = await db.writeAtomic([
      db.register('profiles').op.createIfAbsent('a/{t}', 1),
      db.counter('delays').op.increment('b/{t}', 2),
    ]);
    expect(acks.map(({ version }) => version.origin)).toEqual([region.origin, region.origin]);
    expect(region.writes.at(-1)).toMatchObject({ atomic: true });
    expect(region.writes.at(-1)?.ops).toHaveLength(2);
    await db.write([db.counter('delays').op.increment('b/{t}', 2)]);
    expect(region.writes.at(-1)).toMatchObject({ atomic: false });
  });

  test('throws what one op was refused for, in its own words', async () => {
    const { db, region } = await one();
    region.refuse = (op) => (op.key === 'b/{t}' ? new CausewayError('PRECONDITION_FAILED', 'b is taken') : undefined);
    const ops = [db.register('profiles').op.set('a/{t}', 1), db.register('profiles').op.set('b/{t}', 1)];
    expect(await failure(db.writeAtomic(ops), 'PRECONDITION_FAILED')).toMatchObject({ message: 'b is taken' });
    expect(region.applied).toEqual([]);
    await failure(db.writeAtomic([]), 'INVALID_ARGUMENT');
    await failure(db.writeAtomic(ops, { idempotencyKey: 'one' }), 'INVALID_ARGUMENT');
    // What no node can take is refused as a whole too.
    region.refuse = () => undefined;
    const bad = [...ops, db.register('profile').op.set('c/{t}', 1)];
    await failure(db.writeAtomic(bad), 'UNKNOWN_COLLECTION');
    expect(region.applied).toEqual([]);
  });

  test('is tried again as a whole', async () => {
    const { db, region } = await one();
    let tries = 0;
    region.refuse = () => (++tries < 3 ? new CausewayError('OVERLOADED', 'wait', { retryAfterMs: 1 }) : undefined);
    await db.writeAtomic([db.counter('delays').op.increment('b/{t}'), db.counter('delays').op.increment('c/{t}')]);
    expect(region.applied.map(({ key }) => key)).toEqual(['b/{t}', 'c/{t}']);
    expect(region.writes.every(({ ops, atomic }) => ops.length === 2 && atomic === true)).toBe(true);
  });
});

describe('giving up', () => {
  test('every call takes a signal and a deadline', async () => {
    const { db, region } = await one();
    region.stall();
    const op = db.counter('delays').op.increment('k');
    const calls = [
      (options: object) => db.counter('delays').increment('k', 1, options),
      (options: object) => db.writeAtomic([op], options),
      (options: object) => db.write([op], options).then(([result]) => Promise.reject(result as Error)),
      (options: object) => db.register('profiles').getMany(['k'], options),
      (options: object) => db.scan('profiles', options),
      (options: object) => db.producer().sendAndWait(op, options),
      (options: object) => {
        const producer = db.producer({ onError: () => undefined });
        void producer.send(op);
        return producer.flush(options);
      },
      (options: object) => {
        const producer = db.producer({ onError: () => undefined });
        void producer.send(op);
        return producer.close(options);
      },
    ];
    for (const call of calls) {
      const gone = new AbortController();
      const stalled = region.stalled;
      const aborted = failure(call({ signal: gone.signal }), 'CANCELLED');
      await until(() => region.stalled > stalled, 'the call waits for its answer');
      gone.abort();
      await aborted;
      const late = await failure(call({ deadlineMs: 30 }));
      expect(['DEADLINE_EXCEEDED', 'INDETERMINATE']).toContain(late.code);
      await failure(call({ signal: AbortSignal.abort() }), 'CANCELLED');
    }
    region.release();
  });
});

test('a session goes as text from one client to another, and back', async () => {
  const [home, away] = [await serve({ name: 'us-west' }), await serve({ name: 'us-east' })];
  const server = client([home.address]);
  await server.register('profiles').set('k', 1);
  const token = server.session();
  expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
  const browser = client([away.address], { session: token, consistency: 'causal', deadlineMs: 50 });
  await failure(browser.register('profiles').get('k'), 'SESSION_BEHIND');
  away.region.replicateFrom(home.region);
  expect((await browser.register('profiles').get('k', { deadlineMs: 5000 }))?.value).toBe(1);
  const back = client([home.address], { consistency: 'causal' });
  back.join(browser.session());
  expect((await back.register('profiles').get('k'))?.value).toBe(1);
  expect(home.region.reads.at(-1)?.consistency.kind).toBe('causal');
  expect(() => back.join('no token')).toThrow(/session token/);
});
