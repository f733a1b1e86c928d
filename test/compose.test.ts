// The composition root: what it starts, it stops, also when it cannot start all of it.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../demo/ports.ts';
import { connect } from '../src/client/index.ts';
import { composeNode } from '../src/compose.ts';
import { configFrom } from '../src/config/load.ts';
import type { Config } from '../src/config/schema.ts';

async function config(also?: 'http'): Promise<Config> {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-compose-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const [clients, peers, http] = await freePorts(3);
  return configFrom({
    clusterId: 'c',
    region: 'solo',
    dataDir: join(directory, 'data'),
    listeners: {
      clients: { address: `127.0.0.1:${clients}` },
      peers: { address: `127.0.0.1:${peers}` },
      ...(also === 'http' ? { http: { address: `127.0.0.1:${http}` } } : {}),
    },
    namespaces: [{ name: 'demo' }],
    collections: [{ namespace: 'demo', name: 'profiles', type: 'register-lww' }],
    log: { level: 'silent' },
  });
}

function listen(address: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(Number(address.split(':')[1]), '127.0.0.1', () => resolve(server));
  });
}

test('a node from a configuration: written, stopped, started again, read', async () => {
  const given = await config();
  for (const turn of [1, 2]) {
    const node = await composeNode(given);
    const client = connect({ endpoints: [node.clients], namespace: 'demo' });
    if (turn === 1) await client.register('profiles').set('anna', { city: 'Oslo' });
    expect((await client.register('profiles').get('anna'))?.value).toEqual({ city: 'Oslo' });
    client.close();
    await node.drain();
    await node.stop();
    // Idempotent: the second stop is the first one.
    await node.stop();
  }
});

test('HTTP is off unless asked for; asked for, it goes with the node', async () => {
  const given = await config();
  const off = await composeNode(given);
  expect(off.http).toBeUndefined();
  await off.stop();
  const { listeners } = given;
  const http = { address: '127.0.0.1:0', insecure: false, cacheSeconds: 9 };
  const node = await composeNode({ ...given, listeners: { ...listeners, http } });
  const url = `http://${node.http}`;
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  const written = await fetch(`${url}/v1/demo/profiles/anna`, { method: 'PUT', body: '{"city":"Oslo"}' });
  expect(written.status).toBe(200);
  const client = connect({ endpoints: [node.clients], namespace: 'demo' });
  expect((await client.register('profiles').get('anna'))?.value).toEqual({ city: 'Oslo' });
  client.close();
  const got = await fetch(`${url}/v1/demo/profiles/anna`);
  expect({ cache: got.headers.get('cache-control'), staleness: got.headers.get('causeway-staleness-ms') }).toEqual({
    cache: 'max-age=9',
    staleness: '0',
  });
  await node.drain();
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  await node.stop();
  await expect(fetch(`${url}/livez`)).rejects.toThrow('fetch failed');
});

test.each(['clients', 'peers', 'http'] as const)(
  'when the port for %s is taken, nothing is left: ports, lock, files',
  async (who) => {
    const given = await config('http');
    const holder = await listen(given.listeners[who].address);
    await expect(composeNode(given)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(given.listeners[who].address),
    });
    await new Promise((resolve) => holder.close(resolve));
    // All of it can be had again.
    const node = await composeNode(given);
    await node.stop();
  },
);

test('a second node on the directory is refused, and the first goes on', async () => {
  const given = await config();
  const first = await composeNode(given);
  const { listeners } = await config();
  await expect(composeNode({ ...given, listeners })).rejects.toMatchObject({ code: 'FENCED', retriable: false });
  expect(first.region.ready()).toBe(true);
  await first.stop();
  const holder = await listen(listeners.clients.address);
  await new Promise((resolve) => holder.close(resolve));
});
