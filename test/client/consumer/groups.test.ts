// Groups as operators see them: from the client, and from the command line.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Consumer, ConsumerOptions } from '../../../src/client/index.ts';
import { startCluster, type TestCluster } from '../../../src/testing/index.ts';
import { failure, until } from '../../support/api.ts';
import { cli } from '../../support/cli.ts';

vi.setConfig({ testTimeout: 60_000 });

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster({
    regions: ['eu', 'us'],
    collections: { orders: 'register-lww', 'consumer-groups': 'register-lww', elsewhere: 'register-lww' },
  });
});

afterAll(() => cluster.close());

async function write(from: number, to: number): Promise<void> {
  const orders = cluster.client('eu').register('orders');
  for (let i = from; i < to; i++) await orders.set(`o${i}`, i);
}

/** Handles until it has had so many different keys. */
async function handle(group: string, keys: number, options: Partial<ConsumerOptions> = {}): Promise<Consumer> {
  const seen = new Set<string>();
  const consumer = cluster.client('eu').consumer({
    group,
    collections: ['orders'],
    leaseMs: 1000,
    autoCommitMs: 20,
    member: 'ann',
    onEvents: ({ events }) => events.forEach(({ key }) => seen.add(key)),
    ...options,
  });
  await until(() => seen.size >= keys && consumer.shards.length === 4, `${keys} keys`);
  await consumer.commit();
  return consumer;
}

test('list, show and reset', async () => {
  const groups = cluster.client('eu').groups();
  expect(await groups.list()).toEqual([]);
  await failure(groups.show('billing'), 'KEY_NOT_FOUND');
  await write(0, 20);
  const consumer = await handle('billing', 20);
  await (await handle('audit', 20, { groups: { collection: 'elsewhere' } })).close();
  expect(await groups.list()).toEqual(['billing']);
  expect(await cluster.client('eu').groups({ collection: 'elsewhere' }).list()).toEqual(['audit']);

  const info = await groups.show('billing');
  expect(info.members).toEqual([{ member: 'ann', region: 'eu' }]);
  expect(info.shards.map(({ shard, readers }) => [shard, readers])).toEqual(
    [0, 1, 2, 3].map((index) => [`1/${index}`, [{ member: 'ann', region: 'eu' }]]),
  );
  expect((await failure(groups.reset('billing', 'beginning'), 'PRECONDITION_FAILED')).message).toContain('ann in eu');
  await consumer.close();
  await cluster.converged();

  // In another region than the group's own, whose cursors it has to outdo.
  await cluster.client('us').groups().reset('billing', 'beginning');
  await cluster.converged();
  await (await handle('billing', 20)).close();
  await groups.reset('billing', 'now');
  await write(20, 25);
  const seen: string[] = [];
  const last = cluster.client('eu').consumer({
    group: 'billing',
    collections: ['orders'],
    leaseMs: 1000,
    onEvents: ({ events }) => void seen.push(...events.map(({ key }) => key)),
  });
  await until(() => seen.length === 5, 'what came after the reset');
  expect(seen.toSorted()).toEqual(['o20', 'o21', 'o22', 'o23', 'o24']);
  await last.close();
});

test('a reset by force moves the members of the region with their next commit', async () => {
  await write(0, 40);
  const times = new Map<string, number>();
  const consumer = await handle('forced', 0, {
    onEvents: ({ events }) => events.forEach(({ key }) => times.set(key, (times.get(key) ?? 0) + 1)),
  });
  const keys = Array.from({ length: 40 }, (_, i) => `o${i}`);
  await until(() => keys.every((key) => times.has(key)), 'everything once');
  await consumer.commit();
  const before = new Map(times);
  await cluster.client('eu').groups().reset('forced', 'beginning', { force: true });
  // Something in every shard, so that there is something to commit.
  await write(40, 80);
  await until(() => keys.every((key) => times.get(key)! > before.get(key)!), 'everything once more');
  await consumer.close();
  const { shards } = await cluster.client('eu').groups().show('forced');
  expect(shards.map(({ epoch }) => epoch)).toEqual([1, 1, 1, 1]);
});

test('on the command line', async () => {
  await write(0, 10);
  await (await handle('shown', 10)).close();
  const run = (...args: string[]) => cli(['-e', cluster.endpoint('eu'), 'group', ...args]);
  expect((await run('list', 'test')).stdout).toContain('shown\n');
  const shown = await run('show', 'test/shown');
  expect(shown.stdout).toMatch(/^shown: no members; \d+ ops behind\n/);
  expect(shown.stdout).toMatch(/^1\/3\s+nobody\s+\d+\s+\S+ \S+ ago/m);
  expect(JSON.parse((await run('show', 'test/shown', '--json')).stdout)).toMatchObject({ group: 'shown', members: [] });
  expect((await run('reset', 'test/shown', '--to', 'now')).stdout).toBe('reset shown to now\n');
  expect((await run('reset', 'test/shown')).code).toBe(2);
  expect((await run('show', 'test/nobody')).code).toBe(5);
  expect((await run('show', 'nobody')).stderr).toContain('Expected namespace/group');
  expect((await run('list', 'test', '--groups', 'test/none')).stderr).toContain(
    "collection 'none' of namespace 'test'",
  );
});
