// Regions as real processes on this machine: started, killed, frozen, restarted, and ended whatever happens to us.
// Owns: their configs, ports, data directories and pids. Used by the demo, the benchmark and the tests with real processes.
// Everything listens on loopback and is ended by the pid that we started, never by name.
// HAZARD: our own end. An ordinary exit ends them in an 'exit' handler; after a kill -9 of this process the watchdog does.

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { stringify } from 'yaml';
import type * as serversModule from '../scripts/servers.mjs';
import { serveFlags } from '../src/cli/gc.ts';
import { freePorts } from './ports.ts';
import { processStart } from './process-start.ts';

export interface ClusterOptions {
  readonly regions: readonly string[];
  readonly namespace: string;
  /** Merge type by collection. */
  readonly collections: Readonly<Record<string, string>>;
  /** Kept afterwards when given; else a new temporary one that goes with the cluster. */
  readonly directory?: string;
  /** Where `from` dials `to` to replicate from it, when not straight: a proxy's address. */
  readonly peerAddress?: (from: string, to: string, direct: string) => Promise<string>;
  /** Where regions are on the page's map. */
  readonly coordinates?: Readonly<Record<string, { readonly lat: number; readonly lon: number }>>;
  /** Further options of a region's node, in the shape of its config file. */
  readonly config?: Readonly<Record<string, unknown>> | ((region: string) => Readonly<Record<string, unknown>>);
  /** Flags for Node itself, such as --cpu-prof. */
  readonly execArgv?: readonly string[];
  /** Further flags of a region's `causeway serve`. */
  readonly serveArgs?: (region: string) => readonly string[];
  /** distributed: a region is two nodes on a NATS and a Redis server of its own. Default: embedded, one node. */
  readonly engine?: EngineName;
  /** Starts what a distributed region stands on. Default: one NATS and one Redis server, in temporary folders. */
  readonly servers?: (region: string) => Promise<RegionServers>;
  /** Whether a node takes reads and writes; asked again and again until it does. */
  readonly ready: (address: string) => Promise<boolean>;
}

export type EngineName = 'embedded' | 'distributed';

/** What can be done to a region, whatever it is made of. */
export interface RegionHandle {
  readonly name: string;
  /** `host:port` for clients, of each of its nodes; and of the first. */
  readonly addresses: readonly string[];
  readonly address: string;
  /** For peers, straight, of the first. */
  readonly peerAddress: string;
  /** For HTTP, the page among it, of the first. */
  readonly httpAddress: string;
  /** Of the first node. */
  readonly pid: number | undefined;
  readonly running: boolean;
  /** Starts it without waiting for anything. */
  spawn(): void;
  /** Until it takes reads and writes. Fails when it ends before, or takes longer than a region may. */
  ready(timeoutMs?: number): Promise<void>;
  /** kill -9: no drain, no goodbye. Resolves when its processes are gone. */
  kill(): Promise<void>;
  /** Frozen, as by a long pause of the machine: connections stay open and nothing moves. */
  pause(): void;
  resume(): void;
  /** SIGTERM, and SIGKILL when it has not drained by then. Returns how it ended. */
  stop(timeoutMs?: number): Promise<string>;
  /** At once, for the end of this process. */
  killSync(): void;
  logTail(lines?: number): string;
}

/** A region that must rebuild its store from the log on a machine that is busy with others takes its time; this is patience, not a goal. */
const READY_MS_MAX = 120_000;
const STOP_MS_MAX = 10_000;
const POLL_MS = 20;

/** The compiled command: production runs compiled code, and so do the demo and the tests with real processes. */
const ROOT = rootDirectory();
const CLI = join(ROOT, 'dist/src/cli/main.js');
const WATCHDOG = join(ROOT, 'dist/demo/watchdog.js');

function rootDirectory(): string {
  // From demo/ or from dist/demo/.
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return at;
    if (at === dirname(at)) throw new Error('found no package.json above demo/');
  }
}

/** Environment for a child: options of a node come from its file alone, whatever this shell has set. */
function childEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CAUSEWAY_')));
}

/** One node, which of an embedded region is all there is. */
class NodeProcess implements RegionHandle {
  readonly name: string;
  readonly region: string;
  readonly address: string;
  readonly peerAddress: string;
  readonly httpAddress: string;
  readonly logFile: string;
  readonly #configFile: string;
  readonly #options: ClusterOptions;
  readonly #watchdog: Watchdog;
  readonly #engine: Readonly<Record<string, unknown>>;
  #child: ChildProcess | undefined;
  #exit: Promise<string> | undefined;

  /** `engine`: of a node that shares its region with others, what its configuration says of that. */
  constructor(
    name: string,
    region: string,
    ports: readonly [clients: number, peers: number, http: number],
    directory: string,
    options: ClusterOptions,
    watchdog: Watchdog,
    engine: Readonly<Record<string, unknown>> = {},
  ) {
    this.name = name;
    this.region = region;
    this.#engine = engine;
    this.address = `127.0.0.1:${ports[0]}`;
    this.peerAddress = `127.0.0.1:${ports[1]}`;
    this.httpAddress = `127.0.0.1:${ports[2]}`;
    this.logFile = join(directory, `${name}.log`);
    this.#configFile = join(directory, `${name}.yaml`);
    this.#options = options;
    this.#watchdog = watchdog;
  }

  get addresses(): readonly string[] {
    return [this.address];
  }

  async writeConfig(directory: string, all: readonly NodeProcess[]): Promise<void> {
    const { namespace, collections, coordinates, config, peerAddress } = this.#options;
    const dialled = async (to: NodeProcess): Promise<string> =>
      to.region === this.region || peerAddress === undefined
        ? to.peerAddress
        : peerAddress(this.region, to.region, to.peerAddress);
    const regions = [];
    for (const name of new Set(all.map(({ region }) => region))) {
      const nodes = all.filter(({ region }) => region === name);
      const at = coordinates?.[name];
      regions.push({
        name,
        peers: await Promise.all(nodes.map(dialled)),
        clients: nodes.map(({ address }) => address),
        http: nodes.map(({ httpAddress }) => httpAddress),
        ...(at === undefined ? {} : { coordinates: at }),
      });
    }
    const text = stringify({
      clusterId: 'demo',
      region: this.region,
      ...this.#engine,
      dataDir: join(directory, this.name),
      listeners: {
        clients: { address: this.address },
        peers: { address: this.peerAddress },
        http: { address: this.httpAddress },
      },
      regions,
      namespaces: [{ name: namespace }],
      collections: Object.entries(collections).map(([name, type]) => ({ namespace, name, type })),
      ...(typeof config === 'function' ? config(this.region) : config),
    });
    writeFileSync(this.#configFile, text);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  spawn(): void {
    if (this.#child !== undefined) throw new Error(`${this.name} is running`);
    const log = openSync(this.logFile, 'a');
    const { execArgv = [], serveArgs } = this.#options;
    const serve = [CLI, 'serve', '--config', this.#configFile, ...(serveArgs?.(this.region) ?? [])];
    const args = [...serveFlags(), ...execArgv, ...serve];
    // A group of its own: Ctrl-C in a terminal is ours to handle, and ends the regions in order.
    const child = spawn(process.execPath, args, { env: childEnv(), stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    this.#child = child;
    const { pid } = child;
    if (pid !== undefined) this.#watchdog.watch(pid);
    this.#exit = new Promise((resolve) => {
      const ended = (how: string): void => {
        if (pid !== undefined) this.#watchdog.forget(pid);
        if (this.#child === child) this.#child = undefined;
        resolve(how);
      };
      child.once('error', (error) => ended(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) => ended(signal === null ? `exit code ${code}` : signal));
    });
  }

  async ready(timeoutMs = READY_MS_MAX): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    while (performance.now() < untilMs) {
      if (this.#child === undefined) {
        throw new Error(`${this.name} ended while it started (${await this.#exit}):\n${this.logTail()}`);
      }
      if (await this.#options.ready(this.address)) return;
      await sleep(POLL_MS);
    }
    throw new Error(`${this.name} was not ready within ${timeoutMs / 1000} s:\n${this.logTail()}`);
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exit;
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async stop(timeoutMs = STOP_MS_MAX): Promise<string> {
    const child = this.#child;
    if (child === undefined) return (await this.#exit) ?? 'never started';
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    const how = await this.#exit!;
    clearTimeout(timer);
    return how;
  }

  killSync(): void {
    this.#child?.kill('SIGKILL');
  }

  logTail(lines = 20): string {
    try {
      return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } catch {
      return '(no output)';
    }
  }
}

/** Several nodes of one region. Their servers go on when the nodes are killed. */
class RegionOfNodes implements RegionHandle {
  readonly name: string;
  readonly nodes: readonly NodeProcess[];

  constructor(name: string, nodes: readonly NodeProcess[]) {
    this.name = name;
    this.nodes = nodes;
  }

  get #first(): NodeProcess {
    return this.nodes[0]!;
  }

  get addresses(): readonly string[] {
    return this.nodes.map(({ address }) => address);
  }

  get address(): string {
    return this.#first.address;
  }

  get peerAddress(): string {
    return this.#first.peerAddress;
  }

  get httpAddress(): string {
    return this.#first.httpAddress;
  }

  get pid(): number | undefined {
    return this.#first.pid;
  }

  get running(): boolean {
    return this.nodes.some(({ running }) => running);
  }

  spawn(): void {
    for (const node of this.nodes) node.spawn();
  }

  async ready(timeoutMs?: number): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.ready(timeoutMs)));
  }

  async kill(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  pause(): void {
    for (const node of this.nodes) node.pause();
  }

  resume(): void {
    for (const node of this.nodes) node.resume();
  }

  async stop(timeoutMs?: number): Promise<string> {
    return (await Promise.all(this.nodes.map((node) => node.stop(timeoutMs)))).join(', ');
  }

  killSync(): void {
    for (const node of this.nodes) node.killSync();
  }

  logTail(lines?: number): string {
    return this.nodes.map((node) => `${node.name}:\n${node.logTail(lines)}`).join('\n');
  }
}

const NODES = 2;
/** Of a shard's stream; the demo's NATS has room for 4 GB. */
const STREAM_BYTES_MAX = 256 * 1024 * 1024;

type ServersModule = typeof serversModule;
export type Nats = Awaited<ReturnType<ServersModule['startNats']>>;
export type Redis = Awaited<ReturnType<ServersModule['startRedis']>>;

/** What a region of several nodes stands on. */
export interface RegionServers {
  /** The only one of each, or the first. */
  readonly nats: Nats;
  readonly redis: Redis;
  /** Those and all others; stopped when the nodes have ended. */
  readonly all: readonly Redis[];
  /** Options of the region's nodes, `nats` and `redis`, in the shape of their config file. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** How servers are started. Not imported: it is no compiled code, and stands beside dist/. */
export async function serversOfMachine(): Promise<ServersModule> {
  return (await import(pathToFileURL(join(ROOT, 'scripts/servers.mjs')).href)) as ServersModule;
}

async function startServers(): Promise<RegionServers> {
  const servers = await serversOfMachine();
  const nats = await servers.startNats();
  try {
    const redis = await servers.startRedis();
    const settings = { nats: natsSettings([nats], 1), redis: { servers: [`${redis.host}:${redis.port}`] } };
    return { nats, redis, all: [nats, redis], settings };
  } catch (error) {
    await nats.stop();
    throw error;
  }
}

/** Of a node's config file. */
export function natsSettings(servers: readonly Nats[], replicas: number): Readonly<Record<string, unknown>> {
  return {
    servers: servers.map(({ host, port }) => `${host}:${port}`),
    monitors: servers.map(({ monitor }) => monitor),
    replicas,
    streamBytesMax: STREAM_BYTES_MAX,
  };
}

export class Cluster {
  readonly regions: readonly RegionHandle[];
  /** Of a distributed one, by region. */
  readonly servers: ReadonlyMap<string, RegionServers>;
  readonly directory: string;
  readonly #keepDirectory: boolean;
  readonly #watchdog: Watchdog;
  readonly #onExit = (): void => {
    for (const region of this.regions) region.killSync();
    this.#removeDirectory();
  };

  private constructor(
    regions: readonly RegionHandle[],
    servers: Cluster['servers'],
    directory: string,
    keepDirectory: boolean,
    watchdog: Watchdog,
  ) {
    this.regions = regions;
    this.servers = servers;
    this.directory = directory;
    this.#keepDirectory = keepDirectory;
    this.#watchdog = watchdog;
    process.on('exit', this.#onExit);
  }

  /** Starts all regions and returns when each takes reads and writes. On failure nothing is left behind. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = await Cluster.prepare(options);
    try {
      for (const region of cluster.regions) region.spawn();
      await Promise.all(cluster.regions.map((region) => region.ready()));
      return cluster;
    } catch (error) {
      await cluster.stop(0);
      throw error;
    }
  }

  /** Configs and ports, nothing started yet. */
  static async prepare(options: ClusterOptions): Promise<Cluster> {
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'causeway-'));
    mkdirSync(directory, { recursive: true });
    const watchdog = new Watchdog();
    if (options.directory === undefined) watchdog.remove(directory);
    const distributed = options.engine === 'distributed';
    const ports = await freePorts(options.regions.length * 3 * (distributed ? NODES : 1));
    const three = (): [number, number, number] => ports.splice(0, 3) as [number, number, number];
    const servers = new Map<string, RegionServers>();
    const regions: (NodeProcess | RegionOfNodes)[] = [];
    for (const name of options.regions) {
      if (!distributed) {
        regions.push(new NodeProcess(name, name, three(), directory, options, watchdog));
        continue;
      }
      const own = await (options.servers ?? startServers)(name);
      for (const { pid } of own.all) watchdog.watch(pid);
      servers.set(name, own);
      const nodes = Array.from({ length: NODES }, (_, i) => {
        const node = `${name}-${i + 1}`;
        const engine = { node, engine: 'distributed', ...own.settings };
        return new NodeProcess(node, name, three(), directory, options, watchdog, engine);
      });
      regions.push(new RegionOfNodes(name, nodes));
    }
    const nodes = regions.flatMap((region) => (region instanceof RegionOfNodes ? region.nodes : [region]));
    for (const node of nodes) await node.writeConfig(directory, nodes);
    return new Cluster(regions, servers, directory, options.directory !== undefined, watchdog);
  }

  /** Everything that runs, by name: of an embedded region its node alone. */
  processes(): [name: string, pid: number][] {
    return this.regions.flatMap((region) => {
      const servers = this.servers.get(region.name);
      const all: [string, number][] = this.nodesOf(region.name).map(({ name, pid }) => [name, pid!]);
      if (servers !== undefined)
        all.push([`nats of ${region.name}`, servers.nats.pid], [`redis of ${region.name}`, servers.redis.pid]);
      return all;
    });
  }

  /** A server that was started again ends with us, too. */
  watch(pid: number): void {
    this.#watchdog.watch(pid);
  }

  /** Of a distributed cluster, one after the other. */
  nodesOf(name: string): readonly RegionHandle[] {
    const region = this.region(name);
    return region instanceof RegionOfNodes ? region.nodes : [region];
  }

  region(name: string): RegionHandle {
    const region = this.regions.find((each) => each.name === name);
    if (region === undefined) throw new Error(`there is no region ${name}`);
    return region;
  }

  get addresses(): ReadonlyMap<string, string> {
    return new Map(this.regions.map(({ name, address }) => [name, address]));
  }

  /** Ends all regions and removes what was temporary. Never fails; may be called twice. */
  async stop(timeoutMs = STOP_MS_MAX): Promise<void> {
    await Promise.all(this.regions.map((region) => region.stop(timeoutMs)));
    await Promise.all([...this.servers.values()].flatMap(({ all }) => all.map((server) => server.stop())));
    process.off('exit', this.#onExit);
    this.#removeDirectory();
    this.#watchdog.end();
  }

  #removeDirectory(): void {
    if (!this.#keepDirectory) rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Our end of watchdog.ts. */
class Watchdog {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = spawn(process.execPath, [WATCHDOG], {
      env: childEnv(),
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    // It must never keep us from ending, nor end us: without it, only a kill -9 of ours leaves something behind.
    this.#child.on('error', () => {});
    this.#child.stdin?.on('error', () => {});
    this.#child.unref();
    (this.#child.stdin as { unref?: () => void } | null)?.unref?.();
  }

  watch(pid: number): void {
    this.#tell('watch', `${pid}`, processStart(pid) ?? '');
  }

  forget(pid: number): void {
    this.#tell('forget', `${pid}`);
  }

  remove(directory: string): void {
    this.#tell('remove', directory);
  }

  end(): void {
    this.#child.stdin?.end();
  }

  #tell(...words: string[]): void {
    if (this.#child.stdin?.writable === true) this.#child.stdin.write(`${words.join('\t')}\n`);
  }
}
