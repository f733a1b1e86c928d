// NATS and Redis of one region of several nodes, as its faults need them: in the run's folder, on ports that stay theirs while they are down.
// Owns: starting and ending them, and what the region's nodes are told of them.

import { join } from 'node:path';
import { freePorts } from '../../demo/ports.ts';
import { natsSettings, serversOfMachine, type Nats, type Redis, type RegionServers } from '../../demo/processes.ts';

/** What regions stand on beyond one server of each kind. */
export interface ServersPlan {
  /** Regions whose NATS is a cluster of three, with three replicas of each stream. */
  readonly natsOfThree?: readonly string[];
  /** Regions whose Redis has a replica, and a Sentinel that promotes it. */
  readonly redisWithReplica?: readonly string[];
}

const MASTER = 'main';

/** Why this machine cannot run them; undefined: it can. May fetch them first (scripts/servers.mjs). */
export async function serversUnavailable(): Promise<string | undefined> {
  let servers: Awaited<ReturnType<typeof serversOfMachine>>;
  try {
    servers = await serversOfMachine();
  } catch (error) {
    return `what starts NATS and Redis is not there (scripts/servers.mjs of the sources): ${(error as Error).message}`;
  }
  return [servers.natsServer(), servers.redisServer()].find((found) => typeof found === 'string');
}

export class Servers implements RegionServers {
  readonly natsServers: readonly Nats[];
  readonly redis: Redis;
  readonly replica: Redis | undefined;
  readonly sentinel: Redis | undefined;
  readonly settings: RegionServers['settings'];

  private constructor(
    natsServers: readonly Nats[],
    redis: readonly [Redis, replica?: Redis, sentinel?: Redis],
    nodeSettings: Readonly<Record<string, unknown>>,
  ) {
    this.natsServers = natsServers;
    [this.redis, this.replica, this.sentinel] = redis;
    const { sentinel } = this;
    this.settings = {
      nats: { ...nodeSettings, ...natsSettings(natsServers, natsServers.length) },
      redis:
        sentinel === undefined
          ? { servers: [addressOf(this.redis)] }
          : { mode: 'sentinel', master: MASTER, servers: [addressOf(sentinel)] },
    };
  }

  /** `nodeSettings`: options of the nodes under `nats` that somebody's configuration has. On failure nothing is left running. */
  static async start(
    region: string,
    { natsOfThree = [], redisWithReplica = [] }: ServersPlan,
    folder: string,
    nodeSettings: Readonly<Record<string, unknown>> = {},
  ): Promise<Servers> {
    const machine = await serversOfMachine();
    const started: Redis[] = [];
    const at = async (name: string, ports: number): Promise<{ folder: string; ports: number[] }> => ({
      folder: join(folder, `${region}-${name}`),
      ports: await freePorts(ports),
    });
    try {
      const nats = natsOfThree.includes(region)
        ? await machine.startNatsCluster(3, await at('nats', 9))
        : [await machine.startNats(await at('nats', 2))];
      started.push(...nats);
      const redis = await machine.startRedis(await at('redis', 2));
      started.push(redis);
      if (!redisWithReplica.includes(region)) return new Servers(nats, [redis], nodeSettings);
      const args = ['--replicaof', redis.host, `${redis.port}`];
      const replica = await machine.startRedis({ args, ...(await at('redis-replica', 2)) });
      started.push(replica);
      const sentinel = await machine.startSentinel(redis, MASTER, await at('sentinel', 1));
      return new Servers(nats, [redis, replica, sentinel], nodeSettings);
    } catch (error) {
      await Promise.all(started.map((server) => server.stop()));
      throw error;
    }
  }

  get nats(): Nats {
    return this.natsServers[0]!;
  }

  get all(): readonly Redis[] {
    const redis = [this.redis, this.replica, this.sentinel].filter((each) => each !== undefined);
    return [...this.natsServers, ...redis];
  }
}

function addressOf({ host, port }: Redis): string {
  return `${host}:${port}`;
}
