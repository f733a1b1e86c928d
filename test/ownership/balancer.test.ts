// What a node says of its loads, and what it writes of its plans, into a bucket that is a map.

import { describe, expect, test, vi } from 'vitest';
import { Balancer, type Bucket, type BucketEntry, type Seen } from '../../src/ownership/balancer.ts';
import { shardId, type ShardId } from '../../src/record/ids.ts';

const SHARDS = Array.from({ length: 4 }, (_, i) => shardId(1, i));
const [HOT, WARM, COLD, COLDER] = SHARDS as [ShardId, ShardId, ShardId, ShardId];
const RATES = new Map([
  [HOT, 4000],
  [WARM, 3000],
  [COLD, 200],
  [COLDER, 100],
]);
const TIMES = { meanMs: 1000, publishMs: 1000, planMs: 3000 };

class Table implements Bucket {
  readonly entries = new Map<string, { readonly text: string; readonly revision: number }>();
  #revision = 0;

  put(key: string, text: string): Promise<number> {
    return Promise.resolve(this.#write(key, text));
  }

  create(key: string, text: string): Promise<number> {
    return this.#compareAndSet(key, text, undefined);
  }

  update(key: string, text: string, revision: number): Promise<number> {
    return this.#compareAndSet(key, text, revision);
  }

  get(key: string): Promise<BucketEntry | null> {
    return Promise.resolve(this.entries.has(key) ? this.entry(key) : null);
  }

  #compareAndSet(key: string, text: string, revision: number | undefined): Promise<number> {
    if (this.entries.get(key)?.revision !== revision) return Promise.reject(new Error('wrong last sequence'));
    return Promise.resolve(this.#write(key, text));
  }

  #write(key: string, text: string): number {
    this.entries.set(key, { text, revision: ++this.#revision });
    return this.#revision;
  }

  entry(key: string): BucketEntry {
    const { text, revision } = this.entries.get(key)!;
    return { operation: 'PUT', revision, string: () => text };
  }

  get places(): string | undefined {
    return this.entries.get('places')?.text;
  }
}

/** One node of two, which knows the bucket as it is. The hot and the warm shard are at a, the others at b. */
class Bench {
  readonly bucket: Table;
  readonly balancer: Balancer;
  readonly node: string;
  readonly holders = new Map(SHARDS.map((shard) => [shard, shard === HOT || shard === WARM ? 'a' : 'b']));
  nowMs = 0;

  constructor(node: string, bucket = new Table(), measured = true) {
    this.node = node;
    this.bucket = bucket;
    const opsOf = (shard: ShardId): number => (RATES.get(shard)! * this.nowMs) / 1000;
    this.balancer = new Balancer({ node, shards: SHARDS, opsOf: measured ? opsOf : undefined, times: TIMES });
  }

  seen(): Seen {
    return {
      able: ['a', 'b'],
      leaving: false,
      holderOf: (shard) => this.holders.get(shard),
      wanted: this.holders,
      isPinned: () => false,
    };
  }

  hear(): void {
    for (const key of this.bucket.entries.keys()) {
      const shard = SHARDS.find((each) => key === `load.${each.replace('/', '.')}`);
      this.balancer.heard(key.split('.')[0]!, shard, this.bucket.entry(key));
    }
  }

  run(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; this.nowMs += 500) {
      this.hear();
      const owned = SHARDS.filter((shard) => this.holders.get(shard) === this.node);
      this.balancer.beat(this.bucket, this.nowMs, owned, () => this.seen());
    }
    this.hear();
  }

  places(): (string | undefined)[] {
    return SHARDS.map((shard) => this.balancer.placedAt(shard));
  }
}

describe('a node', () => {
  test('says the loads of what it owns, and plans when it is the busiest and has measured all of it for long enough', async () => {
    const a = new Bench('a');
    a.run(2000);
    expect([...a.bucket.entries].map(([key, { text }]) => `${key} ${text}`)).toEqual([
      'load.1.0 4000',
      'load.1.1 3000',
    ]);
    a.run(6000);
    // What b has is not known.
    expect(a.bucket.places).toBeUndefined();
    const b = new Bench('b', a.bucket);
    b.run(8000);
    expect(SHARDS.map((shard) => a.balancer.loadOf(shard))).toEqual([4000, 3000, undefined, undefined]);
    a.run(1000);
    expect(SHARDS.map((shard) => a.balancer.loadOf(shard))).toEqual([4000, 3000, 200, 100]);
    expect(a.bucket.places).toBeUndefined();
    a.run(3000);
    await vi.waitFor(() => expect(a.bucket.places).toBe('1/0=b 1/2=a'));
    b.run(500);
    for (const each of [a, b]) expect(each.places()).toEqual(['b', undefined, 'a', undefined]);
  });

  test('that measures nothing says nothing and plans nothing', () => {
    const a = new Bench('a', new Table(), false);
    a.run(10_000);
    expect(a.bucket.entries.size).toBe(0);
  });

  test('writes no plan over another one that it has not heard of; it plans again from what that one made', async () => {
    const bucket = new Table();
    const [a, b] = [new Bench('a', bucket), new Bench('b', bucket)];
    b.run(5000);
    // Written by somebody between two looks of a.
    const seen = a.seen.bind(a);
    let written = 0;
    a.seen = () => {
      void bucket.put('places', '1/0=b 1/3=a');
      written++;
      return seen();
    };
    a.run(4000);
    expect(written).toBe(1);
    await Promise.resolve();
    expect(bucket.places).toBe('1/0=b 1/3=a');
    expect(a.places()).toEqual(['b', undefined, undefined, 'a']);
    // It was not true when a looked again: nothing is left of it.
    a.seen = seen;
    a.run(3000);
    await vi.waitFor(() => expect(bucket.places).toBe('1/0=b 1/2=a'));
  });

  test('forgets where one shard was placed, also while others write, and says when it cannot', async () => {
    const a = new Bench('a');
    const { bucket } = a;
    await a.balancer.forget(bucket, HOT);
    expect(a.bucket.places).toBeUndefined();
    await bucket.put('places', '1/0=b 1/3=a 9/9=c');
    a.hear();
    await bucket.put('places', '1/0=b 1/2=a');
    await a.balancer.forget(bucket, HOT);
    expect(a.bucket.places).toBe('1/2=a');
    expect(a.places()).toEqual([undefined, undefined, 'a', undefined]);
    bucket.update = () => Promise.reject(new Error('no quorum'));
    await expect(a.balancer.forget(bucket, COLD)).rejects.toThrow('no quorum');
    expect(a.balancer.placedAt(COLD)).toBe('a');
  });

  test('does not go back to places that are older than what it has written, and takes deleted ones for none', async () => {
    const a = new Bench('a');
    await a.bucket.put('places', '1/0=b 1/3=a');
    const older = a.bucket.entry('places');
    a.hear();
    await a.balancer.forget(a.bucket, HOT);
    a.balancer.heard('places', undefined, older);
    expect(a.places()).toEqual([undefined, undefined, undefined, 'a']);
    a.balancer.heard('places', undefined, { operation: 'DEL', revision: 99, string: () => '' });
    expect(a.balancer.placedAt(COLDER)).toBeUndefined();
  });
});
