// A region of several nodes from one of them: what goes where, in which order, and how answers of several nodes become one.

import { describe, expect, test } from 'vitest';
import { CausewayError } from '../../src/errors/errors.ts';
import { originId, regionId, type ShardId } from '../../src/record/ids.ts';
import type {
  FeedSink,
  ReadRequest,
  ReadResult,
  ScanRequest,
  ScanResult,
  SubscribeRequest,
  WriteRequest,
  WriteResult,
} from '../../src/region/region.ts';
import { SharedRegion } from '../../src/region/shared-region.ts';
import type { SharedOwnership, Siblings } from '../../src/region/siblings.ts';
import { outcome, Pending, put, TestCluster, type TestRegion } from '../support/node-kit.ts';
import { textOf } from '../support/shard-kit.ts';

const OTHER = 'eu-1:7400';
const THIRD = 'eu-2:7400';
const KEYS = Array.from({ length: 24 }, (_, i) => `k${String(i).padStart(2, '0')}`);
const ORIGIN = originId(regionId('eu'), 99);

interface Asked<Request, Result> {
  readonly address: string;
  readonly request: Request;
  readonly done: (result: Result) => void;
}

class FakeSiblings implements Siblings {
  readonly writes: Asked<WriteRequest, readonly WriteResult[]>[] = [];
  readonly reads: Asked<ReadRequest, ReadResult | CausewayError>[] = [];
  readonly scans: Asked<ScanRequest, ScanResult | CausewayError>[] = [];
  readonly feeds: { readonly address: string; readonly request: SubscribeRequest; readonly sink: FeedSink }[] = [];
  cancelled = 0;

  write(address: string, request: WriteRequest, done: (results: readonly WriteResult[]) => void): void {
    this.writes.push({ address, request, done });
  }

  /** In the order of the calls, whatever the epoch. */
  stream(address: string): ReturnType<Siblings['stream']> {
    return { write: (_epoch, request, done) => this.write(address, request, done) };
  }

  read(address: string, request: ReadRequest, done: (result: ReadResult | CausewayError) => void): void {
    this.reads.push({ address, request, done });
  }

  scan(address: string, request: ScanRequest, done: (result: ScanResult | CausewayError) => void): void {
    this.scans.push({ address, request, done });
  }

  subscribe(address: string, request: SubscribeRequest, sink: FeedSink): ReturnType<Siblings['subscribe']> {
    this.feeds.push({ address, request, sink });
    return { resume: () => undefined, cancel: () => void this.cancelled++ };
  }
}

class Bench {
  readonly cluster: TestCluster;
  readonly eu: TestRegion;
  readonly siblings = new FakeSiblings();
  /** Of shards that are not here; undefined: nobody. */
  readonly elsewhere = new Map<ShardId, string | undefined>();
  readonly region: SharedRegion;

  constructor(cluster: TestCluster) {
    this.cluster = cluster;
    this.eu = cluster.region('eu');
    const ownership: SharedOwnership = {
      owns: (shard) => !this.elsewhere.has(shard),
      ownerOf: (shard) => {
        const address = this.elsewhere.get(shard);
        return address === undefined ? undefined : { node: address, address };
      },
      onChange: () => undefined,
    };
    this.region = new SharedRegion(this.eu.node, ownership, this.siblings);
  }

  /** Shards 1/0 and 1/1 are here, 1/2 and 1/3 elsewhere. */
  static async started(): Promise<Bench> {
    const bench = new Bench(await TestCluster.started({ shards: 4 }));
    for (const shard of bench.cluster.shards.slice(2)) bench.move(shard, OTHER);
    return bench;
  }

  move(shard: ShardId, address: string | undefined): void {
    this.elsewhere.set(shard, address);
    this.eu.ownership.set(shard, false);
  }

  shard(key: string): ShardId {
    return this.eu.node.shardFor('shop', 'register-lww', key)!;
  }

  /** Keys of this shard. */
  keys(shard: ShardId): string[] {
    return KEYS.filter((key) => this.shard(key) === shard);
  }

  write(keys: readonly string[], sender?: WriteRequest['sender']): Pending<readonly WriteResult[]> {
    const pending = new Pending<readonly WriteResult[]>();
    const ops = keys.map((key) => put(key, key));
    this.region.write({ ops, durability: { kind: 'local' }, deadlineMs: 1000, sender }, (results) =>
      pending.answer(results),
    );
    return pending;
  }
}

/** What the other node says when it has written all. */
function written({ request, done }: Asked<WriteRequest, readonly WriteResult[]>, bench: Bench): void {
  done(
    request.ops.map(({ key }, i) => ({
      ok: true,
      shard: bench.shard(key),
      version: { origin: ORIGIN, seq: i + 1, stamp: i + 1 },
      duplicate: false,
    })),
  );
}

function failed({ request, done }: Asked<WriteRequest, readonly WriteResult[]>, error: CausewayError): void {
  done(request.ops.map(() => ({ ok: false, error })));
}

describe('writes', () => {
  test('are taken apart by owner, and answered in the order of their ops', async () => {
    const bench = await Bench.started();
    const pending = bench.write(KEYS);
    await bench.cluster.run(100);
    expect(pending.answers).toEqual([]);
    const [asked] = bench.siblings.writes;
    expect(asked!.address).toBe(OTHER);
    expect(asked!.request.ops.map(({ key }) => key)).toEqual(
      KEYS.filter((key) => bench.elsewhere.has(bench.shard(key))),
    );
    written(asked!, bench);
    expect(outcome(pending)).toBe('ok');
    pending.value!.forEach((result, i) => {
      const shard = bench.shard(KEYS[i]!);
      expect(result).toMatchObject({ ok: true, shard });
      expect(result.ok && result.version.origin === ORIGIN).toBe(bench.elsewhere.has(shard));
    });
  });

  test('for a shard that nobody owns are refused, and may be tried again', async () => {
    const bench = await Bench.started();
    bench.elsewhere.set(bench.cluster.shards[3]!, undefined);
    const pending = bench.write(bench.keys(bench.cluster.shards[3]!));
    expect(outcome(pending)).toBe('NOT_READY');
  });

  test('of one sender go to another node in their order, four at a time, and what waits goes together', async () => {
    const bench = await Bench.started();
    const keys = bench.keys(bench.cluster.shards[2]!);
    const stream = {};
    const writes = [0, 1, 2, 3, 0, 1].map((i) => bench.write([keys[i % keys.length]!], { stream, epoch: 0 }));
    expect(bench.siblings.writes).toHaveLength(4);
    written(bench.siblings.writes[0]!, bench);
    expect(bench.siblings.writes).toHaveLength(5);
    // Another sender waits for nobody.
    bench.write([keys[0]!], { stream: {}, epoch: 0 });
    expect(bench.siblings.writes.map(({ request }) => request.ops.length)).toEqual([1, 1, 1, 1, 2, 1]);
    expect(bench.siblings.writes[4]!.request.ops.map(({ key }) => key)).toEqual([keys[0], keys[1 % keys.length]]);
    for (const asked of bench.siblings.writes.slice(1)) written(asked, bench);
    expect(writes.map(outcome)).toEqual(Array(6).fill('ok'));
    expect(writes.map(({ value }) => value!.length)).toEqual(Array(6).fill(1));
  });

  test('behind one that failed are refused untried, until the sender begins a new epoch', async () => {
    const bench = await Bench.started();
    const [key] = bench.keys(bench.cluster.shards[2]!);
    const stream = {};
    const writes = [0, 1, 2, 3, 4].map(() => bench.write([key!], { stream, epoch: 3 }));
    expect(bench.siblings.writes).toHaveLength(4);
    failed(bench.siblings.writes[0]!, new CausewayError('NOT_READY', 'not yet'));
    // What waited is not sent any more; what is under way is the other node's to refuse.
    expect([writes[0]!, writes[4]!].map(outcome)).toEqual(['NOT_READY', 'NOT_READY']);
    expect(outcome(bench.write([key!], { stream, epoch: 3 }))).toBe('NOT_READY');
    expect(bench.siblings.writes).toHaveLength(4);
    for (const asked of bench.siblings.writes.slice(1)) failed(asked, new CausewayError('NOT_READY', 'behind it'));
    bench.write([key!], { stream, epoch: 4 });
    expect(bench.siblings.writes).toHaveLength(5);
  });

  test('behind one that had no owner, in a message that is not answered yet, are refused too', async () => {
    const bench = await Bench.started();
    const [there, nowhere] = [bench.cluster.shards[2]!, bench.cluster.shards[3]!];
    bench.elsewhere.set(nowhere, undefined);
    const stream = {};
    const first = bench.write([bench.keys(there)[0]!, bench.keys(nowhere)[0]!], { stream, epoch: 0 });
    bench.elsewhere.set(nowhere, THIRD);
    const second = bench.write([bench.keys(nowhere)[0]!], { stream, epoch: 0 });
    expect(outcome(second)).toBe('NOT_READY');
    written(bench.siblings.writes[0]!, bench);
    expect(first.value!.map(({ ok }) => ok)).toEqual([true, false]);
    expect(bench.siblings.writes).toHaveLength(1);
  });

  test('of one sender do not follow a shard to its next owner while one is under way at the last', async () => {
    const bench = await Bench.started();
    const shard = bench.cluster.shards[2]!;
    const [key] = bench.keys(shard);
    const stream = {};
    bench.write([key!], { stream, epoch: 0 });
    bench.elsewhere.set(shard, THIRD);
    expect(outcome(bench.write([key!], { stream, epoch: 0 }))).toBe('NOT_READY');
    written(bench.siblings.writes[0]!, bench);
    bench.write([key!], { stream, epoch: 1 });
    expect(bench.siblings.writes.map(({ address }) => address)).toEqual([OTHER, THIRD]);
  });

  test('that are atomic go to their owner as a whole', async () => {
    const bench = await Bench.started();
    const tag = KEYS.find((key) => bench.elsewhere.has(bench.shard(`{${key}}`)))!;
    const pending = new Pending<readonly WriteResult[]>();
    const ops = [put(`{${tag}}1`, 'a'), put(`{${tag}}2`, 'b')];
    bench.region.write({ ops, durability: { kind: 'local' }, deadlineMs: 1000, atomic: true }, (results) =>
      pending.answer(results),
    );
    expect(bench.siblings.writes.map(({ request }) => [request.atomic, request.ops.length])).toEqual([[true, 2]]);
  });
});

describe('reads', () => {
  test('of keys of several nodes come back in the order of their keys', async () => {
    const bench = await Bench.started();
    const write = bench.write(KEYS);
    written(bench.siblings.writes[0]!, bench);
    await bench.cluster.run(100);
    expect(outcome(write)).toBe('ok');
    const pending = new Pending<ReadResult | CausewayError>();
    const request = { namespace: 'shop', collection: 'register-lww', keys: KEYS, deadlineMs: 1000 } as const;
    bench.region.read({ ...request, consistency: { kind: 'local' } }, (result) => pending.answer(result));
    const [asked] = bench.siblings.reads;
    const views = asked!.request.keys.map((key) => ({
      type: 'register-lww' as const,
      value: Buffer.from(key),
      version: { origin: ORIGIN, seq: 1, stamp: 1 },
    }));
    asked!.done({ views, session: new Map([[bench.cluster.shards[2]!, new Map([[ORIGIN, 7]])]]), stale: true });
    const result = pending.value as ReadResult;
    expect(result.views.map((view) => textOf(view))).toEqual(KEYS);
    expect([...result.session.keys()].sort()).toEqual(bench.cluster.shards.slice(0, 3));
    expect(result.stale).toBe(true);

    const stable = new Pending<ReadResult | CausewayError>();
    bench.region.read({ ...request, consistency: { kind: 'stable' } }, (answer) => stable.answer(answer));
    expect((stable.value as CausewayError).code).toBe('PRECONDITION_FAILED');
  });

  test('a page of several nodes ends where the first of theirs does, or at its limit', async () => {
    const bench = await Bench.started();
    const scan = (
      limit: number,
    ): { pending: Pending<ScanResult | CausewayError>; asked: Asked<ScanRequest, ScanResult | CausewayError> } => {
      const pending = new Pending<ScanResult | CausewayError>();
      bench.region.scan(
        {
          namespace: 'shop',
          collection: 'set-aw',
          prefix: '',
          limit,
          bytesMax: 1e6,
          consistency: { kind: 'local' },
          deadlineMs: 1000,
        },
        (result) => pending.answer(result),
      );
      return { pending, asked: bench.siblings.scans.at(-1)! };
    };
    const ops = ['a', 'c', 'e'].map((key) => ({
      namespace: 'shop',
      collection: 'set-aw',
      key,
      intent: { kind: 'set-add' as const, elements: [Buffer.from(key)] },
    }));
    // Wherever they belong, they are told to be of the other node.
    const view = { type: 'set-aw' as const, elements: [Buffer.from('x')] };
    const { pending, asked } = scan(10);
    expect([...asked.request.shards!].sort((a, b) => a - b)).toEqual([2, 3]);
    asked.done({ entries: ops.map(({ key }) => ({ key, view })), next: 'd', session: new Map(), stale: false });
    expect((pending.value as ScanResult).entries.map(({ key }) => key)).toEqual(['a', 'c']);
    expect((pending.value as ScanResult).next).toBe('d');
    const limited = scan(2);
    limited.asked.done({
      entries: ops.map(({ key }) => ({ key, view })),
      next: undefined,
      session: new Map(),
      stale: false,
    });
    expect((limited.pending.value as ScanResult).entries.map(({ key }) => key)).toEqual(['a', 'c']);
    expect((limited.pending.value as ScanResult).next).toBe('c');
  });
});

test('a feed of several nodes ends as a whole when one of its parts does', async () => {
  const bench = await Bench.started();
  bench.elsewhere.set(bench.cluster.shards[3]!, THIRD);
  const told: string[] = [];
  bench.region.subscribe(
    { namespace: 'shop', collections: [], keyPrefix: '', start: { kind: 'beginning' }, form: 'op' },
    {
      events: (_events, shard) => {
        told.push(shard);
        return true;
      },
      failed: ({ code }) => told.push(code),
    },
  );
  const [second, third] = bench.siblings.feeds;
  expect([second, third].map((feed) => [feed!.address, [...feed!.request.shards!]])).toEqual([
    [OTHER, [2]],
    [THIRD, [3]],
  ]);
  second!.sink.events([], bench.cluster.shards[2]!, new Map());
  third!.sink.failed(new CausewayError('UNAVAILABLE', 'gone'));
  second!.sink.failed(new CausewayError('UNAVAILABLE', 'gone as well'));
  expect(told.filter((what) => what !== '1/0' && what !== '1/1')).toEqual(['1/2', 'UNAVAILABLE']);
  expect(bench.siblings.cancelled).toBe(2);
});

test('is ready once every shard has had an owner', async () => {
  const bench = await Bench.started();
  bench.elsewhere.set(bench.cluster.shards[3]!, undefined);
  expect(bench.region.ready()).toBe(false);
  bench.elsewhere.set(bench.cluster.shards[3]!, OTHER);
  expect(bench.region.ready()).toBe(true);
  bench.elsewhere.set(bench.cluster.shards[3]!, undefined);
  expect(bench.region.ready()).toBe(true);
});
