// What a local read may lack, as a node says it itself: by promises that arrived, so that a silence makes it grow (I14).

import { expect, test } from 'vitest';
import { put, TestCluster } from '../support/node-kit.ts';

const NAMESPACE = put('k', 'x').namespace;

test('I14: alone nothing can be missing; of a namespace that is not there nothing is said', async () => {
  const cluster = await TestCluster.started({ regions: ['eu'] });
  const { node } = cluster.region('eu');
  expect(node.stalenessMs(NAMESPACE)).toBe(0);
  expect(node.stalenessMs('nowhere')).toBeUndefined();
});

test('I14: while nothing was heard of a member it is unknown', async () => {
  const cluster = new TestCluster({ regions: ['eu', 'us'] });
  cluster.cut('eu', 'us');
  const eu = cluster.region('eu');
  void eu.start();
  await cluster.run(5000);
  expect(eu.node.stalenessMs(NAMESPACE)).toBeUndefined();
});

test('I14: it stays small while members are heard, grows as long as one is not, and shrinks again', async () => {
  const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
  const { node } = cluster.region('eu');
  await cluster.run(2000);
  expect(node.stalenessMs(NAMESPACE)).toBeLessThan(1000);
  cluster.cut('eu', 'us');
  await cluster.run(30_000);
  const apart = node.stalenessMs(NAMESPACE)!;
  expect(apart).toBeGreaterThan(25_000);
  // Own writes make nothing fresher.
  cluster.region('eu').write(put('k', '1'));
  await cluster.run(5000);
  expect(node.stalenessMs(NAMESPACE)).toBeGreaterThan(apart);
  cluster.cut('eu', 'us', false);
  await cluster.until(() => node.stalenessMs(NAMESPACE)! < 1000, 60_000);
});
