// Scans of a whole node: order over shards, pages, and what the store does not have yet.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { msOfStamp } from '../../src/clock/hlc.ts';
import type { CausewayError } from '../../src/errors/errors.ts';
import type { ScanRequest, ScanResult, SessionToken } from '../../src/region/region.ts';
import { outcome, Pending, put, TestCluster, type TestRegion } from '../support/node-kit.ts';

function ask(region: TestRegion, more: Partial<ScanRequest> = {}): Pending<ScanResult | CausewayError> {
  const pending = new Pending<ScanResult | CausewayError>();
  region.node.scan(
    {
      namespace: 'shop',
      collection: 'register-lww',
      prefix: '',
      limit: 100,
      bytesMax: 1 << 20,
      consistency: { kind: 'local' },
      deadlineMs: 1000,
      ...more,
    },
    (result) => pending.answer(result),
  );
  return pending;
}

function page(region: TestRegion, more: Partial<ScanRequest> = {}): ScanResult {
  const { value } = ask(region, more);
  if (value === undefined || value instanceof Error) throw new Error(`no page: ${String(value)}`);
  return value;
}

const textsOf = (result: ScanResult): string[] =>
  result.entries.map(({ key, view }) => {
    if (view.type !== 'register-lww') throw new Error(view.type);
    return `${key}=${Buffer.from(view.value).toString()}`;
  });

/** All pages. */
function all(region: TestRegion, more: Partial<ScanRequest> = {}): { texts: string[]; pages: number } {
  const texts: string[] = [];
  let after: string | undefined;
  for (let pages = 1; ; pages++) {
    const result = page(region, { ...more, after });
    texts.push(...textsOf(result));
    if (result.next === undefined) return { texts, pages };
    expect(after === undefined || Buffer.compare(Buffer.from(result.next), Buffer.from(after)) > 0).toBe(true);
    after = result.next;
  }
}

const inOrder = (texts: readonly string[]): string[] =>
  texts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

const keys = (prefix: string, n: number): string[] =>
  Array.from({ length: n }, (_, i) => `${prefix}${String(i).padStart(2, '0')}`);

async function write(cluster: TestCluster, region: TestRegion, keys: readonly string[]): Promise<void> {
  const pending = region.write(keys.map((key) => put(key, 'v')));
  await cluster.run(50);
  expect(outcome(pending)).toBe('ok');
}

describe('scan', () => {
  test('goes through a prefix in the order of bytes, over all shards, page by page', async () => {
    const cluster = await TestCluster.started({ shards: 8 });
    const eu = cluster.region('eu');
    const names = [...Array.from({ length: 57 }, (_, i) => `user/${i}`), 'user', 'users', 'user0', 'a', 'zz'];
    await write(cluster, eu, names);
    await write(cluster, eu, ['user/1']);
    const wanted = inOrder(names.filter((key) => key.startsWith('user/'))).map((key) => `${key}=v`);
    for (const limit of [1, 2, 7, 56, 57, 100]) {
      const { texts, pages } = all(eu, { prefix: 'user/', limit });
      expect(texts).toEqual(wanted);
      expect(pages).toBeLessThanOrEqual(Math.ceil(57 / limit) + 1);
    }
    expect(all(eu).texts).toEqual(inOrder(names).map((key) => `${key}=v`));
    expect(page(eu, { prefix: 'nothing' })).toMatchObject({ entries: [], next: undefined, stale: false });
  });

  test('other collections, and keys that look like them, stay out', async () => {
    const cluster = await TestCluster.started({ shards: 2 });
    const eu = cluster.region('eu');
    const pending = eu.write([
      put('k', 'v'),
      { namespace: 'shop', collection: 'counter-pn', key: 'k', intent: { kind: 'increment', by: 1n } },
    ]);
    await cluster.run(50);
    expect(outcome(pending)).toBe('ok');
    expect(all(eu).texts).toEqual(['k=v']);
    expect(page(eu, { collection: 'counter-pn' }).entries).toEqual([
      { key: 'k', view: { type: 'counter-pn', value: 1n } },
    ]);
  });

  test('sees what has landed and the store does not have, and neither what has not landed nor what is deleted', async () => {
    const cluster = await TestCluster.started({ shards: 2 });
    const eu = cluster.region('eu');
    await write(cluster, eu, ['a', 'b', 'c', 'gone']);
    await cluster.run(3000);
    expect(eu.storeDisk.bytes).toBeGreaterThan(0);

    // From here on steps of the store wait.
    eu.heldStore = [];
    const second = eu.write([put('b', 'new'), put('bb', 'new'), put('gone', '', { intent: { kind: 'delete' } })]);
    await cluster.run(1000);
    expect(outcome(second)).toBe('ok');
    // One step under way, and changes on top of it.
    const third = eu.write([put('bb', 'newer'), put('d', 'newer')]);
    await cluster.run(1000);
    expect(outcome(third)).toBe('ok');
    expect(eu.heldStore.length).toBeGreaterThan(0);
    eu.hold();
    eu.write([put('e', 'not durable'), put('a', 'not durable')]);
    await cluster.run(50);
    const wanted = ['a=v', 'b=new', 'bb=newer', 'c=v', 'd=newer'];
    for (const limit of [1, 2, 100]) expect(all(eu, { limit }).texts).toEqual(wanted);
    eu.releaseStore();
    await cluster.run(3000);
    expect(all(eu, { limit: 2 }).texts).toEqual(wanted);
    eu.release();
    await cluster.run(1000);
    expect(all(eu, { limit: 2 }).texts[0]).toBe('a=not durable');
  });

  test('is what the writes made, whatever has reached the store', async () => {
    const key = fc.constantFrom('a', 'aa', 'ab', 'b', 'b\u0000', '\ue000', '\u{1f600}', 'z');
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ key, value: fc.option(fc.constantFrom('1', '2', '3')) }) },
      { weight: 1, arbitrary: fc.constantFrom('hold' as const, 'release' as const, 'wait' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.integer({ min: 1, max: 4 }), async (steps, limit) => {
        const cluster = await TestCluster.started({ shards: 3 });
        const eu = cluster.region('eu');
        const model = new Map<string, string>();
        for (const one of steps) {
          if (one === 'hold') eu.heldStore ??= [];
          else if (one === 'release') eu.releaseStore();
          else if (one === 'wait') await cluster.run(700);
          else {
            const op = one.value === null ? { intent: { kind: 'delete' as const } } : {};
            const pending = eu.write(put(one.key, one.value ?? '', op));
            await cluster.run(20);
            expect(outcome(pending)).toBe('ok');
            if (one.value === null) model.delete(one.key);
            else model.set(one.key, one.value);
          }
        }
        const wanted = inOrder([...model.keys()]).map((name) => `${name}=${model.get(name)!}`);
        expect(all(eu, { limit }).texts).toEqual(wanted);
        const prefixed = inOrder([...model.keys()].filter((name) => name.startsWith('a')));
        expect(all(eu, { limit, prefix: 'a' }).texts.map((text) => text.split('=')[0])).toEqual(prefixed);
        eu.releaseStore();
      }),
      { numRuns: 40 },
    );
  });

  test('I12: a page ends at its bytes, and after so many rows that hold nothing', async () => {
    const cluster = await TestCluster.started({ shards: 2 });
    const eu = cluster.region('eu');
    const large = eu.write(['a', 'b', 'c'].map((key) => put(key, 'x'.repeat(1000))));
    await cluster.run(50);
    expect(outcome(large)).toBe('ok');
    expect(page(eu, { bytesMax: 2200 })).toMatchObject({ entries: [{ key: 'a' }, { key: 'b' }], next: 'b' });
    // One is given even when it alone is too large.
    expect(page(eu, { bytesMax: 10 })).toMatchObject({ entries: [{ key: 'a' }], next: 'a' });

    const expired = Array.from({ length: 12_000 }, (_, i) => `t${String(i).padStart(5, '0')}`);
    const expiresAtMs = eu.clock.nowMs() + 5000;
    for (let i = 0; i < expired.length; i += 1000) {
      const ops = expired
        .slice(i, i + 1000)
        .map((key) => put(key, '', { intent: { kind: 'put', value: Buffer.alloc(1), expiresAtMs } }));
      const pending = eu.write(ops);
      await cluster.run(200);
      expect(outcome(pending)).toBe('ok');
    }
    await write(cluster, eu, ['zz']);
    await cluster.run(10_000);
    const { texts, pages } = all(eu, { prefix: 't' });
    expect(texts).toEqual([]);
    expect(pages).toBeGreaterThan(1);
    expect(all(eu).texts.at(-1)).toBe('zz=v');
  });

  test('a session is waited for in every shard, and given back', async () => {
    const cluster = await TestCluster.started({ regions: ['eu', 'us'], shards: 2 });
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    cluster.cut('eu', 'us');
    const written = us.write([put('k1', 'v'), put('k2', 'v'), put('k3', 'v')]);
    await cluster.run(100);
    expect(outcome(written)).toBe('ok');
    const { session } = page(us);
    expect(session.size).toBe(2);
    const causal = (token: SessionToken, allowStale: boolean): Pending<ScanResult | CausewayError> =>
      ask(eu, { consistency: { kind: 'causal', session: token, allowStale } });
    const [strict, stale] = [causal(session, false), causal(session, true)];
    await cluster.run(1500);
    expect(strict.value).toMatchObject({ code: 'SESSION_BEHIND' });
    expect(stale.value).toMatchObject({ entries: [], stale: true });
    cluster.cut('eu', 'us', false);
    await cluster.run(10_000);
    expect(causal(session, false).value).toMatchObject({
      entries: [{ key: 'k1' }, { key: 'k2' }, { key: 'k3' }],
      stale: false,
    });
  });

  test('before the start, of an unknown collection, and without a shard, it says so', async () => {
    const cluster = new TestCluster({ shards: 2 });
    const eu = cluster.region('eu');
    void eu.start();
    expect(ask(eu).value).toMatchObject({ code: 'NOT_READY' });
    await cluster.run(2000);
    expect(ask(eu, { collection: 'nowhere' }).value).toMatchObject({ code: 'UNKNOWN_COLLECTION' });
    eu.ownership.set(cluster.shards[1]!, false);
    expect(ask(eu).value).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' });
  });
});

describe('the levels of a read', () => {
  const three = (): Promise<TestCluster> => TestCluster.started({ regions: ['ap', 'eu', 'us'], shards: 4 });
  const code = (pending: Pending<ScanResult | CausewayError>): string | undefined =>
    pending.value instanceof Error ? pending.value.code : undefined;
  const away = (cluster: TestCluster, isAway: boolean): void => {
    for (const other of ['ap', 'eu']) cluster.cut(other, 'us', isAway);
  };

  test('bounded: answers when every shard has promises that are young enough, and names who is away', async () => {
    const cluster = await three();
    const eu = cluster.region('eu');
    cluster.region('us').write(keys('k', 12).map((key) => put(key, 'us')));
    await cluster.run(1000);
    const young = page(eu, { consistency: { kind: 'bounded', maxStaleMs: 500 } });
    expect(textsOf(young)).toHaveLength(12);
    expect(eu.clock.nowMs() - msOfStamp(young.asOfStamp!)).toBeLessThanOrEqual(500);
    away(cluster, true);
    await cluster.run(2000);
    const refused = ask(eu, { consistency: { kind: 'bounded', maxStaleMs: 1000 }, deadlineMs: 500 });
    await cluster.run(1000);
    expect(refused.value).toMatchObject({ code: 'CONSISTENCY_NOT_REACHED', details: { region: 'us' } });
  });

  test('stable: a page is one cut through all shards, held up by what changes its range and by nothing else', async () => {
    const cluster = await three();
    const eu = cluster.region('eu');
    eu.write(keys('old', 12).map((key) => put(key, 'v')));
    await cluster.run(3000);
    away(cluster, true);
    await cluster.run(2000);
    // Nothing has landed since the last cut.
    const before = page(eu, { consistency: { kind: 'stable' } });
    expect(textsOf(before)).toHaveLength(12);
    await write(cluster, eu, ['old03', 'new']);
    const refused = ask(eu, { consistency: { kind: 'stable' }, deadlineMs: 500 });
    const patient = ask(eu, { consistency: { kind: 'stable' }, deadlineMs: 60_000 });
    await cluster.run(1000);
    expect(code(refused)).toBe('CONSISTENCY_NOT_REACHED');
    expect((refused.value as CausewayError).message).toMatch(/shard 1\/\d has changed since the last cut .* behind us/);
    expect(patient.answers).toEqual([]);
    away(cluster, false);
    await cluster.run(6000);
    expect(textsOf(patient.value as ScanResult)).toHaveLength(13);
    const { asOfStamp } = patient.value as ScanResult;
    expect(asOfStamp).toBeGreaterThan(before.asOfStamp!);
  });

  test('stable: a range that is written faster than the cut follows is refused; one beside it is not', async () => {
    const cluster = await three();
    const eu = cluster.region('eu');
    eu.write(keys('calm', 12).map((key) => put(key, 'v')));
    await cluster.run(3000);
    let busy: ReturnType<typeof ask> | undefined;
    let calm: ReturnType<typeof ask> | undefined;
    for (let i = 0; i < 60; i++) {
      eu.write(keys('busy', 12).map((key) => put(key, String(i))));
      await cluster.run(50);
      busy ??= ask(eu, { prefix: 'busy', consistency: { kind: 'stable' }, deadlineMs: 2500 });
      calm ??= ask(eu, { prefix: 'calm', consistency: { kind: 'stable' }, deadlineMs: 2500 });
    }
    expect(code(busy!)).toBe('CONSISTENCY_NOT_REACHED');
    expect(textsOf(calm!.value as ScanResult)).toHaveLength(12);
  });

  test('stable: what has expired since the cut is still shown as of it', async () => {
    const cluster = await three();
    const eu = cluster.region('eu');
    const expiresAtMs = eu.clock.nowMs() + 4000;
    eu.write(put('k', '', { intent: { kind: 'put', value: Buffer.from('v'), expiresAtMs } }));
    await cluster.run(3000);
    away(cluster, true);
    await cluster.run(3000);
    expect(textsOf(page(eu))).toEqual([]);
    expect(textsOf(page(eu, { consistency: { kind: 'stable' } }))).toEqual(['k=v']);
  });
});
