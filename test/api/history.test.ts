// KeyHistory over the wire: what is asked, what comes back, page tokens that are somebody else's.

import { expect, test } from 'vitest';
import { adminClient } from '../../src/client/index.ts';
import type { HistoryRequest, KeyChange, KeyHistory } from '../../src/region/region.ts';
import { originId, regionId, shardId } from '../../src/record/ids.ts';
import { cleanup, failure, serve } from '../support/api.ts';

const ORIGIN = originId(regionId('us-west'), 0x0123456789ab);

function change(seq: number, op: KeyChange['op']): KeyChange {
  return {
    version: { origin: ORIGIN, seq, stamp: 1000 + seq },
    op,
    trace: seq === 2 ? Buffer.alloc(25, 7) : undefined,
    offset: seq * 10,
    landedAfterMs: seq === 1 ? undefined : 1_700_000_000_000 + seq,
    landedBeforeMs: 1_700_000_000_100 + seq,
    acknowledgedBy: [regionId('eu-west')],
  };
}

async function served(changes: readonly KeyChange[], next?: KeyHistory['next']) {
  const { region, address } = await serve();
  const asked: HistoryRequest[] = [];
  region.history = (request, done) => {
    asked.push(request);
    const collection = region.collection('app', 'profiles')!;
    done({ shard: shardId(1, 3), collection, changes, next, view: undefined, logStart: 5, nowMs: 17 });
  };
  const admin = adminClient(address);
  cleanup(() => admin.close());
  return { admin, asked };
}

const NAME = { namespace: 'app', collection: 'profiles', key: 'anna' };

test('every kind of change comes back as it was', async () => {
  const ops: KeyChange['op'][] = [
    { kind: 'put', value: Buffer.from('x'), expiresAtMs: 99 },
    { kind: 'put', value: Buffer.alloc(0) },
    { kind: 'delete' },
    { kind: 'increment', by: -5n },
    { kind: 'set-add', elements: [Buffer.from('a')] },
    { kind: 'set-remove', elements: [Buffer.from('a'), Buffer.from('b')] },
    { kind: 'map-update', put: [{ field: 'f', value: Buffer.from('1') }], remove: ['g'] },
  ];
  const { admin, asked } = await served(ops.map((op, i) => change(i + 1, op)));
  const history = await admin.keyHistory(NAME);
  expect(asked).toEqual([{ ...NAME, limit: 100, before: undefined }]);
  expect(history).toMatchObject({ region: 'us-west', shard: '1/3', type: 'register-lww', logStart: 5, nowMs: 17 });
  expect(history.value).toBeUndefined();
  expect(history.nextPageToken).toBeUndefined();
  expect(history.changes.map(({ op }) => op)).toMatchObject(ops);
  expect(history.changes[0]).toMatchObject({
    version: { origin: ORIGIN, seq: 1, stamp: 1001 },
    offset: 10,
    landedAfterMs: undefined,
    landedBeforeMs: 1_700_000_000_101,
    acknowledgedBy: ['eu-west'],
    trace: undefined,
  });
  expect(history.changes[1]!.trace).toHaveLength(25);
});

test('a page token leads on from where it was, for the same key only', async () => {
  const { admin, asked } = await served([change(1, { kind: 'delete' })], { offset: 10, landedBeforeMs: 123 });
  const { nextPageToken } = await admin.keyHistory(NAME, { pageSize: 7 });
  await admin.keyHistory(NAME, { pageToken: nextPageToken, pageSize: 5000 });
  expect(asked[1]).toMatchObject({ limit: 1000, before: { offset: 10, landedBeforeMs: 123 } });
  for (const wrong of [
    { ...NAME, key: 'bert' },
    { ...NAME, collection: 'flights' },
  ]) {
    await failure(admin.keyHistory(wrong, { pageToken: nextPageToken }), 'INVALID_ARGUMENT');
  }
  for (const pageToken of [
    'x',
    Buffer.from('[1]').toString('base64url'),
    Buffer.from('[1,"x",-1,2]').toString('base64url'),
  ]) {
    await failure(admin.keyHistory(NAME, { pageToken }), 'INVALID_ARGUMENT');
  }
});

test('I12: a page holds so many bytes of values, and goes on behind them; one change is always told', async () => {
  const large = (seq: number): KeyChange => change(seq, { kind: 'put', value: Buffer.alloc(2 * 1024 * 1024, seq) });
  const { admin, asked } = await served([large(3), large(2), large(1)]);
  const page = await admin.keyHistory(NAME);
  expect(page.changes.map(({ version }) => version.seq)).toEqual([3]);
  await admin.keyHistory(NAME, { pageToken: page.nextPageToken });
  expect(asked[1]!.before).toEqual({ offset: 21, landedBeforeMs: 1_700_000_000_102 });
});

test('names that are wrong say so', async () => {
  const { admin } = await served([]);
  await failure(admin.keyHistory({ ...NAME, namespace: 'ap' }), 'UNKNOWN_COLLECTION');
  await failure(admin.keyHistory({ ...NAME, collection: 'profile' }), 'UNKNOWN_COLLECTION');
  await failure(admin.keyHistory({ ...NAME, key: '' }), 'INVALID_ARGUMENT');
});
