// The log of a shard that is read before the shard changes hands: little is left to read then, and retries are told what they would be told otherwise.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Life } from '../../chaos/sim/scheduler.ts';
import type { Log } from '../../src/log/log.ts';
import type { NodeLimits } from '../../src/region/options.ts';
import type { WriteResult } from '../../src/region/region.ts';
import { ShardFollowers } from '../../src/region/shard-follower.ts';
import { META_ROW } from '../../src/region/state-cache.ts';
import type { IdempotencyTable } from '../../src/shard/idempotency.ts';
import { decodeMeta, type ShardMeta } from '../../src/shard/meta.ts';
import type { Store } from '../../src/store/store.ts';
import type { Timers } from '../../src/system/system.ts';
import { Pending, put } from '../support/node-kit.ts';
import { SharedCluster, type SharedNode } from '../support/shared-kit.ts';

class OneShard {
  readonly shared: SharedCluster;
  /** When each op was tried first: op `i` has the key `op-<i>`. */
  readonly issuedAtMs: number[] = [];

  constructor(shared: SharedCluster) {
    this.shared = shared;
  }

  static async owned(limits?: Partial<NodeLimits>): Promise<OneShard> {
    return new OneShard(await SharedCluster.started(1, limits));
  }

  get shard(): SharedNode['node'] extends { shards(): readonly (infer S)[] } ? S : never {
    return this.shared.cluster.shards[0]!;
  }

  node(name: string): SharedNode {
    return this.shared.nodes.find((node) => node.name === name)!;
  }

  async #write(i: number): Promise<WriteResult> {
    const pending = new Pending<readonly WriteResult[]>();
    const op = put(`k${i % 7}`, `${i}`, {
      idempotency: { kind: 'key', key: `op-${i}` },
      issuedAtMs: this.issuedAtMs[i]!,
    });
    this.shared
      .owner(this.shard)
      .node.write({ ops: [op], durability: { kind: 'local' }, deadlineMs: 5000 }, (results) => pending.answer(results));
    await this.shared.cluster.until(() => pending.answers.length > 0);
    return pending.value![0]!;
  }

  /** Each in a batch of its own. */
  async write(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const i = this.issuedAtMs.push(this.shared.eu.clock.nowMs()) - 1;
      const result = await this.#write(i);
      if (!result.ok) throw result.error;
    }
  }

  /** What each op is told that is sent once more. */
  async retried(): Promise<string[]> {
    const told: string[] = [];
    for (const i of this.issuedAtMs.keys()) {
      const result = await this.#write(i);
      told.push(result.ok ? `${result.version.origin}:${result.version.seq}` : result.error.code);
    }
    return told;
  }

  /** Resolves when the node has read what there is; the owner goes on meanwhile. */
  follow(name: string): { readonly over: boolean } {
    const following = { over: false };
    const { scheduler } = this.shared.cluster;
    void scheduler
      .track(this.node(name).node.follow(this.shard), new Life('follow'))
      .then(() => (following.over = true));
    return following;
  }

  async followed(name: string): Promise<void> {
    const following = this.follow(name);
    await this.shared.cluster.until(() => following.over);
  }

  /** How many entries the next owner has read for it. */
  async handOver(name: string): Promise<number> {
    const { read, cluster } = this.shared;
    const before = read.get(name) ?? 0;
    let over = false;
    void this.shared.handOver(this.shard, name).then(() => (over = true));
    await cluster.until(() => over && this.node(name).node.status().shards.length > 0 && this.node(name).node.ready());
    return (read.get(name) ?? 0) - before;
  }
}

describe('a shard whose next owner has read its log', () => {
  test('changes hands without its being read again', async () => {
    const one = await OneShard.owned();
    await one.write(400);
    await one.followed('eu-1');
    expect(one.shared.read.get('eu-1')).toBeGreaterThan(300);
    await one.write(5);
    expect(await one.handOver('eu-1')).toBeLessThan(100);
    await one.write(5);
    const cold = await one.handOver('eu-0');
    expect(cold).toBeGreaterThan(400);
  });

  test('which is read while the owner takes writes, to its end', async () => {
    const one = await OneShard.owned();
    await one.write(600);
    const following = one.follow('eu-1');
    while (!following.over) await one.write(1);
    expect(await one.handOver('eu-1')).toBeLessThan(100);
    expect(await one.retried()).not.toContain('IDEMPOTENCY_WINDOW_PASSED');
  });

  test('takes it over in the middle of that, and goes on from there', async () => {
    const one = await OneShard.owned();
    await one.write(300);
    const before = await one.retried();
    const following = one.follow('eu-1');
    // Its owner is dead: nobody waits until it is read.
    one.shared.give(one.shard, 'eu-1');
    await one.shared.cluster.until(() => following.over && one.node('eu-1').node.ready());
    expect(await one.retried()).toEqual(before);
  });

  test('reads it anew after it was not to have it any more', async () => {
    const one = await OneShard.owned();
    await one.write(300);
    await one.followed('eu-1');
    one.node('eu-1').node.unfollow(one.shard);
    expect(await one.handOver('eu-1')).toBeGreaterThan(300);
  });

  test('does not use what it has read after the store went back to before it', async () => {
    const one = await OneShard.owned();
    await one.write(100);
    const { storeDisk } = one.shared.eu;
    await one.shared.cluster.run(2000);
    const image = storeDisk.image();
    await one.write(200);
    await one.shared.cluster.run(2000);
    const before = await one.retried();
    await one.followed('eu-1');
    storeDisk.goBack(image);
    expect(await one.handOver('eu-1')).toBeGreaterThan(200);
    expect(await one.retried()).toEqual(before);
  });

  test('and whose owner writes on in every moment: what the store says is never ahead of the log that was looked at', async () => {
    const one = await OneShard.owned();
    await one.write(200);
    await one.shared.cluster.run(1000);
    const { log } = one.node('eu-1').node;
    const { storeDisk } = one.shared.eu;
    // As JetStream's: the end is known as of the last refresh.
    let tail = 0;
    const later = (fn: () => void): void => {
      void one
        .write(3)
        .then(() => one.shared.cluster.run(1000))
        .then(fn);
    };
    const stale: Pick<Log, 'refresh' | 'tail' | 'read' | 'find' | 'origins'> = {
      refresh: (shard, done) =>
        later(() => {
          tail = log.tail(shard);
          done();
        }),
      tail: () => tail,
      read: (...args) => log.read(...args),
      find: (...args) => log.find(...args),
      origins: (shard) => log.origins(shard),
    };
    const store: Pick<Store, 'peek'> = {
      peek: (shard, rowKey, done) => later(() => done(storeDisk.shard(shard).rows.get(rowKey))),
    };
    const followers = new ShardFollowers(
      { log: stale as Log, store: store as Store, timers: { soon: queueMicrotask } as Timers },
      1000,
    );
    await followers.follow(one.shard);
    tail = log.tail(one.shard);
    const meta = decodeMeta(storeDisk.shard(one.shard).rows.get(META_ROW)!)!;
    const table = await new Promise<IdempotencyTable | undefined>((resolve) =>
      followers.take(one.shard)!.complete(meta, resolve),
    );
    expect(table?.size).toBe(one.issuedAtMs.length);
  });

  test('I11: uses nothing of it with a store of another history that stands at the same place', async () => {
    const one = await OneShard.owned();
    await one.write(50);
    await one.shared.cluster.run(1000);
    const meta = decodeMeta(one.shared.eu.storeDisk.shard(one.shard).rows.get(META_ROW)!)!;
    const completed = async (of: ShardMeta): Promise<IdempotencyTable | undefined> => {
      const { log } = one.node('eu-1').node;
      const store: Pick<Store, 'peek'> = {
        peek: (shard, rowKey, done) => done(one.shared.eu.storeDisk.shard(shard).rows.get(rowKey)),
      };
      const timers: Pick<Timers, 'soon'> = { soon: queueMicrotask };
      const followers = new ShardFollowers({ log, store: store as Store, timers: timers as Timers }, 1000);
      const following = { over: false };
      void followers.follow(one.shard).then(() => (following.over = true));
      await one.shared.cluster.until(() => following.over);
      const tables: (IdempotencyTable | undefined)[] = [];
      followers.take(one.shard)!.complete(of, (table) => tables.push(table));
      await one.shared.cluster.until(() => tables.length > 0);
      return tables[0];
    };
    expect((await completed(meta))?.size).toBe(50);
    const [first, ...others] = meta.origins;
    expect(await completed({ ...meta, origins: [{ ...first!, seq: first!.seq - 1 }, ...others] })).toBeUndefined();
    expect(await completed({ ...meta, origins: others })).toBeUndefined();
  });

  test('I2: tells retries what the owner before it told them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 16, max: 80 }),
        fc.array(
          fc.oneof(
            fc.record({ kind: fc.constant('write' as const), n: fc.integer({ min: 1, max: 60 }) }),
            fc.record({ kind: fc.constant('wait' as const), n: fc.integer({ min: 1, max: 900 }) }),
            fc.constant({ kind: 'follow' as const, n: 0 }),
            fc.constant({ kind: 'begin to follow' as const, n: 0 }),
            fc.constant({ kind: 'unfollow' as const, n: 0 }),
          ),
          { minLength: 2, maxLength: 12 },
        ),
        async (idempotencyEntriesMax, steps) => {
          const one = await OneShard.owned({ idempotencyEntriesMax });
          for (const { kind, n } of steps) {
            if (kind === 'write') await one.write(n);
            else if (kind === 'wait') await one.shared.cluster.run(n);
            else if (kind === 'follow') await one.followed('eu-1');
            else if (kind === 'begin to follow') one.follow('eu-1');
            else one.node('eu-1').node.unfollow(one.shard);
          }
          // Of who has accepted them all.
          const told = await one.retried();
          await one.handOver('eu-1');
          expect(await one.retried()).toEqual(told);
        },
      ),
      { numRuns: 60 },
    );
  });
});
