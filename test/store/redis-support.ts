// A Redis store on a real server, with keys of its own.

import { Redis } from 'ioredis';
import type { Server } from '../../scripts/servers.mjs';
import { regionId, type ShardId } from '../../src/record/ids.ts';
import { RedisStore, type RedisStoreOptions } from '../../src/store/redis.ts';
import { realSystem } from '../../src/system/real.ts';

let clusters = 0;

export interface RedisBench {
  readonly clusterId: string;
  /** What onLost was told. */
  readonly lost: { readonly shard: ShardId; readonly why: string }[];
  readonly make: (options?: Partial<RedisStoreOptions>) => RedisStore;
  /** A command, as an operator would give it. */
  readonly command: (...words: string[]) => Promise<unknown>;
  readonly cleanup: () => Promise<void>;
}

export function redisBench(server: Server, fixed: Partial<RedisStoreOptions> = {}): RedisBench {
  const clusterId = `test-${process.pid}-${clusters++}`;
  const lost: { shard: ShardId; why: string }[] = [];
  const stores: RedisStore[] = [];
  const { host, port } = server;
  return {
    clusterId,
    lost,
    make: (options = {}) => {
      const store = new RedisStore({
        servers: { kind: 'single', host, port },
        clusterId,
        region: regionId('eu-west'),
        logIdentity: 'log/1',
        system: realSystem(),
        onLost: (shard, why) => lost.push({ shard, why }),
        ...fixed,
        ...options,
      });
      stores.push(store);
      return store;
    },
    command: async (name, ...rest) => {
      const redis = new Redis({ host, port });
      try {
        return await redis.call(name, ...rest);
      } finally {
        redis.disconnect();
      }
    },
    cleanup: async () => {
      for (const store of stores) await store.close();
    },
  };
}
