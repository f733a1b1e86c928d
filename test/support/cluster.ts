// Regions as real processes for tests: free ports, temporary directories, ended by pid, and a failure when anything is left.

import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { Cluster, type ClusterOptions, type RegionHandle } from '../../demo/processes.ts';
import { adminClient } from '../../src/client/index.ts';

export const COLLECTIONS = {
  profiles: 'register-lww',
  notes: 'register-mv',
  counters: 'counter-pn',
  sets: 'set-aw',
  flights: 'map-lww',
} as const;

const STOP_MS_MAX = 20_000;

export class TestCluster {
  readonly cluster: Cluster;
  readonly #pids = new Set<number>();

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  get regions(): readonly RegionHandle[] {
    return this.cluster.regions;
  }

  region(name: string): RegionHandle {
    return this.cluster.region(name);
  }

  /** For clients, the first region's first. */
  get endpoints(): readonly string[] {
    return this.regions.map(({ address }) => address);
  }

  /** Starts a region (again) and waits until it takes reads and writes. */
  async startRegion(region: RegionHandle): Promise<void> {
    region.spawn();
    if (region.pid !== undefined) this.#pids.add(region.pid);
    await region.ready();
  }

  /** SIGTERM to every region. Fails unless each drained and exited 0, and left no process, port or file behind. */
  async stop(): Promise<void> {
    const leaks: string[] = [];
    await Promise.all(
      this.regions.map(async (region) => {
        if (!region.running) return;
        const how = await region.stop(STOP_MS_MAX);
        if (how !== 'exit code 0') leaks.push(`${region.name} ended with ${how}:\n${region.logTail()}`);
      }),
    );
    await this.cluster.stop();
    for (const pid of this.#pids) if (isAlive(pid)) leaks.push(`process ${pid} is still there`);
    for (const { name, address, peerAddress } of this.regions) {
      for (const each of [address, peerAddress])
        if (await listens(each)) leaks.push(`${each} of ${name} still listens`);
    }
    if (existsSync(this.cluster.directory)) leaks.push(`${this.cluster.directory} is still there`);
    if (leaks.length > 0) throw new Error(leaks.join('\n'));
  }
}

/** Starts one process for each region and returns when all take reads and writes. Stop it in afterAll or onTestFinished. */
export async function startCluster(
  regions: readonly string[],
  options: Partial<Omit<ClusterOptions, 'regions' | 'ready'>> = {},
): Promise<TestCluster> {
  const cluster = new TestCluster(
    await Cluster.prepare({ namespace: 'demo', collections: COLLECTIONS, ...options, regions, ready: isReady }),
  );
  try {
    await Promise.all(cluster.regions.map((region) => cluster.startRegion(region)));
    return cluster;
  } catch (error) {
    await cluster.cluster.stop(0);
    throw error;
  }
}

async function isReady(address: string): Promise<boolean> {
  const admin = adminClient(address, { deadlineMs: 1000 });
  try {
    return (await admin.ping()).ready;
  } catch {
    // Not listening yet.
    return false;
  } finally {
    admin.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function listens(address: string): Promise<boolean> {
  const colon = address.lastIndexOf(':');
  return new Promise((resolve) => {
    const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
