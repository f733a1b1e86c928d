// The producer over real loopback gRPC: order, retries that apply nothing twice, bounds, failover.

import { describe, expect, test } from 'vitest';
import { bytes, type ConnectOptions, type Op, type WriteAck } from '../../src/client/index.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import type { WriteOp } from '../../src/region/region.ts';
import { TcpProxy } from '../../chaos/cluster/tcp-proxy.ts';
import type { FakeRegion } from '../support/fake-region.ts';
import { cleanup, client, failure, serve, until } from '../support/api.ts';

const put = (key: string, value: string | number = 'v'): Op => ({
  collection: 'profiles',
  key,
  intent: { kind: 'put', value: Buffer.from(String(value)) },
});

const add = (key: string, by: number): Op => ({
  collection: 'delays',
  key,
  intent: { kind: 'increment', by: BigInt(by) },
});

function appliedValues(region: FakeRegion, key?: string): string[] {
  return region.applied
    .filter((op) => key === undefined || op.key === key)
    .map(({ intent }) => (intent.kind === 'put' ? Buffer.from(intent.value).toString() : ''));
}

function producerOf({ idempotency }: WriteOp): number | undefined {
  return idempotency?.kind === 'producer' ? idempotency.producer : undefined;
}

/** Not the same as 0 … n - 1: retries of applied ops leave no trace, so each stands there once and in order. */
function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i));
}

describe('batching', () => {
  test('many ops travel in few messages, in order', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer();
    for (let i = 0; i < 5000; i++) await producer.send(put(`k${i % 7}`, i));
    await producer.close();
    expect(appliedValues(region)).toEqual(numbers(5000));
    expect(producer.stats).toMatchObject({
      pendingOps: 0,
      pendingBytes: 0,
      acknowledgedOps: 5000,
      failedOps: 0,
      retriedOps: 0,
    });
    expect(producer.stats.messages).toBeLessThan(40);
  });

  test('a lonely op waits for nothing', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer();
    void producer.send(put('k'));
    await until(() => region.applied.length === 1, 'it is sent without a flush');
  });

  test('a linger collects what comes in several turns', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer({ lingerMs: 100 });
    for (let i = 0; i < 5; i++) {
      void producer.send(put('k', i));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => region.applied.length === 5, 'the linger is over');
    expect(region.writes).toHaveLength(1);
    void producer.send(put('k', 5));
    const startMs = performance.now();
    await producer.flush();
    expect(performance.now() - startMs).toBeLessThan(90);
  });

  test('batches close at their bounds', async () => {
    const { address, region } = await serve();
    const db = client([address]);
    const few = db.producer({ maxBatchOps: 10 });
    for (let i = 0; i < 95; i++) await few.send(put('k', i));
    await few.flush();
    expect(region.writes.map(({ ops }) => ops.length)).toEqual([10, 10, 10, 10, 10, 10, 10, 10, 10, 5]);
    region.writes.length = 0;
    const small = db.producer({ maxBatchBytes: 1000 });
    for (let i = 0; i < 10; i++) await small.send(put('k', 'x'.repeat(500)));
    await small.flush();
    expect(region.writes.map(({ ops }) => ops.length)).toEqual([2, 2, 2, 2, 2]);
  });

  test('large values, several MiB in a batch', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer({ maxBatchBytes: 2 * 1024 * 1024 });
    const profiles = client([address]).register('profiles', bytes);
    const value = Buffer.alloc(1024 * 1024 - 10, 'x');
    for (let i = 0; i < 20; i++) await producer.send(profiles.op.set(`k${i}`, value));
    await producer.flush();
    expect(region.applied).toHaveLength(20);
  });

  test('more collections than one message can name', async () => {
    const { address } = await serve();
    const producer = client([address]).producer({ onError: () => undefined });
    for (let i = 0; i < 600; i++) await producer.send({ ...put('k'), collection: `c${i}` });
    void producer.send(put('k'));
    await producer.flush();
    expect(producer.stats).toMatchObject({ failedOps: 600, acknowledgedOps: 1 });
  });
});

describe('results', () => {
  test('of one op: a promise or a callback', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer();
    const ack = await producer.sendAndWait(put('k'));
    expect(ack).toMatchObject({ version: { origin: region.origin, seq: 1 }, duplicate: false });
    const acks: (WriteAck | undefined)[] = [];
    for (let i = 0; i < 3; i++) void producer.send(put('k'), (_error, got) => acks.push(got));
    await producer.flush();
    expect(acks.map((got) => got?.version.seq)).toEqual([2, 3, 4]);
    await failure(producer.sendAndWait({ ...put('k'), collection: 'profile' }), 'UNKNOWN_COLLECTION');
    await failure(producer.sendAndWait({ ...put('k'), collection: 'delays' }), 'WRONG_OPERATION');
  });

  test('flush throws the first failure that nobody was told of, once', async () => {
    const { address } = await serve();
    const producer = client([address]).producer();
    void producer.send(put('a'));
    void producer.send({ ...put('b'), collection: 'delays' });
    void producer.send({ ...put('c'), collection: 'delays' });
    const error = await failure(producer.flush(), 'WRONG_OPERATION');
    expect(error.message).toMatch(/^2 ops failed, the first/);
    expect(error.details).toMatchObject({ failedOps: 2 });
    await producer.flush();
    void producer.send({ ...put('b'), collection: 'delays' });
    await failure(producer.close(), 'WRONG_OPERATION');
  });

  test('onError is told of each', async () => {
    const { address } = await serve();
    const errors: string[] = [];
    const producer = client([address]).producer({ onError: (error) => errors.push(error.code) });
    for (let i = 0; i < 3; i++) void producer.send({ ...put('b'), collection: 'delays' });
    await producer.flush();
    expect(errors).toEqual(['WRONG_OPERATION', 'WRONG_OPERATION', 'WRONG_OPERATION']);
  });

  test('what no node takes is refused at once, and leaves the batch whole', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer();
    void producer.send(put('a'));
    expect(() => producer.send(put('k', 'x'.repeat(1024 * 1024 + 1)))).toThrow(/at most 1048576 bytes/);
    expect(() => producer.send(put('k'.repeat(2000)))).toThrow(/at most 1024/);
    const fields = Array.from({ length: 5 }, (_, i) => ({ field: `f${i}`, value: Buffer.alloc(1024 * 1024) }));
    const huge: Op = { collection: 'flights', key: 'k', intent: { kind: 'map-update', put: fields, remove: [] } };
    expect(() => producer.send(huge)).toThrow(/an op has at most/);
    void producer.send(put('b'));
    await producer.flush();
    expect(region.applied.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  test('after close', async () => {
    const { address } = await serve();
    const producer = client([address]).producer();
    await producer.close();
    expect(() => producer.send(put('k'))).toThrow(/closed/);
    await producer.close();
  });

  test('a client that is closed fails what is pending, and says what may have been applied', async () => {
    const { address, region } = await serve();
    const db = client([address]);
    const producer = db.producer();
    region.stall();
    const pending = failure(producer.sendAndWait(put('k')), 'CANCELLED');
    await until(() => region.stalled === 1, 'it is under way');
    db.close();
    expect((await pending).outcome).toBe('unknown');
    region.release();
  });
});

describe('I12: bounds', () => {
  test('send() returns a promise at the bound, which resolves when there is room', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer({ maxInFlightOps: 100, maxBatchOps: 10 });
    region.stall();
    let waits = 0;
    let room: void | Promise<void> = undefined;
    for (let i = 0; i < 99; i++) room = producer.send(put('k', i));
    expect(room).toBeUndefined();
    room = producer.send(put('k', 99));
    expect(room).toBeInstanceOf(Promise);
    void room?.then(() => (waits += 1));
    await until(() => region.stalled === 4, 'as many messages as allowed are under way');
    expect(waits).toBe(0);
    region.release();
    await room;
    await producer.flush();
    expect(appliedValues(region)).toEqual(numbers(100));
  });

  test('by bytes as well', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer({ maxInFlightBytes: 10_000 });
    region.stall();
    let sent = 0;
    let room: void | Promise<void>;
    do room = producer.send(put('k', 'x'.repeat(1000)));
    while (room === undefined && ++sent < 100);
    expect(sent).toBe(9);
    region.release();
    await room;
    expect(producer.stats.pendingBytes).toBeLessThanOrEqual(7500);
  });

  test('who does not await gets OVERLOADED at twice the bound', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer({ maxInFlightOps: 10 });
    region.stall();
    expect(() => {
      for (let i = 0; i < 100; i++) void producer.send(put('k', i));
    }).toThrow(/20 ops/);
    region.release();
    await producer.flush();
    expect(region.applied).toHaveLength(20);
  });
});

describe('retries', () => {
  test('pushback is honoured, and the order of a key kept although later messages were on their way', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer({ maxBatchOps: 10 });
    let refusals = 0;
    region.refuse = (op) =>
      Buffer.from(op.intent.kind === 'put' ? op.intent.value : '').toString() === '25' && refusals++ < 3
        ? new CausewayError('OVERLOADED', 'full', { retryAfterMs: 40 })
        : undefined;
    const startMs = performance.now();
    for (let i = 0; i < 200; i++) await producer.send(put('k', i));
    await producer.flush();
    expect(performance.now() - startMs).toBeGreaterThan(110);
    expect(appliedValues(region)).toEqual(numbers(200));
    expect(producer.stats).toMatchObject({ acknowledgedOps: 200, failedOps: 0 });
    expect(producer.stats.retriedOps).toBeGreaterThan(0);
  });

  test('what was applied although the answer says that this is not known is not applied again', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer({ maxBatchOps: 10 });
    let lost = 0;
    region.loseAnswer = () => (lost++ % 30 === 7 ? new CausewayError('FENCED', 'a test') : undefined);
    for (let i = 0; i < 200; i++) await producer.send(add('k', 1));
    await producer.flush();
    expect(region.applied).toHaveLength(200);
    expect(producer.stats).toMatchObject({ acknowledgedOps: 200, failedOps: 0 });
  });

  test('a connection that breaks in mid-stream: nothing lost, nothing twice, in order', async () => {
    const { address, region, server, port } = await serve();
    const producer = client([address]).producer({ maxBatchOps: 10 });
    await producer.sendAndWait(put('k', 0));
    region.stall();
    for (let i = 1; i < 300; i++) void producer.send(put('k', i));
    await until(() => region.stalled === 4, 'some are under way');
    await server.stop();
    region.release();
    await serve({ region, port });
    await producer.flush();
    expect(appliedValues(region)).toEqual(numbers(300));
    expect(producer.stats).toMatchObject({ acknowledgedOps: 300, failedOps: 0, pendingOps: 0 });
  });

  test('a node that drains has answered what it took', async () => {
    const { address, region, server, port } = await serve();
    const producer = client([address]).producer({ maxBatchOps: 10 });
    await producer.sendAndWait(put('k', 0));
    for (let i = 1; i < 300; i++) void producer.send(put('k', i));
    await server.drain();
    await server.stop();
    await serve({ region, port });
    await producer.flush();
    expect(appliedValues(region)).toEqual(numbers(300));
    expect(producer.stats).toMatchObject({ failedOps: 0 });
  });

  test('what is sent while nobody is there travels together when somebody is', async () => {
    const { server, port, address, region } = await serve();
    const producer = client([address]).producer();
    await producer.sendAndWait(put('k', 0));
    await server.stop();
    for (let i = 1; i < 400; i++) {
      void producer.send(put('k', i));
      // Each in a turn of its own.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { messages } = producer.stats;
    await serve({ region, port });
    await producer.flush();
    expect(appliedValues(region)).toEqual(numbers(400));
    // The first few may have gone into a stream that nobody had seen break yet.
    expect(producer.stats.messages - messages).toBeLessThan(20);
  });

  test('nobody there: the ops fail as not applied when their time is over', async () => {
    const db = client(['127.0.0.1:1']);
    const producer = db.producer({ deliveryTimeoutMs: 400 });
    void producer.send(put('k'));
    const error = await failure(producer.flush(), 'DEADLINE_EXCEEDED');
    expect(error).toMatchObject({ outcome: 'not-applied', retriable: true });
    expect(error.message).toContain('127.0.0.1:1');
  });

  test('a node that never answers: INDETERMINATE when the time is over', async () => {
    const { address, region } = await serve();
    const producer = client([address]).producer({ deliveryTimeoutMs: 500 });
    region.stall();
    const error = await failure(producer.sendAndWait(put('k')));
    expect(error).toMatchObject({ outcome: 'unknown' });
    expect(['INDETERMINATE', 'DEADLINE_EXCEEDED']).toContain(error.code);
    region.release();
  }, 60_000);
});

describe('failover', () => {
  async function two(options: Partial<ConnectOptions> = {}) {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const db = client([home.address, away.address], options);
    return { home, away, db };
  }

  test('goes to the next region, and home again; each op once, each key in order', async () => {
    const { home, away, db } = await two();
    const producer = db.producer({ maxBatchOps: 10 });
    for (let i = 0; i < 50; i++) await producer.send(put('k', i));
    await producer.flush();
    home.region.setReady(false);
    for (let i = 50; i < 100; i++) await producer.send(put('k', i));
    await producer.flush();
    expect(appliedValues(home.region)).toEqual(numbers(50));
    expect(appliedValues(away.region)).toEqual(numbers(100).slice(50));
    expect(producer.stats.address).toBe(away.address);
    home.region.setReady(true);
    await until(() => db.endpoint()?.address === home.address, 'home is found ready');
    for (let i = 100; i < 150; i++) await producer.send(put('k', i));
    await producer.flush();
    expect(appliedValues(home.region)).toEqual([...numbers(50), ...numbers(150).slice(100)]);
    expect(producer.stats).toMatchObject({ failedOps: 0, acknowledgedOps: 150, address: home.address });
  });

  test.each(['local', 'causal'] as const)(
    'the first message elsewhere says what it comes after: %s',
    async (consistency) => {
      const { home, away, db } = await two({ consistency });
      const producer = db.producer();
      const first = await producer.sendAndWait(put('k', 0));
      home.region.setReady(false);
      const second = await producer.sendAndWait(put('k', 1));
      const { session, seenStamp } = away.region.writes[0]!;
      // A session only for who has asked for one: it makes writes wait.
      expect(session !== undefined).toBe(consistency === 'causal');
      expect(seenStamp).toBe(consistency === 'causal' ? undefined : first.version.stamp);
      expect(second.version.stamp).toBeGreaterThan(first.version.stamp);
    },
  );

  test('a session that is handed over in mid-stream goes with what is sent from then on', async () => {
    const { home, away, db } = await two();
    const producer = db.producer();
    await producer.sendAndWait(put('k', 0));
    await producer.sendAndWait(put('k', 1));
    const other = client([away.address]);
    const { version } = await other.register('profiles').set('elsewhere', 1);
    db.join(other.session());
    await producer.sendAndWait(put('k', 2));
    const [, second, third] = home.region.writes;
    expect(second?.session).toBeUndefined();
    const stamps = [...(third?.session?.values() ?? [])].flatMap((origins) => [...origins.values()]);
    expect(stamps).toContain(version.stamp);
  });

  test('an op whose outcome is not known stays with its region, and so do later ops of its key; others go on', async () => {
    const { home, away, db } = await two();
    const producer = db.producer({ maxBatchOps: 10 });
    await producer.sendAndWait(put('before', 0));
    let lost = false;
    home.region.loseAnswer = (op) => {
      if (op.key !== 'open' || lost) return undefined;
      lost = true;
      home.region.setReady(false);
      return new CausewayError('FENCED', 'a test');
    };
    const open = producer.sendAndWait(put('open', 0));
    await until(() => home.region.applied.length === 2, 'it was applied at home');
    const behind = producer.sendAndWait(put('open', 1));
    const other = await producer.sendAndWait(put('other', 0));
    expect(other.version.origin).toBe(away.region.origin);
    expect(away.region.applied.map(({ key }) => key)).toEqual(['other']);
    home.region.setReady(true);
    expect(await open).toMatchObject({ duplicate: true, version: { origin: home.region.origin } });
    expect(await behind).toMatchObject({ duplicate: false, version: { origin: home.region.origin } });
    expect(appliedValues(home.region, 'open')).toEqual(['0', '1']);
    await producer.close();
  });

  test('at its deadline it fails as INDETERMINATE, and what waited behind it goes elsewhere', async () => {
    const { home, away, db } = await two();
    const producer = db.producer({ deliveryTimeoutMs: 1500 });
    await producer.sendAndWait(put('before', 0));
    home.region.loseAnswer = () => {
      home.region.setReady(false);
      return new CausewayError('FENCED', 'a test');
    };
    const open = failure(producer.sendAndWait(put('open', 0)), 'INDETERMINATE');
    await until(() => home.region.applied.length === 2, 'it was applied at home');
    await new Promise((resolve) => setTimeout(resolve, 700));
    const behind = producer.sendAndWait(put('open', 1));
    expect((await open).outcome).toBe('unknown');
    expect((await behind).version.origin).toBe(away.region.origin);
    await producer.close();
  });

  test('with moveIndeterminate it goes elsewhere at once', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const producer = client([home.address, away.address], { moveIndeterminate: true }).producer();
    home.region.loseAnswer = () => {
      home.region.setReady(false);
      return new CausewayError('FENCED', 'a test');
    };
    const ack = await producer.sendAndWait(put('k', 0));
    expect(ack.version.origin).toBe(away.region.origin);
  });
});

describe('several streams', () => {
  test('each over a connection of its own; keys spread over them, and each keeps its order', async () => {
    const { port, region } = await serve();
    const proxy = await TcpProxy.listen({ targetHost: '127.0.0.1', targetPort: port });
    cleanup(() => proxy.close());
    const db = client([proxy.address]);
    const producer = db.producer({ streams: 4 });
    for (let i = 0; i < 4000; i++) await producer.send(put(`k${i % 40}`, i));
    await producer.flush();
    expect(proxy.connections).toBe(4);
    expect(new Set(region.applied.map(producerOf)).size).toBe(4);
    for (let key = 0; key < 40; key++) {
      expect(appliedValues(region, `k${key}`)).toEqual(numbers(4000).filter((value) => Number(value) % 40 === key));
    }
    expect(producer.stats).toMatchObject({ pendingOps: 0, pendingBytes: 0, acknowledgedOps: 4000, failedOps: 0 });
    await producer.close();
    db.close();
    await until(() => proxy.connections === 0, 'every connection is closed with the client');
  });

  test('the bounds are of all together', async () => {
    const { region, address } = await serve();
    region.stall();
    const producer = client([address]).producer({ streams: 3, maxInFlightOps: 9 });
    for (let i = 0; i < 8; i++) expect(producer.send(put(`k${i}`))).toBeUndefined();
    const room = producer.send(put('k8'));
    expect(room).toBeInstanceOf(Promise);
    region.release();
    await room;
    await producer.close();
    expect(region.applied).toHaveLength(9);
  });

  test('one that fails does not hold up the others, and all of them fail over', async () => {
    const home = await serve({ name: 'us-west' });
    const away = await serve({ name: 'us-east' });
    const producer = client([home.address, away.address]).producer({ streams: 3 });
    for (let i = 0; i < 60; i++) await producer.send(put(`k${i % 6}`, i));
    await producer.flush();
    home.region.setReady(false);
    for (let i = 60; i < 120; i++) await producer.send(put(`k${i % 6}`, i));
    await producer.close();
    expect(home.region.applied).toHaveLength(60);
    expect(away.region.applied).toHaveLength(60);
    for (let key = 0; key < 6; key++) {
      const expected = numbers(120).filter((value) => Number(value) % 6 === key);
      expect([...appliedValues(home.region, `k${key}`), ...appliedValues(away.region, `k${key}`)]).toEqual(expected);
    }
  });

  test.each([0, 17, 1.5])('%d of them are refused', async (streams) => {
    const { address } = await serve();
    expect(() => client([address]).producer({ streams })).toThrow(/^streams is (?:from 1 to 16|a whole number); got/);
  });
});

describe('under faults of every kind', () => {
  // A small linear congruential generator: the same seed gives the same faults (the timing of the network stays its own).
  function random(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return state / 2 ** 31;
    };
  }

  test.each([
    [1, 1],
    [2, 1],
    [3, 1],
    [4, 5],
    [5, 5],
  ])(
    'I2: every op takes effect once, and the ops of a key in order (seed %d, streams %d)',
    async (seed, streams) => {
      const rand = random(seed);
      const first = await serve({ name: 'us-west' });
      const { region, port } = first;
      let { server } = first;
      const producer = client([first.address]).producer({ streams, maxBatchOps: 20, deliveryTimeoutMs: 60_000 });
      region.refuse = () => {
        const dice = rand();
        if (dice < 0.003) return new CausewayError('OVERLOADED', 'full', { retryAfterMs: 2 });
        if (dice < 0.004) return new CausewayError('NOT_READY', 'a moment');
        return undefined;
      };
      region.loseAnswer = () => (rand() < 0.003 ? new CausewayError('FENCED', 'a test') : undefined);
      const OPS = 3000;
      for (let i = 0; i < OPS; i++) {
        await producer.send(put(`k${i % 13}`, i));
        if (i % 1000 === 700) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          await server.stop();
          ({ server } = await serve({ region, port }));
        }
      }
      await producer.close();
      expect(producer.stats).toMatchObject({ acknowledgedOps: OPS, failedOps: 0, pendingOps: 0, pendingBytes: 0 });
      for (let key = 0; key < 13; key++) {
        const expected = numbers(OPS).filter((value) => Number(value) % 13 === key);
        expect(appliedValues(region, `k${key}`)).toEqual(expected);
      }
    },
    60_000,
  );
});
