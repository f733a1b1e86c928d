// One region of a test's cluster: the production node, API and links, on a log and a store in memory that outlive its process.

import { ApiServer } from '../api/server.ts';
import { toNodeSettings } from '../config/node-settings.ts';
import type { Config } from '../config/schema.ts';
import { CausewayError } from '../errors/errors.ts';
import { MemoryDisk, MemoryLog } from '../log/memory.ts';
import { SingleOwnership } from '../ownership/single.ts';
import { RegionNode } from '../region/node.ts';
import type { Region } from '../region/region.ts';
import type { MemoryNetwork, MemoryTransport } from '../replication/memory-transport.ts';
import { MemoryStore, MemoryStoreDisk } from '../store/memory.ts';
import { realSystem } from '../system/real.ts';
import { lifeOn, type Life } from './life.ts';

/** What runs from a start to a kill. */
interface Process {
  readonly life: Life;
  readonly log: MemoryLog;
  readonly store: MemoryStore;
  readonly transport: MemoryTransport;
  readonly node: RegionNode;
  readonly api: ApiServer;
}

export class MemoryRegion {
  readonly name: string;
  /** Where its links are, in the network of the cluster. */
  readonly address: string;
  readonly #config: Config;
  readonly #network: MemoryNetwork;
  readonly #disk = new MemoryDisk();
  readonly #storeDisk = new MemoryStoreDisk();
  #port = 0;
  /** Log and store of the process are open. */
  #opened = false;
  #process: Process | undefined;

  constructor(config: Config, address: string, network: MemoryNetwork) {
    this.name = config.region;
    this.address = address;
    this.#config = config;
    this.#network = network;
  }

  get running(): boolean {
    return this.#process !== undefined;
  }

  /** For clients; the same over all its lives. */
  get endpoint(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get region(): Region {
    if (this.#process === undefined) throw new CausewayError('UNAVAILABLE', `region '${this.name}' is not running`);
    return this.#process.node;
  }

  /** Resolves when it takes reads and writes. */
  async start(): Promise<void> {
    if (this.#process !== undefined) return;
    const life = lifeOn(realSystem());
    const { system } = life;
    const log = new MemoryLog({ disk: this.#disk, complete: (fn) => system.timers.soon(fn) });
    const store = new MemoryStore({ disk: this.#storeDisk });
    const transport = this.#network.transport(this.address);
    const ownership = new SingleOwnership();
    const node = new RegionNode(toNodeSettings(this.#config), { log, store, transport, ownership, system });
    const api = new ApiServer({
      region: node,
      listen: this.endpoint,
      // Not of this life: it has connections to end after it.
      system: realSystem(),
      clusterId: this.#config.clusterId,
    });
    this.#process = { life, log, store, transport, node, api };
    this.#port = (await api.start()).port;
    await node.start();
    this.#opened = true;
    await new Promise<void>((resolve) => {
      node.onReady((ready) => {
        if (ready) resolve();
      });
      if (node.ready()) resolve();
    });
  }

  /** As by kill -9: what was acknowledged is on its disk, and nothing else of it is heard again. */
  kill(): void {
    const killed = this.#process;
    if (killed === undefined) return;
    this.#process = undefined;
    killed.life.end();
    killed.transport.crash();
    if (this.#opened) {
      killed.log.crash();
      killed.store.crash('process');
    }
    this.#opened = false;
    killed.api.kill();
  }

  /** Finishes what is under way. */
  async stop(): Promise<void> {
    const stopped = this.#process;
    if (stopped === undefined) return;
    this.#process = undefined;
    this.#opened = false;
    await Promise.all([stopped.api.drain(), stopped.node.drain()]);
    await stopped.node.stop();
    await stopped.api.stop();
    stopped.transport.crash();
    stopped.life.end();
  }

  /** The log forgets what it has, as after a trim: a cursor that lacks any of it is refused. */
  forgetHistory(): void {
    for (const { shard } of this.region.status().shards) {
      this.#disk.trim(shard, this.#disk.shard(shard).tail + 1);
    }
  }
}
