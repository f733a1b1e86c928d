// Free ports on loopback.
// Owns: choosing them. A region must know its peers' ports before any of them listens, so port 0 is of no use.
// HAZARD: between the look and the use somebody else may take one. Hence not the range from which the kernel gives ports to
//         outgoing connections, and a random place in the rest, so that two demos at once hardly ever meet.

import { createServer } from 'node:net';

const PORT_MIN = 15_000;
const PORT_MAX = 32_000;
const TRIES_MAX = 200;

const givenOut = new Set<number>();

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries++) {
    if (tries > TRIES_MAX + count) throw new Error(`found no ${count} free ports from ${PORT_MIN} to ${PORT_MAX}`);
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    if (givenOut.has(port) || !(await isFree(port))) continue;
    givenOut.add(port);
    ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
