// Atomic writes through a node, and what keys are after a write.

import { describe, expect, test } from 'vitest';
import type { WriteOp, WriteResult } from '../../src/region/region.ts';
import { outcome, Pending, put, TestCluster, type TestRegion } from '../support/node-kit.ts';

function write(
  region: TestRegion,
  ops: readonly WriteOp[],
  more: { atomic?: boolean; valueBytesMax?: number } = { atomic: true },
): Pending<readonly WriteResult[]> {
  const pending = new Pending<readonly WriteResult[]>();
  region.node.write({ ops, durability: { kind: 'local' }, deadlineMs: 2000, ...more }, (results) =>
    pending.answer(results),
  );
  return pending;
}

const count = (key: string, by: bigint): WriteOp => ({
  namespace: 'shop',
  collection: 'counter-pn',
  key,
  intent: { kind: 'increment', by },
});

describe('an atomic write', () => {
  test('I1, I3: is there as a whole or not at all, here, elsewhere and after a crash', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'], shards: 4 });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    eu.hold();
    const ops = [put('cart/{anna}', 'empty'), put('order/{anna}/1', 'placed'), count('orders/{anna}', 1n)];
    const pending = write(eu, ops);
    await cluster.run(100);
    expect(pending.answers).toEqual([]);
    eu.release();
    await cluster.run(2000);
    expect(outcome(pending)).toBe('ok');
    const versions = pending.value!.map((result) => (result.ok ? result.version : undefined));
    expect(new Set(versions.map((version) => version?.origin)).size).toBe(1);
    expect(versions.map((version) => version!.seq - versions[0]!.seq)).toEqual([0, 1, 2]);
    for (const region of [eu, us]) {
      expect(region.text('register-lww', 'order/{anna}/1')).toBe('placed');
      expect(region.text('counter-pn', 'orders/{anna}')).toBe('1');
    }
    eu.crash();
    void eu.start();
    await cluster.run(5000);
    expect(eu.text('counter-pn', 'orders/{anna}')).toBe('1');
    expect(eu.digests()).toEqual(us.digests());
  });

  test('is refused as a whole, and every op says why', async () => {
    const cluster = await TestCluster.started({ shards: 4 });
    const eu = cluster.region('eu');
    expect(outcome(write(eu, [put('a/{t}', 'taken')]))).not.toBe('ok');
    await cluster.run(100);
    const pending = write(eu, [
      put('b/{t}', 'x'),
      put('a/{t}', 'x', { condition: { kind: 'absent' } }),
      put('c/{t}', 'x'),
    ]);
    expect(pending.value).toMatchObject([
      { ok: false, error: { code: 'PRECONDITION_FAILED', details: { failedOp: 1 }, outcome: 'not-applied' } },
      { ok: false, error: { code: 'PRECONDITION_FAILED' } },
      { ok: false, error: { code: 'PRECONDITION_FAILED', details: { failedOp: 1 } } },
    ]);
    await cluster.run(1000);
    expect(eu.text('register-lww', 'b/{t}')).toBeUndefined();
    expect(eu.text('register-lww', 'c/{t}')).toBeUndefined();
    expect(eu.node.status().counters.refused).toBe(3);
  });

  test('takes keys of one partition key only, also when others happen to share their shard', async () => {
    const cluster = await TestCluster.started({ shards: 1 });
    const eu = cluster.region('eu');
    for (const ops of [
      [put('a', '1'), put('b', '1')],
      [put('a/{t}', '1'), put('a/{u}', '1')],
      [put('a', '1'), count('a', 1n)],
    ]) {
      const pending = write(eu, ops);
      expect(outcome(pending)).toBe('INVALID_ARGUMENT');
      expect(pending.value![0]).toMatchObject({ error: { message: expect.stringMatching(/share a partition key/) } });
    }
    // One key needs no tag.
    expect(outcome(write(eu, []))).toBe('');
    const same = write(eu, [put('a', '1'), put('a', '2')]);
    await cluster.run(100);
    expect(outcome(same)).toBe('ok');
  });

  test('one op that cannot be routed takes the others along', async () => {
    const cluster = await TestCluster.started({ shards: 2 });
    const eu = cluster.region('eu');
    const pending = write(eu, [put('a/{t}', '1'), put('b/{t}', '1', { collection: 'nowhere' })]);
    expect(outcome(pending)).toBe('UNKNOWN_COLLECTION');
    await cluster.run(100);
    expect(eu.text('register-lww', 'a/{t}')).toBeUndefined();
  });

  test('I12: fits into one batch, or is too large', async () => {
    const cluster = await TestCluster.started({ limits: { batchOpsMax: 4, batchBytesMax: 1000 } });
    const eu = cluster.region('eu');
    const ops = (n: number, bytes: number): WriteOp[] =>
      Array.from({ length: n }, (_, i) => put(`${i}/{t}`, 'x'.repeat(bytes)));
    expect(outcome(write(eu, ops(5, 1)))).toBe('TOO_LARGE');
    expect(outcome(write(eu, ops(4, 251)))).toBe('TOO_LARGE');
    // What is open already goes ahead of it, in a batch of its own.
    eu.hold();
    const commits = eu.node.status().counters.commits;
    const before = eu.write([put('p', '1'), put('q', '1')]);
    const atomic = write(eu, ops(4, 250));
    eu.release();
    await cluster.run(100);
    expect([outcome(before), outcome(atomic)]).toEqual(['ok', 'ok']);
    expect(eu.node.status().counters.commits).toBe(commits + 2);
  });

  test('I1: whose log lost its answer is answered as unknown, all of it', async () => {
    const cluster = await TestCluster.started({});
    const eu = cluster.region('eu');
    eu.fault = () => 'lost';
    const pending = write(eu, [put('a/{t}', '1'), put('b/{t}', '1')]);
    await cluster.run(3000);
    expect(outcome(pending)).toBe('INDETERMINATE');
  });
});

describe('what keys are after a write', () => {
  const want = { valueBytesMax: 10_000 };

  test('is told per op as of that op, once it is durable', async () => {
    const cluster = await TestCluster.started({});
    const eu = cluster.region('eu');
    eu.hold();
    const pending = write(
      eu,
      [count('n', 2n), count('n', 3n), put('k', 'v'), put('k', '', { intent: { kind: 'delete' } }), put('', 'bad')],
      want,
    );
    await cluster.run(50);
    expect(pending.answers).toEqual([]);
    eu.release();
    await cluster.run(50);
    expect(pending.value).toMatchObject([
      { ok: true, after: { view: { type: 'counter-pn', value: 2n } } },
      { ok: true, after: { view: { value: 5n } } },
      { ok: true, after: { view: { value: Buffer.from('v') } } },
      { ok: true, after: { view: undefined } },
      { ok: false },
    ]);
    // Nobody asked.
    const plain = eu.write(count('n', 1n));
    await cluster.run(50);
    expect(plain.value![0]).not.toHaveProperty('after');
  });

  test('of an atomic write is what the whole has made, and of a retry what is there now', async () => {
    const cluster = await TestCluster.started({});
    const eu = cluster.region('eu');
    const ops = [
      { ...count('n', 1n), idempotency: { kind: 'key', key: 'one' } as const, issuedAtMs: 1 },
      { ...count('n', 1n), idempotency: { kind: 'key', key: 'two' } as const, issuedAtMs: 1 },
    ];
    const first = write(eu, ops, { atomic: true, ...want });
    await cluster.run(50);
    expect(first.value).toMatchObject([{ after: { view: { value: 2n } } }, { after: { view: { value: 2n } } }]);
    await cluster.run(50);
    const more = eu.write(count('n', 10n));
    const again = write(eu, ops, { atomic: true, ...want });
    await cluster.run(50);
    expect(outcome(more)).toBe('ok');
    expect(again.value).toMatchObject([
      { duplicate: true, after: { view: { value: 12n } } },
      { duplicate: true, after: { view: { value: 12n } } },
    ]);
  });

  test('I12: stops where there is no more room', async () => {
    const cluster = await TestCluster.started({});
    const eu = cluster.region('eu');
    const pending = write(eu, [put('a', 'x'.repeat(100)), put('b', 'x'.repeat(5000)), put('c', 'x')], {
      valueBytesMax: 1000,
    });
    await cluster.run(50);
    expect(pending.value!.map((result) => result.ok && result.after !== undefined)).toEqual([true, false, false]);
  });
});
