// The package's `causeway/testing`: a cluster of several regions inside a test's own process.
// Everything that decides is what runs in production (engine, node, links, API, client); what it stands on is in memory: the log, the
// store, and the wire between the regions. Clients come over loopback, on ports that the system chooses.
// Nothing is on a disk, so nothing survives the process; within it a region that is killed keeps what it acknowledged.

import { connect, type Causeway, type ConnectOptions } from '../client/connect.ts';
import type { MergeType } from '../client/types.ts';
import { configFrom } from '../config/load.ts';
import { CausewayError } from '../errors/errors.ts';
import type { Region, ShardDigest } from '../region/region.ts';
import { MemoryNetwork } from '../replication/memory-transport.ts';
import { realSystem } from '../system/real.ts';
import { MemoryRegion } from './region.ts';

export interface ClusterOptions {
  /** Names, e.g. `['eu', 'us']`. */
  readonly regions: readonly string[];
  /** By name. */
  readonly collections: Readonly<Record<string, MergeType>>;
  /** Default 'test'. */
  readonly namespace?: string;
  /** Slices of the key space. Default 4. */
  readonly shards?: number;
  /** From one region to another, one way. Default 0: as fast as the process goes. */
  readonly linkDelayMs?: number;
}

/** Real nodes wait longer; a test is not to wait for heartbeats. */
const HEARTBEAT_MS = 20;
const POLL_MS = 2;
const CONVERGED_MS_MAX = 10_000;

/** Resolves when every region takes reads and writes. Throws CausewayError CONFIG_INVALID for options that make no sense. */
export async function startCluster(options: ClusterOptions): Promise<TestCluster> {
  const cluster = new TestCluster(options);
  try {
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

export class TestCluster {
  readonly namespace: string;
  readonly #system = realSystem();
  readonly #network: MemoryNetwork;
  readonly #regions: ReadonlyMap<string, MemoryRegion>;
  readonly #clients = new Set<Causeway>();
  #closed = false;

  constructor(options: ClusterOptions) {
    const { namespace = 'test', shards = 4, linkDelayMs = 0 } = options;
    this.namespace = namespace;
    this.#network = new MemoryNetwork(this.#system, linkDelayMs);
    const regions = options.regions.map((name) => ({ name, peers: [`${name}:1`], clients: [] }));
    const collections = Object.entries(options.collections).map(([name, type]) => ({ namespace, name, type }));
    this.#regions = new Map(
      regions.map(({ name, peers }) => {
        const config = configFrom({
          clusterId: 'testing',
          region: name,
          dataDir: 'memory',
          regions,
          placements: [{ id: 1, name: 'default', shards, regions: [...options.regions] }],
          namespaces: [{ name: namespace }],
          collections,
          heartbeatMs: HEARTBEAT_MS,
        });
        return [name, new MemoryRegion(config, peers[0]!, this.#network)];
      }),
    );
  }

  /** In the order in which they were named. */
  get regions(): readonly string[] {
    return [...this.#regions.keys()];
  }

  /** For startCluster(). */
  async start(): Promise<void> {
    // All at once, since each asks the others before it takes writes.
    await Promise.all(Array.from(this.#regions.values(), (region) => region.start()));
  }

  /**
   * A client of a region; of several, it prefers the first and fails over to the others. It is closed with the cluster, or
   * earlier by its own close().
   */
  client(regions: string | readonly string[], options: Partial<ConnectOptions> = {}): Causeway {
    const names = typeof regions === 'string' ? [regions] : regions;
    const client = connect({
      endpoints: names.map((name) => this.endpoint(name)),
      namespace: this.namespace,
      ...options,
    });
    this.#clients.add(client);
    return client;
  }

  /** `host:port` for clients of a region: the same over all its lives. */
  endpoint(region: string): string {
    return this.#region(region).endpoint;
  }

  /** Cuts the two off from each other, or the one from all, until heal(). Others may still pass on what one writes to the other. */
  partition(a: string, b?: string): void {
    const others = b === undefined ? this.regions.filter((name) => name !== a) : [b];
    for (const other of others) this.#network.cut(this.#region(a).address, this.#region(other).address);
  }

  /** Joins the two again, or the one with all, or all. */
  heal(a?: string, b?: string): void {
    for (const one of a === undefined ? this.regions : [a]) {
      for (const other of b === undefined ? this.regions : [b]) {
        this.#network.join(this.#region(one).address, this.#region(other).address);
      }
    }
  }

  /** The region's process dies, as by kill -9. Its disk stays: restart() finds there what it had acknowledged. */
  kill(region: string): void {
    this.#region(region).kill();
  }

  /** Starts a region that was killed; one that runs is stopped in good order first. Resolves when it takes reads and writes. */
  async restart(region: string): Promise<void> {
    const found = this.#region(region);
    await found.stop();
    await found.start();
  }

  /**
   * The region's log forgets all it has, as when it is trimmed; its state stays. Who follows its changes from an older cursor is told
   * CURSOR_INVALID. Not before the other regions have it all (converged()).
   */
  forgetHistory(region: string): void {
    this.#region(region).forgetHistory();
  }

  /**
   * Resolves when all regions that run have the same: equal vectors and equal digests. Throws CausewayError DEADLINE_EXCEEDED with
   * what is missing where.
   */
  async converged(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const { timeoutMs = CONVERGED_MS_MAX } = options;
    const { clock, timers } = this.#system;
    const endMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      // In one turn, so that it is one moment of all regions.
      const difference = differenceOf(this.#running(), clock.nowMs());
      if (difference === undefined) return;
      if (this.#closed || clock.monotonicMs() >= endMs) {
        throw new CausewayError('DEADLINE_EXCEEDED', `the regions differ after ${timeoutMs} ms: ${difference}`, {
          hint: 'is there a partition that was not healed?',
        });
      }
      await new Promise<void>((resolve) => void timers.after(POLL_MS, resolve));
    }
  }

  /** Ends clients and regions; nothing of the cluster keeps the process alive afterwards. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const client of this.#clients) client.close();
    for (const region of this.#regions.values()) region.kill();
    // What the sockets' ends still have to say to each other.
    await new Promise<void>((resolve) => this.#system.timers.soon(resolve));
  }

  #running(): Region[] {
    return [...this.#regions.values()].filter(({ running }) => running).map(({ region }) => region);
  }

  #region(name: string): MemoryRegion {
    const region = this.#regions.get(name);
    if (region !== undefined) return region;
    throw new CausewayError(
      'INVALID_ARGUMENT',
      `the cluster has no region '${name}'; it has ${this.regions.join(', ')}`,
    );
  }
}

/** For people; undefined: none. */
function differenceOf(regions: readonly Region[], nowMs: number): string | undefined {
  const unready = regions.find((region) => !region.ready());
  if (unready !== undefined) return `${unready.id} is not ready: ${unready.status().stateReason}`;
  const all = regions.map((region) => ({ id: region.id, digests: region.digests(nowMs) }));
  for (const one of all) {
    for (const other of all) {
      const missing = missingOf(one.digests, other.digests);
      if (missing !== undefined) return `${other.id} lacks ${missing}, which ${one.id} has`;
    }
  }
  const texts = new Set(all.map(({ digests }) => digests.map(({ shard, digest }) => `${shard} ${digest}`).join(', ')));
  return texts.size <= 1 ? undefined : 'they have seen the same and hold different states';
}

function missingOf(one: readonly ShardDigest[], other: readonly ShardDigest[]): string | undefined {
  for (const { shard, vector } of one) {
    const there = other.find((digest) => digest.shard === shard)?.vector;
    for (const [origin, seq] of vector) {
      const has = there?.get(origin) ?? 0;
      if (has < seq) return `ops ${has + 1} to ${seq} of ${origin} in shard ${shard}`;
    }
  }
  return undefined;
}
