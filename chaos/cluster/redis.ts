// Commands to a Redis server that are none of a node's.

import { Redis } from 'ioredis';
import type { Redis as Server } from '../../demo/processes.ts';

const ASK_MS_MAX = 5000;

export async function redisCommand(
  { host, port }: Server,
  command: string,
  ...args: readonly string[]
): Promise<unknown> {
  const redis = new Redis({ host, port, lazyConnect: true, maxRetriesPerRequest: 1, commandTimeout: ASK_MS_MAX });
  // Told by the command itself.
  redis.on('error', () => undefined);
  try {
    return await redis.call(command, ...args);
  } finally {
    redis.disconnect();
  }
}

/** How many shards have rows. */
export async function shardsWithRows(server: Server): Promise<number> {
  return ((await redisCommand(server, 'KEYS', 'causeway:*:head')) as readonly string[]).length;
}
