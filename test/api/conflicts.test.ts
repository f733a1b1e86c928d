// The conflict journal over real loopback gRPC: pages, the stream, one loser, restoring; and the levels of a read.

import { describe, expect, test } from 'vitest';
import { adminClient, type AdminClient, type ConflictBatch } from '../../src/client/index.ts';
import type { Conflict } from '../../src/region/region.ts';
import { client, cleanup, encode, failure, raw, serve, unary, type Served } from '../support/api.ts';
import { verdict } from '../conflicts/support.ts';

async function served(conflicts: readonly Conflict[] = []): Promise<Served & { admin: AdminClient }> {
  const all = await serve();
  all.region.conflictList = [...conflicts];
  const admin = adminClient(all.address);
  cleanup(() => admin.close());
  return { ...all, admin };
}

function entry(offset: number, more: Partial<Conflict> = {}): Conflict {
  return { ...verdict(offset), atMs: offset * 100, shard: '1/0' as never, ...more };
}

const NAME = { shard: '1/0', origin: 'eu~000000000001', seq: 3 };

describe('pages', () => {
  test('follow one another by their tokens, and end', async () => {
    const { admin } = await served([1, 2, 3, 4, 5].map((i) => entry(i)));
    const first = await admin.listConflicts({ pageSize: 2 });
    expect(first).toMatchObject({ region: 'us-west', total: 5, dropped: 0, conflicts: [{ key: 'k5' }, { key: 'k4' }] });
    const second = await admin.listConflicts({ pageSize: 2, pageToken: first.nextPageToken });
    const third = await admin.listConflicts({ pageSize: 2, pageToken: second.nextPageToken });
    expect([second, third].flatMap(({ conflicts }) => conflicts.map(({ key }) => key))).toEqual(['k3', 'k2', 'k1']);
    expect(third.nextPageToken).toBeUndefined();
    expect(first.conflicts[0]).toEqual({
      atMs: 500,
      shard: '1/0',
      collection: { namespace: 'shop', name: 'carts', id: 1, type: 'register-lww' },
      key: 'k5',
      field: undefined,
      loser: { origin: 'eu~000000000001', seq: 5, stamp: 50 },
      loserValue: Buffer.from('lost 5'),
      loserExpiresAtMs: undefined,
      winner: { origin: 'us~000000000002', seq: 5, stamp: 55 },
      winnerDeletes: false,
    });
  });

  test('I12: a page that would be too large for an answer is cut, and loses nothing', async () => {
    const { region, address } = await serve({ limits: { responseBytesMax: 3000 } });
    region.conflictList = [1, 2, 3, 4, 5].map((i) => entry(i, { loserValue: Buffer.alloc(1000) }));
    const admin = adminClient(address);
    cleanup(() => admin.close());
    const keys: string[] = [];
    let pageToken: string | undefined;
    do {
      const page = await admin.listConflicts({ pageToken });
      expect(page.conflicts.length).toBeLessThanOrEqual(2);
      keys.push(...page.conflicts.map(({ key }) => key));
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
    expect(keys).toEqual(['k5', 'k4', 'k3', 'k2', 'k1']);
  });

  test.each<[string, object, RegExp]>([
    ['a token of something else', { pageToken: 'abc' }, /no page_token/],
    ['a collection without its namespace', { collection: 'carts' }, /together with its namespace/],
    ['an end before the beginning', { sinceMs: 10, untilMs: 5 }, /after since_ms/],
    ['a namespace that is no name', { namespace: 'a/b' }, /namespace/],
  ])('refuses %s', async (_name, filter, says) => {
    const { admin } = await served();
    const error = await failure(admin.listConflicts(filter), 'INVALID_ARGUMENT');
    expect(error.message).toMatch(says);
  });
});

describe('one loser', () => {
  test('is shown with all that it lost, or is not there', async () => {
    const { admin } = await served([entry(3), entry(3, { field: 'f', index: 1 })]);
    expect(await admin.conflictsOf(NAME)).toMatchObject([{ field: undefined }, { field: 'f' }]);
    const error = await failure(admin.conflictsOf({ ...NAME, seq: 4 }), 'KEY_NOT_FOUND');
    expect(error.message).toContain('us-west has no loser eu~000000000001:4 in shard 1/0');
    expect((await failure(admin.conflictsOf({ ...NAME, shard: '1' }), 'INVALID_ARGUMENT')).message).toContain('1/3');
    await failure(admin.conflictsOf({ ...NAME, origin: 'eu' }), 'INVALID_ARGUMENT');
  });

  test('is restored by the region, with what the caller said', async () => {
    const { admin, region } = await served([entry(3)]);
    expect(await admin.restoreConflict(NAME, { force: true, fields: ['f'] })).toMatchObject({
      region: 'us-west',
      version: { seq: 9 },
      conflicts: [{ key: 'k3' }],
    });
    expect(region.restores).toMatchObject([{ shard: '1/0', force: true, fields: ['f'], deadlineMs: 5000 }]);
    await failure(admin.restoreConflict({ ...NAME, seq: 4 }), 'KEY_NOT_FOUND');
  });
});

describe('the stream', () => {
  test('brings what is there with a cursor, and ends with the signal', async () => {
    const { admin } = await served([entry(1), entry(2)]);
    const stop = new AbortController();
    const batches: ConflictBatch[] = [];
    for await (const batch of admin.watchConflicts({ from: 'beginning', signal: stop.signal })) {
      batches.push(batch);
      stop.abort();
    }
    expect(batches).toMatchObject([{ region: 'us-west', lost: false, conflicts: [{ key: 'k1' }, { key: 'k2' }] }]);
    expect(batches[0]!.cursor).toMatch(/^[\w-]+$/);
  });

  test('refuses a cursor that it did not make, and ends when the node drains', async () => {
    const { admin, server } = await served([entry(1)]);
    const bad = admin.watchConflicts({ from: { cursor: 'abc' } });
    await failure(bad.next(), 'CURSOR_INVALID');
    const good = admin.watchConflicts({ from: 'beginning' });
    await good.next();
    const over = failure(good.next(), 'DRAINING');
    await server.drain();
    await over;
  });
});

describe('levels of a read', () => {
  test('reach the region as they were asked for', async () => {
    const { region, address } = await serve();
    const db = client([address]);
    await db.read('profiles', ['k'], { consistency: { maxStaleMs: 250 } });
    await db.read('profiles', ['k'], { consistency: 'stable' });
    await db.read('profiles', ['k']);
    expect(region.reads.map(({ consistency }) => consistency)).toEqual([
      { kind: 'bounded', maxStaleMs: 250 },
      { kind: 'stable' },
      { kind: 'local' },
    ]);
  });

  test('a bound of nothing, or of more than an hour, is refused', async () => {
    const { address } = await serve();
    const db = client([address]);
    for (const maxStaleMs of [0, 3_600_001]) {
      const error = await failure(db.read('profiles', ['k'], { consistency: { maxStaleMs } }), 'INVALID_ARGUMENT');
      expect(error.message).toContain('max_stale_ms from 1 to 3600000');
    }
  });

  test('a level of the future is refused by its number', async () => {
    const { address } = await serve();
    const request = encode('ReadRequest', { namespace: 'app', collection: 'profiles', keys: ['k'], consistency: 9 });
    const error = await failure(unary(raw(address), '/causeway.v1.Data/Read', request), 'INVALID_ARGUMENT');
    expect(error.message).toContain('consistency 9');
  });
});
