// Real servers for tests: found or fetched, started beside each other, and gone without a trace.

import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { startNats, startNatsCluster, startRedis, type Server } from '../../scripts/servers.mjs';

// Fetched once, where they are not installed.
vi.setConfig({ testTimeout: 240_000 });

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

function firstBytes({ host, port }: Server, send: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.on('error', reject);
    socket.on('data', (bytes) => {
      socket.destroy();
      resolve(bytes.toString());
    });
    socket.write(send);
  });
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('NATS with JetStream: several at once, killed and started again, and nothing is left of them', async () => {
  const [one, two] = await Promise.all([startNats(), startNats({ syncInterval: '2m' })]);
  servers.push(one, two);
  expect(one.port).not.toBe(two.port);
  const info = JSON.parse((await firstBytes(one, '')).slice('INFO '.length)) as Record<string, unknown>;
  expect(info).toMatchObject({ jetstream: true, max_payload: 20 * 1024 * 1024 });
  const settings = async ({ monitor }: { monitor: string }): Promise<unknown> =>
    ((await (await fetch(`${monitor}/varz`)).json()) as { jetstream: { config: unknown } }).jetstream.config;
  expect(await settings(one)).toMatchObject({ sync_always: true });
  expect(await settings(two)).not.toHaveProperty('sync_always');

  const { pid, directory } = one;
  expect(alive(pid)).toBe(true);
  await one.kill();
  expect(alive(pid)).toBe(false);
  await one.restart();
  expect(one.pid).not.toBe(pid);
  expect(await firstBytes(one, '')).toContain('INFO ');
  const after = one.pid;
  await one.stop();
  expect([alive(after), existsSync(directory), alive(two.pid)]).toEqual([false, false, true]);
});

test('a cluster of NATS servers knows its leader', async () => {
  const cluster = await startNatsCluster(3);
  servers.push(...cluster);
  await vi.waitFor(
    async () => {
      const response = await fetch(`${cluster[0]!.monitor}/jsz`);
      const { meta_cluster } = (await response.json()) as { meta_cluster?: { leader?: string; cluster_size: number } };
      expect(meta_cluster).toMatchObject({ leader: expect.stringMatching(/^n[123]$/) as unknown, cluster_size: 3 });
    },
    { timeout: 60_000, interval: 200 },
  );
});

test('Redis keeps nothing unless it is asked to', async () => {
  const [none, kept] = await Promise.all([startRedis(), startRedis({ args: ['--appendonly', 'yes'] })]);
  servers.push(none, kept);
  for (const server of [none, kept]) {
    expect(await firstBytes(server, 'SET a 1\r\n')).toBe('+OK\r\n');
    await server.kill();
    await server.restart();
  }
  await vi.waitFor(async () => expect(await firstBytes(kept, 'GET a\r\n')).toBe('$1\r\n1\r\n'), { timeout: 20_000 });
  expect(await firstBytes(none, 'GET a\r\n')).toBe('$-1\r\n');
});
