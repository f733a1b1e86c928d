// Owners that change, nodes that refuse and streams that break, at random: what a sender writes to a shard takes effect in its order and once, or not at all.

import { expect, test } from 'vitest';
import { SeededRandom } from '../../chaos/sim/random.ts';
import { Life, Scheduler } from '../../chaos/sim/scheduler.ts';
import { SimClock, simSystem } from '../../chaos/sim/system.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import { originId, regionId, shardId, type ShardId } from '../../src/record/ids.ts';
import type { RegionNode } from '../../src/region/node.ts';
import { Owners } from '../../src/region/owners.ts';
import type { WriteRequest, WriteResult } from '../../src/region/region.ts';
import { SharedWrites } from '../../src/region/shared-writes.ts';
import type { SharedOwnership, SiblingStream, Siblings } from '../../src/region/siblings.ts';
import { put } from '../support/node-kit.ts';

const NODES = ['here', 'a:1', 'b:1'];
const SHARDS = [0, 1, 2, 3].map((index) => shardId(1, index));
const VERSION = { origin: originId(regionId('eu'), 1), seq: 1, stamp: 1 };
const RUN_MS = 3000;

type Answer = (results: readonly WriteResult[]) => void;

interface Write {
  readonly n: number;
  readonly shard: ShardId;
  readonly epoch: number;
  told: WriteResult | undefined;
}

/** A region as it really is, what one of its nodes believes of it, and what was written. */
class World {
  readonly scheduler = new Scheduler();
  readonly random: SeededRandom;
  /** Of each shard: who has it, and who is said to have it. */
  readonly owner = new Map<ShardId, string>();
  readonly believed = new Map<ShardId, string | undefined>();
  readonly applied: number[] = [];
  readonly all: Write[] = [];
  readonly writes: SharedWrites;

  constructor(seed: number) {
    this.random = new SeededRandom(seed, 'shared-writes');
    for (const shard of SHARDS) {
      const first = this.random.pick(NODES);
      this.owner.set(shard, first);
      this.believed.set(shard, first);
    }
    const ownership = {
      owns: (shard: ShardId) => this.believed.get(shard) === 'here',
      ownerOf: (shard: ShardId) => {
        const node = this.believed.get(shard);
        return node === undefined ? undefined : { node, address: node };
      },
    } as SharedOwnership;
    const node = {
      shardFor: (_namespace: string, _collection: string, key: string) => this.all[Number(key)]!.shard,
      write: (request: WriteRequest, done: Answer) => done(this.take('here', request)),
    } as unknown as RegionNode;
    const siblings = { stream: (address: string) => new OtherNode(this, address) } as unknown as Siblings;
    const system = simSystem(
      this.scheduler,
      new SimClock(this.scheduler),
      new Life('here'),
      this.random.fork('system'),
    );
    this.writes = new SharedWrites(node, new Owners(regionId('eu'), 'here', ownership), siblings, system);
    this.scheduler.after(this.random.between(20, 200), () => this.move());
  }

  move(): void {
    if (this.scheduler.now > RUN_MS) return;
    const shard = this.random.pick(SHARDS);
    const next = this.random.pick(NODES);
    this.owner.set(shard, next);
    const learn = (what: string | undefined, afterMs: number): void =>
      void this.scheduler.after(afterMs, () => {
        this.believed.set(shard, what);
        this.writes.moved(shard);
      });
    if (this.random.chance(0.3)) learn(undefined, this.random.between(0, 20));
    learn(next, this.random.between(20, 60));
    this.scheduler.after(this.random.between(80, 300), () => this.move());
  }

  /** As a node does: of a shard all that comes together, from the first that it refuses on. */
  take(node: string, request: WriteRequest): WriteResult[] {
    const full = new Set<ShardId>();
    return request.ops.map(({ key }): WriteResult => {
      const { shard, n } = this.all[Number(key)]!;
      if (this.owner.get(shard) !== node)
        return { ok: false, error: new CausewayError('NOT_READY', 'it is not here', { outcome: 'not-applied' }) };
      if (full.has(shard) || this.random.chance(0.01)) {
        full.add(shard);
        return { ok: false, error: new CausewayError(this.random.pick(['OVERLOADED', 'STORE_AWAY']), 'not now') };
      }
      this.applied.push(n);
      return { ok: true, shard, version: VERSION, duplicate: false };
    });
  }
}

/** A stream to another node, which refuses what is behind a failure as api/write-stream.ts does. */
class OtherNode implements SiblingStream {
  readonly #world: World;
  readonly #address: string;
  #arrivesAtMs = 0;
  #refusedEpoch = -1;
  #generation = 0;
  readonly #underWay = new Map<Answer, number>();

  constructor(world: World, address: string) {
    this.#world = world;
    this.#address = address;
  }

  write(epoch: number, request: WriteRequest, done: Answer): void {
    const { scheduler, random } = this.#world;
    this.#arrivesAtMs = Math.max(this.#arrivesAtMs, scheduler.now + random.between(1, 20));
    const generation = this.#generation;
    this.#underWay.set(done, request.ops.length);
    scheduler.at(this.#arrivesAtMs, () => {
      if (generation !== this.#generation) return;
      const results = this.#arrived(epoch, request);
      if (random.chance(0.01)) {
        this.#break();
        return;
      }
      scheduler.after(random.between(1, 30), () => {
        if (this.#underWay.delete(done)) done(results);
      });
    });
  }

  #arrived(epoch: number, request: WriteRequest): WriteResult[] {
    if (epoch <= this.#refusedEpoch) {
      const error = new CausewayError('NOT_READY', 'one before it failed', { retriable: true, outcome: 'not-applied' });
      return request.ops.map(() => ({ ok: false, error }));
    }
    const results = this.#world.take(this.#address, request);
    if (results.some((result) => !result.ok && result.error.retriable)) this.#refusedEpoch = epoch;
    return results;
  }

  /** Nobody knows what became of what was under way; a stream that is opened anew has refused nothing. */
  #break(): void {
    this.#generation++;
    this.#refusedEpoch = -1;
    const lost = [...this.#underWay];
    this.#underWay.clear();
    const error = new CausewayError('UNAVAILABLE', 'the stream broke', { retriable: true, outcome: 'unknown' });
    for (const [done, ops] of lost) done(Array.from({ length: ops }, () => ({ ok: false, error })));
  }
}

/** Writes messages all the time, several under way; after a failure in a new epoch, when all is answered. */
function send(world: World): void {
  const stream = {};
  let epoch = 0;
  let underWay = 0;
  let failed = false;
  const next = (): void => {
    const { scheduler, random } = world;
    if (scheduler.now > RUN_MS) return;
    scheduler.after(random.between(1, 8), next);
    if (failed && underWay === 0) {
      failed = false;
      epoch++;
    }
    if (failed || underWay >= 12) return;
    const message = Array.from({ length: random.between(1, 4) }, () => {
      const write: Write = { n: world.all.length, shard: random.pick(SHARDS), epoch, told: undefined };
      world.all.push(write);
      return write;
    });
    underWay++;
    world.writes.write(
      {
        ops: message.map(({ n }) => put(String(n), 'v')),
        durability: { kind: 'local' },
        deadlineMs: 10_000,
        sender: { stream, epoch },
      },
      (results) => {
        underWay--;
        message.forEach((write, i) => {
          expect(write.told).toBeUndefined();
          write.told = results[i]!;
        });
        failed ||= results.some((result) => !result.ok);
      },
    );
  };
  next();
}

test.each(Array.from({ length: 60 }, (_, seed) => seed))('seed %i', async (seed) => {
  const world = new World(seed);
  send(world);
  await world.scheduler.run(RUN_MS + 20_000);
  const applied = new Set(world.applied);
  expect(applied.size, 'nothing is written twice').toBe(world.applied.length);
  for (const { n, told } of world.all) {
    if (told === undefined) expect.fail(`${n} was never answered`);
    else if (told.ok) expect(applied.has(n), `${n} was acknowledged`).toBe(true);
    else if (told.error.outcome === 'not-applied') expect(applied.has(n), `${n} was refused`).toBe(false);
  }
  for (const shard of SHARDS) {
    const order = world.applied.filter((n) => world.all[n]!.shard === shard);
    expect(order, shard).toEqual(order.toSorted((a, b) => a - b));
    const missing = new Set<number>();
    for (const { n, epoch } of world.all.filter((write) => write.shard === shard)) {
      if (!applied.has(n)) missing.add(epoch);
      else if (missing.has(epoch)) expect.fail(`${n} was written behind one of its epoch that was not`);
    }
  }
  expect(applied.size).toBeGreaterThan(world.all.length / 4);
});
