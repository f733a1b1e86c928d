// Real servers for a test file: started before its tests and ended after them, or skipped with a reason that is printed.

import { afterAll, beforeAll } from 'vitest';
import { natsServer, redisServer, type Program } from '../../scripts/servers.mjs';

/** The first start on a machine fetches the program. */
const FETCH_MS = 240_000;

export const natsFound = natsServer();
export const redisFound = redisServer();

/** A server for all tests of a file. */
export function sharedServer<T extends { stop(): Promise<void> }>(
  found: Program | string,
  start: () => Promise<T>,
): () => T {
  let server: T | undefined;
  beforeAll(async () => {
    if (typeof found !== 'string') server = await start();
  }, FETCH_MS);
  afterAll(() => server?.stop());
  return () => {
    if (server === undefined) throw new Error(typeof found === 'string' ? found : 'no server is started yet');
    return server;
  };
}
