// A node whose store answers later: what waits for its keys, in which order, and what happens when the store is away or has lost them.

import { describe, expect, test } from 'vitest';
import type { CausewayError } from '../../src/errors/errors.ts';
import type { Consistency, WriteOp } from '../../src/region/region.ts';
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

describe('a peer that sends more than the store answers for', () => {
  const MIB = 1024 * 1024;
  const LIMITS = { ...NO_CACHE, linkWindowBytes: 4 * MIB, inFlightBytesMax: 256 * MIB };

  test('I12: its batches wait up to a bound, beyond it at the source; and all of them come', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'], lateStore: true, limits: LIMITS });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    eu.heldStore = [];
    const value = 'x'.repeat(MIB / 2);
    let most = 0;
    for (let i = 0; i < 80; i++) {
      us.write(put(`k${i}`, value));
      await cluster.run(20);
      most = Math.max(most, eu.node.figures().inFlightBytes);
    }
    expect(most).toBeGreaterThan(15 * MIB);
    expect(most).toBeLessThan(18 * MIB);
    eu.releaseStore();
    await cluster.until(() => eu.digests()[0] === us.digests()[0], 20_000);
    expect(await text(cluster, eu, 'k79')).toBe(value);
    expect(eu.node.figures().inFlightBytes).toBe(0);
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

describe('a store that is away', () => {
  const away = (region: TestRegion): boolean =>
    region.node.status().alarms.some(({ code, message }) => code === 'store-away' && message.includes('memory'));

  /** One region whose store has stood still for longer than it may; `hot` is in memory. */
  async function stoodStill(): Promise<{ cluster: TestCluster; eu: TestRegion }> {
    const cluster = await TestCluster.started({ lateStore: true });
    const eu = cluster.region('eu');
    eu.write(put('hot', '1'));
    await cluster.run(2000);
    eu.heldStore = [];
    await cluster.run(2000);
    return { cluster, eu };
  }

  test('is told of within two seconds, also when nobody asks, and when it is over', async () => {
    const cluster = await TestCluster.started({ lateStore: true });
    const eu = cluster.region('eu');
    eu.write(put('k', '1'));
    await cluster.run(2000);
    const quiet = eu.notices.length;
    eu.heldStore = [];
    await cluster.run(900);
    expect([away(eu), eu.node.status().alarms]).toEqual([false, []]);
    await cluster.run(900);
    expect(away(eu)).toBe(true);
    const [alarm] = eu.node.status().alarms;
    expect(alarm!.sinceMs).toBeGreaterThan(eu.clock.nowMs() - 1900);
    expect(alarm!.sinceMs).toBeLessThan(eu.clock.nowMs() - 1000);
    expect(eu.node.figures().storeSilentMs).toBeGreaterThanOrEqual(1000);
    // What is in memory is served.
    expect(eu.node.ready()).toBe(true);
    await cluster.run(3000);
    eu.releaseStore();
    await cluster.run(100);
    expect([eu.node.status().alarms, eu.node.figures().storeSilentMs]).toEqual([[], 0]);
    expect(eu.notices.slice(quiet)).toEqual([
      expect.stringContaining('does not answer') as string,
      'the store answers again',
    ]);
  });

  test('what waits for it is refused as not written, and what comes later at once; keys in memory go on', async () => {
    const cluster = await TestCluster.started({ lateStore: true });
    const eu = cluster.region('eu');
    eu.write(put('hot', '1'));
    await cluster.run(2000);
    eu.heldStore = [];
    const failures: CausewayError[] = [];
    const waits = eu.write(put('cold', '1'), { deadlineMs: 30_000, failed: (error) => failures.push(error) });
    // Behind it: of the same stream it may be.
    const behind = eu.write(put('hot', '2'), { deadlineMs: 30_000, failed: (error) => failures.push(error) });
    const read = eu.read('register-lww', 'cold', { kind: 'local' }, 30_000);
    await cluster.run(900);
    expect([waits.answers, behind.answers, read.answers]).toEqual([[], [], []]);
    await cluster.run(200);
    expect([outcome(waits), outcome(behind)]).toEqual(['STORE_AWAY', 'STORE_AWAY']);
    expect(failures.map(({ retriable, outcome: what }) => [retriable, what])).toEqual([
      [true, 'not-applied'],
      [true, 'not-applied'],
    ]);
    expect((read.value as CausewayError).code).toBe('STORE_AWAY');
    const asked = eu.heldStore.length;
    const writes = [
      eu.write(put('cold', '3')),
      eu.write([put('hot', '3'), put('cold', '3')]),
      eu.write(put('hot', '4')),
    ];
    expect(writes.slice(0, 2).map(outcome)).toEqual(['STORE_AWAY', 'STORE_AWAY']);
    expect((eu.read('register-lww', 'cold').value as CausewayError).code).toBe('STORE_AWAY');
    // I12: what is refused leaves nothing behind.
    expect(eu.heldStore.length).toBe(asked);
    await cluster.run(100);
    expect(outcome(writes[2]!)).toBe('ok');
    expect(eu.text('register-lww', 'hot')).toBe('4');
    eu.releaseStore();
    await cluster.run(100);
    expect(outcome(eu.write(put('cold', '5')))).toBe('0 answers');
    await cluster.run(100);
    expect([await text(cluster, eu, 'cold'), await text(cluster, eu, 'hot')]).toEqual(['5', '4']);
    // Nothing that was refused has been written.
    expect(eu.node.status().shards[0]!.origins.find(({ origin }) => origin === eu.liveOrigin())!.seq).toBe(3);
  });

  test('reads of every level, scans and histories say so at once', async () => {
    const { eu } = await stoodStill();
    const codes: string[] = [];
    const told = (result: unknown): void =>
      void codes.push(result instanceof Error ? (result as CausewayError).code : 'ok');
    const levels: Consistency[] = [
      { kind: 'local' },
      { kind: 'causal', session: new Map(), allowStale: false },
      { kind: 'bounded', maxStaleMs: 60_000 },
      { kind: 'stable' },
    ];
    for (const consistency of levels) {
      told(eu.read('register-lww', 'cold', consistency).value);
      const range = { namespace: 'shop', collection: 'register-lww', prefix: '', limit: 10, bytesMax: 10_000 };
      eu.node.scan({ ...range, consistency, deadlineMs: 1000 }, told);
    }
    expect(codes).toEqual(Array.from({ length: 8 }, () => 'STORE_AWAY'));
    for (const consistency of levels.slice(0, 3))
      expect(eu.read('register-lww', 'hot', consistency).value).not.toBeInstanceOf(Error);
  });

  test('I8: batches of peers wait for it, and a write here goes past them', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'], lateStore: true });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    eu.write(put('hot', '1'));
    await cluster.run(2000);
    eu.heldStore = [];
    us.write(put('cold', 'of us'));
    await cluster.run(2000);
    const write = eu.write(put('hot', '2'));
    await cluster.run(100);
    expect(outcome(write)).toBe('ok');
    eu.releaseStore();
    await cluster.run(2000);
    expect(await text(cluster, eu, 'cold')).toBe('of us');
    expect(eu.digests()).toEqual(us.digests());
  });

  test('what is behind a bound because of it is refused for it, and not as load', async () => {
    const cluster = await TestCluster.started({ lateStore: true, limits: { storeBacklogMax: 5 } });
    const eu = cluster.region('eu');
    for (let i = 0; i < 10; i++) eu.write(put(`k${i}`, '1'));
    await cluster.run(2000);
    eu.heldStore = [];
    await cluster.run(2000);
    // One step is under way, and what comes behind it is the backlog.
    for (const value of ['2', '3']) {
      for (let i = 0; i < 10; i++) eu.write(put(`k${i}`, value));
      await cluster.run(2000);
    }
    expect(outcome(eu.write(put('k0', '4')))).toBe('STORE_AWAY');
  });

  test('a process that stood still itself does not take the store for away', async () => {
    const cluster = await TestCluster.started({ lateStore: true, limits: NO_CACHE });
    const eu = cluster.region('eu');
    eu.write(put('k', '1'));
    await forgotten(cluster, eu);
    const write = eu.write(put('k', '2'), { deadlineMs: 30_000 });
    cluster.scheduler.pause(eu.life);
    await cluster.run(5000);
    cluster.scheduler.resume(eu.life);
    await cluster.run(200);
    expect([outcome(write), eu.notices.filter((notice) => notice.includes('does not answer'))]).toEqual(['ok', []]);
  });

  test('a question that it will never answer is none that it is away for', async () => {
    const cluster = await TestCluster.started({ lateStore: true });
    const eu = cluster.region('eu');
    eu.write(put('hot', '1'));
    await cluster.run(2000);
    const { store } = eu;
    const getMany = store.getMany.bind(store);
    // As one that is asked while it looks for what it has lost.
    store.getMany = () => undefined;
    const read = eu.read('register-lww', 'cold');
    store.getMany = getMany;
    await cluster.run(5000);
    expect([read.answers, eu.node.status().alarms]).toEqual([[], []]);
    expect(eu.node.figures().storeSilentMs).toBeLessThan(1000);
  });

  test('a status that is asked for while a shard begins leaves no question behind', async () => {
    const cluster = await TestCluster.started({ lateStore: true });
    const eu = cluster.region('eu');
    eu.write(put('k', '1'));
    await cluster.run(2000);
    const { store } = eu;
    const scan = store.scan.bind(store);
    let scans = 0;
    store.scan = (...args) => {
      if (!eu.node.ready()) scans++;
      scan(...args);
    };
    eu.heldStore = [];
    eu.node.storeLost(cluster.shards[0]!, 'a test');
    await cluster.run(500);
    eu.node.status();
    expect([scans, eu.node.ready()]).toEqual([0, false]);
    eu.releaseStore();
    await cluster.until(() => eu.node.ready());
  });

  test('a shard that begins while it is away says so', async () => {
    const { cluster, eu } = await stoodStill();
    eu.node.storeLost(cluster.shards[0]!, 'a test');
    expect(eu.node.ready()).toBe(false);
    await cluster.run(2000);
    expect([away(eu), eu.node.ready()]).toEqual([true, false]);
    eu.releaseStore();
    await cluster.until(() => eu.node.ready());
    await cluster.run(100);
    expect(eu.node.status().alarms).toEqual([]);
    expect(await text(cluster, eu, 'hot')).toBe('1');
  });
});
