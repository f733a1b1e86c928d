// Regions of two nodes each, on real servers: one NATS and one Redis a region, nodes composed as `causeway serve` composes them.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { freePorts } from '../../demo/ports.ts';
import { startNats, startRedis, type Server } from '../../scripts/servers.mjs';
import { adminClient, connect, type AdminClient, type Causeway } from '../../src/client/index.ts';
import { composeNode, type RunningNode } from '../../src/compose.ts';
import { configFrom } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';

export const PATIENCE = { timeout: 60_000, interval: 50 };

type Nats = Awaited<ReturnType<typeof startNats>>;

export class DistributedNode {
  readonly name: string;
  readonly config: Config;
  running: RunningNode | undefined;

  constructor(name: string, config: Config) {
    this.name = name;
    this.config = config;
  }

  get clients(): string {
    return this.config.listeners.clients.address;
  }

  async start(): Promise<void> {
    this.running = await composeNode(this.config);
  }

  async stop(): Promise<void> {
    await this.running?.stop();
    this.running = undefined;
  }
}

export class DistributedRegion {
  readonly name: string;
  readonly nats: Nats;
  readonly redis: Server;
  nodes: DistributedNode[] = [];

  constructor(name: string, nats: Nats, redis: Server) {
    this.name = name;
    this.nats = nats;
    this.redis = redis;
  }
}

export interface DistributedOptions {
  readonly regions: readonly string[];
  readonly nodes?: number;
  readonly shards?: number;
  readonly collections: Readonly<Record<string, string>>;
  /** For tests in which nobody is to be taken for dead, however busy the machine is. */
  readonly ownerLeaseMs?: number;
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Everything that was started, and how it is ended. */
export class DistributedCluster {
  readonly regions: DistributedRegion[] = [];
  readonly directory = mkdtempSync(join(tmpdir(), 'causeway-distributed-'));
  readonly #closers: (() => void)[] = [];

  static async start(options: DistributedOptions): Promise<DistributedCluster> {
    const cluster = new DistributedCluster();
    try {
      await cluster.#start(options);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  async #start({
    regions,
    nodes = 2,
    shards = 4,
    collections,
    ownerLeaseMs,
    config = {},
  }: DistributedOptions): Promise<void> {
    const ports = await freePorts(regions.length * nodes * 2);
    const port = (): string => `127.0.0.1:${ports.pop()!}`;
    const places = regions.map((name) => ({
      name,
      nodes: Array.from({ length: nodes }, () => ({ clients: port(), peers: port() })),
    }));
    const servers = await Promise.all(places.map(async () => [await startNats(), await startRedis()] as const));
    places.forEach(({ name }, i) => this.regions.push(new DistributedRegion(name, ...servers[i]!)));
    places.forEach(({ name, nodes: own }, i) => {
      const region = this.regions[i]!;
      region.nodes = own.map(({ clients, peers }, at) => {
        const node = `${name}-${at + 1}`;
        return new DistributedNode(
          node,
          configFrom({
            clusterId: 'distributed',
            region: name,
            node,
            engine: 'distributed',
            dataDir: join(this.directory, node),
            listeners: { clients: { address: clients }, peers: { address: peers } },
            regions: places.map((place) => ({
              name: place.name,
              peers: place.nodes.map((each) => each.peers),
              clients: place.nodes.map((each) => each.clients),
            })),
            placements: [{ id: 1, name: 'default', shards, regions: [...regions] }],
            namespaces: [{ name: 'demo' }],
            collections: Object.entries(collections).map(([collection, type]) => ({
              namespace: 'demo',
              name: collection,
              type: type as 'register-lww',
            })),
            nats: {
              servers: [`${region.nats.host}:${region.nats.port}`],
              monitors: [region.nats.monitor],
              replicas: 1,
              streamBytesMax: 256 * 1024 * 1024,
              ...(ownerLeaseMs === undefined ? {} : { ownerLeaseMs }),
            },
            redis: { servers: [`${region.redis.host}:${region.redis.port}`] },
            log: { level: process.env['CAUSEWAY_TEST_LOG'] === undefined ? 'silent' : 'info', format: 'json' },
            ...config,
          }),
        );
      });
    });
    await Promise.all(this.regions.flatMap((region) => region.nodes.map((node) => node.start())));
    await this.ready();
  }

  async ready(): Promise<void> {
    for (const { nodes } of this.regions) {
      for (const { running, name } of nodes) {
        if (running === undefined) continue;
        await vi.waitFor(
          () => expect(running.region.ready(), `${name}: ${running.region.status().stateReason}`).toBe(true),
          PATIENCE,
        );
      }
    }
  }

  region(name: string): DistributedRegion {
    return this.regions.find((region) => region.name === name)!;
  }

  client(endpoints: readonly string[]): Causeway {
    const client = connect({ endpoints: [...endpoints], namespace: 'demo' });
    this.#closers.push(() => client.close());
    return client;
  }

  admin(endpoint: string): AdminClient {
    const admin = adminClient(endpoint, { deadlineMs: 5000 });
    this.#closers.push(() => admin.close());
    return admin;
  }

  async stop(): Promise<void> {
    for (const close of this.#closers.splice(0)) close();
    await Promise.all(this.regions.flatMap(({ nodes }) => nodes.map((node) => node.stop().catch(() => undefined))));
    await Promise.all(this.regions.flatMap(({ nats, redis }) => [nats.stop(), redis.stop()]));
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}
