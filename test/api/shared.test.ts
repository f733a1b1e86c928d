// What the Admin service says of a region of several nodes, and moving a shard.

import { expect, test } from 'vitest';
import { adminClient } from '../../src/client/index.ts';
import { shardId } from '../../src/record/ids.ts';
import { cleanup, failure, serve } from '../support/api.ts';

test('the status has what the other nodes say, and who owns what; of one that does not answer, why', async () => {
  const { region, address } = await serve();
  const admin = adminClient(address);
  cleanup(() => admin.close());
  expect(await admin.status()).toMatchObject({ others: [], owners: [] });
  region.told = {
    others: [
      { node: 'us-west-2', address: 'b:1', status: { ...region.status(), node: 'us-west-2', keys: 7 }, problem: '' },
      { node: 'us-west-3', address: 'c:1', status: undefined, problem: 'connection refused' },
    ],
    owners: [
      { shard: shardId(1, 0), owner: { node: 'us-west-2', address: 'b:1' }, pinned: 'us-west-2', loadPerS: 1200 },
      { shard: shardId(1, 1), owner: undefined, pinned: undefined, loadPerS: undefined },
    ],
  };
  const { node, others, owners } = await admin.status();
  expect(node).toBe('us-west-1');
  expect(others).toMatchObject([
    { node: 'us-west-2', address: 'b:1', problem: '', status: { node: 'us-west-2', keys: 7, others: [] } },
    { node: 'us-west-3', address: 'c:1', problem: 'connection refused', status: undefined },
  ]);
  expect(owners).toEqual([
    { shard: '1/0', node: 'us-west-2', address: 'b:1', pinned: 'us-west-2', loadPerS: 1200 },
    { shard: '1/1', node: '', address: '', pinned: undefined, loadPerS: undefined },
  ]);
  expect(await admin.moveShard('1/1', 'us-west-2')).toEqual({
    shard: '1/1',
    node: 'us-west-2',
    address: 'x:1',
    pinned: 'us-west-2',
    loadPerS: undefined,
    moved: true,
    region: 'us-west',
  });
  expect(await admin.moveShard('1/1', undefined)).toMatchObject({ node: 'home', pinned: undefined });
});

test('a shard is not moved where there is one node, nor what is no shard', async () => {
  const { address } = await serve();
  const admin = adminClient(address);
  cleanup(() => admin.close());
  await failure(admin.moveShard('1/1', 'x'), 'PRECONDITION_FAILED');
  expect((await failure(admin.moveShard('one', 'x'), 'INVALID_ARGUMENT')).message).toContain('1/3');
});
