// Regions in containers: each with NATS, Redis and two nodes of the image on a network of its own, nodes alone on the one between, as in
// deploy/compose.regions.yaml and with its files.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GenericContainer, Network, Wait, type StartedNetwork, type StartedTestContainer } from 'testcontainers';
import { stringify } from 'yaml';
import { freePorts } from '../../demo/ports.ts';
import { packageRoot } from '../../src/config/version.ts';

const run = promisify(execFile);
const SETTINGS = join(packageRoot(), 'deploy/regions');

/** Given by scripts/containers.mjs. */
function given(variable: string): string {
  const value = process.env[variable];
  if (value === undefined) throw new Error(`${variable} is not set: run npm run test:containers`);
  return value;
}

/** The client's command: for what testcontainers has no word for. */
export async function docker(...args: string[]): Promise<string> {
  const { stdout, stderr } = await run('docker', args);
  // What a container says comes as it was said.
  return `${stdout}${args[0] === 'logs' ? stderr : ''}`.trim();
}

/** As Promise.all, but when one fails it waits for the others: what they have started must be known to whoever ends it. */
async function all<T>(under: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(under);
  return Promise.all(under);
}

/** As in the compose file: nothing is writable but volumes, and no rights. */
class Hardened extends GenericContainer {
  constructor(image: string) {
    super(image);
    this.hostConfig.ReadonlyRootfs = true;
    this.hostConfig.CapDrop = ['ALL'];
    this.hostConfig.SecurityOpt = ['no-new-privileges:true'];
  }
}

export class ContainerNode {
  readonly name: string;
  readonly container: StartedTestContainer;
  /** Where it is reached from here. */
  readonly endpoint: string;

  constructor(name: string, container: StartedTestContainer, endpoint: string) {
    this.name = name;
    this.container = container;
    this.endpoint = endpoint;
  }

  get id(): string {
    return this.container.getId();
  }

  /** The image's own command, in its container. */
  async causeway(...args: string[]): Promise<{ readonly code: number; readonly output: string }> {
    const { exitCode, output } = await this.container.exec(['causeway', ...args]);
    return { code: exitCode, output };
  }
}

export interface ContainerRegion {
  readonly name: string;
  readonly nats: StartedTestContainer;
  readonly redis: StartedTestContainer;
  readonly nodes: readonly ContainerNode[];
}

export class ContainerCluster {
  readonly regions: ContainerRegion[] = [];
  readonly #containers: StartedTestContainer[] = [];
  readonly #networks: StartedNetwork[] = [];
  readonly #volumes: string[] = [];
  #between: StartedNetwork | undefined;

  async start(names: readonly string[]): Promise<void> {
    this.#between = await this.#network();
    const places = stringify(
      names.map((name) => ({
        name,
        peers: [1, 2].map((i) => `${name}-${i}:7401`),
        clients: [1, 2].map((i) => `${name}-${i}:7400`),
      })),
    );
    const placements = stringify([{ id: 1, name: 'default', shards: 8, regions: [...names] }]);
    for (const name of names) this.regions.push(await this.#region(name, places, placements));
  }

  async #network(): Promise<StartedNetwork> {
    const network = await new Network().start();
    this.#networks.push(network);
    return network;
  }

  async #start(container: GenericContainer): Promise<StartedTestContainer> {
    const started = await container.start();
    this.#containers.push(started);
    return started;
  }

  async #region(name: string, regions: string, placements: string): Promise<ContainerRegion> {
    const network = await this.#network();
    // What a server that is killed finds again when it is started.
    const data = await docker('volume', 'create');
    this.#volumes.push(data);
    const [nats, redis] = (await all([
      this.#start(
        new Hardened(given('CAUSEWAY_TEST_NATS_IMAGE'))
          .withNetwork(network)
          .withNetworkAliases('nats')
          .withEnvironment({ SERVER_NAME: `${name}-nats` })
          .withBindMounts([
            { source: join(SETTINGS, 'nats-alone.conf'), target: '/etc/nats/alone.conf', mode: 'ro' },
            { source: data, target: '/data', mode: 'rw' },
          ])
          .withCommand(['--config', '/etc/nats/alone.conf'])
          .withWaitStrategy(Wait.forLogMessage('Server is ready')),
      ),
      this.#start(
        new Hardened(given('CAUSEWAY_TEST_REDIS_IMAGE'))
          .withNetwork(network)
          .withNetworkAliases('redis')
          .withUser('999:1000')
          .withBindMounts([{ source: join(SETTINGS, 'redis.conf'), target: '/etc/redis/redis.conf', mode: 'ro' }])
          .withTmpFs({ '/data': 'rw,uid=999,gid=1000' })
          .withCommand(['redis-server', '/etc/redis/redis.conf'])
          .withWaitStrategy(Wait.forLogMessage('Ready to accept connections')),
      ),
    ])) as [StartedTestContainer, StartedTestContainer];
    const ports = await freePorts(2);
    const nodes = await all(
      ports.map(async (port, i) => {
        const node = `${name}-${i + 1}`;
        const container = await this.#start(
          new Hardened(given('CAUSEWAY_TEST_IMAGE'))
            .withNetwork(network)
            .withNetworkAliases(node)
            .withExposedPorts({ container: 7400, host: port })
            .withBindMounts([{ source: join(SETTINGS, 'node.yaml'), target: '/etc/causeway/node.yaml', mode: 'ro' }])
            .withEnvironment({
              CAUSEWAY_REGION: name,
              CAUSEWAY_NODE: node,
              CAUSEWAY_ADVERTISE: `${node}:7400`,
              CAUSEWAY_REGIONS: regions,
              CAUSEWAY_PLACEMENTS: placements,
              CAUSEWAY_NATS_SERVERS: '[nats:4222]',
              CAUSEWAY_NATS_MONITORS: "['http://nats:8222']",
              CAUSEWAY_NATS_REPLICAS: '1',
              // Reserved by the server, which has a part of the memory here.
              CAUSEWAY_NATS_STREAM_BYTES_MAX: `${64 * 1024 * 1024}`,
            })
            .withWaitStrategy(Wait.forLogMessage('"msg":"listening"')),
        );
        await docker('network', 'connect', '--alias', node, this.#between!.getId(), container.getId());
        return new ContainerNode(node, container, `127.0.0.1:${port}`);
      }),
    );
    return { name, nats, redis, nodes };
  }

  region(name: string): ContainerRegion {
    return this.regions.find((region) => region.name === name)!;
  }

  get nodes(): ContainerNode[] {
    return this.regions.flatMap(({ nodes }) => nodes);
  }

  /** From all other regions, as a wire that is pulled. */
  async cutOff({ nodes }: ContainerRegion): Promise<void> {
    for (const { id } of nodes) await docker('network', 'disconnect', this.#between!.getId(), id);
  }

  async heal({ nodes }: ContainerRegion): Promise<void> {
    for (const { id, name } of nodes) await docker('network', 'connect', '--alias', name, this.#between!.getId(), id);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#containers.map((container) => container.stop({ timeout: 0, removeVolumes: true })));
    for (const network of this.#networks) {
      // What failed to start was left where it was.
      const left = await docker('ps', '--all', '--quiet', '--filter', `network=${network.getId()}`);
      if (left !== '') await docker('rm', '--force', '--volumes', ...left.split('\n'));
      await network.stop();
    }
    if (this.#volumes.length > 0) await docker('volume', 'rm', '--force', ...this.#volumes);
  }
}
