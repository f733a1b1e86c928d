// Which log, store and ownership a configuration asks for. Used by the composition root alone, and constructs nothing else.
// Owns: from options to engines; the lock on the data directory, which two nodes must not share whatever their log is.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAddress } from './config/address.ts';
import type { Config } from './config/schema.ts';
import { CausewayError } from './errors/errors.ts';
import { lockDirectory } from './log/data-lock.ts';
import { JetStreamLog } from './log/jetstream.ts';
import type { Log } from './log/log.ts';
import { SegmentLog } from './log/segment.ts';
import type { NatsOptions } from './nats/connection.ts';
import { NatsKvOwnership } from './ownership/nats-kv.ts';
import type { Ownership } from './ownership/ownership.ts';
import { SingleOwnership } from './ownership/single.ts';
import { regionId, shardId, type ShardId } from './record/ids.ts';
import { LmdbStore } from './store/lmdb.ts';
import { RedisStore, type RedisServers } from './store/redis.ts';
import type { Store } from './store/store.ts';
import type { System } from './system/system.ts';

export interface EngineHooks {
  readonly onFatal: (error: CausewayError) => void;
  /** The store's rows of the shard are not those that this node wrote. */
  readonly onLost: (shard: ShardId, why: string) => void;
  /** A shard shall move: what is under way is finished before it is given up. */
  readonly release: (shard: ShardId) => Promise<void>;
  /** A shard of another node shall come here: its log is read meanwhile. */
  readonly follow: (shard: ShardId) => Promise<void>;
  readonly unfollow: (shard: ShardId) => void;
  /** The store does not answer for a shard of ours: no other node could begin to serve it. */
  readonly cannotBegin: (shard: ShardId) => boolean;
  /** Ops of the shard since the node started: what shares are measured by. */
  readonly opsOf: (shard: ShardId) => number;
  /** Where the other nodes of the region reach this one; asked once it listens. */
  readonly address: () => string;
}

export interface Engines {
  readonly log: Log;
  readonly store: Store;
  /** Commits of an embedded log. */
  readonly segments: SegmentLog | undefined;
  /** Throws CausewayError FENCED: another process has the data directory. Before the log is opened. */
  lock(): Promise<() => void>;
  readonly ownership: Ownership;
  /** The same, of a region of several nodes: it joins them when it is started. */
  readonly shared: NatsKvOwnership | undefined;
}

/** Throws CausewayError CONFIG_INVALID (files that cannot be read). */
export function makeEngines(config: Config, system: System, hooks: EngineHooks): Engines {
  return config.engine === 'embedded' ? embedded(config, system, hooks) : distributed(config, system, hooks);
}

function embedded(config: Config, system: System, { onFatal }: EngineHooks): Engines {
  const log = new SegmentLog({
    directory: config.dataDir,
    clusterId: config.clusterId,
    system,
    onFatal,
    ...config.storage,
  });
  const store = new LmdbStore({
    directory: join(config.dataDir, 'store'),
    // The node opens the log first; a store made from another log, or before it was damaged, proves nothing.
    logIdentity: () => log.identity,
  });
  // The log locks the directory by itself.
  const lock = (): Promise<() => void> => Promise.resolve(() => undefined);
  return { log, store, segments: log, lock, ownership: new SingleOwnership(), shared: undefined };
}

function distributed(config: Config, system: System, hooks: EngineHooks): Engines {
  const { onFatal, onLost, release, follow, unfollow, cannotBegin, opsOf, address } = hooks;
  const { clusterId, node, dataDir } = config;
  const region = regionId(config.region);
  const nats = natsOptions(config);
  const { replicas, streamBytesMax, domain, monitors, requireDurable, ownerLeaseMs } = config.nats;
  const log = new JetStreamLog({
    nats,
    clusterId,
    region,
    replicas,
    streamBytesMax,
    monitors,
    requireDurable,
    directory: dataDir,
    system,
    onFatal,
    cacheBytes: config.storage.tailCacheBytes,
    ...(domain === undefined ? {} : { domain }),
  });
  const { username, passwordFile, tls } = config.redis;
  const store = new RedisStore({
    servers: redisServers(config),
    ...(username === undefined ? {} : { username }),
    ...(passwordFile === undefined ? {} : { password: secret(passwordFile) }),
    ...(tls === undefined ? {} : { tls: present(tls) }),
    clusterId,
    region,
    logIdentity: () => log.identity,
    onLost,
    system,
  });
  const shards = config.placements
    .filter(({ regions }) => regions.includes(config.region))
    .flatMap(({ id, shards: count }) => Array.from({ length: count }, (_, i) => shardId(id, i)));
  const shared = new NatsKvOwnership({
    nats,
    clusterId,
    region,
    node,
    address,
    replicas,
    shards,
    leaseMs: ownerLeaseMs,
    drain: release,
    follow,
    unfollow,
    cannotBegin,
    opsOf,
    system,
  });
  return {
    log,
    store,
    segments: undefined,
    ownership: shared,
    shared,
    lock: async () => {
      const lock = await lockDirectory(dataDir);
      return () => lock.release();
    },
  };
}

function natsOptions({ nats, region, node }: Config): NatsOptions {
  const { servers, user, passwordFile, nkeyFile, credsFile, tls } = nats;
  const scheme = tls === undefined ? 'nats' : 'tls';
  const options = {
    servers: servers.map((address) => `${scheme}://${address}`),
    name: `causeway ${region} ${node}`,
    ...(tls === undefined ? {} : { tls: present(tls) }),
  };
  if (user !== undefined) return { ...options, auth: { kind: 'user', user, password: secret(passwordFile!) } };
  if (nkeyFile !== undefined) return { ...options, auth: { kind: 'nkey', seedFile: nkeyFile } };
  if (credsFile !== undefined) return { ...options, auth: { kind: 'creds', credsFile } };
  return options;
}

function redisServers({ redis }: Config): RedisServers {
  // The loader has checked that they are addresses, and as many as the mode wants.
  const addresses = redis.servers.map((text) => parseAddress(text)!);
  switch (redis.mode) {
    case 'single':
      return { kind: 'single', ...addresses[0]! };
    case 'sentinel':
      return { kind: 'sentinel', sentinels: addresses, name: redis.master! };
    case 'cluster':
      return { kind: 'cluster', nodes: addresses };
  }
}

/** Without the parts that are not there. */
function present({ ca, cert, key }: { ca?: string | undefined; cert?: string | undefined; key?: string | undefined }): {
  ca?: string;
  cert?: string;
  key?: string;
} {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

function secret(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new CausewayError('CONFIG_INVALID', `expected a password in ${path}: ${(cause as Error).message}`, { cause });
  }
}
