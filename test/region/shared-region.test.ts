// A region of several nodes from one of them: what goes where, in which order, and how answers of several nodes become one.

import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../chaos/sim/random.ts';
import { simSystem } from '../../chaos/sim/system.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import { originId, regionId, type ShardId } from '../../src/record/ids.ts';
import type {
  Conflict,
  ConflictPage,
  ConflictQuery,
  ConflictSink,
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
  /** Of a stream. */
  readonly epoch?: number;
  readonly request: Request;
  readonly done: (result: Result) => void;
}

class FakeSiblings implements Siblings {
  readonly writes: Asked<WriteRequest, readonly WriteResult[]>[] = [];
  readonly reads: Asked<ReadRequest, ReadResult | CausewayError>[] = [];
  readonly scans: Asked<ScanRequest, ScanResult | CausewayError>[] = [];
  readonly feeds: { readonly address: string; readonly request: SubscribeRequest; readonly sink: FeedSink }[] = [];
  readonly pages: Asked<ConflictQuery, ConflictPage | CausewayError>[] = [];
  readonly tails: { readonly address: string; readonly sink: ConflictSink }[] = [];
  cancelled = 0;
  resumed = 0;

  write(address: string, request: WriteRequest, done: (results: readonly WriteResult[]) => void): void {
    this.writes.push({ address, request, done });
  }

  /** Each in the order of the calls. */
  stream(address: string): ReturnType<Siblings['stream']> {
    return { write: (epoch, request, done) => void this.writes.push({ address, request, done, epoch }) };
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

  conflicts(address: string, request: ConflictQuery, done: (page: ConflictPage | CausewayError) => void): void {
    this.pages.push({ address, request, done });
  }

  watchConflicts(address: string, _request: unknown, sink: ConflictSink): ReturnType<Siblings['watchConflicts']> {
    this.tails.push({ address, sink });
    return { resume: () => void this.resumed++, cancel: () => void this.cancelled++ };
  }

  sharedState(): void {
    throw new Error('not asked for here');
  }

  collections(): void {
    throw new Error('not asked for here');
  }

  createCollection(): void {
    throw new Error('not asked for here');
  }

  alterCollection(): void {
    throw new Error('not asked for here');
  }

  dropCollection(): void {
    throw new Error('not asked for here');
  }

  status(): void {
    throw new Error('not asked for here');
  }

  digests(): void {
    throw new Error('not asked for here');
  }

  conflictsOf(): void {
    throw new Error('not asked for here');
  }

  restoreConflict(): void {
    throw new Error('not asked for here');
  }

  history(): void {
    throw new Error('not asked for here');
  }
}

const conflict = (shard: ShardId, atMs: number, offset: number): Conflict => ({
  atMs,
  shard,
  offset,
  index: 0,
  collection: { namespace: 'shop', name: 'register-lww', id: 1, type: 'register-lww' },
  key: `${shard} ${offset}`,
  field: undefined,
  loser: { origin: ORIGIN, seq: offset, stamp: offset },
  loserValue: undefined,
  loserExpiresAtMs: undefined,
  winner: { origin: ORIGIN, seq: offset + 1, stamp: offset + 1 },
  winnerDeletes: false,
});

class Bench {
  readonly cluster: TestCluster;
  readonly eu: TestRegion;
  readonly siblings = new FakeSiblings();
  /** Of shards that are not here; undefined: nobody. */
  readonly elsewhere = new Map<ShardId, string | undefined>();
  readonly region: SharedRegion;
  readonly moved: ((shard: ShardId) => void)[] = [];

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
      others: () => [],
      pinnedTo: () => undefined,
      loadOf: () => undefined,
      wantedOwner: () => undefined,
      move: () => Promise.resolve(),
      onMoved: (listener) => this.moved.push(listener),
    };
    const system = simSystem(cluster.scheduler, this.eu.clock, this.eu.life, new SeededRandom(3, 'shared'));
    this.region = new SharedRegion(this.eu.node, ownership, this.siblings, system);
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
    expect(asked!.request.ops.map(({ key }) => key).toSorted()).toEqual(
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

  test('for a shard that nobody owns wait for an owner, and are refused when there is none in time', async () => {
    const bench = await Bench.started();
    bench.elsewhere.set(bench.cluster.shards[3]!, undefined);
    const shard = bench.cluster.shards[3]!;
    const pending = bench.write(bench.keys(shard));
    await bench.cluster.run(900);
    expect(pending.answers).toEqual([]);
    await bench.cluster.run(200);
    expect(outcome(pending)).toBe('NOT_READY');
    const served = bench.write(bench.keys(shard));
    bench.elsewhere.set(shard, THIRD);
    for (const listener of bench.moved) listener(shard);
    written(bench.siblings.writes[0]!, bench);
    expect(outcome(served)).toBe('ok');
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
    failed(bench.siblings.writes[0]!, new CausewayError('OVERLOADED', 'not now'));
    expect(outcome(bench.write([key!], { stream, epoch: 3 }))).toBe('OVERLOADED');
    const next = bench.write([key!], { stream, epoch: 4 });
    // What is under way is the other node's to refuse, and nothing overtakes it.
    expect(bench.siblings.writes).toHaveLength(4);
    for (const asked of bench.siblings.writes.slice(1)) failed(asked, new CausewayError('OVERLOADED', 'behind it'));
    expect(writes.map(outcome)).toEqual(Array(5).fill('OVERLOADED'));
    expect(bench.siblings.writes.map(({ epoch }) => epoch)).toEqual([0, 0, 0, 0, 1]);
    written(bench.siblings.writes[4]!, bench);
    expect(outcome(next)).toBe('ok');
  });

  test('of a new epoch wait for what is under way of the one before', async () => {
    const bench = await Bench.started();
    const [key] = bench.keys(bench.cluster.shards[2]!);
    const stream = {};
    bench.write([key!], { stream, epoch: 3 });
    bench.write([key!], { stream, epoch: 4 });
    expect(bench.siblings.writes).toHaveLength(1);
    written(bench.siblings.writes[0]!, bench);
    expect(bench.siblings.writes).toHaveLength(2);
  });

  test('behind one that had no owner stay behind it, whoever has the shard by then', async () => {
    const bench = await Bench.started();
    const [there, nowhere] = [bench.cluster.shards[2]!, bench.cluster.shards[3]!];
    bench.elsewhere.set(nowhere, undefined);
    const stream = {};
    const [key] = bench.keys(nowhere);
    const first = bench.write([bench.keys(there)[0]!, key!], { stream, epoch: 0 });
    bench.elsewhere.set(nowhere, THIRD);
    const second = bench.write([key!], { stream, epoch: 0 });
    expect(bench.siblings.writes.map(({ address }) => address)).toEqual([OTHER]);
    for (const listener of bench.moved) listener(nowhere);
    expect(bench.siblings.writes.map(({ address }) => address)).toEqual([OTHER, THIRD, THIRD]);
    for (const asked of bench.siblings.writes) written(asked, bench);
    expect([first, second].map(outcome)).toEqual(['ok', 'ok']);
  });

  test('that were not written because the shard was given up go to its next owner, before what came behind them', async () => {
    const bench = await Bench.started();
    const shard = bench.cluster.shards[2]!;
    const [key] = bench.keys(shard);
    const stream = {};
    const writes = [0, 1, 2].map(() => bench.write([key!], { stream, epoch: 0 }));
    const gone = new CausewayError('NOT_READY', 'it moves', { outcome: 'not-applied' });
    const [first, ...behind] = bench.siblings.writes;
    failed(first!, gone);
    bench.elsewhere.set(shard, THIRD);
    for (const listener of bench.moved) listener(shard);
    // The old owner has not said yet what became of the others.
    expect(bench.siblings.writes).toHaveLength(3);
    for (const asked of behind) failed(asked, gone);
    await bench.cluster.run(30);
    const again = bench.siblings.writes.slice(3);
    expect(again.map(({ address, request }) => [address, request.ops.length])).toEqual(Array(3).fill([THIRD, 1]));
    expect(writes.map(outcome)).toEqual(Array(3).fill('0 answers'));
    for (const asked of again) written(asked, bench);
    expect(writes.map(outcome)).toEqual(Array(3).fill('ok'));
  });

  test('that come back with what failed are not overtaken on the way to the same node', async () => {
    const bench = await Bench.started();
    const [first, second] = bench.cluster.shards.slice(2).map((shard) => bench.keys(shard)[0]!);
    const stream = {};
    const writes = [first!, second!].map((key) => bench.write([key], { stream, epoch: 0 }));
    const late = new CausewayError('NOT_READY', 'not open yet', { outcome: 'not-applied' });
    failed(bench.siblings.writes[0]!, late);
    // Its shard has nothing that failed, but what is before it was sent behind what failed.
    writes.push(bench.write([second!], { stream, epoch: 0 }));
    expect(bench.siblings.writes).toHaveLength(2);
    failed(bench.siblings.writes[1]!, late);
    await bench.cluster.run(30);
    const again = bench.siblings.writes.slice(2);
    expect(again.flatMap(({ request }) => request.ops.map(({ key }) => key))).toEqual([first, second, second]);
    expect(again.map(({ epoch }) => epoch)).toEqual(again.map(() => 1));
    for (const asked of again) written(asked, bench);
    expect(writes.map(outcome)).toEqual(Array(3).fill('ok'));
  });

  test('of which it is not known whether they were written are not tried again, nor is what came behind them', async () => {
    const bench = await Bench.started();
    const shard = bench.cluster.shards[2]!;
    const [key] = bench.keys(shard);
    const stream = {};
    const writes = [0, 1, 2, 3, 4].map(() => bench.write([key!], { stream, epoch: 0 }));
    expect(bench.siblings.writes).toHaveLength(4);
    const broken = new CausewayError('UNAVAILABLE', 'the connection broke', { outcome: 'unknown' });
    for (const asked of [...bench.siblings.writes]) failed(asked, broken);
    await bench.cluster.run(500);
    expect(writes.map(outcome)).toEqual(Array(5).fill('UNAVAILABLE'));
    expect(bench.siblings.writes).toHaveLength(4);
  });

  test('wait for a shard once: after that they are refused at once, until it has an owner again', async () => {
    const bench = await Bench.started();
    const shard = bench.cluster.shards[3]!;
    bench.elsewhere.set(shard, undefined);
    const [key] = bench.keys(shard);
    const patient = new Pending<readonly WriteResult[]>();
    const request = { ops: [put(key!, 'x')], durability: { kind: 'local' }, deadlineMs: 60_000 } as const;
    bench.region.write(request, (results) => patient.answer(results));
    await bench.cluster.run(5100);
    expect(outcome(patient)).toBe('NOT_READY');
    expect(outcome(bench.write([key!]))).toBe('NOT_READY');
    bench.elsewhere.set(shard, OTHER);
    for (const listener of bench.moved) listener(shard);
    const served = bench.write([key!]);
    written(bench.siblings.writes[0]!, bench);
    expect(outcome(served)).toBe('ok');
  });

  test('of one sender do not follow a shard to its next owner while one is under way at the last', async () => {
    const bench = await Bench.started();
    const shard = bench.cluster.shards[2]!;
    const [key] = bench.keys(shard);
    const stream = {};
    bench.write([key!], { stream, epoch: 0 });
    bench.elsewhere.set(shard, THIRD);
    const second = bench.write([key!], { stream, epoch: 0 });
    await bench.cluster.run(100);
    expect(bench.siblings.writes).toHaveLength(1);
    written(bench.siblings.writes[0]!, bench);
    await bench.cluster.run(100);
    expect(bench.siblings.writes.map(({ address }) => address)).toEqual([OTHER, THIRD]);
    written(bench.siblings.writes[1]!, bench);
    expect(outcome(second)).toBe('ok');
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

describe('conflicts of several nodes', () => {
  const query = {
    namespace: '',
    collection: '',
    keyPrefix: '',
    sinceMs: 0,
    untilMs: Infinity,
    after: undefined,
  } as const;
  const none = { total: 1, dropped: 1, droppedUntilMs: 5 };

  test('are one list: what is whole is told, and the page ends where the first of theirs does, or at its limit', async () => {
    const bench = await Bench.started();
    const [, , two, three] = bench.cluster.shards as [ShardId, ShardId, ShardId, ShardId];
    bench.move(three, THIRD);
    const list = (limit: number, order: 'newest' | 'oldest' = 'newest'): Pending<ConflictPage | CausewayError> => {
      const pending = new Pending<ConflictPage | CausewayError>();
      bench.region.conflicts({ ...query, order, limit }, (page) => pending.answer(page));
      const [a, b] = bench.siblings.pages.splice(0);
      expect([a!.address, b!.address]).toEqual([OTHER, THIRD]);
      const at = (shard: ShardId, ...times: number[]): Conflict[] => times.map((atMs) => conflict(shard, atMs, atMs));
      // Of 1/3 the other node may still have something to say: it is not its own any more.
      if (order === 'newest') {
        a!.done({ ...none, conflicts: [...at(two, 9, 7, 3), ...at(three, 8)], next: undefined, shards: [two] });
        b!.done({ ...none, conflicts: at(three, 8, 7, 5), next: conflict(three, 4, 4), shards: [three] });
      } else {
        a!.done({ ...none, conflicts: at(two, 3, 7, 9), next: undefined, shards: [two] });
        b!.done({ ...none, conflicts: at(three, 5, 7), next: conflict(three, 7, 7), shards: [three] });
      }
      return pending;
    };
    const told = ({ value }: Pending<ConflictPage | CausewayError>): string[] =>
      (value as ConflictPage).conflicts.map(({ atMs, shard }) => `${atMs} ${shard}`);
    const all = list(10);
    expect(told(all)).toEqual(['9 1/2', '8 1/3', '7 1/3', '7 1/2', '5 1/3']);
    expect(all.value).toMatchObject({ next: { atMs: 4, shard: three }, total: 2, dropped: 2, droppedUntilMs: 5 });
    expect([...(all.value as ConflictPage).shards].sort()).toEqual(bench.cluster.shards);
    const limited = list(3);
    expect(told(limited)).toEqual(['9 1/2', '8 1/3', '7 1/3']);
    expect(limited.value).toMatchObject({ next: { atMs: 7, shard: three } });
    const oldest = list(10, 'oldest');
    expect(told(oldest)).toEqual(['3 1/2', '5 1/3', '7 1/2', '7 1/3']);
    expect(oldest.value).toMatchObject({ next: { atMs: 7, shard: three } });
  });

  test('are an error when a node says nothing of a shard that is its own', async () => {
    const bench = await Bench.started();
    const pending = new Pending<ConflictPage | CausewayError>();
    bench.region.conflicts({ ...query, order: 'newest', limit: 10 }, (page) => pending.answer(page));
    bench.siblings.pages[0]!.done({ ...none, conflicts: [], next: undefined, shards: [bench.cluster.shards[2]!] });
    expect(pending.value).toMatchObject({ code: 'NOT_READY', retriable: true });
    expect((pending.value as CausewayError).message).toContain('1/3');
  });

  test('as they come: every cursor is good for all shards, nothing is told twice, and a shard that moves ends the stream', async () => {
    const bench = await Bench.started();
    const [, , two, three] = bench.cluster.shards as [ShardId, ShardId, ShardId, ShardId];
    bench.move(three, THIRD);
    const told: string[] = [];
    const cursors: string[][] = [];
    bench.region.watchConflicts(
      { namespace: '', collection: '', keyPrefix: '', start: 'beginning' },
      {
        conflicts: (conflicts, cursor) => {
          told.push(...conflicts.map(({ key }) => key));
          cursors.push([...cursor].map(([shard, { offset }]) => `${shard}@${offset}`).sort());
          return true;
        },
        failed: ({ code }) => told.push(code),
      },
    );
    const [a, b] = bench.siblings.tails;
    const place = (offset: number) => ({ offset, index: 0, loserStamp: offset });
    expect(a!.sink.conflicts([conflict(two, 1, 1)], new Map([[two, place(1)]]), false)).toBe(false);
    expect(cursors).toEqual([]);
    // What another node says of the shard is not the owner's word.
    const theirs = new Map([
      [two, place(9)],
      [three, place(4)],
    ]);
    expect(b!.sink.conflicts([conflict(two, 9, 9), conflict(three, 4, 4)], theirs, false)).toBe(true);
    expect(told).toEqual(['1/2 1', '1/3 4']);
    expect(cursors).toEqual([['1/2@1', '1/3@4']]);
    expect(bench.siblings.resumed).toBe(2);
    a!.sink.conflicts([conflict(two, 5, 5)], new Map([[two, place(5)]]), false);
    expect(cursors.at(-1)).toEqual(['1/2@5', '1/3@4']);
    bench.elsewhere.set(two, undefined);
    for (const listener of bench.moved) listener(two);
    expect(told.at(-1)).toBe('1/2 5');
    bench.elsewhere.set(two, THIRD);
    for (const listener of bench.moved) listener(two);
    expect(told.slice(-2)).toEqual(['1/2 5', 'UNAVAILABLE']);
    expect(bench.siblings.cancelled).toBe(2);
  });
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
