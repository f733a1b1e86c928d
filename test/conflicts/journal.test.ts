// The journal of a node over two shards: order, pages, bounds, and what a restart finds.

import { describe, expect, test } from 'vitest';
import { placeOfToken, tokenOfPlace } from '../../src/api/conflict-calls.ts';
import type { ConflictPage } from '../../src/conflicts/journal.ts';
import type { ConflictCursor, ConflictSubscription, TailRequest } from '../../src/conflicts/tail.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import { originId, regionId } from '../../src/record/ids.ts';
import { ShardJournal } from '../../src/conflicts/shard-journal.ts';
import { ALL, Journals, SHARDS, verdict, version } from './support.ts';

describe('pages', () => {
  async function filled(): Promise<Journals> {
    const journals = await Journals.open();
    // Times of two shards interleave, some are equal.
    for (let i = 1; i <= 30; i++) journals.add((i % 2) as 0 | 1, Math.floor(i / 3), verdict(i));
    return journals;
  }

  test('newest first or oldest first, of any size, have everything once', async () => {
    const journals = await filled();
    const newest = journals.all();
    expect(newest).toHaveLength(30);
    expect(new Set(newest).size).toBe(30);
    const oldest = journals.all({ order: 'oldest' });
    expect(oldest).toEqual(newest.toReversed());
    for (const limit of [1, 2, 7, 29, 30]) {
      expect(journals.all({ limit })).toEqual(newest);
      expect(journals.all({ limit, order: 'oldest' })).toEqual(oldest);
    }
    expect(journals.page({ limit: 30 }).next).toBeUndefined();
    expect(journals.page().total).toBe(30);
  });

  test('what is written while somebody turns pages moves nothing that is to come', async () => {
    const journals = await filled();
    const before = journals.all();
    const first = journals.page({ limit: 10 });
    journals.add(0, 99, verdict(100));
    expect(journals.all({ after: first.next })).toEqual(before.slice(10));
  });

  test('have places of whole milliseconds, whatever clock the verdict was given by: they stand in page tokens', async () => {
    const journals = await Journals.open();
    for (let i = 1; i <= 4; i++) journals.add((i % 2) as 0 | 1, 1000.25 + i / 3, verdict(i));
    const page = journals.page({ limit: 2, order: 'oldest' });
    expect(page.conflicts.map(({ atMs }) => atMs)).toEqual([1000, 1000]);
    expect(placeOfToken(tokenOfPlace(page.next!))).toEqual({
      atMs: page.next!.atMs,
      shard: page.next!.shard,
      offset: page.next!.offset,
      index: 0,
    });
    expect(journals.all({ limit: 1, order: 'oldest' })).toHaveLength(4);
  });

  test('filters: namespace, collection, prefix, time', async () => {
    const journals = await filled();
    const collection = { namespace: 'other', name: 'stock', id: 1, type: 'register-lww' } as const;
    journals.add(0, 50, verdict(101, { collection, key: 'x1' }));
    expect(journals.all({ namespace: 'other' })).toEqual(['1/0 x1']);
    expect(journals.all({ namespace: 'other', collection: 'carts' })).toEqual([]);
    expect(journals.all({ keyPrefix: 'k2' })).toHaveLength(11);
    expect(journals.all({ sinceMs: 50 })).toEqual(['1/0 x1']);
    expect(journals.all({ untilMs: 1 }).sort()).toEqual(['1/0 k2', '1/1 k1']);
    // A page that finds nothing for a long while says where to go on.
    for (let i = 200; i < 2500; i++) journals.add(1, 60, verdict(i));
    expect(journals.all({ namespace: 'other', order: 'newest' })).toEqual(['1/0 x1']);
  });

  test('a loser is found by its dot, with all its fields', async () => {
    const journals = await filled();
    const loser = version(7);
    journals.add(1, 50, verdict(300, { loser, field: 'a' }), verdict(300, { index: 1, loser, field: 'b' }));
    journals.node.find(SHARDS[1]!, loser, (conflicts) =>
      expect(conflicts).toMatchObject([{ field: undefined }, { field: 'a' }, { field: 'b' }]),
    );
    expect.assertions(2);
    const other = { origin: originId(regionId('eu'), 9), seq: 7 };
    journals.node.find(SHARDS[1]!, other, (conflicts) => expect(conflicts).toEqual([]));
  });

  test('I11: a shard that is still read from its log makes no answer', async () => {
    const journals = new Journals();
    await journals.store.open(SHARDS);
    journals.shards = SHARDS.map((shard) => new ShardJournal(shard, journals.store, journals.log));
    let answer: ConflictPage | CausewayError | undefined;
    journals.node.list(ALL, (page) => (answer = page));
    expect(answer).toMatchObject({ code: 'NOT_READY' });
  });
});

describe('I12: bounds', () => {
  test('beyond entriesMax the oldest of all shards goes, and is counted', async () => {
    const journals = await Journals.open({ entriesMax: 3 });
    journals.add(0, 1, verdict(1), verdict(2));
    journals.add(1, 2, verdict(3));
    expect(journals.page()).toMatchObject({ total: 3, dropped: 0 });
    journals.add(1, 3, verdict(4), verdict(5));
    expect(journals.all({ order: 'oldest' })).toEqual(['1/1 k3', '1/1 k4', '1/1 k5']);
    expect(journals.page()).toMatchObject({ total: 3, dropped: 2, droppedUntilMs: 1 });
  });

  test('beyond bytesMax too', async () => {
    const journals = await Journals.open({ bytesMax: 3000 });
    for (let i = 1; i <= 5; i++) journals.add(0, i, verdict(i, { loserValue: Buffer.alloc(1000) }));
    expect(journals.all({ order: 'oldest' })).toEqual(['1/0 k4', '1/0 k5']);
  });

  test('0 keeps none', async () => {
    const journals = await Journals.open({ entriesMax: 0 });
    journals.add(0, 1, verdict(1));
    expect(journals.page()).toMatchObject({ conflicts: [], total: 0, dropped: 1 });
  });

  test('what is older than keepMs goes, and is no want of room', async () => {
    const journals = await Journals.open({ keepMs: 100 });
    journals.add(0, 1000, verdict(1));
    journals.add(1, 1050, verdict(2));
    journals.node.expire(1120);
    expect(journals.all()).toEqual(['1/1 k2']);
    expect(journals.page().dropped).toBe(0);
  });
});

describe('a restart', () => {
  test('finds what the store has, what was dropped, and judges the rest again at the same places', async () => {
    const journals = await Journals.open({ entriesMax: 4 });
    for (let i = 1; i <= 5; i++) journals.add(0, i, verdict(i));
    journals.flush();
    journals.add(0, 6, verdict(6));
    const again = await Journals.open({ entriesMax: 4 }, journals.disk);
    expect(again.all({ order: 'oldest' })).toEqual(['1/0 k2', '1/0 k3', '1/0 k4', '1/0 k5']);
    expect(again.page().dropped).toBe(1);
    again.add(0, 6, verdict(6));
    expect(again.all({ order: 'oldest' })).toEqual(['1/0 k3', '1/0 k4', '1/0 k5', '1/0 k6']);
    // The deletes reach the store with its next step.
    again.flush();
    const last = await Journals.open({}, journals.disk);
    expect(last.all({ order: 'oldest' })).toEqual(['1/0 k3', '1/0 k4', '1/0 k5', '1/0 k6']);
    expect(last.page().dropped).toBe(2);
  });

  test('a step that the store did not take is taken again, with what came since', async () => {
    const journals = await Journals.open();
    journals.add(0, 1, verdict(1));
    journals.shards[0]!.takeRows();
    journals.add(0, 2, verdict(2));
    expect(journals.all({ order: 'oldest' })).toEqual(['1/0 k1', '1/0 k2']);
    journals.shards[0]!.putBack();
    journals.flush();
    expect((await Journals.open({}, journals.disk)).all({ order: 'oldest' })).toEqual(['1/0 k1', '1/0 k2']);
  });

  test('times never fall within a shard, whatever the clock does', async () => {
    const journals = await Journals.open();
    journals.add(0, 100, verdict(1));
    journals.add(0, 50, verdict(2));
    expect(journals.page().conflicts.map(({ atMs }) => atMs)).toEqual([100, 100]);
  });
});

class Reader {
  readonly told: string[] = [];
  cursor: ConflictCursor | undefined;
  lost = 0;
  takes = true;
  readonly subscription: ConflictSubscription;

  constructor(journals: Journals, start: TailRequest['start'], filter: Partial<TailRequest> = {}) {
    this.subscription = journals.node.tail(
      { namespace: '', collection: '', keyPrefix: '', start, ...filter },
      {
        conflicts: (conflicts, cursor, lost) => {
          this.told.push(...conflicts.map(({ key }) => key));
          this.cursor = cursor;
          if (lost) this.lost++;
          return this.takes;
        },
        failed: (error) => this.told.push(error.code),
      },
    );
  }
}

describe('the stream', () => {
  test('from the beginning, from now, and what comes', async () => {
    const journals = await Journals.open();
    journals.add(0, 1, verdict(1));
    const all = new Reader(journals, 'beginning');
    const now = new Reader(journals, 'now');
    journals.add(1, 2, verdict(2));
    journals.add(0, 3, verdict(3));
    expect(all.told).toEqual(['k1', 'k2', 'k3']);
    expect(now.told).toEqual(['k2', 'k3']);
    now.subscription.cancel();
    journals.add(0, 4, verdict(4));
    expect(now.told).toEqual(['k2', 'k3']);
    expect(all.lost + now.lost).toBe(0);
  });

  test('goes on from a cursor after a restart, with entries that were judged again: each once', async () => {
    const journals = await Journals.open();
    journals.add(0, 1, verdict(1), verdict(2));
    const before = new Reader(journals, 'beginning');
    journals.flush();
    journals.add(0, 2, verdict(3));
    expect(before.told).toEqual(['k1', 'k2', 'k3']);
    const again = await Journals.open({}, journals.disk);
    again.add(0, 2, verdict(3));
    const after = new Reader(again, before.cursor!);
    again.add(0, 3, verdict(4));
    expect(after.told).toEqual(['k4']);
    expect(after.lost).toBe(0);
  });

  test('the cursor of "now" is good before anything has come', async () => {
    const journals = await Journals.open();
    journals.add(0, 1, verdict(1));
    const { cursor } = new Reader(journals, 'now');
    journals.add(0, 2, verdict(2));
    journals.add(1, 3, verdict(1, { key: 'other' }));
    expect(new Reader(journals, cursor!).told).toEqual(['k2', 'other']);
  });

  test('says that entries behind the cursor were dropped', async () => {
    const journals = await Journals.open({ entriesMax: 2 });
    journals.add(0, 1, verdict(1));
    const { cursor } = new Reader(journals, 'beginning');
    journals.add(0, 2, verdict(2), verdict(3), verdict(4));
    const late = new Reader(journals, cursor!);
    expect(late.told).toEqual(['k3', 'k4']);
    expect(late.lost).toBe(1);
    // From the beginning of what is kept nothing is missing.
    expect(new Reader(journals, 'beginning').lost).toBe(0);
  });

  test('says so when another log stands where the cursor was', async () => {
    const journals = await Journals.open();
    journals.add(0, 1, verdict(1), verdict(5));
    const { cursor } = new Reader(journals, 'beginning');
    const other = await Journals.open();
    other.add(0, 1, verdict(2, { loser: version(90) }));
    const reader = new Reader(other, cursor!);
    // Not before this node knows that it has all of the log.
    expect(reader).toMatchObject({ told: [], lost: 0 });
    other.take(3);
    other.land(3);
    expect(reader).toMatchObject({ told: ['k2'], lost: 1 });
    const same = await Journals.open();
    same.add(0, 1, verdict(5, { key: 'another', loser: version(91) }));
    expect(new Reader(same, cursor!)).toMatchObject({ told: ['another'], lost: 1 });
  });

  test('a place beyond the log of a node that is about to be deposed is not lost: the next reading of the log has it', async () => {
    const former = await Journals.open();
    former.add(0, 1, verdict(1), verdict(2));
    const { cursor } = new Reader(former, 'beginning');
    // Another node has read the log before the second entry, and its lease is on its way to where that stands.
    const node = await Journals.open();
    node.add(0, 1, verdict(1));
    node.take(2);
    const reader = new Reader(node, cursor!);
    node.node.grown(2);
    // The fence refuses it, and the log is read again.
    node.begin();
    node.add(0, 1, verdict(1), verdict(2));
    expect(reader).toMatchObject({ told: [], lost: 0 });
    node.take(3);
    node.land(3);
    node.add(0, 3, verdict(4));
    expect(reader).toMatchObject({ told: ['k4'], lost: 0 });
  });

  test('what was on its way before the place was shown proves nothing, what is handed to the log after it does', async () => {
    const former = await Journals.open();
    former.add(0, 1, verdict(9));
    const { cursor } = new Reader(former, 'beginning');
    const node = await Journals.open();
    node.add(0, 1, verdict(1));
    node.take(3);
    const reader = new Reader(node, cursor!);
    node.land(3);
    expect(reader).toMatchObject({ told: [], lost: 0 });
    node.take(4);
    node.land(4);
    expect(reader).toMatchObject({ told: ['k1'], lost: 1 });
  });

  test('I8: a reader that does not take waits at a place, and is told the rest when it does', async () => {
    const journals = await Journals.open();
    const slow = new Reader(journals, 'beginning');
    slow.takes = false;
    journals.add(0, 1, verdict(1));
    journals.add(0, 2, verdict(2));
    expect(slow.told).toEqual(['k1']);
    slow.takes = true;
    slow.subscription.resume();
    expect(slow.told).toEqual(['k1', 'k2']);
  });

  test('filters, and the cursor passes over what does not match', async () => {
    const journals = await Journals.open();
    const reader = new Reader(journals, 'beginning', { keyPrefix: 'k2' });
    for (let i = 1; i <= 25; i++) journals.add(0, i, verdict(i));
    expect(reader.told).toEqual(['k2', 'k20', 'k21', 'k22', 'k23', 'k24', 'k25']);
    expect(reader.cursor!.get(SHARDS[0]!)).toMatchObject({ offset: 25 });
  });

  test('ends with the node', async () => {
    const journals = await Journals.open();
    const reader = new Reader(journals, 'now');
    journals.node.fail(new CausewayError('UNAVAILABLE', 'over'));
    expect(reader.told).toEqual(['UNAVAILABLE']);
  });
});
