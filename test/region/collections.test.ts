// Collections created, altered and dropped at run time, by whole nodes: what each region then serves, and what it never mixes up.

import { afterAll, describe, expect, test } from 'vitest';
import { CausewayError } from '../../src/errors/errors.ts';
import type { Intent, View } from '../../src/merge/types.ts';
import { peekShard } from '../../src/record/batch.ts';
import { shardOf } from '../../src/record/hash.ts';
import { shardId, type ShardId } from '../../src/record/ids.ts';
import { afterPrefix } from '../../src/record/key-order.ts';
import { DEFINITIONS, runTimeId, stateKeyPrefix, type MergeTypeName } from '../../src/record/op.ts';
import { STATE_ROW } from '../../src/region/state-cache.ts';
import type { CollectionChange, CollectionInfo, FeedEvent, ReadResult, WriteOp } from '../../src/region/region.ts';
import { SeededRandom } from '../../chaos/sim/random.ts';
import { outcome, Pending, put, TestCluster, type TestRegion } from '../support/node-kit.ts';

type Changed = Pending<CollectionChange | CausewayError>;
const CARTS = { namespace: 'shop', name: 'carts' } as const;
const OPTIONS = { deadlineMs: 5000, wait: false };

function create(region: TestRegion, type: MergeTypeName, more: object = {}, wait = false): Changed {
  const pending: Changed = new Pending();
  region.node.createCollection({ ...CARTS, type, ...more }, { ...OPTIONS, wait }, (changed) => pending.answer(changed));
  return pending;
}

function drop(region: TestRegion, more: { id?: number; force?: boolean; deadlineMs?: number } = {}): Changed {
  const pending: Changed = new Pending();
  const { id, force = false, deadlineMs = 5000 } = more;
  region.node.dropCollection({ ...CARTS, id }, { deadlineMs, wait: false, force }, (changed) =>
    pending.answer(changed),
  );
  return pending;
}

function alter(region: TestRegion, spec: { defaultExpiryMs?: number; type?: MergeTypeName }): Changed {
  const pending: Changed = new Pending();
  region.node.alterCollection({ ...CARTS, ...spec }, OPTIONS, (changed) => pending.answer(changed));
  return pending;
}

/** `ok`, or the code of the refusal. */
function how(pending: Changed): string {
  expect(pending.answers).toHaveLength(1);
  const { value } = pending;
  return value instanceof CausewayError ? value.code : 'ok';
}

function served(region: TestRegion): string | undefined {
  const found = region.node.collection('shop', 'carts');
  return found === undefined ? undefined : `${found.type} ${found.id}`;
}

function about(region: TestRegion): CollectionInfo[] {
  return region.node.collections().filter(({ ref }) => ref.name === 'carts');
}

const add = (key: string, element: string): WriteOp => ({
  namespace: 'shop',
  collection: 'carts',
  key,
  intent: { kind: 'set-add', elements: [Buffer.from(element)] },
});
const cart = (key: string, value: string): WriteOp => put(key, value, { collection: 'carts' });

function view(region: TestRegion, key: string, collection = 'carts'): View | undefined | string {
  const pending = new Pending<ReadResult | CausewayError>();
  const request = {
    namespace: 'shop',
    collection,
    keys: [key],
    consistency: { kind: 'local' },
    deadlineMs: 0,
  } as const;
  region.node.read(request, (result) => pending.answer(result));
  const { value } = pending;
  return value instanceof CausewayError ? value.code : value!.views[0];
}

function elements(region: TestRegion, key: string): string[] | string {
  const found = view(region, key);
  if (typeof found === 'string') return found;
  return found?.type === 'set-aw' ? found.elements.map((one) => Buffer.from(one).toString()) : [];
}

/** Keys of the first collection of the name and type that have a row in the region's store, in all shards. */
function cartRows(region: TestRegion, type: MergeTypeName): string[] {
  return rowsFrom(region, STATE_ROW + stateKeyPrefix({ ...CARTS, id: runTimeId(1, type), type }));
}

function rowsFrom(region: TestRegion, first: string): string[] {
  const keys: string[] = [];
  for (const shard of region.cluster.shards) {
    region.store.scan(shard, first, afterPrefix(first)!, 100, (rows) => {
      for (const { rowKey } of rows) keys.push(rowKey.slice(first.length));
    });
  }
  return keys.sort();
}

describe('one region', () => {
  test('a collection is created, written, altered, dropped, and empty when it is created again', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    expect(outcome(eu.write(add('anna', 'book')))).toBe('UNKNOWN_COLLECTION');
    const created = create(eu, 'set-aw', { description: 'what they want' });
    await cluster.run(200);
    expect(created.value).toMatchObject({ changed: true, collections: [{ state: 'served', createdBy: ['eu'] }] });
    expect(served(eu)).toBe(`set-aw ${runTimeId(1, 'set-aw')}`);
    const write = eu.write(add('anna', 'book'));
    await cluster.run(100);
    expect(outcome(write)).toBe('ok');
    expect(elements(eu, 'anna')).toEqual(['book']);

    const again = create(eu, 'set-aw');
    const other = create(eu, 'map-lww');
    const altered = alter(eu, { type: 'map-lww' });
    await cluster.run(200);
    expect(again.value).toMatchObject({ changed: false });
    expect([how(other), how(altered)]).toEqual(['PRECONDITION_FAILED', 'PRECONDITION_FAILED']);

    const dropped = drop(eu);
    await cluster.run(500);
    expect(how(dropped)).toBe('ok');
    expect(elements(eu, 'anna')).toBe('UNKNOWN_COLLECTION');
    expect(outcome(eu.write(add('anna', 'lamp')))).toBe('UNKNOWN_COLLECTION');
    const recreated = create(eu, 'set-aw');
    await cluster.run(200);
    expect(how(recreated)).toBe('ok');
    expect(elements(eu, 'anna')).toEqual([]);
    expect(about(eu).map(({ state, ref }) => `${state} ${ref.id}`)).toEqual([
      `dropped ${runTimeId(1, 'set-aw')}`,
      `served ${runTimeId(2, 'set-aw')}`,
    ]);
  });

  test('definitions are known when a node is ready again, from the store and from the log', async () => {
    const cluster = await TestCluster.started({ shards: 4 });
    const eu = cluster.region('eu');
    create(eu, 'set-aw');
    await cluster.run(200);
    eu.write(add('anna', 'book'));
    await cluster.run(100);
    for (const stored of [false, true]) {
      if (stored) await cluster.run(3000);
      eu.crash('all');
      void eu.start();
      await cluster.until(() => eu.node.ready());
      expect(elements(eu, 'anna')).toEqual(['book']);
      await cluster.run(200);
      expect(about(eu)).toMatchObject([{ state: 'served', type: 'set-aw' }]);
    }
  });

  test('a default expiry holds for what is written from then on', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    create(eu, 'register-lww');
    await cluster.run(200);
    eu.write(cart('before', 'x'));
    await cluster.run(50);
    alter(eu, { defaultExpiryMs: 5000 });
    await cluster.run(200);
    eu.write(cart('after', 'x'));
    await cluster.run(100);
    expect(view(eu, 'after')).toMatchObject({ expiresAtMs: expect.any(Number) as number });
    await cluster.run(6000);
    expect(view(eu, 'after')).toBeUndefined();
    expect(view(eu, 'before')).toBeDefined();
  });

  test('the system namespace is read by everybody and written by Causeway alone', async () => {
    const cluster = await TestCluster.started({ shards: 4 });
    const eu = cluster.region('eu');
    create(eu, 'set-aw');
    await cluster.run(200);
    const op = { namespace: DEFINITIONS.namespace, collection: DEFINITIONS.name, key: 'shop/carts' };
    const refused = eu.write({ ...op, intent: { kind: 'delete' } });
    expect(refused.value).toMatchObject([
      { error: { code: 'INVALID_ARGUMENT', hint: expect.stringContaining('causeway collection') as string } },
    ]);
    const request = {
      namespace: '_system',
      collection: 'collections',
      consistency: { kind: 'local' },
      deadlineMs: 0,
    } as const;
    const read = new Pending<unknown>();
    eu.node.read({ ...request, keys: ['shop/carts'] }, (result) => read.answer(result));
    expect(read.value).toMatchObject({
      views: [{ type: 'map-lww', fields: [{ field: `${runTimeId(1, 'set-aw')}/created/eu` }] }],
    });
    const scan = new Pending<unknown>();
    eu.node.scan({ ...request, prefix: 'shop/', after: undefined, limit: 10, bytesMax: 10_000 }, (result) =>
      scan.answer(result),
    );
    expect(scan.value).toMatchObject({ entries: [{ key: 'shop/carts' }] });
    const nowhere = new Pending<unknown>();
    eu.node.read({ ...request, keys: ['nowhere/carts'] }, (result) => nowhere.answer(result));
    expect(nowhere.value).toMatchObject({ code: 'UNKNOWN_COLLECTION' });
  });

  test('a stream has what its name means, not what was dropped; what is not known yet is not held back', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    const follow = (): string[] => {
      const told: string[] = [];
      const request = { namespace: 'shop', collections: [], keyPrefix: '', form: 'op' } as const;
      const sink = {
        events: (events: readonly FeedEvent[]) => told.push(...events.map(({ key }) => key)) >= 0,
        failed: (error: CausewayError) => void told.push(error.code),
      };
      eu.node.subscribe({ ...request, start: { kind: 'beginning' } }, sink);
      return told;
    };
    create(eu, 'set-aw');
    await cluster.run(200);
    const live = follow();
    eu.write(add('old', 'book'));
    await cluster.run(500);
    drop(eu);
    await cluster.run(500);
    create(eu, 'set-aw');
    await cluster.run(200);
    eu.write(add('new', 'book'));
    await cluster.run(200);
    const late = follow();
    await cluster.run(200);
    expect([live, late]).toEqual([['old', 'new'], ['new']]);
  });

  test('a store that takes its time: nobody is answered before the definitions are read, and no node is ready', async () => {
    const cluster = new TestCluster();
    const eu = cluster.region('eu');
    const start = (): void => {
      void eu.start();
      const scan = eu.store.scan.bind(eu.store);
      eu.store.scan = (...[shard, from, to, limit, done]) =>
        void cluster.scheduler.after(300, () => scan(shard, from, to, limit, done), eu.life);
    };
    start();
    await cluster.until(() => eu.node.ready());
    const created = create(eu, 'set-aw');
    await cluster.run(2000);
    expect(created.value).toMatchObject({ changed: true, collections: [{ state: 'served' }] });
    eu.crash();
    start();
    await cluster.until(() => eu.node.status().stateReason === 'the definitions of collections are being read');
    expect(outcome(eu.write(add('anna', 'book')))).toBe('NOT_READY');
    await cluster.until(() => eu.node.ready());
    expect(elements(eu, 'anna')).toEqual([]);
  });

  test('names of the configuration are not changed at run time', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    const created = create(eu, 'set-aw', { name: 'map-lww' });
    const unknown = create(eu, 'set-aw', { namespace: 'nowhere' });
    await cluster.run(200);
    expect([how(created), how(unknown)]).toEqual(['PRECONDITION_FAILED', 'UNKNOWN_COLLECTION']);
  });

  test('two changes of one name at once: the second is decided on what the first has made', async () => {
    const cluster = await TestCluster.started();
    const eu = cluster.region('eu');
    eu.hold();
    const both = [create(eu, 'set-aw'), create(eu, 'map-lww')];
    await cluster.run(300);
    expect(both.map(({ answers }) => answers.length)).toEqual([0, 0]);
    eu.release();
    await cluster.run(300);
    expect(both.map(how)).toEqual(['ok', 'PRECONDITION_FAILED']);
    expect(served(eu)).toContain('set-aw');
  });
});

describe('two regions', () => {
  const start = (): Promise<TestCluster> => TestCluster.started({ regions: ['eu', 'us'], shards: 4 });

  test('what one creates the other serves', async () => {
    const cluster = await start();
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    const created = create(eu, 'set-aw', {}, true);
    await cluster.run(2000);
    expect(created.value).toMatchObject({ collections: [{ settled: true }] });
    expect(served(us)).toBe(served(eu));
    us.write(add('anna', 'book'));
    await cluster.run(1000);
    expect(elements(eu, 'anna')).toEqual(['book']);
  });

  test('I3: created at once with different types: one definition on both sides, and no state of a wrong type', async () => {
    const cluster = await start();
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    cluster.cut('eu', 'us');
    await cluster.run(200);
    create(eu, 'set-aw');
    await cluster.run(500);
    create(us, 'register-lww');
    await cluster.run(200);
    const writes = [eu.write(add('anna', 'book')), us.write(cart('anna', 'lamp'))];
    await cluster.run(200);
    expect(writes.map(outcome)).toEqual(['ok', 'ok']);
    cluster.cut('eu', 'us', false);
    await cluster.until(() => eu.digests().join() === us.digests().join() && about(us).length === 2);
    for (const region of [eu, us]) {
      expect(served(region)).toBe(`set-aw ${runTimeId(1, 'set-aw')}`);
      expect(elements(region, 'anna')).toEqual(['book']);
      expect(region.node.status().alarms).toMatchObject([
        { code: 'collection-clash', message: expect.stringContaining('register-lww, created in us') as string },
      ]);
    }
    // The choice of a person: what was acknowledged to the other is there, in both regions.
    await cluster.until(() => about(us).every(({ settled }) => settled));
    const dropped = drop(us, { id: runTimeId(1, 'set-aw') });
    await cluster.run(2000);
    expect(how(dropped)).toBe('ok');
    for (const region of [eu, us]) {
      expect(view(region, 'anna')).toMatchObject({ type: 'register-lww', value: Buffer.from('lamp') });
      expect(region.node.status().alarms).toEqual([]);
    }
  });

  test('created at once with the same type: one collection with what both have taken', async () => {
    const cluster = await start();
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    cluster.cut('eu', 'us');
    create(eu, 'set-aw');
    create(us, 'set-aw');
    await cluster.run(200);
    eu.write(add('anna', 'book'));
    us.write(add('anna', 'lamp'));
    await cluster.run(200);
    cluster.cut('eu', 'us', false);
    await cluster.until(() => elements(eu, 'anna').length === 2 && elements(us, 'anna').length === 2);
    expect(about(eu)).toMatchObject([{ state: 'served', createdBy: ['eu', 'us'] }]);
    expect(eu.node.status().alarms).toEqual([]);
  });

  test('a drop waits until every region has heard of the collection; force does not', async () => {
    const cluster = await start();
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    cluster.cut('eu', 'us');
    await cluster.run(200);
    create(eu, 'set-aw');
    await cluster.run(500);
    const waits = drop(eu, { deadlineMs: 1000 });
    await cluster.run(3000);
    expect(waits.value).toMatchObject({
      code: 'CONSISTENCY_NOT_REACHED',
      message: expect.stringContaining('us has not said') as string,
    });
    const forced = drop(eu, { force: true });
    await cluster.run(500);
    expect(how(forced)).toBe('ok');
    cluster.cut('eu', 'us', false);
    await cluster.run(10_000);
    expect([served(eu), served(us)]).toEqual([undefined, undefined]);
    expect(about(us)).toMatchObject([{ state: 'dropped', settled: true }]);
  });

  test('ops come before the definition that they need: they are applied, and there when it comes', async () => {
    const cluster = await start();
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    const shard = shardOf(DEFINITIONS.namespace, DEFINITIONS.name, 'shop/carts', 1, 4);
    const receive = us.node.receive.bind(us.node);
    let lost = true;
    us.node.receive = (from, batch, answers) =>
      lost && peekShard(batch) === shard ? 'dropped' : receive(from, batch, answers);
    create(eu, 'set-aw');
    await cluster.run(500);
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`).filter(
      (key) => shardOf('shop', 'carts', key, 1, 4) !== shard,
    );
    const writes = keys.map((key) => eu.write(add(key, 'book')));
    await cluster.run(1000);
    expect(writes.map(outcome)).toEqual(keys.map(() => 'ok'));
    expect(us.node.status().counters.appliedRemote).toBeGreaterThanOrEqual(keys.length);
    expect(elements(us, keys[0]!)).toBe('UNKNOWN_COLLECTION');
    expect(outcome(us.write(add(keys[0]!, 'lamp')))).toBe('UNKNOWN_COLLECTION');
    lost = false;
    await cluster.until(() => served(us) !== undefined);
    for (const key of keys) expect(elements(us, key)).toEqual(['book']);
  });

  test('what was lost in a collection is not restored into another one of its name', async () => {
    const cluster = await start();
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    create(eu, 'register-lww');
    await cluster.run(2000);
    cluster.cut('eu', 'us');
    const lost = eu.write(cart('anna', 'mine'));
    await cluster.run(300);
    us.write(cart('anna', 'theirs'));
    await cluster.run(300);
    cluster.cut('eu', 'us', false);
    await cluster.run(3000);
    const [result] = lost.value!;
    if (result?.ok !== true) throw new Error('not written');
    drop(eu);
    await cluster.run(1000);
    create(eu, 'register-lww');
    await cluster.run(1000);
    const restored = new Pending<unknown>();
    const request = { shard: result.shard, loser: result.version, fields: [], force: true, deadlineMs: 1000 };
    eu.node.restoreConflict(request, (answer) => restored.answer(answer));
    expect(restored.value).toMatchObject({
      code: 'PRECONDITION_FAILED',
      hint: expect.stringContaining('collection show shop/carts') as string,
    });
    expect(view(eu, 'anna')).toBeUndefined();
  });

  test('a drop ends reads and writes in every region that knows of it, and ops on their way are taken', async () => {
    const cluster = await start();
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    create(eu, 'set-aw');
    await cluster.run(2000);
    cluster.cut('eu', 'us');
    await cluster.run(100);
    drop(eu);
    await cluster.run(500);
    expect(elements(eu, 'anna')).toBe('UNKNOWN_COLLECTION');
    const late = us.write(add('anna', 'book'));
    await cluster.run(200);
    expect(outcome(late)).toBe('ok');
    cluster.cut('eu', 'us', false);
    await cluster.until(() => eu.digests().join() === us.digests().join() && served(us) === undefined);
    create(us, 'set-aw');
    await cluster.run(2000);
    expect([elements(eu, 'anna'), elements(us, 'anna')]).toEqual([[], []]);
    expect(served(eu)).toBe(`set-aw ${runTimeId(2, 'set-aw')}`);
  });

  test('I3: equal vectors of a data shard do not say that both regions have heard of a drop, nor does its stamp', async () => {
    const cluster = await start();
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    create(eu, 'set-aw');
    await cluster.run(2000);
    const home = shardOf(DEFINITIONS.namespace, DEFINITIONS.name, 'shop/carts', 1, 4);
    const away = ['anna', 'ben', 'cleo'].find((key) => shardOf('shop', 'carts', key, 1, 4) !== home)!;
    const data = shardOf('shop', 'carts', away, 1, 4);
    // us hears of everything but what the definition's shard has.
    const receive = us.node.receive.bind(us.node);
    us.node.receive = (from, batch, answers) => (peekShard(batch) === home ? 'dropped' : receive(from, batch, answers));
    const first = eu.write(add(away, 'book'));
    await cluster.run(500);
    expect(outcome(first)).toBe('ok');
    drop(eu, { force: true });
    await cluster.run(5000);
    const told = (region: TestRegion) =>
      region.node.digests(region.clock.nowMs()).filter(({ shard }) => shard === data)[0]!;
    expect([...told(us).vector]).toEqual([...told(eu).vector]);
    expect(told(us).digest).toBe(told(eu).digest);
    expect([served(eu), served(us)]).toEqual([undefined, `set-aw ${runTimeId(1, 'set-aw')}`]);

    const late = us.write(add(away, 'lamp'));
    await cluster.run(2000);
    const [result] = late.value!;
    expect(result!.ok && result!.version.stamp).toBeGreaterThan(about(eu)[0]!.dropped!.stamp);
    // Taken: a rule that went by the drop's stamp would have to have made two different states of it by now.
    expect([...told(us).vector]).toEqual([...told(eu).vector]);
    expect(told(us).digest).toBe(told(eu).digest);
  });

  test.each<[MergeTypeName, Intent]>([
    ['set-aw', { kind: 'set-add', elements: [Buffer.from('book')] }],
    ['register-lww', { kind: 'put', value: Buffer.from('book') }],
    ['register-mv', { kind: 'put', value: Buffer.from('book') }],
    ['map-lww', { kind: 'map-update', put: [{ field: 'f', value: Buffer.from('book') }], remove: [] }],
    ['counter-pn', { kind: 'increment', by: 5n }],
  ])('what is in a collection leaves the store of every region once it is dropped: %s', async (type, intent) => {
    const cluster = await start();
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    const write = (key: string) => eu.write({ namespace: 'shop', collection: 'carts', key, intent });
    create(eu, type);
    const other = eu.write(put('anna', 'another collection'));
    await cluster.run(2000);
    const writes = ['anna', 'ben', 'cleo'].map((key) => write(key));
    await cluster.run(2000);
    expect([other, ...writes].map(outcome)).toEqual(['ok', 'ok', 'ok', 'ok']);
    const all = ['anna', 'ben', 'cleo'];
    expect([cartRows(eu, type), cartRows(us, type)]).toEqual([all, all]);
    drop(us);
    await cluster.run(120_000);
    expect(about(us)).toMatchObject([{ state: 'dropped', settled: true }]);
    expect([cartRows(eu, type), cartRows(us, type)]).toEqual([[], []]);
    expect(eu.digests()).toEqual(us.digests());
    // By the region that has dropped it, once.
    expect(
      [eu, us].map(({ node }) => node.figures()).map(({ sweptKeys, unsweptShards }) => [sweptKeys, unsweptShards]),
    ).toEqual([
      [0, 0],
      [3, 0],
    ]);
    expect(view(eu, 'anna', 'register-lww')).toMatchObject({ type: 'register-lww' });
  });

  test('nothing is deleted before every region has heard of the drop, and what one of them takes until then goes too', async () => {
    const cluster = await start();
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    create(eu, 'set-aw');
    await cluster.run(2000);
    eu.write(add('anna', 'book'));
    await cluster.run(2000);
    cluster.cut('eu', 'us');
    await cluster.run(100);
    drop(eu, { force: true });
    await cluster.run(30_000);
    expect(cartRows(eu, 'set-aw')).toEqual(['anna']);
    const late = ['anna', 'ben'].map((key) => us.write(add(key, 'lamp')));
    await cluster.run(200);
    expect(late.map(outcome)).toEqual(['ok', 'ok']);
    cluster.cut('eu', 'us', false);
    await cluster.run(120_000);
    expect([cartRows(eu, 'set-aw'), cartRows(us, 'set-aw')]).toEqual([[], []]);
    expect(eu.digests()).toEqual(us.digests());
  });

  test('a sweep goes on where it stood when its node dies, and leaves what is created under the name alone', async () => {
    const cluster = await start();
    const [eu, us] = [cluster.region('eu'), cluster.region('us')];
    create(eu, 'set-aw');
    await cluster.run(2000);
    const keys = Array.from({ length: 2000 }, (_, i) => `k${i}`);
    for (const key of keys) eu.write(add(key, 'book'));
    await cluster.run(2000);
    drop(eu);
    await cluster.until(() => served(us) === undefined);
    create(us, 'set-aw');
    await cluster.run(500);
    const again = us.write(add('k0', 'lamp'));
    const swept = (): number => eu.node.figures().sweptKeys;
    for (let ms = 0; swept() === 0 && ms < 30_000; ms++) await cluster.run(1);
    expect(swept()).toBeGreaterThan(0);
    expect(swept()).toBeLessThan(keys.length);
    expect(outcome(again)).toBe('ok');
    eu.crash();
    void eu.start();
    await cluster.run(120_000);
    expect(swept()).toBeGreaterThan(0);
    expect([cartRows(eu, 'set-aw'), cartRows(us, 'set-aw')]).toEqual([[], []]);
    expect([elements(eu, 'k0'), elements(us, 'k0')]).toEqual([['lamp'], ['lamp']]);
    expect(eu.digests()).toEqual(us.digests());
  });
});

test('I10: a definition stays in the placement of its namespace', async () => {
  const cluster = new TestCluster({ regions: ['eu', 'us'] });
  const [eu, us] = [cluster.region('eu'), cluster.region('us')];
  const settingsOf = cluster.settingsOf.bind(cluster);
  cluster.settingsOf = (id) => {
    const settings = settingsOf(id);
    const home = { id: 2, name: 'home', shards: 2, regions: [eu.id] };
    return {
      ...settings,
      placements: [{ ...settings.placements[0]!, shards: 1 }, home],
      namespaces: [...settings.namespaces, { name: 'home', placementId: 2 }],
    };
  };
  (cluster.shards as ShardId[]).push(shardId(2, 0), shardId(2, 1));
  for (const region of cluster.regions) void region.start();
  await cluster.run(2000);
  const created = create(eu, 'set-aw', { namespace: 'home' });
  const elsewhere = create(us, 'set-aw', { namespace: 'home' });
  await cluster.run(2000);
  expect(created.value).toMatchObject({ changed: true });
  expect(elsewhere.value).toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('not held in us') as string,
  });
  expect([about(eu).length, about(us).length]).toEqual([1, 0]);
  expect(us.node.collection('home', 'carts')).toBeUndefined();
  // Both are asked for all that they hold.
  for (const [region, keys] of [
    [eu, ['home/carts']],
    [us, []],
  ] as const) {
    const scan = new Pending<unknown>();
    const request = {
      namespace: '_system',
      collection: 'collections',
      consistency: { kind: 'local' },
      deadlineMs: 0,
    } as const;
    region.node.scan({ ...request, prefix: '', after: undefined, limit: 10, bytesMax: 10_000 }, (result) =>
      scan.answer(result),
    );
    expect(scan.value).toMatchObject({ entries: keys.map((key) => ({ key })) });
  }
});

// The last three are what is found, among 120, when a drop does not wait.
const SEEDS = [...Array.from({ length: 12 }, (_, i) => i), 28, 99, 102];
/** Of all seeds: one of them alone may happen to find no collection. */
let servedInAll = 0;
let seedsRun = 0;
afterAll(() => {
  if (seedsRun === SEEDS.length) expect(servedInAll).toBeGreaterThan(0);
});

describe('three regions under faults', () => {
  const NAMES = ['carts', 'likes', 'notes'];
  const TYPES: readonly MergeTypeName[] = ['set-aw', 'register-lww', 'map-lww'];
  const known = (region: TestRegion): object[] =>
    region.node
      .collections()
      .map(({ settled: _, ...rest }) => rest)
      .filter(({ source }) => source === 'run-time');

  /** Cuts, crashes and changes of a few names anywhere; then everything heals. */
  async function run(seed: number): Promise<void> {
    const random = new SeededRandom(seed, 'collections');
    const pick = <T>(from: readonly T[]): T => from[random.uint32() % from.length]!;
    const cluster = await TestCluster.started({ regions: ['ap', 'eu', 'us'], shards: 2 });
    const [ap, eu, us] = cluster.regions as [TestRegion, TestRegion, TestRegion];
    const pairs = [
      [ap, eu],
      [eu, us],
      [ap, us],
    ] as const;
    const down = new Set<TestRegion>();
    let served = 0;
    const forced = new Set<string>();
    const knownWhenDropped = new Map<string, readonly string[]>();
    for (let step = 0; step < 60; step++) {
      const region = pick(cluster.regions);
      const spec = { namespace: 'shop', name: pick(NAMES) };
      const what = random.uint32() % 10;
      if (what === 0) {
        const [a, b] = pick(pairs);
        cluster.cut(a.id, b.id, random.uint32() % 2 === 0);
      } else if (what === 1) {
        if (down.delete(region)) void region.start();
        else {
          down.add(region);
          region.crash();
        }
      } else if (!down.has(region)) {
        const ignore = (): void => undefined;
        if (what < 5) region.node.createCollection({ ...spec, type: pick(TYPES) }, OPTIONS, ignore);
        else if (what === 5) region.node.alterCollection({ ...spec, description: `step ${step}` }, OPTIONS, ignore);
        else if (what === 6) {
          const force = random.uint32() % 3 === 0;
          region.node.dropCollection(spec, { ...OPTIONS, deadlineMs: 500, force }, (change) => {
            if (change instanceof CausewayError) return;
            for (const { ref, createdBy } of change.collections) {
              const id = `${ref.name} ${ref.id}`;
              if (force) forced.add(id);
              else knownWhenDropped.set(id, createdBy);
            }
          });
        } else {
          const collection = region.node.collection('shop', spec.name);
          const value = Buffer.from('v');
          const intent: Intent =
            collection?.type === 'set-aw'
              ? { kind: 'set-add', elements: [value] }
              : collection?.type === 'map-lww'
                ? { kind: 'map-update', put: [{ field: 'f', value }], remove: [] }
                : { kind: 'put', value };
          if (collection !== undefined) served++;
          region.write({ namespace: 'shop', collection: spec.name, key: `k${step % 5}`, intent });
        }
      }
      await cluster.run(random.uint32() % 300);
    }
    for (const [a, b] of pairs) cluster.cut(a.id, b.id, false);
    for (const region of down) void region.start();
    await cluster.until(() => cluster.regions.every(({ node }) => node.ready()), 60_000);
    await cluster.until(
      () => new Set(cluster.regions.map((region) => region.digests().join())).size === 1 && known(eu).length > 0,
      60_000,
    );
    servedInAll += served;
    seedsRun++;
    // What has been dropped leaves every store.
    await cluster.run(120_000);
    for (const { ref, type, state } of eu.node.collections()) {
      if (state !== 'dropped') continue;
      const first = STATE_ROW + stateKeyPrefix({ ...ref, type: type! });
      for (const region of cluster.regions)
        expect(rowsFrom(region, first), `${region.id}: ${ref.name} ${ref.id}`).toEqual([]);
    }
    expect(new Set(cluster.regions.map((region) => region.digests().join())).size).toBe(1);
    // Nobody had created it unseen: a drop that was not forced hides nothing that its author could not know of.
    for (const { ref, createdBy } of eu.node.collections()) {
      const id = `${ref.name} ${ref.id}`;
      if (!forced.has(id) && knownWhenDropped.has(id))
        expect({ id, createdBy }).toEqual({ id, createdBy: knownWhenDropped.get(id) });
    }
    expect(known(ap)).toEqual(known(eu));
    expect(known(us)).toEqual(known(eu));
    for (const region of cluster.regions) {
      expect(
        region.notices.filter(
          (notice) => /quarantine|cannot be replayed|merge type/.test(notice) && !/is not served/.test(notice),
        ),
      ).toEqual([]);
      for (const name of NAMES) {
        expect(region.node.collection('shop', name)).toEqual(eu.node.collection('shop', name));
        for (let k = 0; k < 5; k++) {
          const found = view(region, `k${k}`, name);
          if (typeof found === 'object') expect(found.type).toBe(region.node.collection('shop', name)?.type);
        }
      }
    }
  }

  test.each(SEEDS)('I3: they end with the same definitions, seed %i', (seed) => run(seed), 60_000);
});
