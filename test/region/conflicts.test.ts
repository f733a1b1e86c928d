// The conflict journal of whole nodes: what is there after a crash, and giving a loser back.

import { describe, expect, test } from 'vitest';
import type { Version } from '../../src/record/ids.ts';
import type { Intent } from '../../src/merge/types.ts';
import type { Conflict, Restored, RestoreRequest, WriteOp, WriteResult } from '../../src/region/region.ts';
import type { CausewayError } from '../../src/errors/errors.ts';
import { ALL } from '../conflicts/support.ts';
import { outcome, Pending, put, TestCluster, type TestRegion } from '../support/node-kit.ts';

function journal(region: TestRegion): readonly Conflict[] {
  const pending = new Pending<readonly Conflict[] | CausewayError>();
  region.node.conflicts({ ...ALL, order: 'oldest' }, (page) =>
    pending.answer(page instanceof Error ? page : page.conflicts),
  );
  const { value } = pending;
  if (value === undefined || value instanceof Error) throw value ?? new Error('no answer');
  return value;
}

const summary = (conflicts: readonly Conflict[]): string[] =>
  conflicts.map(
    ({ key, field, loserValue }) => `${key}${field === undefined ? '' : `.${field}`}: ${String(loserValue)}`,
  );

/** A verdict that is given again has the time that the log tells. */
const timeless = (conflict: Conflict): Conflict => ({ ...conflict, atMs: 0 });

async function written(cluster: TestCluster, region: TestRegion, op: WriteOp): Promise<Version> {
  const write = region.write(op);
  await cluster.run(100);
  const result = write.value![0] as WriteResult;
  if (!result.ok) throw result.error;
  return result.version;
}

const change = (type: 'register-lww' | 'map-lww', key: string, intent: Intent): WriteOp => ({
  namespace: 'shop',
  collection: type,
  key,
  intent,
});

/** eu writes, us writes later without having seen it, and they meet: eu's write loses. */
async function inConflict(
  cluster: TestCluster,
  ...pairs: readonly (readonly [lost: WriteOp, won: WriteOp])[]
): Promise<Version[]> {
  cluster.cut('eu', 'us');
  const losers: Version[] = [];
  for (const [lost, won] of pairs) {
    losers.push(await written(cluster, cluster.region('eu'), lost));
    await written(cluster, cluster.region('us'), won);
  }
  cluster.cut('eu', 'us', false);
  await cluster.run(3000);
  return losers;
}

const two = (): Promise<TestCluster> => TestCluster.started({ regions: ['eu', 'us'] });

describe('the journal', () => {
  test('stands in the region of the loser alone, with what was lost', async () => {
    const cluster = await two();
    const [loser] = await inConflict(cluster, [put('k', 'mine'), put('k', 'theirs')]);
    expect(journal(cluster.region('us'))).toEqual([]);
    expect(journal(cluster.region('eu'))).toMatchObject([
      { key: 'k', loser, loserValue: Buffer.from('mine'), winner: { seq: 1 }, winnerDeletes: false, shard: '1/0' },
    ]);
  });

  test('are kept when the clock is set a year ahead, with peers to contradict it or alone, also over a restart', async () => {
    const cluster = await two();
    const eu = cluster.region('eu');
    await inConflict(cluster, [put('a', '1'), put('a', '2')]);
    const yearMs = 365 * 24 * 3_600_000;
    eu.clock.step(yearMs);
    await cluster.run(5000);
    expect(summary(journal(eu))).toEqual(['a: 1']);
    cluster.cut('eu', 'us');
    await cluster.run(5000);
    eu.crash();
    void eu.start();
    await cluster.run(5000);
    expect(summary(journal(eu))).toEqual(['a: 1']);
    eu.clock.step(-yearMs);
    cluster.cut('eu', 'us', false);
    await cluster.run(10_000);
    expect(summary(journal(eu))).toEqual(['a: 1']);
  });

  test('go when they are as old as they may be by a clock that a peer confirms, whatever stood on the wall', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'], limits: { conflictsKeepMs: 60_000 } });
    const eu = cluster.region('eu');
    await cluster.run(5000);
    await inConflict(cluster, [put('a', '1'), put('a', '2')]);
    await cluster.run(50_000);
    expect(summary(journal(eu))).toEqual(['a: 1']);
    await cluster.run(12_000);
    expect(summary(journal(eu))).toEqual([]);
  });

  test.each(['before its row is in the store', 'after that'])(
    'a crash %s: it is there once, at the same place',
    async (when) => {
      const cluster = await two();
      const eu = cluster.region('eu');
      if (when.startsWith('before')) eu.heldStore = [];
      await inConflict(cluster, [put('a', '1'), put('a', '2')], [put('b', '1'), put('b', '2')]);
      const before = journal(eu);
      expect(summary(before)).toEqual(['a: 1', 'b: 1']);
      eu.crash();
      void eu.start();
      await cluster.run(2000);
      const after = journal(eu);
      expect(after.map(timeless)).toEqual(before.map(timeless));
      // When it was judged again, the log says about when.
      after.forEach(({ atMs }, i) => expect(Math.abs(atMs - before[i]!.atMs)).toBeLessThanOrEqual(2000));
      expect(summary(journal(eu))).toEqual(['a: 1', 'b: 1']);
    },
  );

  test('I11: is judged anew from the log when the store proves nothing', async () => {
    const cluster = await two();
    const eu = cluster.region('eu');
    await inConflict(cluster, [put('a', '1'), put('a', '2')]);
    const before = journal(eu);
    eu.crash();
    eu.storeDisk.clear();
    void eu.start();
    await cluster.run(2000);
    expect(journal(eu).map(timeless)).toEqual(before.map(timeless));
  });

  /** Follows the stream of eu from cursor to cursor. */
  function follow(eu: TestRegion): { readonly told: string[]; readonly again: () => void } {
    const told: string[] = [];
    let cursor: Parameters<TestRegion['node']['watchConflicts']>[0]['start'] = 'beginning';
    const again = (): void => {
      eu.node.watchConflicts(
        { namespace: 'shop', collection: '', keyPrefix: '', start: cursor },
        {
          conflicts: (conflicts, moved, lost) => {
            told.push(...(lost ? ['lost'] : []), ...summary(conflicts));
            cursor = moved;
            return true;
          },
          failed: () => undefined,
        },
      );
    };
    again();
    return { told, again };
  }

  test('a reader of the stream is told everything once, through a crash', async () => {
    const cluster = await two();
    const eu = cluster.region('eu');
    const { told, again } = follow(eu);
    await inConflict(cluster, [put('a', '1'), put('a', '2')]);
    expect(told).toEqual(['a: 1']);
    eu.crash();
    void eu.start();
    again();
    await cluster.run(2000);
    await inConflict(cluster, [put('b', '1'), put('b', '2')]);
    expect(told).toEqual(['a: 1', 'b: 1']);
  });

  test('a reader of the stream is told that its place was lost with the log', async () => {
    const cluster = await two();
    const eu = cluster.region('eu');
    const { told, again } = follow(eu);
    await inConflict(cluster, [put('a', '1'), put('a', '2')]);
    await inConflict(cluster, [put('a', '3'), put('a', '4')]);
    eu.crash();
    eu.disk.wipe({ marker: false });
    eu.storeDisk.clear();
    void eu.start();
    again();
    await cluster.run(5000);
    expect(told.slice(0, 3)).toEqual(['a: 1', 'a: 3', 'lost']);
  });

  test('I12: is bounded, and counts what went', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'], limits: { conflictsMax: 1 } });
    await inConflict(cluster, [put('a', '1'), put('a', '2')], [put('b', '1'), put('b', '2')]);
    expect(summary(journal(cluster.region('eu')))).toEqual(['b: 1']);
    expect(cluster.region('eu').node.status().counters.conflicts).toBe(2);
  });
});

async function restore(
  cluster: TestCluster,
  loser: Version,
  more: Partial<RestoreRequest> = {},
): Promise<Restored | CausewayError> {
  const pending = new Pending<Restored | CausewayError>();
  const request = { shard: cluster.shards[0]!, loser, fields: [], force: false, deadlineMs: 1000, ...more };
  cluster.region('eu').node.restoreConflict(request, (restored) => pending.answer(restored));
  await cluster.run(2000);
  expect(pending.answers).toHaveLength(1);
  return pending.value!;
}

describe('restoring a loser', () => {
  test('writes its value again, everywhere, and is no conflict itself', async () => {
    const cluster = await two();
    const [loser] = await inConflict(cluster, [put('k', 'mine'), put('k', 'theirs')]);
    expect(await restore(cluster, loser!)).toMatchObject({
      conflicts: [{ key: 'k' }],
      version: { origin: loser!.origin },
    });
    for (const region of cluster.regions) expect(region.text('register-lww', 'k')).toBe('mine');
    expect(cluster.regions.flatMap((region) => journal(region))).toHaveLength(1);
    // It stands already: the winner is not the last word any more.
    expect(await restore(cluster, loser!)).toMatchObject({ code: 'PRECONDITION_FAILED' });
  });

  test('only while the winner is the last word, unless it is forced', async () => {
    const cluster = await two();
    const [loser] = await inConflict(cluster, [put('k', 'mine'), put('k', 'theirs')]);
    await written(cluster, cluster.region('us'), put('k', 'later'));
    await cluster.run(1000);
    const refused = (await restore(cluster, loser!)) as CausewayError;
    expect(refused).toMatchObject({ code: 'PRECONDITION_FAILED', outcome: 'not-applied' });
    expect(refused.message).toContain('shop/register-lww/k has been written since');
    expect(cluster.region('eu').text('register-lww', 'k')).toBe('later');
    await restore(cluster, loser!, { force: true });
    expect(cluster.region('us').text('register-lww', 'k')).toBe('mine');
  });

  test('a write that is still on its way to the log counts as written since', async () => {
    const cluster = await two();
    const eu = cluster.region('eu');
    const [loser] = await inConflict(cluster, [put('k', 'mine'), put('k', 'theirs')]);
    eu.hold();
    const late = eu.write(put('k', 'late'));
    expect(await restore(cluster, loser!)).toMatchObject({ code: 'PRECONDITION_FAILED' });
    eu.release();
    await cluster.run(100);
    expect(outcome(late)).toBe('ok');
  });

  test('what lost to a delete comes back, also when the tombstone has been collected', async () => {
    const cluster = await two();
    const [loser] = await inConflict(cluster, [put('k', 'mine'), change('register-lww', 'k', { kind: 'delete' })]);
    await cluster.run(5000);
    expect(journal(cluster.region('eu'))).toMatchObject([{ winnerDeletes: true }]);
    await restore(cluster, loser!);
    expect(cluster.region('us').text('register-lww', 'k')).toBe('mine');
  });

  test('a delete that lost deletes again', async () => {
    const cluster = await two();
    await written(cluster, cluster.region('eu'), put('k', 'old'));
    await cluster.run(1000);
    const [loser] = await inConflict(cluster, [change('register-lww', 'k', { kind: 'delete' }), put('k', 'theirs')]);
    await restore(cluster, loser!);
    expect(cluster.region('us').text('register-lww', 'k')).toBeUndefined();
  });

  test('fields of a map, all of them or one, and not where one has been written since', async () => {
    const cluster = await two();
    const fields = (...names: string[]) => names.map((field) => ({ field, value: Buffer.from(`${field} of eu`) }));
    const theirs = [
      { field: 'x', value: Buffer.from('us') },
      { field: 'y', value: Buffer.from('us') },
    ];
    const [loser] = await inConflict(cluster, [
      change('map-lww', 'm', { kind: 'map-update', put: fields('x', 'y', 'z'), remove: [] }),
      change('map-lww', 'm', { kind: 'map-update', put: theirs, remove: [] }),
    ]);
    expect(summary(journal(cluster.region('eu')))).toEqual(['m.x: x of eu', 'm.y: y of eu']);
    await restore(cluster, loser!, { fields: ['y'] });
    expect(cluster.region('us').text('map-lww', 'm')).toBe('x=us,y=y of eu,z=z of eu');
    expect(await restore(cluster, loser!)).toMatchObject({
      code: 'PRECONDITION_FAILED',
      message: expect.stringContaining('shop/map-lww/m (y)') as string,
    });
    await restore(cluster, loser!, { fields: ['x'] });
    expect(cluster.region('us').text('map-lww', 'm')).toBe('x=x of eu,y=y of eu,z=z of eu');
  });

  test('a loser that nobody knows, a region that takes no writes', async () => {
    const cluster = await two();
    const [loser] = await inConflict(cluster, [put('k', 'mine'), put('k', 'theirs')]);
    expect(await restore(cluster, { ...loser!, seq: 99 })).toMatchObject({ code: 'KEY_NOT_FOUND' });
    expect(await restore(cluster, loser!, { fields: ['none'] })).toMatchObject({ code: 'KEY_NOT_FOUND' });
    void cluster.region('eu').node.drain();
    expect(await restore(cluster, loser!)).toMatchObject({ code: 'DRAINING' });
  });

  test('a value that has expired since is not written for ever', async () => {
    const cluster = await two();
    const expiresAtMs = cluster.region('eu').clock.nowMs() + 1000;
    const lost: WriteOp = change('register-lww', 'k', { kind: 'put', value: Buffer.from('short'), expiresAtMs });
    const [loser] = await inConflict(cluster, [lost, put('k', 'theirs')]);
    expect(await restore(cluster, loser!, { force: true })).toMatchObject({
      code: 'PRECONDITION_FAILED',
      message: expect.stringContaining('expired at') as string,
    });
  });
});
