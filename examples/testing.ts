// A program's own tests against regions in memory: `node --import tsx --test examples/testing.ts`, or with any other test runner.
// Nothing to install and nothing to start: the cluster lives in the test's process.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Causeway } from 'causeway/client';
import { startCluster, type TestCluster } from 'causeway/testing';

/** What is to be tested: a cart that two devices may fill at the same time, each in the region next to it. */
async function addToCart(causeway: Causeway, user: string, item: string): Promise<void> {
  await causeway.set('carts').add(user, item);
}

let cluster: TestCluster;

before(async () => {
  cluster = await startCluster({ regions: ['eu', 'us'], collections: { carts: 'set-aw' } });
});

after(() => cluster.close());

test('items that were put in on both sides of a partition are all there afterwards', async () => {
  const [eu, us] = [cluster.client('eu'), cluster.client('us')];
  await addToCart(eu, 'anna', 'tea');
  await cluster.converged();

  cluster.partition('eu', 'us');
  await addToCart(eu, 'anna', 'milk');
  await addToCart(us, 'anna', 'sugar');
  assert.deepEqual(await us.set('carts').members('anna'), ['sugar', 'tea']);

  cluster.heal();
  await cluster.converged();
  for (const region of [eu, us]) {
    assert.deepEqual(await region.set('carts').members('anna'), ['milk', 'sugar', 'tea']);
  }
});

test('a client goes on in the other region when its own dies', async () => {
  const causeway = cluster.client(['eu', 'us']);
  await addToCart(causeway, 'ben', 'bread');
  await cluster.converged();
  cluster.kill('eu');
  assert.deepEqual(await causeway.set('carts').members('ben'), ['bread']);
  assert.equal(causeway.endpoint()?.region, 'us');
  await cluster.restart('eu');
});
