// What a node measures of its replication. I14: the lag is of what has arrived, so that no fault of a link or a log makes it small.

import { describe, expect, test } from 'vitest';
import { Exposition } from '../../src/metrics/exposition.ts';
import { exportNode } from '../../src/telemetry/node-metrics.ts';
import { put, TestCluster, type TestRegion } from '../support/node-kit.ts';

/** As a scrape has it: seconds by the text of the exposition. */
function scraped(region: TestRegion, sample: string): number {
  const into = new Exposition({});
  exportNode(into, region.node.figures(), region.node.ready());
  const line = into
    .text()
    .split('\n')
    .find((each) => each.startsWith(`${sample} `));
  if (line === undefined) throw new Error(`no ${sample} in\n${into.text()}`);
  return Number(line.slice(sample.length + 1).replace('+Inf', 'Infinity'));
}

const lagOf = (region: TestRegion, origin: string): number =>
  scraped(region, `causeway_replication_lag_seconds{origin="${origin}"}`);

describe('I14: the lag that is scraped', () => {
  test('is beyond every bound before anything of a region counts', async () => {
    const cluster = new TestCluster({ regions: ['eu', 'us'] });
    cluster.cut('eu', 'us');
    void cluster.region('eu').start();
    await cluster.run(5000);
    expect(lagOf(cluster.region('eu'), 'us')).toBe(Infinity);
  });

  test('grows second by second while a link is stalled, and is small again when it is not', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    await cluster.run(2000);
    expect(lagOf(eu, 'us')).toBeLessThan(1);
    cluster.cut('eu', 'us');
    for (let seconds = 10; seconds <= 60; seconds += 10) {
      await cluster.run(10_000);
      // What happens here, or there, makes nothing of it fresher.
      eu.write(put('k', `${seconds}`));
      us.write(put('k', `${seconds}`));
      expect(lagOf(eu, 'us')).toBeGreaterThan(seconds - 2);
      expect(lagOf(eu, 'us')).toBeLessThan(seconds + 2);
    }
    cluster.cut('eu', 'us', false);
    await cluster.until(() => lagOf(eu, 'us') < 1, 60_000);
  });

  test('grows while the log here is truncated and its peer is away, and does not begin at 0 after the restart', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    for (let i = 0; i < 20; i++) us.write(put(`k${i}`, 'x'));
    await cluster.run(3000);
    cluster.cut('eu', 'us');
    const shard = cluster.shards[0]!;
    eu.crash('all');
    // The last entries are gone, as after a restore of the day before; the store would know better, and is gone too.
    eu.disk.damage(shard, Math.floor(eu.disk.shard(shard).tail / 2));
    eu.storeDisk.clear();
    void eu.start();
    await cluster.run(10_000);
    expect(lagOf(eu, 'us')).toBeGreaterThan(9);
    await cluster.run(10_000);
    expect(lagOf(eu, 'us')).toBeGreaterThan(19);
    cluster.cut('eu', 'us', false);
    await cluster.until(() => lagOf(eu, 'us') < 1, 60_000);
    expect(eu.digests()).toEqual(us.digests());
  });

  test('grows while the log of the other region is made anew, until what it lost is back', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    us.write(put('k', 'x'));
    await cluster.run(3000);
    us.crash('all');
    us.disk.wipe({ marker: true });
    us.storeDisk.clear();
    await cluster.run(10_000);
    expect(lagOf(eu, 'us')).toBeGreaterThan(9);
    // It comes back with nothing, and its log takes nothing: it beats, and promises nothing.
    us.hold();
    void us.start();
    await cluster.run(10_000);
    expect(lagOf(eu, 'us')).toBeGreaterThan(19);
    us.release();
    await cluster.until(() => lagOf(eu, 'us') < 1, 60_000);
    expect(us.text('register-lww', 'k')).toBe('x');
  });
});

test('the backlog towards a peer that is away, in ops and about how many bytes', async () => {
  const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
  const eu = cluster.region('eu');
  await cluster.run(2000);
  const before = scraped(eu, 'causeway_replication_backlog_ops{peer="us"}');
  cluster.cut('eu', 'us');
  for (let i = 0; i < 50; i++) {
    eu.write(put(`k${i}`, 'x'.repeat(1000)));
    await cluster.run(20);
  }
  await cluster.run(1000);
  expect(before).toBe(0);
  expect(scraped(eu, 'causeway_replication_backlog_ops{peer="us"}')).toBe(50);
  const bytes = scraped(eu, 'causeway_replication_backlog_bytes{peer="us"}');
  expect(bytes).toBeGreaterThan(40_000);
  expect(bytes).toBeLessThan(70_000);
  cluster.cut('eu', 'us', false);
  await cluster.until(() => scraped(eu, 'causeway_replication_backlog_ops{peer="us"}') === 0, 60_000);
});

test('a restart forgets nothing of the backlog: what is not known has no sample', async () => {
  const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
  const eu = cluster.region('eu');
  await cluster.run(2000);
  cluster.cut('eu', 'us');
  for (let i = 0; i < 5; i++) eu.write(put(`k${i}`, 'x'));
  await cluster.run(1000);
  eu.crash('all');
  void eu.start();
  await cluster.run(5000);
  expect(eu.node.figures().peers[0]!.backlogOps).toBeUndefined();
  expect(eu.node.status().peers[0]!.unacknowledgedOps).toBeUndefined();
  cluster.cut('eu', 'us', false);
  await cluster.until(() => eu.node.figures().peers[0]!.backlogOps === 0, 60_000);
});

test('ops of another region are counted one by one, with their lag', async () => {
  const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
  const [eu, us] = [cluster.region('eu'), cluster.region('us')];
  const before = eu.node.figures().peers[0]!;
  const counted = before.opLagSeconds.count;
  us.write(Array.from({ length: 30 }, (_, i) => put(`k${i}`, 'x')));
  await cluster.run(1000);
  const after = eu.node.figures().peers[0]!;
  expect(after.appliedOps - before.appliedOps).toBe(30);
  expect(after.opLagSeconds.count - counted).toBe(30);
  expect(after.received.raw).toBeGreaterThan(0);
  expect(us.node.figures().peers[0]!.sent.raw).toBeGreaterThan(0);
});

test('equal regions have equal digests and vectors, as far as a metric shows them', async () => {
  const cluster = await TestCluster.started({ regions: ['eu', 'us'], shards: 4 });
  const [eu, us] = [cluster.region('eu'), cluster.region('us')];
  for (let i = 0; i < 20; i++) eu.write(put(`k${i}`, `${i}`));
  await cluster.run(3000);
  expect(eu.node.figures().shards).toEqual(us.node.figures().shards);
  cluster.cut('eu', 'us');
  eu.write(put('k1', 'other'));
  await cluster.run(1000);
  expect(eu.node.figures().shards).not.toEqual(us.node.figures().shards);
  for (const { digest, vectorHash } of eu.node.figures().shards) {
    expect(Number.isSafeInteger(digest) && Number.isSafeInteger(vectorHash)).toBe(true);
  }
});

test('links that end, conflicts by type, origins that are held', async () => {
  const cluster = await TestCluster.started({ regions: ['eu', 'us'], maxSkewMs: 500 });
  const [eu, us] = [cluster.region('eu'), cluster.region('us')];
  await cluster.run(2000);
  expect(scraped(eu, 'causeway_link_state{peer="us",state="up"}')).toBe(1);
  cluster.cut('eu', 'us');
  eu.write(put('k', 'eu'));
  us.write(put('k', 'us'));
  await cluster.run(10_000);
  expect(scraped(eu, 'causeway_link_state{peer="us",state="up"}')).toBe(0);
  expect(scraped(eu, 'causeway_link_drops_total{peer="us"}')).toBe(1);
  cluster.cut('eu', 'us', false);
  await cluster.run(10_000);
  const conflicts = [eu, us].map((region) => scraped(region, 'causeway_conflicts_total{type="register-lww"}'));
  expect(conflicts[0]! + conflicts[1]!).toBe(1);
  us.clock.step(5000);
  us.write(put('k', 'from the future'));
  await cluster.until(() => scraped(eu, 'causeway_origins_held{kind="clock"}') > 0, 5000);
  expect(scraped(eu, 'causeway_clock_skew_seconds{peer="us"}')).toBeGreaterThan(0.5);
  expect(scraped(eu, 'causeway_alarms{alarm="clock-hold"}')).toBe(1);
});

test('ops of a shard are counted where they land, those of the other region too', async () => {
  const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
  const [eu, us] = [cluster.region('eu'), cluster.region('us')];
  const shard = cluster.shards[0]!;
  expect(cluster.shards).toHaveLength(1);
  for (let i = 0; i < 7; i++) eu.write(put(`e${i}`, 'x'));
  for (let i = 0; i < 5; i++) us.write(put(`u${i}`, 'x'));
  await cluster.until(() => us.node.opsLanded(shard) === 12 && eu.node.opsLanded(shard) === 12, 10_000);
});
