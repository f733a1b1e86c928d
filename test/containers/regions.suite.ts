// Three regions in containers of the image: they start, replicate, lose an owner, a Redis, a NATS and the wire between them, and lose nothing that was
// acknowledged. After each of it all regions hold the same.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { digestsEqual, RegionAdmin } from '../../demo/region-client.ts';
import { connect, type Causeway } from '../../src/client/index.ts';
import { ContainerCluster, docker } from './regions.ts';

/** Two cores run all of it, and whatever else the machine does. */
const PATIENCE = { timeout: 240_000, interval: 1000 };
const cluster = new ContainerCluster();
/** One of each region. */
const home = new Map<string, Causeway>();
const admins: RegionAdmin[] = [];
/** Every key whose write was acknowledged, and what was written. Nobody writes a key twice. */
const acknowledged = new Map<string, number>();

function clientOf(region: string): Causeway {
  return home.get(region)!;
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
        acknowledged.set(key, i);
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

/** Every region has what was acknowledged, as it was written, and all have the same. */
async function agreed(): Promise<void> {
  await vi.waitFor(async () => expect(await digestsEqual(admins)).toBe(true), PATIENCE);
  for (const client of home.values()) {
    const found = new Map<string, unknown>();
    for await (const { key, value } of client.register('profiles').scan()) found.set(key, value);
    expect([...acknowledged].filter(([key, i]) => JSON.stringify(found.get(key)) !== JSON.stringify({ i }))).toEqual(
      [],
    );
  }
}

beforeAll(async () => {
  await cluster.start(['eu-west', 'us-east', 'ap-south']);
  for (const node of cluster.nodes)
    await vi.waitFor(async () => expect((await node.causeway('health')).code, node.name).toBe(0), PATIENCE);
  for (const { name, nodes } of cluster.regions) {
    const endpoints = nodes.map(({ endpoint }) => endpoint);
    home.set(name, connect({ endpoints, namespace: 'demo', deadlineMs: 30_000 }));
    admins.push(new RegionAdmin(endpoints));
  }
});

afterAll(async () => {
  for (const each of [...home.values(), ...admins]) each.close();
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

test('what is written in one region is read in the others', async () => {
  await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      await [...home.values()][i % home.size]!.register('profiles').set(`first-${i}`, { i });
      acknowledged.set(`first-${i}`, i);
    }),
  );
  await agreed();
});

test('an owner is killed under load: its shards take writes again, and nothing acknowledged is lost', async () => {
  const [victim] = cluster.region('eu-west').nodes;
  const load = traffic(clientOf('eu-west'), 'kill');
  await vi.waitFor(() => expect(load.acks()).toBeGreaterThan(10), PATIENCE);
  await docker('kill', victim!.id);
  // Keys are spread over all shards: a run of acknowledged ones means that those of the dead node have an owner.
  const before = load.acks();
  await vi.waitFor(() => expect(load.acks()).toBeGreaterThan(before + 40), PATIENCE);
  await load.stop();
  await agreed();
  await docker('start', victim!.id);
  await vi.waitFor(async () => expect((await victim!.causeway('health')).code).toBe(0), PATIENCE);
});

test.each([
  ['redis', 'kill', 'start'],
  ['nats', 'kill', 'start'],
  ['nats', 'pause', 'unpause'],
] as const)('a %s is hit by docker %s under load, and comes back by docker %s', async (kind, strike, undo) => {
  const server = cluster.region('us-east')[kind].getId();
  const loads = [
    traffic(clientOf('us-east'), `${kind}-${strike}`),
    traffic(clientOf('ap-south'), `ap-${kind}-${strike}`),
  ];
  for (const load of loads) await vi.waitFor(() => expect(load.acks()).toBeGreaterThan(20), PATIENCE);
  await docker(strike, server);
  await new Promise((resolve) => setTimeout(resolve, 4000));
  await docker(undo, server);
  for (const load of loads) {
    const before = load.acks();
    await vi.waitFor(() => expect(load.acks()).toBeGreaterThan(before + 20), PATIENCE);
  }
  await Promise.all(loads.map((load) => load.stop()));
  await agreed();
});

test('a region is cut off: all go on, and agree when the wire is back', async () => {
  const lonely = cluster.region('eu-west');
  await cluster.cutOff(lonely);
  const loads = [...home].map(([name, client]) => traffic(client, `cut-${name}`));
  for (const load of loads) await vi.waitFor(() => expect(load.acks()).toBeGreaterThan(20), PATIENCE);
  await Promise.all(loads.map((load) => load.stop()));
  expect(await digestsEqual(admins)).toBe(false);
  await cluster.heal(lonely);
  await agreed();
});

test('SIGTERM drains a node, which ends with 0 and leaves its shards to the other', async () => {
  const { id } = cluster.region('eu-west').nodes[1]!;
  await docker('stop', '--time', '30', id);
  const said = await docker('logs', '--tail', '12', id);
  expect(await docker('inspect', '--format', '{{.State.ExitCode}}', id), said).toBe('0');
  await vi.waitFor(() => clientOf('eu-west').register('profiles').set('after', { i: 1 }), PATIENCE);
  acknowledged.set('after', 1);
  await agreed();
});
