// Two regions in containers of the image: they start, replicate, lose an owner, a Redis, a NATS and the wire between them, and lose nothing that was
// acknowledged.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { connect, type Causeway } from '../../src/client/index.ts';
import { ContainerCluster, docker, type ContainerRegion } from './regions.ts';

/** Two cores run all of it, and whatever else the machine does. */
const PATIENCE = { timeout: 240_000, interval: 1000 };
const cluster = new ContainerCluster();
const clients: Causeway[] = [];
/** Every key whose write was acknowledged. */
const acknowledged = new Set<string>();

function clientOf({ nodes }: ContainerRegion): Causeway {
  const client = connect({ endpoints: nodes.map(({ endpoint }) => endpoint), namespace: 'demo', deadlineMs: 30_000 });
  clients.push(client);
  return client;
}

/** Writes one after the other until it is told to stop; what failed is not counted, and may have happened. */
function traffic(client: Causeway, name: string): { acks: () => number; stop: () => Promise<void> } {
  let acks = 0;
  let running = true;
  const done = (async () => {
    for (let i = 0; running; i++) {
      const key = `${name}-${i}`;
      try {
        await client.register('profiles').set(key, { i });
        acknowledged.add(key);
        acks++;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  })();
  return {
    acks: () => acks,
    stop: async () => {
      running = false;
      await done;
    },
  };
}

async function holdsAll(client: Causeway): Promise<void> {
  await vi.waitFor(async () => {
    const found = new Set<string>();
    for await (const { key } of client.register('profiles').scan()) found.add(key);
    expect([...acknowledged].filter((key) => !found.has(key))).toEqual([]);
  }, PATIENCE);
}

beforeAll(async () => {
  await cluster.start(['eu-west', 'us-east']);
  for (const node of cluster.nodes)
    await vi.waitFor(async () => expect((await node.causeway('health')).code, node.name).toBe(0), PATIENCE);
});

afterAll(async () => {
  for (const client of clients) client.close();
  await cluster.stop();
});

test('every node is healthy by the image’s own check, as nobody, on a root that is read-only', async () => {
  for (const node of cluster.nodes) {
    await vi.waitFor(async () => {
      const state = await docker('inspect', '--format', '{{.State.Health.Status}}', node.id);
      if (state !== 'healthy')
        throw new Error(`${node.name} is ${state}: ${(await docker('logs', '--tail', '4', node.id)).slice(-1500)}`);
    }, PATIENCE);
    expect((await node.causeway('health')).code).toBe(0);
    const { output } = await node.container.exec([
      'sh',
      '-c',
      'id -u; touch /causeway/x /tmp/x; touch /data/x && echo data',
    ]);
    expect(output).toMatch(/^10001$/m);
    expect(output.match(/Read-only file system/g)).toHaveLength(2);
    expect(output).toMatch(/^data$/m);
  }
});

test('what is written in one region is read in the other', async () => {
  const [eu, us] = [clientOf(cluster.region('eu-west')), clientOf(cluster.region('us-east'))];
  await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      await (i % 2 === 0 ? eu : us).register('profiles').set(`first-${i}`, { i });
      acknowledged.add(`first-${i}`);
    }),
  );
  await Promise.all([holdsAll(eu), holdsAll(us)]);
});

test('an owner is killed under load: its shards take writes again, and nothing acknowledged is lost', async () => {
  const region = cluster.region('eu-west');
  const [client, other] = [clientOf(region), clientOf(cluster.region('us-east'))];
  const load = traffic(client, 'kill');
  await vi.waitFor(() => expect(load.acks()).toBeGreaterThan(10), PATIENCE);
  await docker('kill', region.nodes[0]!.id);
  // Keys are spread over all shards: a run of acknowledged ones means that those of the dead node have an owner.
  const before = load.acks();
  await vi.waitFor(() => expect(load.acks()).toBeGreaterThan(before + 40), PATIENCE);
  await load.stop();
  await Promise.all([holdsAll(client), holdsAll(other)]);
  await docker('start', region.nodes[0]!.id);
  await vi.waitFor(async () => expect((await region.nodes[0]!.causeway('health')).code).toBe(0), PATIENCE);
});

test.each(['redis', 'nats'] as const)('a %s is killed under load and started again', async (kind) => {
  const region = cluster.region('us-east');
  const [client, other] = [clientOf(region), clientOf(cluster.region('eu-west'))];
  const load = traffic(client, kind);
  await vi.waitFor(() => expect(load.acks()).toBeGreaterThan(20), PATIENCE);
  // NATS keeps its data in memory here, which a stop would empty: it stands still instead, and what it was asked meanwhile has no known outcome.
  await docker(...(kind === 'redis' ? ['kill'] : ['pause']), region[kind].getId());
  await new Promise((resolve) => setTimeout(resolve, 4000));
  await docker(...(kind === 'redis' ? ['start'] : ['unpause']), region[kind].getId());
  const before = load.acks();
  await vi.waitFor(() => expect(load.acks()).toBeGreaterThan(before + 20), PATIENCE);
  await load.stop();
  await Promise.all([holdsAll(client), holdsAll(other)]);
});

test('a region is cut off: both go on, and agree when the wire is back', async () => {
  const [eu, us] = [cluster.region('eu-west'), cluster.region('us-east')];
  const [left, right] = [clientOf(eu), clientOf(us)];
  await cluster.cutOff(eu);
  const loads = [traffic(left, 'cut-left'), traffic(right, 'cut-right')];
  for (const load of loads) await vi.waitFor(() => expect(load.acks()).toBeGreaterThan(20), PATIENCE);
  await Promise.all(loads.map((load) => load.stop()));
  await cluster.heal(eu);
  await Promise.all([holdsAll(left), holdsAll(right)]);
});

test('SIGTERM drains a node, which ends with 0 and leaves its shards to the other', async () => {
  const region = cluster.region('eu-west');
  const { id } = region.nodes[1]!;
  await docker('stop', '--time', '30', id);
  const said = await docker('logs', '--tail', '12', id);
  expect(await docker('inspect', '--format', '{{.State.ExitCode}}', id), said).toBe('0');
  const client = clientOf(region);
  await vi.waitFor(() => client.register('profiles').set('after', { i: 1 }), PATIENCE);
  await holdsAll(client);
});
