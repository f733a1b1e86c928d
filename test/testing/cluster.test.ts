// Clusters in memory: what a program's own tests stand on.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { startCluster, type ClusterOptions, type TestCluster } from '../../src/testing/index.ts';
import { failure } from '../support/api.ts';

const clusters: TestCluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.close();
});

async function started(options: Partial<ClusterOptions> = {}): Promise<TestCluster> {
  const cluster = await startCluster({
    regions: ['eu', 'us'],
    collections: { profiles: 'register-lww', likes: 'counter-pn' },
    ...options,
  });
  clusters.push(cluster);
  return cluster;
}

test('is up in well under a second, and its regions agree', async () => {
  const beforeMs = performance.now();
  const cluster = await started({ regions: ['eu', 'us', 'ap'] });
  const upMs = performance.now() - beforeMs;
  expect(cluster.regions).toEqual(['eu', 'us', 'ap']);
  await cluster.client('eu').register('profiles').set('anna', { city: 'Oslo' });
  await cluster.converged();
  for (const region of cluster.regions) {
    const anna = await cluster.client(region).register('profiles').get('anna');
    expect(anna?.value, region).toEqual({ city: 'Oslo' });
  }
  // Alone on a machine about 100 ms; others may share it.
  expect(upMs).toBeLessThan(5000);
});

test('regions that are cut off from each other go on, differ, and agree once they are joined', async () => {
  const cluster = await started();
  const [eu, us] = [cluster.client('eu'), cluster.client('us')];
  await eu.counter('likes').increment('post');
  await cluster.converged();
  cluster.partition('eu', 'us');
  await eu.counter('likes').increment('post', 10);
  await us.counter('likes').increment('post', 100);
  expect([await eu.counter('likes').get('post'), await us.counter('likes').get('post')]).toEqual([11n, 101n]);
  const error = await failure(cluster.converged({ timeoutMs: 50 }), 'DEADLINE_EXCEEDED');
  expect(error.message).toMatch(/lacks ops 2 to 2 of eu~|lacks ops 1 to 1 of us~/);
  cluster.heal();
  await cluster.converged();
  expect([await eu.counter('likes').get('post'), await us.counter('likes').get('post')]).toEqual([111n, 111n]);
});

test('a cut that outlasts the links’ patience heals too', async () => {
  const cluster = await started();
  cluster.partition('eu');
  await cluster.client('eu').counter('likes').increment('post');
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(await cluster.client('us').counter('likes').get('post')).toBe(0n);
  cluster.heal('us', 'eu');
  await cluster.converged();
  expect(await cluster.client('us').counter('likes').get('post')).toBe(1n);
});

test('a third region passes on what two that are cut off write', async () => {
  const cluster = await started({ regions: ['eu', 'us', 'ap'] });
  cluster.partition('eu', 'us');
  await cluster.client('eu').counter('likes').increment('post');
  await cluster.converged({ timeoutMs: 20_000 });
  expect(await cluster.client('us').counter('likes').get('post')).toBe(1n);
});

test('a region that is killed keeps what it acknowledged; its client finds it again', async () => {
  const cluster = await started();
  const eu = cluster.client('eu', { deadlineMs: 20_000 });
  for (let i = 0; i < 20; i++) await eu.counter('likes').increment(`post ${i % 3}`);
  cluster.kill('eu');
  expect((await failure(cluster.client('eu', { deadlineMs: 200 }).counter('likes').get('post 0'))).retriable).toBe(
    true,
  );
  await cluster.client('us').counter('likes').increment('post 0');
  await cluster.converged();
  await cluster.restart('eu');
  expect(await eu.counter('likes').get('post 1')).toBe(7n);
  await eu.counter('likes').increment('post 0');
  await cluster.converged();
  expect(await cluster.client('us').counter('likes').get('post 0')).toBe(9n);
  await cluster.restart('us');
  expect(await cluster.client('us').counter('likes').get('post 0')).toBe(9n);
});

test('a client of several regions fails over', async () => {
  const cluster = await started();
  const client = cluster.client(['eu', 'us'], { deadlineMs: 20_000 });
  await client.register('profiles').set('anna', 1);
  await cluster.converged();
  cluster.kill('eu');
  expect((await client.register('profiles').get('anna'))?.value).toBe(1);
  expect(client.endpoint()?.region).toBe('us');
});

test('a delay between regions is seen', async () => {
  const cluster = await started({ linkDelayMs: 150 });
  await cluster.client('eu').register('profiles').set('anna', 1);
  expect(await cluster.client('us').register('profiles').get('anna')).toBeUndefined();
  await cluster.converged();
  expect((await cluster.client('us').register('profiles').get('anna'))?.value).toBe(1);
});

test('what makes no sense is said', async () => {
  await failure(startCluster({ regions: ['Not A Region'], collections: {} }), 'CONFIG_INVALID');
  await failure(startCluster({ regions: ['eu'], collections: { 'a b': 'set-aw' } }), 'CONFIG_INVALID');
  const cluster = await started();
  expect(() => cluster.client('mars')).toThrow("no region 'mars'; it has eu, us");
});

const PROGRAM = `
  import { startCluster } from './src/testing/index.ts';
  const cluster = await startCluster({ regions: ['eu', 'us'], collections: { likes: 'counter-pn' } });
  const client = cluster.client(['eu', 'us'], { deadlineMs: 20_000 });
  const following = (async () => { for await (const event of client.subscribe({ from: 'beginning' })) void event; })().catch(() => undefined);
  await client.counter('likes').increment('post');
  cluster.partition('eu');
  cluster.kill('eu');
  await client.counter('likes').get('post');
  await cluster.close();
  await following;
  console.log('closed everything');
`;

test('nothing of it is left behind', async () => {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', PROGRAM], { cwd: root });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearTimeout(timer);
  expect({ code, output }).toEqual({ code: 0, output: 'closed everything\n' });
});
