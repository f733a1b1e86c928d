// Two regions whose logs are on NATS, with a server each: the node on a log that answers later, loses its connection and comes back.

import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { startNats, type Server } from '../../scripts/servers.mjs';
import { ApiServer } from '../../src/api/server.ts';
import { connect, type Causeway } from '../../src/client/index.ts';
import { configFrom } from '../../src/config/load.ts';
import { toNodeSettings } from '../../src/config/node-settings.ts';
import { isCausewayError, type CausewayError } from '../../src/errors/errors.ts';
import { JetStreamLog } from '../../src/log/jetstream.ts';
import { SingleOwnership } from '../../src/ownership/single.ts';
import { regionId } from '../../src/record/ids.ts';
import { RegionNode } from '../../src/region/node.ts';
import { MemoryNetwork } from '../../src/replication/memory-transport.ts';
import { MemoryStore, MemoryStoreDisk } from '../../src/store/memory.ts';
import { realSystem } from '../../src/system/real.ts';
import { natsFound } from '../support/servers.ts';

vi.setConfig({ testTimeout: 120_000 });
if (typeof natsFound === 'string') console.warn(`regions on JetStream are not tested: ${natsFound}`);

const PATIENCE = { timeout: 60_000, interval: 50 };
const REGIONS = ['eu', 'us'];

type Nats = Server & { readonly url: string; readonly monitor: string };

class NatsRegion {
  readonly name: string;
  readonly nats: Nats;
  readonly fatal: CausewayError[] = [];
  readonly #network: MemoryNetwork;
  #node: RegionNode | undefined;
  #api: ApiServer | undefined;
  #client: Causeway | undefined;

  constructor(name: string, nats: Nats, network: MemoryNetwork) {
    this.name = name;
    this.nats = nats;
    this.#network = network;
  }

  get client(): Causeway {
    return this.#client!;
  }

  get node(): RegionNode {
    return this.#node!;
  }

  /** With an empty store: everything comes from the log. */
  async start(): Promise<void> {
    const system = realSystem();
    const config = configFrom({
      clusterId: 'nats',
      region: this.name,
      dataDir: '/nowhere',
      regions: REGIONS.map((name) => ({ name, peers: [`${name}:1`], clients: [`${name}:2`] })),
      placements: [{ id: 1, name: 'default', shards: 2, regions: REGIONS }],
      namespaces: [{ name: 'demo' }],
      collections: [{ namespace: 'demo', name: 'likes', type: 'counter-pn' }],
      log: { level: 'silent' },
    });
    const log = new JetStreamLog({
      nats: { servers: [this.nats.url], name: this.name },
      clusterId: 'nats',
      region: regionId(this.name),
      replicas: 1,
      streamBytesMax: 256 * 1024 * 1024,
      monitors: [this.nats.monitor],
      requireDurable: true,
      system,
      onFatal: (error) => this.fatal.push(error),
    });
    const store = new MemoryStore({ disk: new MemoryStoreDisk() });
    const transport = this.#network.transport(`${this.name}:1`);
    const node = new RegionNode(toNodeSettings(config), {
      log,
      store,
      transport,
      ownership: new SingleOwnership(),
      system,
    });
    const api = new ApiServer({ region: node, listen: '127.0.0.1:0', system, clusterId: 'nats' });
    const { port } = await api.start();
    await node.start();
    await vi.waitFor(() => expect(node.ready()).toBe(true), PATIENCE);
    this.#node = node;
    this.#api = api;
    this.#client = connect({ endpoints: [`127.0.0.1:${port}`], namespace: 'demo' });
  }

  async stop(): Promise<void> {
    this.#client?.close();
    await this.#api?.stop();
    await this.#node?.stop();
    this.#network.at(`${this.name}:1`)?.crash();
  }
}

describe.skipIf(typeof natsFound === 'string')('regions on JetStream', () => {
  test('I1, I2, I3: a NATS server is killed under load; what was acknowledged is there once, in both regions and after a rebuild', async () => {
    const network = new MemoryNetwork(realSystem());
    const regions = await Promise.all(REGIONS.map(async (name) => new NatsRegion(name, await startNats(), network)));
    const [eu, us] = regions as [NatsRegion, NatsRegion];
    let going = true;
    onTestFinished(async () => {
      going = false;
      for (const region of regions) {
        await region.stop();
        await region.nats.stop();
      }
    });
    await Promise.all(regions.map((region) => region.start()));
    expect(eu.node.status().log).toMatchObject({ engine: 'jetstream', durable: true });

    let acknowledged = 0;
    let unknown = 0;
    const write = async (region: NatsRegion): Promise<void> => {
      while (going) {
        try {
          await region.client.counter('likes').increment('post');
          acknowledged++;
        } catch (error) {
          if (!isCausewayError(error) || error.outcome !== 'not-applied') unknown++;
        }
      }
    };
    const writers = [eu, eu, us].map(write);
    const after = async (more: number): Promise<void> => {
      const target = acknowledged + more;
      await vi.waitFor(() => expect(acknowledged).toBeGreaterThan(target), PATIENCE);
    };
    await after(200);
    await eu.nats.kill();
    await vi.waitFor(() => expect(eu.node.status().state).toBe('read-only'), PATIENCE);
    // The other region does not notice.
    await after(50);
    await eu.nats.restart();
    await vi.waitFor(() => expect(eu.node.status().state).toBe('ready'), PATIENCE);
    await after(200);
    going = false;
    await Promise.all(writers);

    const values = async (): Promise<number[]> =>
      Promise.all(regions.map(async ({ client }) => Number((await client.counter('likes').get('post')) ?? 0)));
    const agreed = async (): Promise<number> => {
      await vi.waitFor(async () => {
        const [here, there] = await values();
        expect(here).toBe(there);
        expect(here).toBeGreaterThanOrEqual(acknowledged);
        expect(here).toBeLessThanOrEqual(acknowledged + unknown);
      }, PATIENCE);
      return (await values())[0]!;
    };
    const before = await agreed();
    expect(eu.fatal).toEqual([]);

    await eu.stop();
    await eu.start();
    expect(await agreed()).toBe(before);
  });
});
