// A client of a region of several nodes goes to the owners of its keys by itself, over real loopback gRPC. What the nodes share is one FakeRegion.

import { describe, expect, test } from 'vitest';
import type { Op } from '../../src/client/index.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import { placeOf } from '../../src/record/hash.ts';
import type { NodeAddress, ReadRequest, WriteRequest, WriteResult } from '../../src/region/region.ts';
import { SeededRandom } from '../../chaos/sim/random.ts';
import { FakeRegion } from '../support/fake-region.ts';
import { client, serve, system, until, type Served } from '../support/api.ts';

const SHARDS = 4;
const KEYS = Array.from({ length: 24 }, (_, i) => `k${i}`);

const put = (key: string, value: number): Op => ({
  collection: 'profiles',
  key,
  intent: { kind: 'put', value: Buffer.from(String(value)) },
});

/** One node of a region: what comes to it takes effect in its order, a while later. */
class Node {
  readonly name: string;
  readonly delayMs: () => number;
  readonly #region: FakeRegion;
  served!: Served;
  /** Ops that came here and were of another node's shards. */
  elsewhere = 0;
  taken = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(name: string, region: FakeRegion, delayMs: () => number) {
    this.name = name;
    this.#region = region;
    this.delayMs = delayMs;
  }

  async start(port = 0): Promise<void> {
    const own: Partial<FakeRegion> = {
      status: () => ({ ...this.#region.status(), node: this.name }),
      write: (request, done) => this.#write(request, done),
      read: (request, done) => {
        if (!request.keys.every((key) => this.#owns(request.collection, key))) request.passedOn?.();
        this.#reads.push(request);
        this.#region.read(request, done);
      },
    };
    const region = new Proxy(this.#region, {
      get: (target, name: keyof FakeRegion) => {
        const value = own[name] ?? target[name];
        return typeof value === 'function' ? (value as () => void).bind(target) : value;
      },
    });
    this.served = await serve({ region, port });
  }

  readonly #reads: ReadRequest[] = [];

  get reads(): number {
    return this.#reads.length;
  }

  get address(): NodeAddress {
    return { node: this.name, address: this.served.address };
  }

  #owns(collection: string, key: string): boolean {
    return this.#region.owners[placeOf('app', collection, key, SHARDS)]?.node === this.name;
  }

  #write(request: WriteRequest, done: (results: readonly WriteResult[]) => void): void {
    const others = request.ops.filter(({ collection, key }) => !this.#owns(collection, key));
    this.taken += request.ops.length;
    this.elsewhere += others.length;
    if (others.length > 0) request.passedOn?.();
    const waitMs = this.delayMs();
    this.#last = this.#last.then(async () => {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      this.#region.write(request, done);
    });
  }
}

async function regionOf(...delaysMs: (() => number)[]): Promise<{ region: FakeRegion; nodes: Node[] }> {
  const region = new FakeRegion({ name: 'us-west', system });
  const nodes = delaysMs.map((delayMs, i) => new Node(`n${i}`, region, delayMs));
  for (const node of nodes) await node.start();
  share(region, nodes);
  return { region, nodes };
}

/** In turn, from `first` on. */
function share(region: FakeRegion, nodes: readonly Node[], first = 0): void {
  region.owners = Array.from({ length: SHARDS }, (_, i) => nodes[(i + first) % nodes.length]!.address);
}

/** By key, the values in the order in which they took effect. */
function effects(region: FakeRegion): Map<string, number[]> {
  const values = new Map<string, number[]>();
  for (const { key, intent } of region.applied) {
    if (intent.kind !== 'put') continue;
    values.set(key, [...(values.get(key) ?? []), Number(Buffer.from(intent.value).toString())]);
  }
  return values;
}

describe('a producer', () => {
  test('that knows one node of a region sends to the owners of its shards', async () => {
    const { nodes } = await regionOf(
      () => 0,
      () => 0,
    );
    const producer = client([nodes[0]!.served.address]).producer();
    let sent = 0;
    await until(() => {
      for (const key of KEYS) void producer.send(put(key, sent++));
      return nodes[1]!.taken > 0;
    }, 'it goes to the other node');
    await producer.flush();
    const before = nodes.map(({ elsewhere }) => elsewhere);
    for (let i = 0; i < 50; i++) for (const key of KEYS) await producer.send(put(key, sent++));
    await producer.close();
    expect(nodes.map(({ elsewhere }) => elsewhere)).toEqual(before);
    expect(producer.stats).toMatchObject({ acknowledgedOps: sent, pendingOps: 0, pendingBytes: 0, failedOps: 0 });
  });

  test('keeps the order of each key while its shard moves to and fro', async () => {
    const random = new SeededRandom(7);
    const { region, nodes } = await regionOf(
      () => random.float() * 3,
      () => 5 + random.float() * 25,
      () => random.float() * 12,
    );
    const db = client([nodes[0]!.served.address]);
    const producer = db.producer({ maxBatchOps: 40, streams: 2 });
    const sent = new Map<string, number[]>();
    const buffer = Buffer.alloc(6);
    const endMs = performance.now() + 4000;
    // They have all been owners, and were gone to: some ops came to each for shards of its own, more than were to go on from there.
    const goneTo = (): boolean => nodes.every(({ taken, elsewhere }) => taken - elsewhere > 200);
    let value = 0;
    for (let round = 0; performance.now() < endMs || !goneTo(); round++) {
      if (round % 40 === 0) share(region, nodes, round / 40);
      for (const key of KEYS) {
        // The same bytes for every op: they are the caller's again when send() has returned.
        buffer.write(String(++value).padEnd(6));
        sent.set(key, [...(sent.get(key) ?? []), value]);
        await producer.send({ collection: 'profiles', key, intent: { kind: 'put', value: buffer } });
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await producer.close();
    expect(effects(region)).toEqual(sent);
    expect(producer.stats).toMatchObject({ acknowledgedOps: value, pendingOps: 0, pendingBytes: 0, failedOps: 0 });
  }, 30_000);

  test('goes on through another node when an owner dies, and back when it has its shards again', async () => {
    const { region, nodes } = await regionOf(
      () => 1,
      () => 1,
    );
    const [first, second] = nodes as [Node, Node];
    const producer = client([first.served.address]).producer();
    const sent = new Map<string, number[]>();
    let value = 0;
    const some = async (): Promise<void> => {
      for (const key of KEYS) {
        sent.set(key, [...(sent.get(key) ?? []), ++value]);
        await producer.send(put(key, value));
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    };
    while (second.taken === 0) await some();
    const { port } = second.served;
    await second.served.server.stop();
    for (let i = 0; i < 20; i++) await some();
    region.owners = region.owners.map(() => first.address);
    for (let i = 0; i < 20; i++) await some();
    await producer.flush();
    await second.start(port);
    share(region, nodes);
    const before = second.taken;
    while (second.taken === before) await some();
    await producer.close();
    expect(effects(region)).toEqual(sent);
    expect(producer.stats.failedOps).toBe(0);
  }, 30_000);

  test('stays where it is when the owner’s address leads nowhere, or to somebody else', async () => {
    const { region, nodes } = await regionOf(() => 0);
    const other = await serve({ name: 'us-east' });
    const owners = [nodes[0]!.address.address, '127.0.0.1:1', other.address, 'no address'];
    region.owners = owners.map((address, i) => ({ node: `n${i}`, address }));
    const producer = client([nodes[0]!.served.address]).producer();
    const endMs = performance.now() + 1500;
    for (let i = 0; performance.now() < endMs; i++) {
      for (const key of KEYS) await producer.send(put(key, i));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await producer.close();
    expect(producer.stats).toMatchObject({ failedOps: 0, retriedOps: 0 });
    expect(other.region.writes).toEqual([]);
    expect(nodes[0]!.elsewhere).toBeGreaterThan(0);
  }, 20_000);

  test('does not wait with everything for one op whose region is away', async () => {
    const home = await serve({ name: 'us-east' });
    let lost = false;
    home.region.loseAnswer = (op) => {
      if (op.key !== 'open' || lost) return undefined;
      lost = true;
      home.region.setReady(false);
      return new CausewayError('FENCED', 'a test');
    };
    const { region, nodes } = await regionOf(
      () => 0,
      () => 0,
    );
    const producer = client([home.address, nodes[0]!.served.address]).producer({ maxBatchOps: 10 });
    const open = producer.sendAndWait(put('open', 0));
    await until(() => lost, 'it was applied at home');
    // So that they are asked whose shards they are while the op is held.
    for (let i = 1; i <= 20; i++) {
      await Promise.all(KEYS.map((key) => producer.sendAndWait(put(key, i))));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(nodes[0]!.elsewhere).toBeGreaterThan(0);
    expect(region.applied).toHaveLength(20 * KEYS.length);
    home.region.setReady(true);
    expect(await open).toMatchObject({ duplicate: true });
    await producer.close();
  }, 15_000);

  test('what waits while its shard moves fails when the producer is closed at once', async () => {
    let delayMs = 0;
    const { region, nodes } = await regionOf(
      () => delayMs,
      () => 0,
    );
    region.owners = region.owners.map(() => nodes[0]!.address);
    const db = client([nodes[0]!.served.address]);
    const producer = db.producer();
    await producer.sendAndWait(put('k0', 0));
    delayMs = 1500;
    share(region, nodes);
    const outcomes: (string | undefined)[] = [];
    const stuck = (): void => {
      for (const key of KEYS) void producer.send(put(key, 1), (error) => outcomes.push(error?.outcome));
    };
    stuck();
    // The answer to these says that some are the other node's.
    await until(() => outcomes.length > 0, 'the first ones are answered');
    stuck();
    await new Promise((resolve) => setTimeout(resolve, 600));
    stuck();
    producer.abort(new CausewayError('CANCELLED', 'over'));
    expect(outcomes).toHaveLength(3 * KEYS.length);
    expect(new Set(outcomes)).toEqual(new Set([undefined, 'unknown', 'not-applied']));
    expect(producer.stats).toMatchObject({ pendingOps: 0, pendingBytes: 0 });
  }, 20_000);
});

test('single writes and reads go to the owner too', async () => {
  const { nodes } = await regionOf(
    () => 0,
    () => 0,
  );
  const db = client([nodes[0]!.served.address]);
  const profiles = db.register<number>('profiles');
  const key = KEYS.find((one) => placeOf('app', 'profiles', one, SHARDS) === 1)!;
  await profiles.set(key, 1);
  await until(() => {
    void profiles.get(key);
    return nodes[1]!.reads > 0;
  }, 'a read goes to the owner');
  const { elsewhere, taken } = nodes[1]!;
  await profiles.set(key, 2);
  expect(nodes[1]).toMatchObject({ elsewhere, taken: taken + 1 });
});

describe('a client that knows one node of a region', () => {
  test('goes on at another one, of which it was told, while that one is away', async () => {
    const { region, nodes } = await regionOf(
      () => 0,
      () => 0,
    );
    const [first, second] = nodes as [Node, Node];
    const db = client([first.served.address]);
    const profiles = db.register<number>('profiles');
    for (const key of KEYS) await profiles.set(key, 1);
    const { port } = first.served;
    await first.served.server.stop();
    region.owners = region.owners.map(() => second.address);
    for (const key of KEYS) {
      await profiles.set(key, 2);
      expect((await profiles.get(key))?.value).toBe(2);
    }
    const { taken } = second;
    await first.start(port);
    region.owners = region.owners.map(() => first.address);
    await until(() => {
      void profiles.set(KEYS[0]!, 3);
      return first.taken > 100;
    }, 'it goes back');
    expect(taken).toBeGreaterThanOrEqual(KEYS.length);
  }, 30_000);

  test('goes there also when it never had to before', async () => {
    const { nodes } = await regionOf(
      () => 0,
      () => 0,
    );
    const [first, second] = nodes as [Node, Node];
    const profiles = client([first.served.address]).register<number>('profiles');
    const own = KEYS.find((one) => placeOf('app', 'profiles', one, SHARDS) % 2 === 0)!;
    await profiles.set(own, 1);
    expect(first.elsewhere).toBe(0);
    await first.served.server.stop();
    await profiles.set(own, 2);
    expect(second.taken).toBe(1);
  });

  test('does not go to another region’s node, nor to one that is somebody else', async () => {
    const { region, nodes } = await regionOf(() => 0);
    const stranger = await serve({ name: 'us-east' });
    region.owners = [nodes[0]!.address, { node: 'n1', address: stranger.address }];
    const db = client([nodes[0]!.served.address]);
    const profiles = db.register<number>('profiles');
    await profiles.set('a', 1);
    await nodes[0]!.served.server.stop();
    await expect(profiles.set('a', 2, { deadlineMs: 1500 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(stranger.region.writes).toEqual([]);
  });
});
