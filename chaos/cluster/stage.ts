// What faults act on: regions as real processes with the wires between them, their clocks and their disks, and the NATS and Redis servers that
// regions of several nodes stand on.
// Owns: all of it, from the first port to the last file. heal() makes everything whole; stop() leaves nothing behind.

import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Cluster, type RegionHandle } from '../../demo/processes.ts';
import { regionReady } from '../../demo/region-client.ts';
import { connect, type Causeway, type ConnectOptions } from '../../src/client/index.ts';
import { Servers, type ServersPlan } from './servers.ts';
import { SmallDisk } from './small-disk.ts';
import type { Subject } from './subject.ts';
import { Wires } from './wires.ts';

/** Room for a minute's log and store of the traffic here, with some to spare. */
const SMALL_DISK_MIB = 96;

export interface StageOptions {
  readonly subject: Subject;
  readonly directory: string;
  /** Of every wire, one way. */
  readonly delayMs: number;
  /** Regions that get a disk which can be filled. */
  readonly smallDisks: readonly string[];
  /** Regions are of two nodes, on servers of their own; undefined: of one, which keeps its log itself. */
  readonly servers?: ServersPlan | undefined;
}

export class Stage {
  readonly subject: Subject;
  readonly cluster: Cluster;
  readonly wires: Wires;
  readonly #directory: string;
  readonly #disks: ReadonlyMap<string, SmallDisk>;
  readonly #servers: ReadonlyMap<string, Servers>;

  private constructor(
    subject: Subject,
    cluster: Cluster,
    wires: Wires,
    directory: string,
    disks: ReadonlyMap<string, SmallDisk>,
    servers: ReadonlyMap<string, Servers>,
  ) {
    this.subject = subject;
    this.cluster = cluster;
    this.wires = wires;
    this.#directory = directory;
    this.#disks = disks;
    this.#servers = servers;
  }

  /** Returns when every region takes reads and writes. On failure nothing is left behind. */
  static async start(options: StageOptions): Promise<Stage> {
    const { subject, delayMs, servers: plan } = options;
    const { regions, namespace, settings } = subject;
    // A relative path in a config file is one from that file.
    const directory = resolve(options.directory);
    mkdirSync(directory, { recursive: true });
    const wires = new Wires(delayMs);
    const disks = new Map<string, SmallDisk>();
    const servers = new Map<string, Servers>();
    let cluster: Cluster | undefined;
    try {
      cluster = await Cluster.prepare({
        regions,
        namespace,
        collections: {},
        directory,
        ready: regionReady,
        peerAddress: wires.lay,
        config: (region) => ({ ...settings(region), ...(plan === undefined ? {} : subject.ofSeveralNodes?.settings) }),
        serveArgs: (region) => ['--chaos', '--chaos-clock', clockFile(directory, region)],
        ...(plan === undefined ? {} : { engine: 'distributed' as const }),
        servers: async (region) => {
          const own = await Servers.start(region, plan ?? {}, directory, subject.ofSeveralNodes?.nats(region));
          servers.set(region, own);
          return own;
        },
      });
      for (const region of options.smallDisks) {
        const disk = SmallDisk.mount(join(directory, `${region}-disk`), SMALL_DISK_MIB);
        disks.set(region, disk);
        mkdirSync(join(disk.directory, 'data'));
        symlinkSync(join(disk.directory, 'data'), join(directory, region));
      }
      const stage = new Stage(subject, cluster, wires, directory, disks, servers);
      for (const region of regions) stage.shiftClock(region, 0);
      for (const region of cluster.regions) region.spawn();
      await Promise.all(cluster.regions.map((region) => region.ready()));
      return stage;
    } catch (error) {
      await cluster?.stop(0);
      await Promise.all([...servers.values()].flatMap(({ all }) => all.map((server) => server.stop())));
      await wires.close();
      for (const disk of disks.values()) disk.unmount();
      throw error;
    }
  }

  get names(): readonly string[] {
    return this.cluster.regions.map(({ name }) => name);
  }

  region(name: string): RegionHandle {
    return this.cluster.region(name);
  }

  /** The region's nodes, each to be killed alone. */
  nodes(region: string): readonly RegionHandle[] {
    return this.cluster.nodesOf(region);
  }

  /** Throws for a region that keeps its log itself. */
  servers(region: string): Servers {
    const servers = this.#servers.get(region);
    if (servers === undefined) throw new Error(`${region} has no servers of its own`);
    return servers;
  }

  get hasServers(): boolean {
    return this.#servers.size > 0;
  }

  /** Of its nodes, in JSON lines. */
  logFiles(region: string): readonly string[] {
    return this.nodes(region).map(({ name }) => join(this.#directory, `${name}.log`));
  }

  others(name: string): readonly string[] {
    return this.names.filter((other) => other !== name);
  }

  /** A client of these regions, the first its home. */
  connect(regions: readonly string[], options: Partial<ConnectOptions> = {}): Causeway {
    const endpoints = regions.flatMap((name) => this.region(name).addresses);
    return connect({ endpoints, namespace: this.subject.namespace, ...options });
  }

  /** The region's processes, now and later, see the time so much later than it is. */
  shiftClock(region: string, shiftMs: number): void {
    // Renamed into place: the node must never read half a number.
    const file = clockFile(this.#directory, region);
    writeFileSync(`${file}.new`, `${Math.round(shiftMs)}\n`);
    renameSync(`${file}.new`, file);
  }

  disk(region: string): SmallDisk | undefined {
    return this.#disks.get(region);
  }

  /** Everything that the region has on its disk is gone. Its process has ended. */
  wipe(region: string): void {
    const data = join(this.#directory, region);
    if (this.region(region).running) throw new Error(`${region} is running`);
    for (const entry of readdirSync(data)) rmSync(join(data, entry), { recursive: true, force: true });
  }

  /** Ends all processes and gives back all that was mounted and listened on. */
  async stop(): Promise<void> {
    await this.cluster.stop();
    await this.wires.close();
    for (const disk of this.#disks.values()) disk.unmount();
  }
}

function clockFile(directory: string, region: string): string {
  return join(directory, `${region}.clock`);
}
