// Three regions as real processes, for the tests beside this file.

import { adminClient, connect, type AdminClient, type Causeway, type ConnectOptions } from '../../src/client/index.ts';
import { Wires } from '../../chaos/cluster/wires.ts';
import { Cluster } from '../../demo/processes.ts';
import { regionReady, waitConverged } from '../../demo/region-client.ts';

export const NAMESPACE = 'test';
export const REGIONS = ['us-west', 'us-central', 'us-east'] as const;
export type RegionName = (typeof REGIONS)[number];

/** Other test files may share the machine's cores. */
export const SLOW_MS = 180_000;
const CONVERGE_MS_MAX = 60_000;

export class Regions {
  readonly cluster: Cluster;
  readonly wires: Wires;
  readonly #clients: { close(): void }[] = [];

  private constructor(cluster: Cluster, wires: Wires) {
    this.cluster = cluster;
    this.wires = wires;
  }

  static async start(collections: Readonly<Record<string, string>>): Promise<Regions> {
    const wires = new Wires();
    const cluster = await Cluster.start({
      regions: REGIONS,
      namespace: NAMESPACE,
      collections,
      ready: regionReady,
      peerAddress: wires.lay,
    });
    return new Regions(cluster, wires);
  }

  /** Talks to these regions, the first one preferred. */
  client(regions: RegionName | readonly RegionName[], options: Partial<ConnectOptions> = {}): Causeway {
    const names = typeof regions === 'string' ? [regions] : regions;
    const endpoints = names.map((name) => this.cluster.region(name).address);
    const client = connect({ endpoints, namespace: NAMESPACE, deadlineMs: 30_000, ...options });
    this.#clients.push(client);
    return client;
  }

  admins(): AdminClient[] {
    return REGIONS.map((name) => {
      const admin = adminClient(this.cluster.region(name).address, { deadlineMs: 30_000 });
      this.#clients.push(admin);
      return admin;
    });
  }

  /** Until all digests are equal. */
  async converged(): Promise<void> {
    if ((await waitConverged(this.admins(), CONVERGE_MS_MAX)) === undefined) {
      throw new Error(`the digests differ after ${CONVERGE_MS_MAX / 1000} s`);
    }
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.cluster.stop();
    await this.wires.close();
  }
}
