// Ownership over a real NATS server.

import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { TcpProxy } from '../../chaos/cluster/tcp-proxy.ts';
import { startNats, startNatsCluster } from '../../scripts/servers.mjs';
import { NatsKvOwnership, type NatsKvOptions } from '../../src/ownership/nats-kv.ts';
import { regionId, type ShardId } from '../../src/record/ids.ts';
import { realSystem } from '../../src/system/real.ts';
import {
  OWNED_SHARDS,
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

  test('a node that starts before its NATS cluster has a leader waits for one', async () => {
    const [first, ...others] = await startNatsCluster(3, { syncInterval: '2m' });
    onTestFinished(async () => {
      await Promise.all([first!, ...others].map((each) => each.stop()));
    });
    // Of three one: it answers, and can make no bucket.
    await Promise.all(others.map((other) => other.kill()));
    const made = begin();
    const nats = { servers: [first!.url], name: 'early' };
    let joined = false;
    const joining = made.start('early', { nats, replicas: 3 }).then((node) => {
      joined = true;
      return node;
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(joined).toBe(false);
    await Promise.all(others.map((other) => other.restart()));
    const { ownership } = await joining;
    await vi.waitFor(() => expect(OWNED_SHARDS.every((shard) => ownership.owns(shard))).toBe(true), PATIENCE);
  });

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
