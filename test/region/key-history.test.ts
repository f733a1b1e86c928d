// The history of a key: everything that was written to it, in every region's own order, with when it landed there.

import { describe, expect, test } from 'vitest';
import { CausewayError } from '../../src/errors/errors.ts';
import { msOfStamp } from '../../src/clock/hlc.ts';
import type { KeyChange, KeyHistory, HistoryPlace } from '../../src/region/region.ts';
import { put, TestCluster, type TestRegion } from '../support/node-kit.ts';

async function page(
  cluster: TestCluster,
  region: TestRegion,
  key: string,
  limit = 100,
  before?: HistoryPlace,
): Promise<KeyHistory> {
  let answer: KeyHistory | CausewayError | undefined;
  const request = { namespace: 'shop', collection: 'register-lww', key, limit, before };
  region.node.history(request, (history) => {
    answer = history;
  });
  await cluster.until(() => answer !== undefined);
  if (answer instanceof CausewayError) throw answer;
  return answer!;
}

/** All pages. */
async function all(cluster: TestCluster, region: TestRegion, key: string, limit?: number): Promise<KeyChange[]> {
  const changes: KeyChange[] = [];
  let before: HistoryPlace | undefined;
  do {
    const history = await page(cluster, region, key, limit, before);
    changes.push(...history.changes);
    before = history.next;
  } while (before !== undefined);
  return changes;
}

function valueOf({ op }: KeyChange): string {
  return op.kind === 'put' ? Buffer.from(op.value).toString() : op.kind;
}

test('every region tells every write, newest first, and who holds its own', async () => {
  const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
  const [eu, us] = [cluster.region('eu'), cluster.region('us')];
  for (const [region, value] of [
    [eu, '1'],
    [us, '2'],
    [eu, '3'],
  ] as const) {
    region.write([put('other', value), put('k', value), put('kk', value)]);
    await cluster.run(500);
  }
  for (const region of [eu, us]) {
    const history = await page(cluster, region, 'k');
    expect(history.changes.map(valueOf)).toEqual(['3', '2', '1']);
    expect(history.next).toBeUndefined();
    expect(history.logStart).toBe(1);
    expect(history.view).toMatchObject({ value: Buffer.from('3') });
    for (const { version, acknowledgedBy } of history.changes) {
      const own = version.origin.startsWith(`${region.id}~`);
      expect(acknowledgedBy).toEqual(own ? [region === eu ? 'us' : 'eu'] : []);
    }
  }
  const none = await page(cluster, eu, 'nothing');
  expect(none).toMatchObject({ changes: [], view: undefined });
});

describe('when a write landed', () => {
  test('to within milliseconds while the process has seen it', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    cluster.cut('eu', 'us');
    us.write(put('k', 'x'));
    await cluster.run(7000);
    cluster.cut('eu', 'us', false);
    await cluster.until(() => eu.text('register-lww', 'k') === 'x');
    const landedMs = eu.clock.nowMs();
    await cluster.run(5000);
    const [change] = (await page(cluster, eu, 'k')).changes;
    expect(change!.landedAfterMs).toBe(change!.landedBeforeMs);
    expect(Math.abs(change!.landedBeforeMs - landedMs)).toBeLessThan(20);
    expect(change!.landedBeforeMs - msOfStamp(change!.version.stamp)).toBeGreaterThan(6900);
  });

  test('and after a restart between two moments that the log knows, across pages too', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    const landed: number[] = [];
    for (let i = 0; i < 12; i++) {
      us.write(put('k', `${i}`));
      await cluster.until(() => eu.text('register-lww', 'k') === `${i}`);
      landed.push(eu.clock.nowMs());
      await cluster.run(1700);
    }
    eu.crash('all');
    void eu.start();
    await cluster.run(5000);
    const changes = await all(cluster, eu, 'k', 5);
    expect(changes.map(valueOf)).toEqual(Array.from({ length: 12 }, (_, i) => `${11 - i}`));
    for (const [i, change] of changes.toReversed().entries()) {
      expect(change.landedBeforeMs, valueOf(change)).toBeGreaterThanOrEqual(landed[i]! - 20);
      expect(change.landedAfterMs ?? 0, valueOf(change)).toBeLessThanOrEqual(landed[i]!);
      expect(change.landedBeforeMs - change.landedAfterMs!, valueOf(change)).toBeLessThan(2500);
    }
  });
});

test('pages part between batches, and all of them together tell each write once', async () => {
  const cluster = await TestCluster.started({ regions: ['eu', 'us'] });
  const eu = cluster.region('eu');
  for (let i = 0; i < 10; i++) {
    eu.write([put('k', `${i}a`), put('k', `${i}b`), put('k', `${i}c`)]);
    await cluster.run(50);
  }
  const whole = await all(cluster, eu, 'k');
  expect(whole.map(valueOf).slice(0, 4)).toEqual(['9c', '9b', '9a', '8c']);
  for (const limit of [1, 2, 4, 7]) expect(await all(cluster, eu, 'k', limit)).toEqual(whole);
});

test('a log longer than a window, and one that was trimmed', async () => {
  const cluster = await TestCluster.started({ regions: ['eu'] });
  const eu = cluster.region('eu');
  eu.appendMs = 0;
  for (let i = 0; i < 2600; i++) {
    const write = eu.write(put(i % 500 === 0 ? 'k' : 'other', `${i}`));
    // A batch each.
    while (write.answers.length === 0) await cluster.run(1);
  }
  const whole = await all(cluster, eu, 'k');
  expect(whole.map(valueOf)).toEqual(['2500', '2000', '1500', '1000', '500', '0']);
  const shard = cluster.shards[0]!;
  // Several windows, or this shows nothing.
  expect(eu.disk.shard(shard).tail).toBeGreaterThan(2100);
  eu.disk.trim(shard, whole[0]!.offset);
  const left = await page(cluster, eu, 'k');
  expect(left.changes.map(valueOf)).toEqual(['2500']);
  expect(left.logStart).toBeGreaterThan(1);
});

test('what is not there is refused as a read of it is', async () => {
  const cluster = await TestCluster.started({ regions: ['eu'] });
  const answers: (KeyHistory | CausewayError)[] = [];
  const request = { namespace: 'shop', collection: 'nowhere', key: 'k', limit: 1, before: undefined };
  cluster.region('eu').node.history(request, (answer) => answers.push(answer));
  expect(answers).toMatchObject([{ code: 'UNKNOWN_COLLECTION' }]);
});
