// The store's contract on real Redis servers: a single one, and one that is a Cluster by itself.

import { Redis } from 'ioredis';
import { beforeAll, describe, expect, vi } from 'vitest';
import { startRedis } from '../../scripts/servers.mjs';
import { runStoreContract } from '../contract/store.ts';
import { redisFound, sharedServer } from '../support/servers.ts';
import { redisBench } from './redis-support.ts';

if (typeof redisFound === 'string') console.warn(`the contract of the Redis store is skipped: ${redisFound}`);

describe.skipIf(typeof redisFound === 'string')('on Redis', () => {
  const server = sharedServer(redisFound, () => startRedis());
  runStoreContract('Redis', () => Promise.resolve(redisBench(server())));
});

describe.skipIf(typeof redisFound === 'string')('on a Redis Cluster', () => {
  const server = sharedServer(redisFound, () => startRedis({ args: ['--cluster-enabled', 'yes'] }));
  beforeAll(async () => {
    const redis = new Redis(server().port, server().host);
    await redis.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await vi.waitFor(async () => expect(await redis.call('CLUSTER', 'INFO')).toContain('cluster_state:ok'), {
      timeout: 30_000,
    });
    redis.disconnect();
  }, 60_000);
  runStoreContract('Redis Cluster', () => {
    const { host, port } = server();
    return Promise.resolve(redisBench(server(), { servers: { kind: 'cluster', nodes: [{ host, port }] } }));
  });
});
