// A node, or a few, from the outside: what is refused, what is answered, when, and what is still there afterwards.

import { describe, expect, test } from 'vitest';
import { stampOfMs } from '../../src/clock/hlc.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import type { ShardId, Version } from '../../src/record/ids.ts';
import { shardOf } from '../../src/record/hash.ts';
import type { ReadResult, SessionToken, WriteResult } from '../../src/region/region.ts';
import { outcome, put, TestCluster, type Pending } from '../support/node-kit.ts';

function versionOf(pending: Pending<readonly WriteResult[]>, at = 0): Version {
  const result = pending.value?.[at];
  if (result?.ok !== true) throw new Error(`not written: ${outcome(pending)}`);
  return result.version;
}

function sessionOf(cluster: TestCluster, version: Version): SessionToken {
  return new Map([[cluster.shards[0]!, new Map([[version.origin, version.stamp]])]]);
}

describe('writes', () => {
  test('I1: are answered once, when the log has them', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    eu.hold();
    const write = eu.write(put('k', '1'));
    await cluster.run(100);
    expect(write.answers).toEqual([]);
    expect(eu.text('register-lww', 'k')).toBeUndefined();
    eu.release();
    await cluster.run(100);
    expect(outcome(write)).toBe('ok');
    expect(eu.text('register-lww', 'k')).toBe('1');
    eu.crash();
    void eu.start();
    await cluster.run(2000);
    expect(eu.text('register-lww', 'k')).toBe('1');
  });

  test('are refused with what was wrong, and the rest of the request goes on', async () => {
    const cluster = await TestCluster.started({ limits: { opsPerRequestMax: 5 } });
    const eu = cluster.region('eu');
    const write = eu.write([
      put('', 'x'),
      put('k'.repeat(2000), 'x'),
      put('k', 'x', { collection: 'nowhere' }),
      put('k', 'x', { intent: { kind: 'increment', by: 1n } }),
      put('good', 'x'),
    ]);
    await cluster.run(100);
    expect(write.value!.map((result) => (result.ok ? 'ok' : result.error.code))).toEqual([
      'INVALID_ARGUMENT',
      'TOO_LARGE',
      'UNKNOWN_COLLECTION',
      'WRONG_OPERATION',
      'ok',
    ]);
    const six = eu.write(Array.from({ length: 6 }, (_, i) => put(`k${i}`, 'x')));
    expect(outcome(six)).toBe('TOO_LARGE');
    expect(eu.write([]).value).toEqual([]);
  });

  test('tell at once of what may be tried again, while the rest of the request waits for the log', async () => {
    const cluster = await TestCluster.started({ shards: 2 });
    const eu = cluster.region('eu');
    const [own, moved] = cluster.shards as [ShardId, ShardId];
    const keyIn = (shard: ShardId): string => {
      for (let i = 0; ; i++) if (eu.node.shardFor('shop', 'register-lww', `k${i}`) === shard) return `k${i}`;
    };
    eu.ownership.set(moved, false);
    eu.hold();
    const failed: string[] = [];
    const write = eu.write([put(keyIn(own), 'x'), put(keyIn(moved), 'x')], { failed: ({ code }) => failed.push(code) });
    expect(failed).toEqual(['UNAVAILABLE']);
    expect(write.answers).toEqual([]);
    eu.release();
    await cluster.run(100);
    expect(outcome(write)).toBe('ok,UNAVAILABLE');
    expect(failed).toHaveLength(1);
  });

  test('I12: are refused early while more bytes wait for the log than may', async () => {
    const cluster = await TestCluster.started({ limits: { inFlightBytesMax: 1000 } });
    const eu = cluster.region('eu');
    eu.hold();
    const first = eu.write(put('k', 'x'.repeat(2000)));
    const second = eu.write(put('k', 'y'));
    expect(outcome(second)).toBe('OVERLOADED');
    eu.release();
    await cluster.run(100);
    expect(outcome(first)).toBe('ok');
  });

  test('before the start, while it drains and after the end nothing is taken', async () => {
    const cluster = new TestCluster();
    const eu = cluster.region('eu');
    void eu.start();
    expect(outcome(eu.write(put('k', 'x')))).toBe('NOT_READY');
    await cluster.run(2000);
    void eu.node.drain();
    expect(outcome(eu.write(put('k', 'x')))).toBe('DRAINING');
    await cluster.run(100);
    void eu.node.stop();
    expect(outcome(eu.write(put('k', 'x')))).toBe('DRAINING');
    expect(eu.read('register-lww', 'k').value).toMatchObject({ code: 'NOT_READY' });
  });

  test('I1: the deadline of a part in one shard says nothing of another shard', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'], shards: 2 });
    const eu = cluster.region('eu');
    cluster.cut('eu', 'us');
    const keyOf = (index: number): string => {
      for (let i = 0; ; i++) if (shardOf('shop', 'register-lww', `k${i}`, 1, 2) === `1/${index}`) return `k${i}`;
    };
    // Shard 0 lands and waits for us; shard 1's append is lost and its outcome unknown.
    eu.fault = (append) => (append.shard === '1/1' ? 'lost' : 'none');
    const write = eu.write([put(keyOf(0), 'x'), put(keyOf(1), 'x')], {
      durability: { kind: 'regions', n: 1 },
      deadlineMs: 500,
    });
    await cluster.run(1000);
    expect(write.answers).toHaveLength(1);
    expect(write.value!.map((result) => (result.ok ? 'ok' : result.error.code))).toEqual([
      'DURABILITY_NOT_REACHED',
      'INDETERMINATE',
    ]);
  });

  test('a part that reached what was asked for keeps its answer when another runs out of time', async () => {
    const cluster = await TestCluster.started({ shards: 2 });
    const eu = cluster.region('eu');
    eu.fault = (append) => (append.shard === '1/1' ? 'lost' : 'none');
    const ops = Array.from({ length: 8 }, (_, i) => put(`k${i}`, 'x'));
    const write = eu.write(ops, { deadlineMs: 300 });
    await cluster.run(1000);
    const codes = write.value!.map((result, i) => [
      shardOf('shop', 'register-lww', `k${i}`, 1, 2),
      result.ok ? 'ok' : result.error.code,
    ]);
    expect(new Set(codes.map((pair) => pair.join(' ')))).toEqual(new Set(['1/0 ok', '1/1 INDETERMINATE']));
  });

  test('deadlines come although the clock was set back', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    eu.hold();
    const write = eu.write(put('k', 'x'), { deadlineMs: 300 });
    eu.clock.step(-3_600_000);
    await cluster.run(500);
    expect(outcome(write)).toBe('INDETERMINATE');
    eu.release();
    await cluster.run(100);
    expect(write.answers).toHaveLength(1);
  });

  test('I1: of a request larger than a batch no op that was logged is called unwritten', async () => {
    const cluster = await TestCluster.started({ limits: { batchOpsMax: 3 } });
    const eu = cluster.region('eu');
    eu.hold();
    const write = eu.write(Array.from({ length: 4 }, (_, i) => put(`k${i}`, 'x')));
    // The first three are on their way to the log, the fourth stands in the open batch.
    eu.ownership.set(cluster.shards[0]!, false);
    expect(write.value!.map((result) => (result.ok ? 'ok' : result.error.code))).toEqual([
      'INDETERMINATE',
      'INDETERMINATE',
      'INDETERMINATE',
      'FENCED',
    ]);
  });

  test('I1: what may be in the log is not called refused because a later try was', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    eu.fault = () => 'lost-ack';
    const write = eu.write(put('k', 'x'));
    await cluster.run(10);
    eu.fault = undefined;
    eu.disk.setReadOnly('no space');
    await cluster.run(1000);
    expect(outcome(write)).toBe('INDETERMINATE');
    eu.disk.setReadOnly(undefined);
    await cluster.run(2000);
    expect(eu.text('register-lww', 'k')).toBe('x');
  });

  test('an unknown outcome is resolved by the same bytes: nothing is written twice', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    let faults: ('lost' | 'lost-ack' | 'late')[] = ['lost', 'lost-ack', 'late', 'lost'];
    eu.fault = () => faults.shift() ?? 'none';
    const writes = Array.from({ length: 20 }, (_, i) =>
      eu.write({ ...put('n', ''), collection: 'counter-pn', intent: { kind: 'increment', by: BigInt(i) } }),
    );
    await cluster.run(1000);
    faults = [];
    eu.disk.landLate();
    await cluster.run(1000);
    expect(writes.map(outcome)).toEqual(writes.map(() => 'ok'));
    expect(eu.text('counter-pn', 'n')).toBe('190');
  });

  test('READ_ONLY while there is no room, reads go on, and it comes back by itself', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const eu = cluster.region('eu');
    eu.write(put('k', '1'));
    await cluster.run(100);
    eu.disk.setReadOnly('no space');
    await cluster.run(1000);
    expect(outcome(eu.write(put('k', '2')))).toBe('READ_ONLY');
    expect(eu.text('register-lww', 'k')).toBe('1');
    expect(eu.node.ready()).toBe(true);
    cluster.region('us').write(put('k', '3'));
    await cluster.run(1000);
    expect(eu.text('register-lww', 'k')).toBe('1');
    eu.disk.setReadOnly(undefined);
    await cluster.until(() => eu.text('register-lww', 'k') === '3');
    const write = eu.write(put('k', '4'));
    await cluster.run(500);
    expect(outcome(write)).toBe('ok');
  });

  test('I4: who is answered may write again at once, also while a remote batch is being taken', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    eu.appendMs = 0;
    let answered = 0;
    const again = (): void => {
      eu.node.write({ ops: [put('mine', `${answered}`)], durability: { kind: 'local' }, deadlineMs: 5000 }, () => {
        answered++;
        if (answered < 200) again();
      });
    };
    again();
    for (let i = 0; i < 50; i++) {
      us.write(put(`k${i}`, 'x'));
      await cluster.run(0.3);
    }
    await cluster.run(1000);
    expect(answered).toBe(200);
    expect(eu.text('register-lww', 'k49')).toBe('x');
  });
});

describe('durability in other regions', () => {
  const durability = { kind: 'regions', n: 1 } as const;

  test('I1: is answered when so many others have it', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const write = cluster.region('eu').write(put('k', 'x'), { durability });
    await cluster.run(2);
    expect(write.answers).toEqual([]);
    await cluster.run(200);
    expect(outcome(write)).toBe('ok');
  });

  test('I1: says so when they are not reached by the deadline, and the write stays', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us', 'ap'] });
    const eu = cluster.region('eu');
    cluster.cut('eu', 'us');
    const write = eu.write(put('k', 'x'), { durability: { kind: 'regions', n: 2 }, deadlineMs: 300 });
    await cluster.run(1000);
    expect(outcome(write)).toBe('DURABILITY_NOT_REACHED');
    const [result] = write.value!;
    expect(result!.ok === false && result!.error.details).toEqual({ durableIn: 1 });
    expect(eu.text('register-lww', 'k')).toBe('x');
  });

  test('I1: a retry is promised no more than the first op has reached', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const eu = cluster.region('eu');
    cluster.cut('eu', 'us');
    const op = put('k', 'x', { idempotency: { kind: 'key', key: 'order-1' }, issuedAtMs: 1 });
    const first = eu.write(op, { deadlineMs: 300 });
    await cluster.run(500);
    const retry = eu.write(op, { durability, deadlineMs: 300 });
    await cluster.run(500);
    expect(outcome(retry)).toBe('DURABILITY_NOT_REACHED');
    cluster.cut('eu', 'us', false);
    const later = eu.write(op, { durability, deadlineMs: 20_000 });
    await cluster.until(() => later.answers.length > 0);
    expect(later.value).toMatchObject([{ ok: true, duplicate: true, version: versionOf(first) }]);
  });

  test('I1: holds over a runner that began anew: what peers have is known', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const eu = cluster.region('eu');
    const op = put('k', 'x', { idempotency: { kind: 'key', key: 'order-1' }, issuedAtMs: 1 });
    eu.write(op);
    await cluster.run(500);
    eu.disk.setReadOnly('no space');
    eu.write(put('k2', 'x'));
    await cluster.run(300);
    eu.disk.setReadOnly(undefined);
    await cluster.run(2000);
    const retry = eu.write(op, { durability, deadlineMs: 1000 });
    await cluster.run(1500);
    expect(outcome(retry)).toBe('ok');
  });
});

describe('sessions', () => {
  test('a causal read waits for what the session has seen, and no longer than it may', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    const write = us.write(put('k', 'x'));
    await cluster.run(1.5);
    const session = sessionOf(cluster, versionOf(write));
    expect(eu.text('register-lww', 'k')).toBeUndefined();
    const read = eu.read('register-lww', 'k', { kind: 'causal', session, allowStale: false });
    expect(read.answers).toEqual([]);
    await cluster.run(200);
    expect(read.value).toMatchObject({ stale: false, views: [{ type: 'register-lww' }] });
    cluster.cut('eu', 'us');
    const next = us.write(put('k', 'y'));
    await cluster.run(100);
    const ahead = sessionOf(cluster, versionOf(next));
    const expired = eu.read('register-lww', 'k', { kind: 'causal', session: ahead, allowStale: false }, 200);
    const stale = eu.read('register-lww', 'k', { kind: 'causal', session: ahead, allowStale: true }, 200);
    eu.clock.step(-100_000);
    await cluster.run(400);
    expect(expired.answers).toHaveLength(1);
    expect(expired.value).toMatchObject({ code: 'SESSION_BEHIND' });
    expect(stale.value).toMatchObject({ stale: true });
  });

  test('I5: what comes after a stamp beats it, also in a batch that was opened before', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    us.clock.step(1000);
    await cluster.run(1000);
    cluster.cut('eu', 'us');
    const seen = us.write(put('k', 'seen'));
    await cluster.run(10);
    const seenStamp = versionOf(seen).stamp;
    eu.hold();
    const under = eu.write(put('other', '1'));
    await cluster.run(1);
    const open = eu.write(put('other', '2'));
    const write = eu.write(put('k', 'later'), { seenStamp });
    eu.release();
    await cluster.run(100);
    expect([under, open].map(outcome)).toEqual(['ok', 'ok']);
    expect(versionOf(write).stamp).toBeGreaterThan(seenStamp);
    cluster.cut('eu', 'us', false);
    await cluster.until(() => us.text('register-lww', 'k') === 'later');
  });

  test('I5: a token from the future is refused and does not move the clock', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    const before = eu.node.clock.last;
    const session: SessionToken = new Map([[cluster.shards[0]!, new Map([[eu.liveOrigin(), before + 4096 * 60_000]])]]);
    expect(outcome(eu.write(put('k', 'x'), { session }))).toBe('SESSION_AHEAD');
    expect(eu.node.clock.last).toBe(before);
    // Who asked for no session is not refused for it, and its stamp stays where the clock is.
    const plain = eu.write(put('k', 'x'), { seenStamp: before + 4096 * 60_000 });
    await cluster.run(100);
    expect(versionOf(plain).stamp).toBeLessThan(before + 4096 * 30_000);
  });

  test('I5: a session that is a little too far ahead waits for the time to come', async () => {
    const cluster = await TestCluster.started({ maxSkewMs: 1000 });
    const eu = cluster.region('eu');
    await cluster.run(500);
    const seen = eu.write(put('k', 'seen'), { seenStamp: stampOfMs(eu.clock.nowMs() + 900) });
    await cluster.run(100);
    eu.clock.step(-300);
    const later = eu.write(put('k', 'later'), { session: sessionOf(cluster, versionOf(seen)), deadlineMs: 1000 });
    await cluster.run(50);
    expect(later.answers).toEqual([]);
    await cluster.run(400);
    expect(versionOf(later).stamp).toBeGreaterThan(versionOf(seen).stamp);
  });

  test('I4: a write waits for what its session has seen of its shard, and no longer than it may', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    await cluster.run(300);
    cluster.cut('eu', 'us');
    const question = us.write(put('k', 'question'));
    await cluster.run(50);
    const session = sessionOf(cluster, versionOf(question));
    let waiting = 0;
    const waits = (): void => void waiting++;
    const refused = eu.write(put('k', 'too early'), { session, deadlineMs: 200, waits });
    expect([refused.answers.length, waiting]).toEqual([0, 1]);
    // Its deadline is by the clock that nobody sets.
    eu.clock.step(-100_000);
    await cluster.run(300);
    eu.clock.step(100_000);
    expect(refused.value).toMatchObject([{ ok: false, error: { code: 'SESSION_BEHIND', outcome: 'not-applied' } }]);
    const first = eu.write(put('k', 'first'), { session, deadlineMs: 20_000 });
    const second = eu.write(put('k', 'second'), { session, deadlineMs: 20_000 });
    await cluster.run(100);
    cluster.cut('eu', 'us', false);
    await cluster.until(() => second.answers.length > 0);
    expect(versionOf(second).seq).toBe(versionOf(first).seq + 1);
    const own = eu.write(put('k', 'own'), { session: sessionOf(cluster, versionOf(second)), waits });
    await cluster.run(50);
    expect([outcome(own), waiting]).toEqual(['ok', 1]);
  });

  test('a write that waits is refused when its node drains', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    cluster.cut('eu', 'us');
    const seen = us.write(put('k', 'seen'));
    await cluster.run(50);
    const waiting = eu.write(put('k', 'x'), { session: sessionOf(cluster, versionOf(seen)) });
    expect(waiting.answers).toEqual([]);
    void eu.node.drain();
    expect(outcome(waiting)).toBe('DRAINING');
  });

  test('a session that has seen what no region holds is lost, also while it waits', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    cluster.cut('eu', 'us');
    us.write(put('k', 'first'));
    await cluster.run(100);
    const backup = us.disk.snapshot();
    const write = us.write(put('k', 'lost'));
    await cluster.run(100);
    const session = sessionOf(cluster, versionOf(write));
    // The disk of us goes back to before the write; nobody else has it.
    us.crash();
    us.disk.restore(backup);
    us.storeDisk.clear();
    // What was on the wire is gone too.
    await cluster.run(10_000);
    cluster.cut('eu', 'us', false);
    void us.start();
    await cluster.run(1);
    const waiting = eu.read('register-lww', 'k', { kind: 'causal', session, allowStale: false }, 60_000);
    await cluster.until(() => waiting.answers.length > 0, 60_000);
    expect(waiting.value).toMatchObject({ code: 'SESSION_LOST' });
    const later = eu.read('register-lww', 'k', { kind: 'causal', session, allowStale: true });
    expect(later.value).toMatchObject({ code: 'SESSION_LOST' });
  });

  test('I11: a causal read that waits while its shard begins anew is answered by what is there then', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    cluster.cut('eu', 'us');
    const write = us.write(put('k', 'x'));
    await cluster.run(100);
    const session = sessionOf(cluster, versionOf(write));
    const read = eu.read('register-lww', 'k', { kind: 'causal', session, allowStale: false }, 60_000);
    eu.disk.setReadOnly('no space');
    const refused = eu.write(put('mine', 'x'));
    await cluster.run(500);
    expect(outcome(refused)).toBe('READ_ONLY');
    eu.disk.setReadOnly(undefined);
    await cluster.run(1000);
    cluster.cut('eu', 'us', false);
    await cluster.until(() => read.answers.length > 0, 60_000);
    expect(read.value).toMatchObject({ stale: false });
    const [view] = (read.value as ReadResult).views;
    expect(view?.type === 'register-lww' && Buffer.from(view.value).toString()).toBe('x');
  });
});

describe('starting and ending', () => {
  test('I11: a region that lost its log says that it is behind until it holds what its members told it', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us', 'ap'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    for (let i = 0; i < 50; i++) eu.write(put(`k${i}`, `${i}`));
    await cluster.run(1000);
    eu.crash();
    eu.disk.wipe({ marker: false });
    eu.storeDisk.clear();
    void eu.start();
    await cluster.run(1);
    expect(eu.node.ready()).toBe(false);
    expect(eu.read('register-lww', 'k49').value).toMatchObject({ code: 'NOT_READY' });
    await cluster.until(() => eu.node.ready());
    expect(eu.text('register-lww', 'k49')).toBe('49');
    expect(eu.digests()).toEqual(us.digests());
  });

  test('I11: and does not forget it when its log is full for a while', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'], limits: { linkWindowBytes: 64 * 1024 } });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    for (let i = 0; i < 400; i++) {
      us.write(put(`k${i}`, 'x'.repeat(1000)));
      await cluster.run(1);
    }
    await cluster.run(1000);
    eu.crash();
    eu.disk.wipe({ marker: false });
    eu.storeDisk.clear();
    cluster.network.change('us', 'eu', { bytesPerMs: 100 });
    void eu.start();
    await cluster.until(() => eu.disk.shard(cluster.shards[0]!).tail > 20);
    eu.disk.setReadOnly('no space');
    await cluster.run(1000);
    eu.disk.setReadOnly(undefined);
    await cluster.until(() => {
      const { value } = eu.read('register-lww', 'k399');
      if (value instanceof CausewayError) return false;
      // Once it answers, it has everything.
      expect(value!.views[0]).toBeDefined();
      return true;
    });
  });

  test('I8: large batches of a peer follow each other at once, also where the log answers before append() returns', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    eu.appendMs = 0;
    const large = 'x'.repeat(600 * 1024);
    for (let i = 0; i < 4; i++) {
      us.write([put(`a${i}`, large), put(`b${i}`, large)]);
      await cluster.run(20);
    }
    // Before the next lease, which would land and count what has landed long ago.
    await cluster.until(() => eu.digests()[0] === us.digests()[0], 300);
  });

  test('I6, I12: a node that drains answers everybody, ends although others go on, and starts from a store it can trust', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    cluster.network.change('us', 'eu', { delayMs: 5 });
    const write = eu.write(put('k', 'x'), { durability: { kind: 'regions', n: 1 } });
    let drained = false;
    let busy = true;
    const traffic = (): void => {
      if (!busy) return;
      us.write(put('busy', `${cluster.scheduler.now}`));
      cluster.scheduler.after(0.5, traffic);
    };
    traffic();
    void cluster.scheduler.track(eu.node.drain(), eu.life).then(() => {
      drained = true;
    });
    await cluster.until(() => drained, 5000);
    busy = false;
    expect(outcome(write)).toBe('ok');
    const { cursor } = eu.storeDisk.shard(cluster.shards[0]!);
    expect(cursor).toBe(eu.disk.shard(cluster.shards[0]!).tail);
  });

  test('a drain that is overtaken by stop() resolves', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    eu.hold();
    const write = eu.write(put('k', 'x'));
    let drained = false;
    void cluster.scheduler.track(eu.node.drain(), eu.life).then(() => {
      drained = true;
    });
    await cluster.run(50);
    expect(drained).toBe(false);
    void eu.node.stop();
    await cluster.run(100);
    expect(drained).toBe(true);
    expect(outcome(write)).toBe('INDETERMINATE');
  });

  test('a runner begins anew only when the step of the one before has ended', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    const increment = { ...put('n', ''), collection: 'counter-pn', intent: { kind: 'increment', by: 1n } as const };
    eu.write(increment);
    await cluster.run(100);
    eu.heldStore = [];
    eu.write(increment);
    await cluster.run(50);
    eu.ownership.set(cluster.shards[0]!, false);
    eu.ownership.set(cluster.shards[0]!, true);
    await cluster.run(50);
    eu.releaseStore();
    await cluster.run(2000);
    expect(eu.notices.filter((notice) => notice.includes('another owner'))).toEqual([]);
    eu.write(increment);
    await cluster.run(100);
    expect(eu.text('counter-pn', 'n')).toBe('3');
    const [digest] = eu.digests();
    eu.crash();
    eu.storeDisk.clear();
    void eu.start();
    await cluster.run(2000);
    expect(eu.digests()).toEqual([digest]);
  });

  test('I11: a store is checkpointed while its node runs, so that loss of power costs no rebuild of what was quiet since', async () => {
    const cluster = await TestCluster.started({ regions: ['eu'] });
    const eu = cluster.region('eu');
    eu.write(put('k', 'x'));
    await cluster.run(1500);
    const [shard] = cluster.shards;
    const { cursor } = eu.storeDisk.shard(shard!);
    expect(cursor).toBeGreaterThan(0);
    await cluster.run(2500);
    eu.storeDisk.losePower();
    expect(eu.storeDisk.shard(shard!).cursor).toBe(cursor);
    eu.write(put('k', 'y'));
    await cluster.run(1500);
    eu.storeDisk.losePower();
    expect(eu.storeDisk.shard(shard!).cursor).toBe(0);
  });

  test('I12: a store that takes nothing stops peers and then clients, and all of it is made up for', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'], limits: { storeBacklogMax: 10 } });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    eu.storeDisk.failWrites('no');
    for (let i = 0; i < 100; i++) {
      us.write(put(`k${i}`, 'x'));
      await cluster.run(20);
    }
    await cluster.run(1000);
    expect(eu.node.figures().storeBacklogKeys).toBe(5);
    const mine = eu.write(Array.from({ length: 6 }, (_, i) => put(`mine${i}`, 'x')));
    await cluster.run(100);
    expect(outcome(mine)).toBe('ok');
    expect(outcome(eu.write(put('another', 'x')))).toBe('OVERLOADED');
    expect(eu.text('register-lww', 'k99')).toBeUndefined();
    eu.storeDisk.failWrites(undefined);
    await cluster.until(() => eu.text('register-lww', 'k99') === 'x');
    expect(eu.text('register-lww', 'mine5')).toBe('x');
  });

  test('I12: a store that is too slow for what peers send has room for clients too', async () => {
    const cluster = await TestCluster.started({
      regions: ['eu', 'us'],
      limits: { storeBacklogMax: 10, batchOpsMax: 1 },
    });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    eu.storeDisk.failWrites('no');
    for (let i = 0; i < 200; i++) us.write(put(`k${i}`, 'x'));
    const outcomes: unknown[] = [];
    for (let i = 0; i < 10; i++) {
      // One transaction in a second.
      await cluster.run(1000);
      const backlog = eu.node.figures().storeBacklogKeys;
      eu.storeDisk.failWrites(undefined);
      await cluster.until(() => eu.node.figures().storeBacklogKeys < backlog);
      eu.storeDisk.failWrites('no');
      await cluster.run(100);
      for (let j = 0; j < 3; j++) {
        const write = eu.write(put(`mine${i}.${j}`, 'x'));
        await cluster.run(50);
        outcomes.push(outcome(write));
      }
    }
    expect(outcomes).toEqual(Array(30).fill('ok'));
    expect(eu.text('register-lww', 'k20')).toBe('x');
    expect(eu.text('register-lww', 'k199')).toBeUndefined();
    eu.storeDisk.failWrites(undefined);
    await cluster.until(() => eu.text('register-lww', 'k199') === 'x');
  });

  test('I6, I11: a new log with what peers have sent, and no lease, is still a new log', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us', 'ap'], shards: 2 });
    const eu = cluster.region('eu');
    cluster.region('us').write(Array.from({ length: 8 }, (_, i) => put(`k${i}`, 'x')));
    await cluster.run(500);
    eu.crash();
    // A crash before eu had asked anybody: what us has sent is there, and nothing of its own.
    const image = eu.disk.snapshot();
    const shards = new Map([...image.shards]);
    const theirs = image.shards
      .get('1/1' as never)!
      .entries.filter(({ kind, bytes }) => kind === 'batch' && bytes[64] === 117);
    shards.set('1/1' as never, { start: 1, entries: theirs.map((entry, i) => ({ ...entry, offset: i + 1 })) });
    eu.disk.restore({ ...image, shards, proven: new Set([cluster.shards[0]!]) });
    eu.storeDisk.clear();
    cluster.region('us').crash();
    cluster.region('ap').crash();
    void eu.start();
    await cluster.run(30_000);
    expect(theirs.length).toBeGreaterThan(0);
    const writes = Array.from({ length: 8 }, (_, i) => eu.write(put(`k${i}`, 'x')));
    await cluster.run(100);
    // The other shard was asked about before, and goes on.
    for (const [i, write] of writes.entries()) {
      const shard = shardOf('shop', 'register-lww', `k${i}`, 1, 2);
      expect(`${shard} ${outcome(write)}`).toBe(shard === '1/0' ? '1/0 ok' : '1/1 NOT_READY');
    }
  });
});
