// Free ports on loopback.
// Owns: choosing them. A region must know its peers' ports before any of them listens, so port 0 is of no use.
// HAZARD: between the look and the use somebody else may take one, and while a region that was killed is down. Hence not the range from which
//         the kernel gives ports to outgoing connections, and each is claimed by a file for as long as this process lives.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PORT_MIN = 15_000;
const PORT_MAX = 32_000;
const TRIES_MAX = 200;

const CLAIMS = join(tmpdir(), `causeway-ports-${process.getuid?.() ?? ''}`);

const claimed = new Set<string>();

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries++) {
    if (tries > TRIES_MAX + count) throw new Error(`found no ${count} free ports from ${PORT_MIN} to ${PORT_MAX}`);
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    if (!claim(port) || !(await isFree(port))) continue;
    ports.push(port);
  }
  return ports;
}

/** False while the port is somebody's who lives, this process included. Whoever ends without a word leaves claims that count no more. */
export function claim(port: number, folder = CLAIMS): boolean {
  const path = join(folder, String(port));
  mkdirSync(folder, { recursive: true });
  for (let tries = 0; tries < 2; tries++) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      if (claimed.size === 0) process.once('exit', () => claimed.forEach((each) => rmSync(each, { force: true })));
      claimed.add(path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (isHeld(path)) return false;
      rmSync(path, { force: true });
    }
  }
  return false;
}

function isHeld(path: string): boolean {
  try {
    const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
    // Empty: it is being written.
    if (!(pid > 0)) return true;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
