// Deadlines, cancellation, sessions, and what happens when an endpoint is not what it was.

import { createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { CausewayError, type ErrorCode } from '../../src/errors/errors.ts';
import { client, cleanup, failure, serve, until } from '../support/api.ts';

/** Refused: nothing listens there. */
const NOWHERE = '127.0.0.1:1';

/** Takes connections and never says anything. */
async function blackHole(): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

describe('deadlines and cancellation', () => {
  test('a read that is not answered ends at its deadline', async () => {
    const { address, region } = await serve();
    const db = client([address]);
    region.stall();
    const startMs = performance.now();
    await failure(db.register('profiles').get('k', { deadlineMs: 100 }), 'DEADLINE_EXCEEDED');
    expect(performance.now() - startMs).toBeLessThan(3000);
    region.release();
  });

  test('a write that is not answered ends as INDETERMINATE', async () => {
    const { address, region } = await serve();
    const db = client([address]);
    region.stall();
    const error = await failure(db.register('profiles').set('k', 1, { deadlineMs: 100 }), 'INDETERMINATE');
    expect(error).toMatchObject({ outcome: 'unknown', retriable: true, cause: { code: 'DEADLINE_EXCEEDED' } });
    region.release();
  });

  test('abort before and while', async () => {
    const { address, region } = await serve();
    const db = client([address]);
    const before = await failure(db.register('profiles').set('k', 1, { signal: AbortSignal.abort() }), 'CANCELLED');
    expect(before.outcome).toBe('not-applied');
    region.stall();
    const giveUp = new AbortController();
    const pending = failure(db.register('profiles').set('k', 1, { signal: giveUp.signal }), 'CANCELLED');
    await until(() => region.stalled === 1, 'the write is under way');
    giveUp.abort();
    expect((await pending).outcome).toBe('unknown');
    const reading = new AbortController();
    const read = failure(db.register('profiles').get('k', { signal: reading.signal }), 'CANCELLED');
    await until(() => region.stalled === 2, 'the read is under way');
    reading.abort();
    await read;
    region.release();
  });

  test('nobody there: UNAVAILABLE, not applied, and it says who was tried', async () => {
    const db = client([NOWHERE], { deadlineMs: 300 });
    const error = await failure(db.register('profiles').set('k', 1), 'UNAVAILABLE');
    expect(error).toMatchObject({ outcome: 'not-applied', retriable: true });
    expect(error.message).toContain(NOWHERE);
    await failure(db.register('profiles').get('k'), 'UNAVAILABLE');
  });

  test('a closed client', async () => {
    const { address } = await serve();
    const db = client([address]);
    db.close();
    await failure(db.register('profiles').set('k', 1), 'CANCELLED');
  });
});

describe('failover', () => {
  test('an endpoint that refuses or never answers costs one connect timeout', async () => {
    const { address, region } = await serve();
    const db = client([NOWHERE, await blackHole(), address], { connectTimeoutMs: 100 });
    await db.register('profiles').set('k', 1);
    expect(region.applied).toHaveLength(1);
    const startMs = performance.now();
    await db.register('profiles').set('k', 2);
    expect(performance.now() - startMs).toBeLessThan(90);
    expect(db.endpoint()?.address).toBe(address);
  });

  test.each<ErrorCode>(['NOT_READY', 'STORE_AWAY', 'DRAINING', 'READ_ONLY', 'CLOCK_UNSYNCED'])(
    'writes leave a node that says %s',
    async (code) => {
      const home = await serve({ name: 'us-west' });
      const away = await serve({ name: 'us-east' });
      const db = client([home.address, away.address]);
      home.region.refuse = () => new CausewayError(code, 'a test');
      await db.register('profiles').set('k', 1);
      expect(away.region.applied).toHaveLength(1);
    },
  );

  test('reads stay with a node that only takes no writes', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const db = client([home.address, away.address]);
    home.region.setReady(true);
    home.region.refuse = () => new CausewayError('READ_ONLY', 'the disk is full');
    await db.register('profiles').set('k', 1);
    home.region.reads.length = 0;
    await db.register('profiles').get('k');
    expect(home.region.reads).toHaveLength(1);
  });

  test('a home whose store is away, which says that it is ready, is tried again a second later and no sooner', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const db = client([home.address, away.address]);
    home.region.setReady(true);
    let refused = 0;
    home.region.refuse = () => {
      refused++;
      return new CausewayError('STORE_AWAY', 'a test');
    };
    const startMs = performance.now();
    for (let i = 0; i < 50; i++) await db.register('profiles').set('k', i);
    expect(away.region.applied).toHaveLength(50);
    expect(refused).toBeLessThanOrEqual(1 + (performance.now() - startMs) / 1000);
    home.region.refuse = () => undefined;
    await until(() => db.endpoint()?.address === home.address, 'home is tried again');
  });

  test('without another endpoint it is tried again soon', async () => {
    const home = await serve({ name: 'us-west' });
    const db = client([home.address], { deadlineMs: 30_000 });
    let left = 2;
    home.region.refuse = () => (left-- > 0 ? new CausewayError('STORE_AWAY', 'a test') : undefined);
    await db.register('profiles').set('k', 1);
    expect(home.region.applied).toHaveLength(1);
    const error = client([home.address], { deadlineMs: 300 });
    home.region.refuse = () => new CausewayError('STORE_AWAY', 'a test');
    await failure(error.register('profiles').set('k', 2), 'STORE_AWAY');
  });

  test('it comes home when home is ready again', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const db = client([home.address, away.address]);
    home.region.setReady(false);
    await db.register('profiles').set('a', 1);
    expect(away.region.applied.map(({ key }) => key)).toEqual(['a']);
    home.region.setReady(true);
    await until(() => db.endpoint()?.address === home.address, 'home is found ready');
    await db.register('profiles').set('b', 1);
    expect(home.region.applied.map(({ key }) => key)).toEqual(['b']);
  });

  test('a node that dies and comes back on its port is found again', async () => {
    const first = await serve();
    const db = client([first.address]);
    await db.register('profiles').set('a', 1);
    await first.server.stop();
    await failure(db.register('profiles').set('b', 1, { deadlineMs: 200 }));
    await serve({ region: first.region, port: first.port });
    await db.register('profiles').set('c', 1, { deadlineMs: 10_000 });
    expect(first.region.applied.map(({ key }) => key)).toEqual(['a', 'c']);
  });

  test('OVERLOADED is waited out at home, no sooner than it says', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const db = client([home.address, away.address]);
    let refusals = 0;
    home.region.refuse = () =>
      refusals++ < 2 ? new CausewayError('OVERLOADED', 'full', { retryAfterMs: 60 }) : undefined;
    const startMs = performance.now();
    await db.register('profiles').set('k', 1);
    expect(performance.now() - startMs).toBeGreaterThan(115);
    expect(home.region.applied).toHaveLength(1);
    expect(away.region.applied).toHaveLength(0);
  });

  test('what may not be retried is not', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const db = client([home.address, away.address]);
    home.region.refuse = () => new CausewayError('IDEMPOTENCY_WINDOW_PASSED', 'too old');
    await failure(db.register('profiles').set('k', 1), 'IDEMPOTENCY_WINDOW_PASSED');
    expect(home.region.writes).toHaveLength(1);
    expect(away.region.writes).toHaveLength(0);
  });
});

describe('an outcome that is not known', () => {
  test('is asked again in the same region, which answers with the first result', async () => {
    const { address, region } = await serve();
    const db = client([address]);
    let lost = 0;
    region.loseAnswer = () => (lost++ === 0 ? new CausewayError('INDETERMINATE', 'a test') : undefined);
    const ack = await db.counter('delays').increment('k', 5);
    expect(ack.duplicate).toBe(true);
    expect(region.applied).toHaveLength(1);
    expect(await db.counter('delays').get('k')).toBe(5n);
  });

  test('does not move to another region: INDETERMINATE at the deadline', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const db = client([home.address, away.address]);
    // The region of the first endpoint is learnt.
    await db.register('profiles').get('k');
    home.region.loseAnswer = () => {
      home.region.setReady(false);
      return new CausewayError('FENCED', 'a test');
    };
    const error = await failure(db.counter('delays').increment('k', 5, { deadlineMs: 400 }), 'INDETERMINATE');
    expect(error.outcome).toBe('unknown');
    expect(away.region.writes).toHaveLength(0);
    expect(home.region.applied).toHaveLength(1);
  });

  test('moves when the client says so', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const db = client([home.address, away.address], { moveIndeterminate: true });
    home.region.loseAnswer = () => {
      home.region.setReady(false);
      return new CausewayError('FENCED', 'a test');
    };
    await db.register('profiles').set('k', 1);
    expect(home.region.applied).toHaveLength(1);
    expect(away.region.applied).toHaveLength(1);
  });

  test('moves to another endpoint of the same region', async () => {
    const first = await serve({ name: 'us-west' });
    const second = await serve({ region: first.region });
    const db = client([first.address, second.address]);
    await db.topology();
    first.region.stall();
    const pending = db.counter('delays').increment('k', 5);
    await until(() => first.region.stalled === 1, 'the write is under way');
    await first.server.stop();
    first.region.release();
    expect((await pending).duplicate).toBe(true);
    expect(db.endpoint()?.address).toBe(second.address);
  });

  test('a connection that breaks in the middle of a write', async () => {
    const { address, region, server, port } = await serve();
    const db = client([address]);
    region.stall();
    const pending = db.counter('delays').increment('k', 5, { deadlineMs: 10_000 });
    await until(() => region.stalled === 1, 'the write is under way');
    await server.stop();
    region.release();
    await serve({ region, port });
    expect((await pending).duplicate).toBe(true);
    expect(await db.counter('delays').get('k')).toBe(5n);
  });
});

describe('the time of the first attempt', () => {
  test('is told in the time of the region, although the clocks differ', async () => {
    const clockAheadMs = 3_600_000;
    const { address, region } = await serve({ clockAheadMs });
    const db = client([address]);
    const startMs = Date.now() + clockAheadMs;
    await db.register('profiles').set('k', 1);
    await db.producer().sendAndWait(db.register('profiles').op.set('k', 2));
    for (const { ops } of region.writes) {
      expect(ops[0]?.issuedAtMs).toBeGreaterThan(startMs - 1000);
      expect(ops[0]?.issuedAtMs).toBeLessThan(startMs + 10_000);
    }
  });

  test('stays the first when an op is sent again', async () => {
    const { address, region } = await serve();
    const db = client([address]);
    let refusals = 0;
    region.refuse = () =>
      refusals++ % 2 === 0 ? new CausewayError('OVERLOADED', 'full', { retryAfterMs: 30 }) : undefined;
    await db.register('profiles').set('k', 1);
    await db.producer().sendAndWait(db.register('profiles').op.set('k', 2));
    const times = region.writes.map(({ ops }) => ops[0]?.issuedAtMs);
    expect(times[0]).toBe(times[1]);
    expect(times[2]).toBe(times[3]);
  });

  test("is the caller's, for a key of its own that was tried before", async () => {
    const { address, region } = await serve();
    await client([address]).counter('delays').increment('k', 1, { idempotencyKey: 'order-1', issuedAtMs: 1_000_000 });
    expect(region.writes[0]?.ops[0]).toMatchObject({
      issuedAtMs: 1_000_000,
      idempotency: { kind: 'key', key: 'order-1' },
    });
  });
});

describe('sessions', () => {
  test('a causal read in another region waits for what the session has seen', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const writer = client([home.address]);
    await writer.register('profiles').set('k', 1);
    const reader = client([away.address], { session: writer.session(), consistency: 'causal' });
    await failure(reader.register('profiles').get('k', { deadlineMs: 150 }), 'SESSION_BEHIND');
    const stale = await reader.read('profiles', ['k'], { allowStale: true });
    expect(stale).toEqual({ views: [undefined], stale: true });
    expect(await reader.register('profiles').get('k', { consistency: 'local' })).toBeUndefined();
    away.region.replicateFrom(home.region);
    expect(await reader.register('profiles').get('k')).toMatchObject({ value: 1, stale: false });
  });

  test('reads join the session too, absent keys as well', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const writer = client([home.address]);
    await writer.register('profiles').set('k', 1);
    await writer.register('profiles').delete('k');
    const reader = client([home.address]);
    expect(await reader.register('profiles').get('k')).toBeUndefined();
    const elsewhere = client([away.address], { consistency: 'causal' });
    elsewhere.join(reader.session());
    await failure(elsewhere.register('profiles').get('k', { deadlineMs: 100 }), 'SESSION_BEHIND');
  });

  test('a write carries it, so that its stamp is above what was seen', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const writer = client([home.address]);
    const first = await writer.register('profiles').set('k', 1);
    const second = client([away.address], { session: writer.session() });
    await second.register('profiles').set('k', 2);
    const session = away.region.writes[0]?.session;
    expect([...(session?.values() ?? [])].flatMap((stamps) => [...stamps.values()])).toEqual([first.version.stamp]);
  });

  test('a write carries none before somebody asked for one: a token makes writes wait, or refuses them', async () => {
    const { address, region } = await serve();
    const db = client([address]);
    const profiles = db.register('profiles');
    const { version } = await profiles.set('k', 1);
    await profiles.get('k');
    await profiles.set('k', 2);
    expect(region.writes[1]).toMatchObject({ session: undefined, seenStamp: version.stamp });
    await profiles.get('k', { consistency: 'causal' });
    await profiles.set('k', 3);
    expect(region.writes[2]).toMatchObject({ session: expect.any(Map) as unknown, seenStamp: undefined });
  });

  test('what is no token is refused', () => {
    const db = client([NOWHERE]);
    expect(() => db.join('no token')).toThrow(CausewayError);
    db.join(client([NOWHERE]).session());
  });
});
