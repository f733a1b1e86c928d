// Collections that are created, altered and dropped while a region of several nodes runs: every node knows them.

import { describe, expect, test } from 'vitest';
import type { CausewayError } from '../../src/errors/errors.ts';
import type { CollectionChange, CollectionInfo, WriteResult } from '../../src/region/region.ts';
import { outcome, Pending } from '../support/node-kit.ts';
import { SharedCluster, type SharedNode } from '../support/shared-kit.ts';

const PATIENT = { deadlineMs: 5000, wait: true } as const;

async function created(shared: SharedCluster, { region }: SharedNode, name: string): Promise<CollectionChange> {
  const pending = new Pending<CollectionChange | CausewayError>();
  const spec = { namespace: 'shop', name, type: 'set-aw', description: `about ${name}` } as const;
  region.createCollection(spec, PATIENT, (change) => pending.answer(change));
  await shared.cluster.until(() => pending.answers.length > 0);
  if (pending.value instanceof Error) throw pending.value;
  return pending.value!;
}

const of = ({ region }: SharedNode, name: string): CollectionInfo | undefined =>
  region.collections().find(({ ref }) => ref.name === name);

const served = ({ region }: SharedNode, name: string): string | undefined => region.collection('shop', name)?.type;

/** Names whose definitions are in shards of both nodes. */
const NAMES = Array.from({ length: 8 }, (_, i) => `baskets-${i}`);

async function add({ cluster }: SharedCluster, { region }: SharedNode, name: string, key: string): Promise<string> {
  const pending = new Pending<readonly WriteResult[]>();
  const intent = { kind: 'set-add', elements: [Buffer.from(key)] } as const;
  const ops = [{ namespace: 'shop', collection: name, key, intent }];
  region.write({ ops, durability: { kind: 'local' }, deadlineMs: 1000 }, (results) => pending.answer(results));
  await cluster.until(() => pending.answers.length > 0);
  return outcome(pending);
}

describe('a collection of run time', () => {
  test('may be created at any node, and every node serves it when that is answered', async () => {
    const shared = await SharedCluster.started();
    const [first, second] = shared.nodes as [SharedNode, SharedNode];
    const definers = new Set(NAMES.map((name) => shared.owner(first.node.shardOfDefinition('shop', name)!).name));
    expect(definers.size).toBe(2);
    for (const name of NAMES) {
      const { changed, collections } = await created(shared, first, name);
      expect(changed).toBe(true);
      expect(collections).toMatchObject([{ ref: { name }, settled: true, state: 'served', type: 'set-aw' }]);
      for (const node of [first, second]) {
        expect(of(node, name)).toMatchObject({ settled: true, description: `about ${name}`, createdBy: ['eu'] });
        for (const key of ['a', 'b', 'c', 'd']) expect(await add(shared, node, name, key)).toBe('ok');
      }
      const again = await created(shared, second, name);
      expect(again.changed).toBe(false);
    }
    expect(first.region.collections()).toEqual(second.region.collections());
  });

  test('is altered and dropped at any node', async () => {
    const shared = await SharedCluster.started();
    const [first, second] = shared.nodes as [SharedNode, SharedNode];
    for (const name of NAMES.slice(0, 4)) {
      await created(shared, first, name);
      const changes: (CollectionChange | CausewayError)[] = [];
      const spec = { namespace: 'shop', name, description: 'another' };
      second.region.alterCollection(spec, PATIENT, (change) => changes.push(change));
      await shared.cluster.until(() => changes.length === 1);
      expect(of(first, name)?.description).toBe('another');
      first.region.dropCollection({ namespace: 'shop', name }, { ...PATIENT, force: false }, (change) =>
        changes.push(change),
      );
      await shared.cluster.until(() => changes.length === 2);
      expect(changes[1]).toMatchObject({ collections: [{ state: 'dropped', settled: true }] });
      for (const node of [first, second]) expect(served(node, name)).toBeUndefined();
      expect(await add(shared, second, name, 'a')).toBe('UNKNOWN_COLLECTION');
    }
  });

  test('is swept by the owners of its data when it is dropped, whoever owns its definition', async () => {
    const shared = await SharedCluster.started();
    const [first, second] = shared.nodes as [SharedNode, SharedNode];
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
    for (const name of NAMES.slice(0, 2)) {
      await created(shared, first, name);
      for (const key of keys) expect(await add(shared, first, name, key)).toBe('ok');
      const before = [first, second].map(({ node }) => node.figures().sweptKeys);
      const changes: unknown[] = [];
      first.region.dropCollection({ namespace: 'shop', name }, { ...PATIENT, force: false }, (change) =>
        changes.push(change),
      );
      await shared.cluster.until(() => changes.length === 1);
      await shared.cluster.run(60_000);
      const swept = [first, second].map(({ node }, i) => node.figures().sweptKeys - before[i]!);
      expect(swept[0]! + swept[1]!).toBe(keys.length);
      expect(Math.min(...swept)).toBeGreaterThan(0);
      expect([first, second].map(({ node }) => node.figures().unsweptShards)).toEqual([0, 0]);
    }
  });

  test('is known when its definition has moved, at a node that starts, and while its owner is away', async () => {
    const shared = await SharedCluster.started();
    const [first, second] = shared.nodes as [SharedNode, SharedNode];
    for (const name of NAMES) await created(shared, first, name);
    for (const [i, shard] of shared.cluster.shards.entries()) shared.give(shard, `eu-${(i + 1) % 2}`);
    await shared.cluster.run(1000);
    for (const node of [first, second]) for (const name of NAMES) expect(served(node, name)).toBe('set-aw');
    shared.give(shared.cluster.shards[0]!, 'eu-0');
    await shared.cluster.run(1000);

    const third = shared.add('eu-2');
    for (const [i, shard] of shared.cluster.shards.entries())
      third.ownership.hear(shard, shared.owner(shard).name ?? `${i}`);
    void third.node.start();
    const told: boolean[] = [];
    third.region.onReady((ready) => told.push(ready));
    third.region.start();
    expect(third.region.ready()).toBe(false);
    await shared.cluster.until(() => third.region.ready());
    // Health checks follow what is told: the node itself was ready before.
    await shared.cluster.run(300);
    expect(told).toEqual([true]);
    for (const name of NAMES) expect(served(third, name)).toBe('set-aw');

    shared.away.add('eu-0').add('eu-1');
    await shared.cluster.run(2000);
    for (const name of NAMES) expect(of(third, name)).toMatchObject({ state: 'served', settled: true });
    const failed: unknown[] = [];
    const spec = { namespace: 'shop', name: 'more', type: 'set-aw' } as const;
    third.region.createCollection(spec, PATIENT, (change) => failed.push(change));
    await shared.cluster.until(() => failed.length === 1);
    expect(failed).toMatchObject([{ code: 'UNAVAILABLE' }]);
  });

  test('is asked for once: an owner leaves out what has not changed', async () => {
    const shared = await SharedCluster.started();
    const [first, second] = shared.nodes as [SharedNode, SharedNode];
    for (const name of NAMES) await created(shared, first, name);
    await shared.cluster.run(1000);
    const { revision, definitions } = second.node.sharedState('');
    expect(definitions!.length).toBeGreaterThan(0);
    await shared.cluster.run(1000);
    expect(second.node.sharedState(revision).definitions).toBeUndefined();
    await created(shared, first, 'one-more');
    await created(shared, first, 'two-more');
    await created(shared, first, 'three-more');
    const changed = shared.nodes.filter(({ node }) => node.sharedState(revision).definitions !== undefined);
    expect(changed.length).toBeGreaterThan(0);
  });
});

test('I14: how stale a region of several nodes is counts the shards of all of them, and grows while an owner says nothing', async () => {
  const shared = await SharedCluster.started();
  const [first] = shared.nodes as [SharedNode, SharedNode];
  expect(first.region.stalenessMs('shop')).toBeLessThan(500);
  shared.away.add('eu-1');
  await shared.cluster.run(3000);
  expect(first.region.stalenessMs('shop')).toBeGreaterThan(2500);
  shared.give(shared.cluster.shards[1]!, undefined);
  expect(first.region.stalenessMs('shop')).toBeUndefined();
});
