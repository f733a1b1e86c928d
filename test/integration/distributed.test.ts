// Regions of several nodes on real servers: any node takes any request, shards move when a node dies, and what Redis loses is made anew.

import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { natsFound, redisFound } from '../support/servers.ts';
import { DistributedCluster, PATIENCE, type DistributedRegion } from './distributed-kit.ts';

vi.setConfig({ testTimeout: 240_000 });
const missing = [natsFound, redisFound].find((found) => typeof found === 'string');
if (missing !== undefined) console.warn(`regions of several nodes are not tested: ${missing}`);

const COLLECTIONS = { likes: 'counter-pn', names: 'register-lww', tags: 'set-aw' };

/** By node, the shards that it serves. */
function owners({ nodes }: DistributedRegion): Map<string, string[]> {
  return new Map(
    nodes.map(({ name, running }) => [name, (running?.region.status().shards ?? []).map(({ shard }) => shard).sort()]),
  );
}

describe.skipIf(missing !== undefined)('regions of two nodes', () => {
  test('any node takes writes and reads of any key, and a feed of all of them', async () => {
    const cluster = await DistributedCluster.start({ regions: ['eu'], collections: COLLECTIONS, shards: 8 });
    onTestFinished(() => cluster.stop());
    const eu = cluster.region('eu');
    const held = [...owners(eu).values()];
    expect(held.flat().sort()).toEqual(Array.from({ length: 8 }, (_, i) => `1/${i}`));
    for (const shards of held) expect(shards.length).toBeGreaterThan(0);
    const [first, second] = eu.nodes.map(({ clients }) => cluster.client([clients])) as [never, never] as [
      ReturnType<DistributedCluster['client']>,
      ReturnType<DistributedCluster['client']>,
    ];
    const seen = new Set<string>();
    const feed = second.subscribe({
      from: 'beginning',
      onEvents: ({ events }) => events.forEach(({ key }) => seen.add(key)),
    });
    onTestFinished(() => feed.close());
    const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
    for (const key of keys) await first.register<string>('names').set(key, `value of ${key}`);
    for (const client of [first, second]) {
      const { views } = await client.read('names', keys);
      expect(views.map((view) => view?.type === 'register-lww' && Buffer.from(view.value).toString())).toEqual(
        keys.map((key) => `"value of ${key}"`),
      );
      const scanned: string[] = [];
      for (let pageToken = ''; ;) {
        const page = await client.scan('names', { pageSize: 7, pageToken });
        scanned.push(...page.entries.map(({ key }) => key));
        pageToken = page.nextPageToken;
        if (pageToken === '') break;
      }
      expect(scanned).toEqual(keys.toSorted());
    }
    await vi.waitFor(() => expect(seen.size).toBe(keys.length), PATIENCE);
    await second.writeAtomic([
      { collection: 'likes', key: '{a}1', intent: { kind: 'increment', by: 1n } },
      { collection: 'likes', key: '{a}2', intent: { kind: 'increment', by: 2n } },
    ]);
    expect([await first.counter('likes').get('{a}1'), await first.counter('likes').get('{a}2')]).toEqual([1n, 2n]);
    const status = await cluster.admin(eu.nodes[0]!.clients).status();
    expect(status.log).toMatchObject({ engine: 'jetstream', durable: true });
    expect(status.store?.engine).toMatch(/^redis/);
  });
});
