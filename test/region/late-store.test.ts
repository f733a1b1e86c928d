// A node whose store answers later: what waits for its keys, in which order, and what happens when the store is away or has lost them.

import { describe, expect, test } from 'vitest';
import type { CausewayError } from '../../src/errors/errors.ts';
import type { WriteOp } from '../../src/region/region.ts';
import { outcome, put, TestCluster, type TestRegion } from '../support/node-kit.ts';
import { textOf } from '../support/shard-kit.ts';

/** Nothing that the store has stays in memory by itself. */
const NO_CACHE = { stateCacheBytesMax: 0 };

function incr(key: string): WriteOp {
  return { namespace: 'shop', collection: 'counter-pn', key, intent: { kind: 'increment', by: 1n } };
}

async function text(cluster: TestCluster, region: TestRegion, key: string): Promise<string | undefined> {
  const read = region.read('register-lww', key);
  await cluster.until(() => read.answers.length > 0);
  const { value } = read;
  if (value === undefined || value instanceof Error) throw new Error(`no answer: ${String(value)}`);
  return textOf(value.views[0]);
}

async function counter(cluster: TestCluster, region: TestRegion, key: string): Promise<bigint | undefined> {
  const read = region.read('counter-pn', key);
  await cluster.until(() => read.answers.length > 0);
  const view = read.value instanceof Error ? undefined : read.value?.views[0];
  return view?.type === 'counter-pn' ? view.value : undefined;
}

/** Everything is in the store, and has left memory. */
async function forgotten(cluster: TestCluster, region: TestRegion): Promise<void> {
  await cluster.run(2000);
  for (let i = 0; i < 4; i++) await text(cluster, region, `nobody ${i}`);
}

describe('keys that are not in memory', () => {
  test('a write waits for them, and what comes behind it waits too', async () => {
    const cluster = await TestCluster.started({ lateStore: true, limits: NO_CACHE });
    const eu = cluster.region('eu');
    const first = eu.write([put('k', '1'), incr('n')]);
    await cluster.run(100);
    expect(outcome(first)).toBe('ok');
    await forgotten(cluster, eu);
    eu.heldStore = [];
    const writes = [eu.write(incr('n')), eu.write(put('k', '2')), eu.write(put('k', '3')), eu.write(incr('n'))];
    await cluster.run(300);
    expect(writes.map((write) => write.answers)).toEqual([[], [], [], []]);
    eu.releaseStore();
    await cluster.run(100);
    expect(writes.map(outcome)).toEqual(['ok', 'ok', 'ok', 'ok']);
    const seqs = writes.map(({ value }) => (value![0]!.ok ? value![0]!.version.seq : 0));
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    expect([await text(cluster, eu, 'k'), await counter(cluster, eu, 'n')]).toEqual(['3', 3n]);
  });

  test('with everything in memory nothing waits, whether the store answers or not', async () => {
    const cluster = await TestCluster.started({ lateStore: true });
    const eu = cluster.region('eu');
    eu.write([put('k', '1'), incr('n')]);
    await cluster.run(100);
    eu.heldStore = [];
    const write = eu.write([put('k', '2'), incr('n')]);
    await cluster.run(50);
    expect(outcome(write)).toBe('ok');
    expect(await text(cluster, eu, 'k')).toBe('2');
  });

  test('a write whose time is up is not made, and those behind it are', async () => {
    const cluster = await TestCluster.started({ lateStore: true, limits: NO_CACHE });
    const eu = cluster.region('eu');
    eu.heldStore = [];
    const hasty = eu.write(incr('n'), { deadlineMs: 200 });
    const patient = eu.write(incr('n'), { deadlineMs: 5000 });
    await cluster.run(500);
    expect(outcome(hasty)).toBe('DEADLINE_EXCEEDED');
    expect((hasty.value![0] as { error: CausewayError }).error.outcome).toBe('not-applied');
    expect(patient.answers).toEqual([]);
    eu.releaseStore();
    await cluster.run(100);
    expect(outcome(patient)).toBe('ok');
    expect(await counter(cluster, eu, 'n')).toBe(1n);
  });

  test('I12: what waits is counted as in flight, and more is refused', async () => {
    const cluster = await TestCluster.started({ lateStore: true, limits: { ...NO_CACHE, inFlightBytesMax: 2000 } });
    const eu = cluster.region('eu');
    eu.heldStore = [];
    const writes = Array.from({ length: 20 }, (_, i) => eu.write(put(`k${i}`, 'x'.repeat(100))));
    const refused = writes.filter((write) => outcome(write) === 'OVERLOADED').length;
    expect(refused).toBeGreaterThan(5);
    eu.releaseStore();
    await cluster.run(500);
    expect(writes.filter((write) => outcome(write) === 'ok')).toHaveLength(20 - refused);
  });

  test('I4: batches of a peer wait for theirs in the order of their stream', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'], lateStore: true, limits: NO_CACHE });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    us.write([put('k', '1'), incr('n')]);
    await forgotten(cluster, eu);
    eu.heldStore = [];
    for (let i = 2; i <= 6; i++) {
      us.write([put('k', `${i}`), incr('n')]);
      await cluster.run(20);
    }
    await cluster.run(200);
    expect(eu.node.status().shards[0]!.parkedBatches).toBe(0);
    eu.releaseStore();
    await cluster.run(1000);
    expect([await text(cluster, eu, 'k'), await counter(cluster, eu, 'n')]).toEqual(['6', 6n]);
    expect(eu.digests()).toEqual(us.digests());
  });
});

describe('a store that loses what it had', () => {
  test('I11: the shard is read again from its log, and nobody is shown anything else', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'], lateStore: true, limits: NO_CACHE });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    for (let i = 0; i < 20; i++) eu.write([put(`k${i}`, `${i}`), incr('n')]);
    await forgotten(cluster, eu);
    eu.storeDisk.flush();
    const read = eu.read('register-lww', 'k3');
    await cluster.run(100);
    expect((read.value as CausewayError).code).toBe('NOT_READY');
    await cluster.until(() => eu.node.ready());
    expect([await text(cluster, eu, 'k3'), await counter(cluster, eu, 'n')]).toEqual(['3', 20n]);
    await cluster.run(2000);
    expect(eu.digests()).toEqual(us.digests());
  });

  test('I11: it goes back to an older state: only what is behind that is read again', async () => {
    const cluster = await TestCluster.started({ lateStore: true, limits: NO_CACHE });
    const eu = cluster.region('eu');
    eu.write([put('k', 'old'), incr('n')]);
    await forgotten(cluster, eu);
    const image = eu.storeDisk.image();
    eu.write([put('k', 'new'), incr('n')]);
    await forgotten(cluster, eu);
    eu.storeDisk.goBack(image);
    await cluster.run(2000);
    await cluster.until(() => eu.node.ready());
    expect([await text(cluster, eu, 'k'), await counter(cluster, eu, 'n')]).toEqual(['new', 2n]);
  });

  test('a write that waits for it is told that it was not made', async () => {
    const cluster = await TestCluster.started({ lateStore: true, limits: NO_CACHE });
    const eu = cluster.region('eu');
    eu.write(incr('n'));
    await forgotten(cluster, eu);
    eu.heldStore = [];
    const write = eu.write(incr('n'));
    eu.storeDisk.flush();
    eu.releaseStore();
    await cluster.run(100);
    expect(outcome(write)).toBe('FENCED');
    await cluster.until(() => eu.node.ready());
    expect(await counter(cluster, eu, 'n')).toBe(1n);
  });
});
