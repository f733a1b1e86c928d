// What doctor tries on the machine that it runs on: ports, the directory of the data, how fast its disk syncs.

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { parseAddress } from '../config/address.ts';
import type { System } from '../system/system.ts';

export type PortFound =
  /** Nobody listens there, and this user may. */
  { readonly kind: 'free' } | { readonly kind: 'taken' } | { readonly kind: 'refused'; readonly code: string };

/** Whether an address of this machine could be listened on. */
export function tryListen(address: string): Promise<PortFound> {
  const { host, port } = parseAddress(address) ?? { host: address, port: 0 };
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code = 'unknown' }: NodeJS.ErrnoException) =>
      resolve(code === 'EADDRINUSE' ? { kind: 'taken' } : { kind: 'refused', code }),
    );
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve({ kind: 'free' })));
  });
}

/** undefined: it can be reached; else why not. */
export function tryConnect(address: string, timeoutMs: number, { timers }: System): Promise<string | undefined> {
  const { host, port } = parseAddress(address) ?? { host: address, port: 0 };
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (why: string | undefined): void => {
      timer.cancel();
      socket.destroy();
      resolve(why);
    };
    const timer = timers.after(timeoutMs, () => end(`no connection within ${timeoutMs} ms`));
    socket.once('connect', () => end(undefined));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

/** The directory, or the nearest one above that is there: a node makes what is missing. */
export function nearestThere(directory: string): string {
  let at = directory;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}

export interface DiskFound {
  readonly freeBytes: number;
  readonly allBytes: number;
  /** Of the file system, as the kernel numbers them. */
  readonly type: number;
  /** Median of some small writes, each with its fdatasync. */
  readonly syncMs: number;
}

const SYNCS = 9;
const SYNC_BYTES = 4096;

/** Throws what the file system says when nothing can be written there. */
export function tryDisk(directory: string, { clock, random }: System): DiskFound {
  accessSync(directory, constants.W_OK);
  const { bavail, blocks, bsize, type } = statfsSync(directory);
  const path = join(directory, `.causeway-doctor-${random.uint32().toString(16)}`);
  const fd = openSync(path, 'wx');
  try {
    const took: number[] = [];
    for (let i = 0; i < SYNCS; i++) {
      const beganMs = clock.monotonicMs();
      writeSync(fd, Buffer.alloc(SYNC_BYTES, i));
      fdatasyncSync(fd);
      took.push(clock.monotonicMs() - beganMs);
    }
    const syncMs = took.toSorted((a, b) => a - b)[SYNCS >> 1]!;
    return { freeBytes: bavail * bsize, allBytes: blocks * bsize, type, syncMs };
  } finally {
    closeSync(fd);
    rmSync(path, { force: true });
  }
}
