// Reads of the levels bounded and stable on whole nodes: what they wait for, what they answer, whom a refusal names.

import { describe, expect, test } from 'vitest';
import { msOfStamp } from '../../src/clock/hlc.ts';
import type { CausewayError } from '../../src/errors/errors.ts';
import type { Consistency, ReadResult } from '../../src/region/region.ts';
import { outcome, put, TestCluster, type Pending } from '../support/node-kit.ts';
import { textOf } from '../support/shard-kit.ts';

const STABLE: Consistency = { kind: 'stable' };
const bounded = (maxStaleMs: number): Consistency => ({ kind: 'bounded', maxStaleMs });

function answer(pending: Pending<ReadResult | CausewayError>): string | undefined {
  if (pending.answers.length !== 1) return `${pending.answers.length} answers`;
  const value = pending.value!;
  return value instanceof Error ? value.code : textOf(value.views[0]);
}

const three = (): Promise<TestCluster> => TestCluster.started({ regions: ['ap', 'eu', 'us'] });

describe('bounded', () => {
  test('answers at once when every region has promised lately, and says as of when', async () => {
    const cluster = await three();
    const eu = cluster.region('eu');
    cluster.region('us').write(put('k', 'from us'));
    await cluster.run(1000);
    const read = eu.read('register-lww', 'k', bounded(500));
    expect(answer(read)).toBe('from us');
    const { asOfStamp } = read.value as ReadResult;
    expect(eu.clock.nowMs() - msOfStamp(asOfStamp!)).toBeLessThanOrEqual(500);
  });

  test('I14: waits for a region that is away, and is refused with its name', async () => {
    const cluster = await three();
    const eu = cluster.region('eu');
    cluster.cut('eu', 'us');
    cluster.cut('ap', 'us');
    await cluster.run(2000);
    const late = eu.read('register-lww', 'k', bounded(1000), 700);
    const patient = eu.read('register-lww', 'k', bounded(1000), 60_000);
    expect(eu.read('register-lww', 'k', bounded(60_000)).answers).toHaveLength(1);
    await cluster.run(1000);
    expect(late.value).toMatchObject({
      code: 'CONSISTENCY_NOT_REACHED',
      retriable: true,
      details: { region: 'us', shard: '1/0', maxStaleMs: 1000 },
    });
    expect((late.value as CausewayError).message).toMatch(
      /at most 1000 ms behind every other region, and is \d{4} ms behind us/,
    );
    expect(patient.answers).toEqual([]);
    cluster.cut('eu', 'us', false);
    cluster.cut('ap', 'us', false);
    await cluster.run(5000);
    expect(answer(patient)).toBeUndefined();
    expect(patient.value).not.toBeInstanceOf(Error);
  });

  test('a region that was never heard of holds it back', async () => {
    const cluster = new TestCluster({ regions: ['ap', 'eu', 'us'] });
    void cluster.region('ap').start();
    void cluster.region('eu').start();
    await cluster.run(5000);
    const read = cluster.region('eu').read('register-lww', 'k', bounded(60_000), 500);
    await cluster.run(1000);
    expect(read.value).toMatchObject({ code: 'CONSISTENCY_NOT_REACHED', details: { region: 'us' } });
    expect((read.value as CausewayError).message).toContain('without any promise of us');
  });

  test('a region alone is never behind', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    eu.write(put('k', 'here'));
    await cluster.run(100);
    expect(answer(eu.read('register-lww', 'k', bounded(1)))).toBe('here');
  });
});

describe('stable', () => {
  test('answers when every region has passed the key, as of a stamp that includes it', async () => {
    const cluster = await three();
    const write = cluster.region('us').write(put('k', 'v'));
    await cluster.run(200);
    const read = cluster.region('eu').read('register-lww', 'k', STABLE, 5000);
    await cluster.run(2000);
    expect(answer(read)).toBe('v');
    const [result] = write.value!;
    expect(result).toMatchObject({ ok: true });
    if (result?.ok === true) expect((read.value as ReadResult).asOfStamp).toBeGreaterThanOrEqual(result.version.stamp);
  });

  test.each(['counter-pn', 'set-aw', 'register-mv', 'map-lww'] as const)('%s', async (type) => {
    const cluster = await three();
    const intents = {
      'counter-pn': { kind: 'increment', by: 3n },
      'set-aw': { kind: 'set-add', elements: [Buffer.from('e')] },
      'register-mv': { kind: 'put', value: Buffer.from('v') },
      'map-lww': { kind: 'map-update', put: [{ field: 'f', value: Buffer.from('v') }], remove: [] },
    } as const;
    const write = cluster.region('us').write(put('k', '', { collection: type, intent: intents[type] }));
    await cluster.run(1000);
    expect(outcome(write)).toBe('ok');
    const read = cluster.region('eu').read(type, 'k', STABLE, 5000);
    await cluster.run(2000);
    expect(answer(read)).toBe(cluster.region('us').text(type, 'k'));
  });

  test('during a partition: what was there before it is answered at once, what came since is refused', async () => {
    const cluster = await three();
    const eu = cluster.region('eu');
    eu.write(put('old', 'before'));
    await cluster.run(3000);
    cluster.cut('eu', 'us');
    cluster.cut('ap', 'us');
    await cluster.run(2000);
    eu.write(put('new', 'since'));
    await cluster.run(100);
    expect(answer(eu.read('register-lww', 'old', STABLE))).toBe('before');
    expect(answer(eu.read('register-lww', 'nothing', STABLE))).toBeUndefined();
    const refused = eu.read('register-lww', 'new', STABLE, 500);
    await cluster.run(1000);
    expect(refused.value).toMatchObject({ code: 'CONSISTENCY_NOT_REACHED', details: { region: 'us' } });
    expect((refused.value as CausewayError).message).toMatch(/new has changed since the last cut .* behind us/);
    const patient = eu.read('register-lww', 'new', STABLE, 60_000);
    cluster.cut('eu', 'us', false);
    cluster.cut('ap', 'us', false);
    await cluster.run(6000);
    expect(answer(patient)).toBe('since');
  });

  test('a key that is written faster than the cut follows is refused, not answered from beside it', async () => {
    const cluster = await three();
    const eu = cluster.region('eu');
    let read: ReturnType<typeof eu.read> | undefined;
    for (let i = 0; i < 40; i++) {
      eu.write(put('k', String(i)));
      await cluster.run(50);
      read ??= eu.read('register-lww', 'k', STABLE, 1500);
    }
    expect(answer(read!)).toBe('CONSISTENCY_NOT_REACHED');
    const calm = eu.read('register-lww', 'k', STABLE, 5000);
    await cluster.run(2000);
    expect(answer(calm)).toBe('39');
  });

  test('a value that has expired since the cut is still shown as of it', async () => {
    const cluster = await three();
    const eu = cluster.region('eu');
    const expiresAtMs = eu.clock.nowMs() + 4000;
    eu.write(put('k', '', { intent: { kind: 'put', value: Buffer.from('v'), expiresAtMs } }));
    await cluster.run(3000);
    cluster.cut('eu', 'us');
    cluster.cut('ap', 'us');
    await cluster.run(3000);
    expect(eu.text('register-lww', 'k')).toBeUndefined();
    expect(answer(eu.read('register-lww', 'k', STABLE))).toBe('v');
  });

  test('after a restart nothing is answered as of a cut that the log may have been past', async () => {
    const cluster = await three();
    const eu = cluster.region('eu');
    eu.write(put('k', 'v'));
    await cluster.run(3000);
    cluster.cut('eu', 'us');
    cluster.cut('ap', 'us');
    eu.crash();
    void eu.start();
    await cluster.run(3000);
    const read = eu.read('register-lww', 'k', STABLE, 500);
    await cluster.run(1000);
    expect(answer(read)).toBe('CONSISTENCY_NOT_REACHED');
    cluster.cut('eu', 'us', false);
    cluster.cut('ap', 'us', false);
    await cluster.run(5000);
    expect(answer(eu.read('register-lww', 'k', STABLE))).toBe('v');
  });
});
