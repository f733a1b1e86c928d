// Ownership over a real NATS server.

import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { TcpProxy } from '../../chaos/cluster/tcp-proxy.ts';
import { startNats, startNatsCluster } from '../../scripts/servers.mjs';
import { NatsKvOwnership, type NatsKvOptions } from '../../src/ownership/nats-kv.ts';
import { regionId, type ShardId } from '../../src/record/ids.ts';
import { realSystem } from '../../src/system/real.ts';
import {
  OWNED_SHARDS,
  ownersOf,
  runOwnershipContract,
  settled,
  type OwnershipHarness,
  type OwningNode,
} from '../contract/ownership.ts';
import { natsFound, sharedServer } from '../support/servers.ts';

vi.setConfig({ testTimeout: 60_000 });
if (typeof natsFound === 'string') console.warn(`the tests of ownership over NATS are skipped: ${natsFound}`);

const PATIENCE = { timeout: 30_000, interval: 20 };
let clusters = 0;

type Nats = Awaited<ReturnType<typeof startNats>>;

interface KvNode extends OwningNode {
  readonly ownership: NatsKvOwnership;
  readonly heal: () => void;
}

interface KvHarness extends OwnershipHarness {
  readonly start: (name: string, options?: Partial<NatsKvOptions>) => Promise<KvNode>;
}

describe.skipIf(typeof natsFound === 'string')('on NATS', () => {
  const server = sharedServer(natsFound, () => startNats());

  function harness(): KvHarness {
    const clusterId = `test-${process.pid}-${clusters++}`;
    const ends: (() => Promise<void>)[] = [];
    return {
      start: async (name, options = {}) => {
        const proxy = await TcpProxy.listen({ targetHost: server().host, targetPort: server().port });
        const ownership = new NatsKvOwnership({
          nats: { servers: [`nats://${proxy.address}`], name },
          clusterId,
          region: regionId('eu-west'),
          node: name,
          address: `${name}:1`,
          replicas: 1,
          shards: OWNED_SHARDS,
          system: realSystem(),
          ...options,
        });
        ends.push(async () => {
          await ownership.stop();
          await proxy.close();
        });
        await ownership.start();
        return {
          name,
          ownership,
          stop: () => ownership.stop(),
          cut: () => proxy.cut('reset'),
          heal: () => proxy.heal(),
        };
      },
      cleanup: async () => {
        for (const end of ends) await end();
      },
    };
  }

  runOwnershipContract('NATS KV', harness);

  function begin(): KvHarness {
    const made = harness();
    onTestFinished(() => made.cleanup());
    return made;
  }

  test('everybody knows who holds what, and where', async () => {
    const { start } = begin();
    const [a, b] = [await start('a'), await start('b')];
    const owners = await settled([a, b]);
    await vi.waitFor(() => {
      for (const { ownership } of [a, b]) {
        expect(OWNED_SHARDS.map((shard) => ownership.ownerOf(shard))).toEqual(
          owners.map((node) => ({ node, address: `${node}:1` })),
        );
      }
    }, PATIENCE);
  });

  test('a shard that moves is drained before it is given up', async () => {
    const { start } = begin();
    const drained: string[] = [];
    const nodes: KvNode[] = [];
    const drain = (shard: ShardId): Promise<void> => {
      drained.push(`${shard} ${nodes.map(({ ownership }) => ownership.owns(shard)).join()}`);
      return Promise.resolve();
    };
    const a = await start('a', { drain });
    nodes.push(a);
    await settled([a]);
    const b = await start('b');
    nodes.push(b);
    const owners = await settled([a, b]);
    const moved = OWNED_SHARDS.filter((_, i) => owners[i] === 'b');
    // b is heard of while it starts: the first may go before it is in the list.
    expect(drained.map((each) => each.replace(/ true$/, ' true,false')).sort()).toEqual(
      moved.map((shard) => `${shard} true,false`).sort(),
    );
  });

  test('a node that comes reads the logs of its share first; their owner serves them meanwhile', async () => {
    const { start } = begin();
    const a = await start('a');
    await settled([a]);
    const reading = new Map<ShardId, () => void>();
    const follow = (shard: ShardId): Promise<void> => new Promise((resolve) => reading.set(shard, resolve));
    const b = await start('b', { follow });
    await vi.waitFor(() => expect(reading.size).toBe(12), PATIENCE);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(ownersOf([a, b])).toEqual(OWNED_SHARDS.map(() => 'a'));
    const [first] = reading.keys();
    reading.get(first!)!();
    await vi.waitFor(() => expect(b.ownership.owns(first!)).toBe(true), PATIENCE);
    expect(OWNED_SHARDS.filter((shard) => b.ownership.owns(shard))).toEqual([first]);
    for (const read of reading.values()) read();
    await settled([a, b]);
    // Once each, also while others went.
    expect(reading.size).toBe(12);
  });

  test('shards stay where they are served while nobody else could begin, read or not, and move when somebody can', async () => {
    const { start } = begin();
    const state = { away: true };
    const a = await start('a', { cannotBegin: () => state.away });
    await settled([a]);
    const read = new Set<ShardId>();
    const follow = (shard: ShardId): Promise<void> => {
      read.add(shard);
      return Promise.resolve();
    };
    const b = await start('b', { follow });
    await vi.waitFor(() => expect(read.size).toBe(12), PATIENCE);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(ownersOf([a, b])).toEqual(OWNED_SHARDS.map(() => 'a'));
    state.away = false;
    await settled([a, b]);
  });

  test('what nobody serves is claimed at once, read or not', async () => {
    const { start } = begin();
    const a = await start('a');
    await settled([a]);
    const reading = new Set<ShardId>();
    const follow = (shard: ShardId): Promise<void> => {
      reading.add(shard);
      return new Promise(() => undefined);
    };
    const b = await start('b', { follow });
    await vi.waitFor(() => expect(reading.size).toBe(12), PATIENCE);
    a.cut();
    const cutMs = performance.now();
    await vi.waitFor(() => expect(OWNED_SHARDS.every((shard) => b.ownership.owns(shard))).toBe(true), PATIENCE);
    // Its lease, and a beat.
    expect(performance.now() - cutMs).toBeLessThan(5000);
  });

  test('a node that leaves waits until the others have read its shards', async () => {
    const { start } = begin();
    const reading = new Map<ShardId, () => void>();
    const follow = (shard: ShardId): Promise<void> => new Promise((resolve) => reading.set(shard, resolve));
    const a = await start('a', { follow });
    const b = await start('b');
    const owners = await settled([a, b]);
    reading.clear();
    let left = false;
    const leaving = b.ownership.leave().then(() => (left = true));
    await vi.waitFor(() => expect(reading.size).toBe(12), PATIENCE);
    expect(ownersOf([a, b])).toEqual(owners);
    expect(left).toBe(false);
    for (const read of reading.values()) read();
    await leaving;
    expect(OWNED_SHARDS.every((shard) => a.ownership.owns(shard))).toBe(true);
  });

  test('one that was to have a shard, and is not any more, forgets what it has read', async () => {
    const { start } = begin();
    const forgotten: ShardId[] = [];
    const [a, b] = [await start('a'), await start('b', { unfollow: (shard) => forgotten.push(shard) })];
    const owners = await settled([a, b]);
    const shard = OWNED_SHARDS[owners.indexOf('a')]!;
    let reading: ShardId | undefined;
    const c = await start('c', {
      follow: (each) => {
        if (each === shard) reading = each;
        return each === shard ? new Promise(() => undefined) : Promise.resolve();
      },
      unfollow: (each) => forgotten.push(each),
    });
    await c.ownership.move(shard, 'c');
    await vi.waitFor(() => expect(reading).toBe(shard), PATIENCE);
    await c.ownership.move(shard, 'b');
    await vi.waitFor(() => expect(forgotten).toContain(shard), PATIENCE);
    await vi.waitFor(() => expect(b.ownership.owns(shard)).toBe(true), PATIENCE);
  });

  test('one shard is moved by hand, and back', async () => {
    const { start } = begin();
    const [a, b] = [await start('a'), await start('b')];
    const owners = await settled([a, b]);
    const at = owners.indexOf('a');
    await b.ownership.move(OWNED_SHARDS[at]!, 'b');
    await vi.waitFor(() => expect(b.ownership.owns(OWNED_SHARDS[at]!)).toBe(true), PATIENCE);
    expect(await settled([a, b], 2)).toEqual(owners.with(at, 'b'));
    await a.ownership.move(OWNED_SHARDS[at]!, undefined);
    await vi.waitFor(() => expect(a.ownership.owns(OWNED_SHARDS[at]!)).toBe(true), PATIENCE);
    expect(await settled([a, b])).toEqual(owners);
  });

  test('hot shards that are all at one node change places with idle ones, as many as it takes, and stay there; they come back when their node does', async () => {
    const { start } = begin();
    const [idle, busy] = [50, 2000];
    const hot = new Set<ShardId>();
    let hotSinceMs = 0;
    const opsOf = (shard: ShardId): number => {
      const nowMs = performance.now();
      return (idle * nowMs + (hot.has(shard) ? (busy - idle) * (nowMs - hotSinceMs) : 0)) / 1000;
    };
    const options = { opsOf, balancing: { meanMs: 500, publishMs: 100, planMs: 400 }, leaseMs: 1000 };
    const [a, b] = [await start('a', options), await start('b', options)];
    const nodes = [a, b];
    const before = await settled(nodes);
    // They say what they measure, and it is not worth a move.
    await vi.waitFor(() => {
      for (const shard of OWNED_SHARDS) expect(b.ownership.loadOf(shard)).toBe(idle);
    }, PATIENCE);
    const moves: string[] = [];
    for (const { name, ownership } of nodes) {
      ownership.onChange((shard, owned) => moves.push(`${shard} ${owned ? 'to' : 'from'} ${name}`));
    }
    hotSinceMs = performance.now();
    for (const shard of OWNED_SHARDS.filter((_, i) => before[i] === 'a').slice(0, 4)) hot.add(shard);
    const hotAt = (owners: readonly (string | undefined)[], node: string): number =>
      OWNED_SHARDS.filter((shard, i) => hot.has(shard) && owners[i] === node).length;
    await vi.waitFor(() => {
      const owners = ownersOf(nodes);
      expect([hotAt(owners, 'a'), hotAt(owners, 'b')]).toEqual([2, 2]);
    }, PATIENCE);
    const after = await settled(nodes);
    // Two swaps, each shard once.
    expect(moves).toHaveLength(8);
    expect(new Set(moves.map((move) => move.split(' ')[0])).size).toBe(4);
    await vi.waitFor(() => {
      for (const shard of hot) expect(a.ownership.loadOf(shard)).toBeGreaterThan(0.9 * busy);
    }, PATIENCE);
    // Time for as many looks of both at the whole as there were before.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(moves).toHaveLength(8);

    await b.stop();
    await vi.waitFor(() => expect(OWNED_SHARDS.every((shard) => a.ownership.owns(shard))).toBe(true), PATIENCE);
    const owners = await settled([a, await start('b', { ...options, opsOf: () => 0 })]);
    const swapped = OWNED_SHARDS.filter((_, i) => before[i] !== after[i]);
    expect(swapped).toHaveLength(4);
    for (const [i, shard] of OWNED_SHARDS.entries()) if (swapped.includes(shard)) expect(owners[i]).toBe(after[i]);
  });

  // On a machine with other work three servers may need more than half a minute until they know each other.
  const FORMING = { replicas: 3, openMsMax: 120_000 };

  async function clusterOfThree(): Promise<readonly Nats[]> {
    const servers = await startNatsCluster(3, { syncInterval: '2m' });
    onTestFinished(async () => {
      await Promise.all(servers.map((each) => each.stop()));
    });
    return servers;
  }

  /** A node starts while they are missing, waits, and begins when they are there again. */
  async function waitsFor(missing: readonly Nats[], { url }: Nats): Promise<void> {
    let begun = false;
    const starting = begin()
      .start('early', { nats: { servers: [url], name: 'early' }, ...FORMING })
      .finally(() => (begun = true));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(begun).toBe(false);
    await Promise.all(missing.map((server) => server.restart()));
    const { ownership } = await starting;
    await vi.waitFor(() => expect(OWNED_SHARDS.every((shard) => ownership.owns(shard))).toBe(true), PATIENCE);
  }

  test('a node that starts before its NATS cluster has a leader waits for one', async () => {
    const [first, ...others] = await clusterOfThree();
    // Of three one: it answers, and can make no bucket.
    await Promise.all(others.map((other) => other.kill()));
    await waitsFor(others, first!);
  }, 180_000);

  test('a node that starts when its NATS cluster has not servers enough for the replicas waits for them', async () => {
    const [first, second, third] = await clusterOfThree();
    // Its bucket could be made: they know each other.
    await begin().start('earlier', { nats: { servers: [first!.url], name: 'earlier' }, ...FORMING });
    // In order: the other two know at once that it is gone, and JetStream answers that there are no suitable peers for placement.
    process.kill(third!.pid, 'SIGTERM');
    await vi.waitFor(() => expect(() => process.kill(third!.pid, 0)).toThrow('ESRCH'), PATIENCE);
    await waitsFor([third!], second!);
  }, 180_000);

  test('a node that was cut off comes back and takes its share again', async () => {
    const { start } = begin();
    const [a, b] = [await start('a'), await start('b')];
    const owners = await settled([a, b]);
    b.cut();
    await vi.waitFor(() => expect(OWNED_SHARDS.every((shard) => a.ownership.owns(shard))).toBe(true), PATIENCE);
    b.heal();
    expect(await settled([a, b])).toEqual(owners);
  });
});
