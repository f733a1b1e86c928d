// Regions of several nodes on real servers: any node takes any request, shards move when a node dies, and what Redis loses is made anew.

import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Cluster } from '../../demo/processes.ts';
import { digestsEqual, RegionAdmin, regionReady } from '../../demo/region-client.ts';
import { cli } from '../support/cli.ts';
import {
  adminClient,
  connect,
  text,
  type Causeway,
  type NodeConflict,
  type WatchConflictsOptions,
} from '../../src/client/index.ts';
import { isCausewayError } from '../../src/errors/errors.ts';
import type { WriteResult } from '../../src/region/region.ts';
import { natsFound, redisFound } from '../support/servers.ts';
import { DistributedCluster, PATIENCE, type DistributedNode, type DistributedRegion } from './distributed-kit.ts';

vi.setConfig({ testTimeout: 240_000 });
const missing = [natsFound, redisFound].find((found) => typeof found === 'string');
if (missing !== undefined) console.warn(`regions of several nodes are not tested: ${missing}`);

const SHARDS = 4;
const COLLECTIONS = { likes: 'counter-pn', names: 'register-lww', tags: 'set-aw' };

/** By node, the shards that it serves. */
function owners({ nodes }: DistributedRegion): Map<string, string[]> {
  return new Map(
    nodes.map(({ name, running }) => [name, (running?.region.status().shards ?? []).map(({ shard }) => shard).sort()]),
  );
}

describe.skipIf(missing !== undefined)('regions of two nodes', () => {
  test('any node takes writes and reads of any key, and a feed of all of them', async () => {
    const cluster = await DistributedCluster.start({ regions: ['eu'], collections: COLLECTIONS, shards: 8 });
    onTestFinished(() => cluster.stop());
    const eu = cluster.region('eu');
    const held = [...owners(eu).values()];
    expect(held.flat().sort()).toEqual(Array.from({ length: 8 }, (_, i) => `1/${i}`));
    for (const shards of held) expect(shards.length).toBeGreaterThan(0);
    const [first, second] = eu.nodes.map(({ clients }) => cluster.client([clients])) as [never, never] as [
      ReturnType<DistributedCluster['client']>,
      ReturnType<DistributedCluster['client']>,
    ];
    const seen = new Set<string>();
    const feed = second.subscribe({
      from: 'beginning',
      onEvents: ({ events }) => events.forEach(({ key }) => seen.add(key)),
    });
    onTestFinished(() => feed.close());
    const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
    for (const key of keys) await first.register<string>('names').set(key, `value of ${key}`);
    for (const client of [first, second]) {
      const { views } = await client.read('names', keys);
      expect(views.map((view) => view?.type === 'register-lww' && Buffer.from(view.value).toString())).toEqual(
        keys.map((key) => `"value of ${key}"`),
      );
      const scanned: string[] = [];
      for (let pageToken = ''; ;) {
        const page = await client.scan('names', { pageSize: 7, pageToken });
        scanned.push(...page.entries.map(({ key }) => key));
        pageToken = page.nextPageToken;
        if (pageToken === '') break;
      }
      expect(scanned).toEqual(keys.toSorted());
    }
    await vi.waitFor(() => expect(seen.size).toBe(keys.length), PATIENCE);
    await second.writeAtomic([
      { collection: 'likes', key: '{a}1', intent: { kind: 'increment', by: 1n } },
      { collection: 'likes', key: '{a}2', intent: { kind: 'increment', by: 2n } },
    ]);
    expect([await first.counter('likes').get('{a}1'), await first.counter('likes').get('{a}2')]).toEqual([1n, 2n]);
    const status = await cluster.admin(eu.nodes[0]!.clients).status();
    expect(status.log).toMatchObject({ engine: 'jetstream', durable: true });
    expect(status.store?.engine).toMatch(/^redis/);
  });
});

describe.skipIf(missing !== undefined)('each node of two regions of two nodes', () => {
  test('I3: tells digests, cuts, histories and conflicts of the whole region, and gives back what was lost', async () => {
    const cluster = await DistributedCluster.start({ regions: ['eu', 'us'], collections: COLLECTIONS, shards: 4 });
    onTestFinished(() => cluster.stop());
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    const clients = eu.nodes.map(({ clients: address }) => cluster.client([address]));
    const admins = eu.nodes.map(({ clients: address }) => cluster.admin(address));
    const far = cluster.client(us.nodes.map(({ clients: address }) => address));
    const followed: string[] = [];
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    // A shard may move to the other node meanwhile: whoever follows goes on from the last cursor.
    const follow = (async () => {
      let from: WatchConflictsOptions['from'] = 'beginning';
      while (!stop.signal.aborted) {
        try {
          for await (const { conflicts, cursor } of admins[1]!.watchConflicts({ from, signal: stop.signal })) {
            followed.push(...conflicts.map(({ loser: { origin, seq }, shard }) => `${shard} ${origin} ${seq}`));
            if (cursor !== undefined) from = { cursor };
          }
        } catch (error) {
          if (!(isCausewayError(error) && error.retriable)) throw error;
        }
      }
    })();
    follow.catch(() => undefined);
    const losers = async (admin: (typeof admins)[number]): Promise<NodeConflict[]> => {
      const all: NodeConflict[] = [];
      for (let pageToken: string | undefined = ''; pageToken !== undefined;) {
        const page = await admin.listConflicts({ pageSize: 3, pageToken });
        all.push(...page.conflicts);
        pageToken = page.nextPageToken;
      }
      return all;
    };
    // Both regions at once, until each node of eu has judged some.
    let rounds = 0;
    await vi.waitFor(
      async () => {
        const keys = Array.from({ length: 10 }, (_, i) => `k${rounds * 10 + i}`);
        rounds++;
        await Promise.all(
          keys.flatMap((key) => [
            clients[0]!.register<string>('names').set(key, 'ours'),
            far.register<string>('names').set(key, 'theirs'),
          ]),
        );
        const shards = new Set((await losers(admins[0]!)).map(({ shard }) => shard));
        for (const own of owners(eu).values()) expect(own.some((shard) => shards.has(shard))).toBe(true);
      },
      { ...PATIENCE, interval: 200 },
    );
    const keys = Array.from({ length: rounds * 10 }, (_, i) => `k${i}`);
    // Nothing is under way any more.
    const everywhere = [...admins, ...us.nodes.map(({ clients: address }) => cluster.admin(address))];
    await vi.waitFor(async () => expect(await digestsEqual(everywhere)).toBe(true), PATIENCE);
    for (const admin of everywhere) expect(await admin.digests()).toHaveLength(4);

    const [one, two] = [await losers(admins[0]!), await losers(admins[1]!)];
    expect(one.length).toBeGreaterThan(3);
    expect(two).toEqual(one);
    expect(one.map(({ atMs }) => atMs)).toEqual(one.map(({ atMs }) => atMs).toSorted((a, b) => b - a));
    const named = one.map(({ shard, loser: { origin, seq } }) => `${shard} ${origin} ${seq}`).sort();
    await vi.waitFor(() => expect(followed.toSorted()).toEqual(named), PATIENCE);
    stop.abort();
    await follow;

    for (const client of clients) {
      const { views, asOfStamp } = await client.read('names', keys.slice(0, 50), { consistency: 'stable' });
      expect(views.every((view) => view?.type === 'register-lww')).toBe(true);
      expect(asOfStamp).toBeGreaterThan(0);
      const page = await client.scan('names', { pageSize: 20, consistency: 'stable' });
      expect(page.entries.map(({ key }) => key)).toEqual(keys.toSorted().slice(0, 20));
    }
    for (const admin of admins) {
      for (const key of keys.slice(0, 8)) {
        const { changes } = await admin.keyHistory({ namespace: 'demo', collection: 'names', key });
        expect(changes).toHaveLength(2);
      }
    }
    // Whoever is asked, the owner gives it back.
    for (const [i, own] of [...owners(eu).values()].entries()) {
      const lost = one.find(({ shard }) => own.includes(shard))!;
      const { origin, seq } = lost.loser;
      for (const admin of admins) expect(await admin.conflictsOf({ shard: lost.shard, origin, seq })).toHaveLength(1);
      const restored = await admins[1 - i]!.restoreConflict({ shard: lost.shard, origin, seq });
      expect(restored.conflicts).toHaveLength(1);
      expect((await clients[i]!.register<string>('names').get(lost.key))?.value).toBe('ours');
    }
  });
});

describe.skipIf(missing !== undefined)('each node of a region of two', () => {
  test('tells the status of the region, and serves what is created at run time, also after a restart', async () => {
    const cluster = await DistributedCluster.start({ regions: ['eu'], collections: COLLECTIONS, shards: 4 });
    onTestFinished(() => cluster.stop());
    const eu = cluster.region('eu');
    const clients = eu.nodes.map(({ clients: address }) => cluster.client([address]));
    const admins = eu.nodes.map(({ clients: address }) => cluster.admin(address));
    const held = owners(eu);
    for (const [i, admin] of admins.entries()) {
      const status = await admin.status();
      expect(status.node).toBe(eu.nodes[i]!.name);
      expect(status.others.map(({ node, problem }) => [node, problem])).toEqual([[eu.nodes[1 - i]!.name, '']]);
      const [other] = status.others;
      expect(other!.status!.shards.map(({ shard }) => shard).sort()).toEqual(held.get(other!.node));
      expect(other!.status!.others).toEqual([]);
      expect(status.owners.map(({ shard, node, pinned }) => [shard, node, pinned])).toEqual(
        ['1/0', '1/1', '1/2', '1/3'].map((shard) => [
          shard,
          [...held].find(([, shards]) => shards.includes(shard))![0],
          undefined,
        ]),
      );
    }
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const [i, name] of names.entries()) {
      const spec = { namespace: 'demo', name, type: 'set-aw' } as const;
      const { collection, changed } = await admins[i % 2]!.createCollection(spec, { wait: true });
      expect([collection.settled, changed]).toEqual([true, true]);
      for (const client of clients) for (const key of ['x', 'y', 'z']) await client.set(name, text).add(key, 'one');
      expect((await admins[(i + 1) % 2]!.createCollection(spec, { wait: true })).changed).toBe(false);
    }
    await admins[0]!.dropCollection({ namespace: 'demo', name: 'f' }, { wait: true });
    for (const admin of admins) {
      const { collections } = await admin.listCollections({ namespace: 'demo' });
      expect(
        collections.filter(({ source }) => source === 'run-time').map(({ name, state }) => `${name} ${state}`),
      ).toEqual(names.slice(0, 5).map((name) => `${name} served`));
    }
    // Its definitions go to the other node, and some come back.
    await eu.nodes[0]!.stop();
    await vi.waitFor(async () => expect((await admins[1]!.status()).shards).toHaveLength(4), PATIENCE);
    for (const key of ['x', 'y', 'z']) expect(await clients[1]!.set('a', text).members(key)).toEqual(['one']);
    await eu.nodes[0]!.start();
    await cluster.ready();
    await vi.waitFor(async () => {
      for (const [i, client] of clients.entries())
        for (const name of names.slice(0, 5)) {
          await client.set(name, text).add('x', `again at ${i}`);
          expect(await client.set(name, text).members('x')).toContain('one');
        }
    }, PATIENCE);
  });
});

describe.skipIf(missing !== undefined)('a region of two nodes whose shards change hands in order', () => {
  test('I1, I2: under load, moved by hand and when a node goes and comes: no write is refused, not known, or there twice', async () => {
    const cluster = await DistributedCluster.start({
      regions: ['eu'],
      collections: COLLECTIONS,
      shards: 4,
      ownerLeaseMs: 30_000,
    });
    onTestFinished(() => cluster.stop());
    const eu = cluster.region('eu');
    const [first, second] = eu.nodes as [DistributedNode, DistributedNode];
    // The second one stays; what it has not got it passes on.
    const client = cluster.client([second.clients]);
    const admin = cluster.admin(second.clients);
    const keys = Array.from({ length: 24 }, (_, i) => `k${i}`);
    const counted = new Map<string, number>();
    const failures: string[] = [];
    let going = true;
    onTestFinished(() => {
      going = false;
    });
    const unary = keys.map(async (key) => {
      while (going) {
        // Past the client, which would try again by itself.
        const result = await new Promise<WriteResult>((resolve) => {
          const ops = [{ namespace: 'demo', collection: 'likes', key, intent: { kind: 'increment', by: 1n } as const }];
          const request = { ops, durability: { kind: 'local' }, deadlineMs: 20_000 } as const;
          second.running!.region.write(request, ([one]) => resolve(one!));
        });
        if (result.ok) counted.set(key, (counted.get(key) ?? 0) + 1);
        else failures.push(`${result.error.code} ${result.error.message}`);
        if (failures.length > 20) going = false;
      }
    });
    const producer = client.producer({});
    let sent = 0;
    const stream = (async () => {
      while (going) {
        const key = `s${sent % 24}`;
        const { op } = client.register<string>('names');
        await producer.send(op.set(key, String(sent++)), (error) => {
          if (error !== undefined) failures.push(String(error));
        });
        if (sent % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    const written = async (count: number): Promise<void> => {
      expect(failures.slice(0, 5)).toEqual([]);
      const sum = (): number => [...counted.values()].reduce((a, b) => a + b, 0);
      const target = sum() + count;
      await vi.waitFor(() => expect(sum()).toBeGreaterThan(target), PATIENCE);
    };
    await written(200);
    const before = new Map((await admin.status()).owners.map(({ shard, node }) => [shard, node]));
    for (const [shard, node] of before) {
      const to = node === first.name ? second.name : first.name;
      const beganMs = performance.now();
      const moved = await admin.moveShard(shard, to);
      expect(moved).toMatchObject({ node: to, pinned: to, moved: true });
      await written(50);
      console.log(
        `${shard} went from ${node} to ${to} in ${Math.round(performance.now() - beganMs)} ms, 50 writes included`,
      );
    }
    const pins = (await cluster.admin(first.clients).status()).owners.map(({ node, pinned }) => node === pinned);
    expect(pins).toEqual([true, true, true, true]);
    const shown = await cli(['status', '-e', second.clients]);
    expect(shown.stdout).toMatch(/^ {2}1\/0 was moved to eu-\d by hand: causeway move 1\/0 --back$/m);
    const wrong = await cli(['move', '1/0', 'nobody', '-e', second.clients]);
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
    expect(wrong.stderr).toContain('eu has no node nobody that lives; there are eu-1, eu-2');
    const back = await cli(['move', '1/0', '--back', '-e', second.clients]);
    expect(back.stdout).toMatch(/^1\/0 of eu is at eu-[12], where it belongs\n$/);
    expect(back.code).toBe(0);
    for (const shard of before.keys()) {
      expect(await admin.moveShard(shard, undefined)).toMatchObject({ pinned: undefined, moved: true });
    }
    // What makes the shares even again moves behind it.
    const shareOf = async (name: string): Promise<number> =>
      (await admin.status()).owners.filter(({ node }) => node === name).length;
    await vi.waitFor(async () => expect(await shareOf(first.name)).toBe(2), PATIENCE);
    await written(100);
    // As on SIGTERM, and again.
    await first.running!.drain();
    await first.stop();
    await written(100);
    await first.start();
    await cluster.ready();
    await vi.waitFor(async () => expect((await admin.status()).shards.length).toBeLessThan(4), PATIENCE);
    await written(100);
    // How much lands in each shard its owner has measured, and any node tells.
    await vi.waitFor(async () => {
      for (const { shard, loadPerS } of (await admin.status()).owners) expect(loadPerS, shard).toBeGreaterThan(0);
    }, PATIENCE);
    going = false;
    await Promise.all([...unary, stream]);
    await producer.flush();
    expect(failures.slice(0, 5)).toEqual([]);
    for (const [key, count] of counted) expect(await client.counter('likes').get(key), key).toBe(BigInt(count));
    for (let i = 0; i < 24; i++) {
      const last = Array.from({ length: 24 }, (_, back) => sent - 1 - back).find((n) => n % 24 === i)!;
      expect((await client.register<string>('names').get(`s${i}`))?.value, `s${i}`).toBe(String(last));
    }
  });
});

/** What dist/ holds, as every test with processes. */
async function startProcesses(): Promise<Cluster> {
  const cluster = await Cluster.start({
    engine: 'distributed',
    regions: ['ap', 'eu', 'us'],
    namespace: 'demo',
    collections: COLLECTIONS,
    config: { placements: [{ id: 1, name: 'default', shards: SHARDS, regions: ['ap', 'eu', 'us'] }] },
    ready: regionReady,
  });
  onTestFinished(() => cluster.stop());
  return cluster;
}

interface Acknowledged {
  /** Increments by key, and those of which it is not known. */
  readonly sure: Map<string, number>;
  readonly unknown: Map<string, number>;
  readonly names: Map<string, string>;
  count: number;
  /** Longest time without any acknowledgement of a key, by key, ms. */
  readonly silences: Map<string, number>;
}

/** Counts keys up and writes names, at one region, one op after the other, until it is told to end. */
async function writer(
  client: Causeway,
  prefix: string,
  keys: number,
  seen: Acknowledged,
  going: () => boolean,
): Promise<void> {
  const lastMs = new Map<string, number>();
  for (let i = 0; going(); i++) {
    const key = `${prefix}${i % keys}`;
    try {
      await client.counter('likes').increment(key);
      seen.sure.set(key, (seen.sure.get(key) ?? 0) + 1);
      seen.count++;
      const nowMs = performance.now();
      const silentMs = nowMs - (lastMs.get(key) ?? nowMs);
      seen.silences.set(key, Math.max(silentMs, seen.silences.get(key) ?? 0));
      lastMs.set(key, nowMs);
      await client.register<string>('names').set(key, `${i}`);
      seen.names.set(key, `${i}`);
    } catch (error) {
      if (!isCausewayError(error)) throw error;
      if (error.outcome !== 'not-applied') seen.unknown.set(key, (seen.unknown.get(key) ?? 0) + 1);
    }
  }
}

interface Load {
  readonly seen: Acknowledged;
  readonly more: (count: number) => Promise<void>;
  /** Ends it, and requires that every region has every acknowledged op once. */
  readonly judge: () => Promise<void>;
}

interface Fresh {
  /** Answers so far, none of which was stale. */
  readonly answered: () => number;
  readonly end: () => Promise<void>;
}

/** Counts keys up at a region, and asks each time for what it has just been told is there. It may be refused; what it is answered must be as fresh. */
function askForFreshness(cluster: Cluster, region: string): Fresh {
  const client = connect({ endpoints: [...cluster.region(region).addresses], namespace: 'demo' });
  const likes = client.counter('likes');
  let going = true;
  let answered = 0;
  onTestFinished(() => {
    going = false;
    client.close();
  });
  const ask = async (key: string): Promise<void> => {
    for (let least = 0n; going;) {
      try {
        least = (await likes.increment(key)).value ?? least + 1n;
        const found = await likes.get(key, { consistency: 'causal' });
        expect(found, `${key} as it was before it was counted up`).toBeGreaterThanOrEqual(least);
        answered++;
      } catch (error) {
        if (!isCausewayError(error)) throw error;
      }
    }
  };
  const asking = Promise.all(Array.from({ length: 8 }, (_, i) => ask(`fresh ${i}`)));
  asking.catch(() => undefined);
  return {
    answered: () => answered,
    end: async () => {
      going = false;
      await asking;
    },
  };
}

function load(cluster: Cluster): Load {
  const seen: Acknowledged = { sure: new Map(), unknown: new Map(), names: new Map(), count: 0, silences: new Map() };
  const clients = cluster.regions.map(({ addresses }) => connect({ endpoints: [...addresses], namespace: 'demo' }));
  let going = true;
  const writers = clients.flatMap((client, i) =>
    [0, 1, 2].map((w) => writer(client, `${cluster.regions[i]!.name} ${w} `, 12, seen, () => going)),
  );
  onTestFinished(() => {
    going = false;
    for (const client of clients) client.close();
  });
  const more = async (count: number): Promise<void> => {
    const target = seen.count + count;
    await vi.waitFor(() => expect(seen.count).toBeGreaterThan(target), PATIENCE);
  };
  const judge = async (): Promise<void> => {
    going = false;
    await Promise.all(writers);
    const admins = cluster.regions.map(({ addresses }) => new RegionAdmin(addresses));
    onTestFinished(() => admins.forEach((admin) => admin.close()));
    await vi.waitFor(async () => expect(await digestsEqual(admins)).toBe(true), PATIENCE);
    for (const client of clients) {
      for (const [key, sure] of seen.sure) {
        const value = Number(await client.counter('likes').get(key));
        expect(value, `likes/${key} lacks what was acknowledged`).toBeGreaterThanOrEqual(sure);
        expect(value, `likes/${key} counted something twice`).toBeLessThanOrEqual(sure + (seen.unknown.get(key) ?? 0));
      }
      for (const [key, name] of seen.names) {
        // What came behind it may have been written without being acknowledged.
        const found = await client.register<string>('names').get(key);
        expect(Number(found?.value), key).toBeGreaterThanOrEqual(Number(name));
      }
    }
  };
  return { seen, more, judge };
}

describe.skipIf(missing !== undefined)('three regions of two nodes, as processes', () => {
  test('I1, I2, I3: the node that owns shards dies under load: its shards take writes again, nothing is lost, nothing is there twice', async () => {
    const cluster = await startProcesses();
    const { seen, more, judge } = load(cluster);
    await more(300);
    const [victim] = cluster.nodesOf('eu');
    const own = adminClient(victim!.address, { deadlineMs: 5000 });
    const shards = (await own.status()).shards.map(({ shard }) => shard);
    own.close();
    expect(shards.length).toBeGreaterThan(0);
    seen.silences.clear();
    await victim!.kill();
    const killedMs = performance.now();
    const other = adminClient(cluster.nodesOf('eu')[1]!.address, { deadlineMs: 5000 });
    onTestFinished(() => other.close());
    await vi.waitFor(async () => {
      const served = (await other.status()).shards.filter(
        ({ ownOrigin }) => ownOrigin !== undefined && ownOrigin !== '',
      );
      expect(served.map(({ shard }) => shard)).toEqual(expect.arrayContaining(shards));
    }, PATIENCE);
    console.log(`the other node had the shards ${Math.round(performance.now() - killedMs)} ms after the death`);
    await more(500);
    const worst = Math.max(...seen.silences.values());
    console.log(`after the death of a node its keys were silent for ${Math.round(worst)} ms at most`);
    victim!.spawn();
    await victim!.ready();
    await more(300);
    await judge();
  });

  test('I11: Redis is flushed under load: noticed, nothing stale is called fresh, rebuilt, and equal to the other regions', async () => {
    const cluster = await startProcesses();
    const { more, judge } = load(cluster);
    const fresh = askForFreshness(cluster, 'eu');
    await more(300);
    const { redis } = cluster.servers.get('eu')!;
    const command = new Redis({ host: redis.host, port: redis.port });
    onTestFinished(() => command.disconnect());
    await command.call('FLUSHALL');
    const flushedMs = performance.now();
    // Every shard that has something in it is written anew.
    await vi.waitFor(
      async () => expect((await command.call('KEYS', '*:head')) as string[]).toHaveLength(SHARDS),
      PATIENCE,
    );
    console.log(`after FLUSHALL all shards had rows again ${Math.round(performance.now() - flushedMs)} ms later`);
    await more(500);
    const answered = fresh.answered();
    await vi.waitFor(() => expect(fresh.answered()).toBeGreaterThan(answered + 50), PATIENCE);
    await fresh.end();
    await judge();
  });

  test('I1, I2: a region loses its NATS server for a while: it takes writes again, and nothing is lost or there twice', async () => {
    const cluster = await startProcesses();
    const { seen, more, judge } = load(cluster);
    await more(300);
    const { nats } = cluster.servers.get('eu')!;
    await nats.kill();
    // Longer than a lease: the nodes give their shards up. The other regions do not notice.
    const before = seen.count;
    await new Promise((resolve) => setTimeout(resolve, 5000));
    expect(seen.count).toBeGreaterThan(before);
    await nats.restart();
    const inEu = (): number => [...seen.sure].reduce((sum, [key, n]) => sum + (key.startsWith('eu ') ? n : 0), 0);
    const restarted = inEu();
    await vi.waitFor(() => expect(inEu()).toBeGreaterThan(restarted + 100), PATIENCE);
    await judge();
  });
});

describe.skipIf(missing !== undefined)('a region whose Redis stands still', () => {
  test('says so, refuses what needs it so that clients go elsewhere, serves what it has in memory, and goes on afterwards', async () => {
    const cluster = await DistributedCluster.start({
      regions: ['eu', 'us'],
      collections: COLLECTIONS,
      shards: SHARDS,
      // Who is away here is Redis, however busy the machine is.
      ownerLeaseMs: 20_000,
    });
    onTestFinished(() => cluster.stop());
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    const addresses = ({ nodes }: DistributedRegion): string[] => nodes.map(({ clients }) => clients);
    const admins = addresses(eu).map((address) => cluster.admin(address));
    const alarms = async (): Promise<string[][]> =>
      Promise.all(admins.map(async (admin) => (await admin.status()).alarms.map(({ code }) => code)));
    const home = cluster.client(addresses(eu));
    const roaming = cluster.client([...addresses(eu), ...addresses(us)]);
    const keys = Array.from({ length: 12 }, (_, i) => `k${i}`);
    // Both nodes have shards: whoever has none needs nothing of Redis, and one that has just moved has nothing in memory.
    await vi.waitFor(() => {
      for (const { running } of eu.nodes) expect(running!.region.status().shards).toHaveLength(SHARDS / 2);
    }, PATIENCE);
    for (const key of keys) await home.counter('likes').increment(key);
    // Every shard has rows in Redis: one that has none yet needs nothing of it.
    const command = new Redis({ host: eu.redis.host, port: eu.redis.port });
    onTestFinished(() => command.disconnect());
    await vi.waitFor(
      async () => expect((await command.call('KEYS', '*:head')) as string[]).toHaveLength(SHARDS),
      PATIENCE,
    );
    expect(await alarms()).toEqual([[], []]);
    await eu.redis.pause();
    try {
      const pausedMs = performance.now();
      await vi.waitFor(async () => expect(await alarms()).toEqual([['store-away'], ['store-away']]), PATIENCE);
      console.log(`both nodes said so ${Math.round(performance.now() - pausedMs)} ms after Redis stood still`);
      for (const key of keys) {
        // Through either node, the owner or not.
        expect(await home.counter('likes').increment(key)).toBeDefined();
        expect(await home.counter('likes').get(key)).toBe(2n);
      }
      await expect(home.register('names').set('cold', 'here', { deadlineMs: 1000 })).rejects.toMatchObject({
        code: 'STORE_AWAY',
        outcome: 'not-applied',
        retriable: true,
      });
      const begunMs = performance.now();
      for (const key of keys) await roaming.register<string>('names').set(key, `elsewhere ${key}`);
      console.log(`12 writes went to the other region in ${Math.round(performance.now() - begunMs)} ms`);
    } finally {
      eu.redis.resume();
    }
    await vi.waitFor(async () => expect(await alarms()).toEqual([[], []]), PATIENCE);
    await home.register<string>('names').set('cold', 'here');
    for (const key of keys) {
      await vi.waitFor(
        async () => expect((await home.register<string>('names').get(key))?.value).toBe(`elsewhere ${key}`),
        PATIENCE,
      );
      expect(await home.counter('likes').get(key)).toBe(2n);
    }
  });
});
