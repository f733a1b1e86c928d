// Scans and subscriptions of some shards only: what the members of a consumer group divide among them.

import { expect, test } from 'vitest';
import { client, failure, serve, until } from '../support/api.ts';
import { shardOf } from '../support/fake-region.ts';

const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);
const inShards = (...indexes: number[]): string[] =>
  keys.filter((key) => indexes.includes(Number(shardOf(key).slice(2)))).toSorted();

test('a scan and a subscription of some shards', async () => {
  const { address } = await serve();
  const db = client([address]);
  const profiles = db.register<number>('profiles');
  for (const key of keys) await profiles.set(key, 1);

  const scanned: string[] = [];
  for await (const { key } of profiles.scan({ shards: ['1/1', '1/3'], pageSize: 4 })) scanned.push(key);
  expect(scanned.toSorted()).toEqual(inShards(1, 3));

  const followed: string[] = [];
  const subscription = db.subscribe({
    from: 'beginning',
    shards: ['1/2'],
    onEvents: ({ events }) => void followed.push(...events.map(({ key }) => key)),
  });
  await until(() => followed.length === inShards(2).length, 'all events of the shard');
  expect(followed.toSorted()).toEqual(inShards(2));
  subscription.close();
});

test('shards that are none are refused', async () => {
  const { address } = await serve();
  const db = client([address]);
  expect(() => db.subscribe({ shards: ['3'] })).toThrow('placement/index');
  await failure(db.scan('profiles', { shards: ['1/4'] }), 'INVALID_ARGUMENT');
  const subscription = db.subscribe({ from: 'beginning', shards: ['1/9'] });
  expect((await failure(subscription.done, 'INVALID_ARGUMENT')).message).toContain("'app' has shards 0 to 3; got 9");
});
