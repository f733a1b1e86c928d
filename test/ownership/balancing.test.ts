// Which shards change places for their load: few, only when it is worth it, and never back and forth.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planMoves, type Balance, type Moves } from '../../src/ownership/balancing.ts';
import { Sharing } from '../../src/ownership/sharing.ts';
import { shardId, type ShardId } from '../../src/record/ids.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'];

/** A region whose nodes know everything at once, and which is settled whenever one looks. */
class Region {
  readonly shards: readonly ShardId[];
  readonly able: readonly string[];
  readonly loads: ReadonlyMap<ShardId, number>;
  readonly holders = new Map<ShardId, string>();
  readonly pins = new Map<ShardId, string>();
  readonly places = new Map<ShardId, string>();
  readonly sharing: Sharing;

  constructor(able: readonly string[], loads: readonly number[]) {
    this.able = able;
    this.shards = loads.map((_, i) => shardId(1, i));
    this.loads = new Map(loads.map((load, i) => [shardId(1, i), load]));
    this.sharing = new Sharing(this.shards);
  }

  settle(): this {
    for (const [shard, node] of this.wanted()) this.holders.set(shard, node);
    return this;
  }

  wanted(): ReadonlyMap<ShardId, string> {
    return this.sharing.wanted({
      able: this.able,
      holderOf: (shard) => this.holders.get(shard),
      pinnedTo: (shard) => this.pins.get(shard),
      placedAt: (shard) => this.places.get(shard),
    });
  }

  balance(): Balance {
    return {
      able: this.able,
      leaving: false,
      shards: this.shards,
      holderOf: (shard) => this.holders.get(shard),
      wanted: this.wanted(),
      isPinned: (shard) => this.pins.has(shard),
      loadOf: (shard) => this.loads.get(shard),
    };
  }

  plan(): Moves | undefined {
    return planMoves(this.balance())?.moves;
  }

  carryOut(moves: Moves): void {
    for (const [shard, node] of moves) this.places.set(shard, node);
    this.settle();
  }

  loadOf(node: string): number {
    return this.shards.reduce((sum, each) => sum + (this.holders.get(each) === node ? this.loads.get(each)! : 0), 0);
  }

  busiest(): number {
    return Math.max(...this.able.map((node) => this.loadOf(node)));
  }

  mean(): number {
    return this.able.reduce((sum, node) => sum + this.loadOf(node), 0) / this.able.length;
  }

  counts(): number[] {
    return this.able.map(
      (node) => this.shards.filter((shard) => this.holders.get(shard) === node && !this.pins.has(shard)).length,
    );
  }
}

const someNodes = fc.subarray(NAMES, { minLength: 2 });
/** Alike, hot ones among cold ones, and powers of two. */
const someLoads = fc.array(
  fc.oneof(
    fc.nat(2000),
    fc.constantFrom(0, 10, 5000, 20_000),
    fc.nat(15).map((power) => 2 ** power),
  ),
  { minLength: 1, maxLength: 24 },
);
const somePins = fc.array(fc.tuple(fc.nat(23), fc.constantFrom(...NAMES)), { maxLength: 4 });

function regionOf(
  able: readonly string[],
  loads: readonly number[],
  pins: readonly (readonly [number, string])[],
): Region {
  const region = new Region(able, loads);
  for (const [i, node] of pins) if (i < loads.length && able.includes(node)) region.pins.set(shardId(1, i), node);
  return region.settle();
}

describe('the balance of loads', () => {
  test('comes to an end in a few moves; each lowers the busier of two nodes by a tenth of the mean, none makes the busiest busier, and counts stay even', () => {
    let most = 0;
    fc.assert(
      fc.property(someNodes, someLoads, somePins, (able, loads, pins) => {
        const region = regionOf(able, loads, pins);
        const mean = region.mean();
        let moved = 0;
        for (let plan = region.plan(); plan !== undefined; plan = region.plan()) {
          expect(++moved, 'it comes to an end').toBeLessThanOrEqual(2 * able.length);
          expect(plan.size).toBeLessThanOrEqual(2);
          const before = new Map(region.holders);
          const touched = [...new Set([...plan].flatMap(([shard, node]) => [before.get(shard)!, node]))];
          expect(touched).toHaveLength(2);
          const higher = Math.max(...touched.map((node) => region.loadOf(node)));
          const busiest = region.busiest();
          expect(higher).toBe(busiest);
          region.carryOut(plan);
          expect(Math.max(...touched.map((node) => region.loadOf(node)))).toBeLessThanOrEqual(
            higher - 0.1 * mean + 1e-6,
          );
          expect(region.busiest()).toBeLessThanOrEqual(busiest);
          for (const shard of region.shards) {
            expect(region.holders.get(shard)).toBe(plan.get(shard) ?? before.get(shard));
            if (region.pins.has(shard)) expect(plan.has(shard)).toBe(false);
          }
          const counts = region.counts();
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        }
        most = Math.max(most, moved);
      }),
      { numRuns: 500 },
    );
    // Else the bound above says nothing.
    expect(most).toBeGreaterThan(1);
  });

  test('is left alone when it is good enough, when there is little to do, and when a move would only turn it round', () => {
    // Two shards a node, whoever has which.
    const of = (...loads: number[]): Moves | undefined => {
      const region = new Region(['a', 'b'], loads);
      for (const [i, shard] of region.shards.entries()) region.holders.set(shard, i < loads.length / 2 ? 'a' : 'b');
      return region.plan();
    };
    expect(of(2000, 2000, 1000, 1000)).toEqual(
      new Map([
        [shardId(1, 0), 'b'],
        [shardId(1, 2), 'a'],
      ]),
    );
    expect(of(1200, 1200, 1000, 1000)).toBeUndefined();
    expect(of(200, 200, 100, 100)).toBeUndefined();
    expect(of(9000, 0, 0, 0)).toBeUndefined();
    // Three and two: the one with more gives one away; the one with less gives none.
    expect(of(1000, 1000, 1000, 500, 600)).toEqual(new Map([[shardId(1, 0), 'b']]));
    expect(of(100, 100, 100, 1000, 1000)).toEqual(
      new Map([
        [shardId(1, 3), 'a'],
        [shardId(1, 0), 'b'],
      ]),
    );
  });

  test('waits until everything is where it is wanted, nobody leaves, and all loads are known', () => {
    const region = new Region(['a', 'b'], [2000, 2000, 1000, 1000]);
    for (const [i, shard] of region.shards.entries()) region.holders.set(shard, i < 2 ? 'a' : 'b');
    const balance = region.balance();
    const [first] = region.shards;
    expect(planMoves(balance)).toMatchObject({ busiest: 'a' });
    expect(planMoves({ ...balance, leaving: true })).toBeUndefined();
    expect(planMoves({ ...balance, loadOf: (shard) => (shard === first ? undefined : 1000) })).toBeUndefined();
    for (const holder of ['', 'b', undefined]) {
      const holderOf = (shard: ShardId): string | undefined => (shard === first ? holder : balance.holderOf(shard));
      expect(planMoves({ ...balance, holderOf })).toBeUndefined();
    }
    expect(
      planMoves({ ...balance, able: ['a'], wanted: new Map(region.shards.map((shard) => [shard, 'a'])) }),
    ).toBeUndefined();
  });

  test('counts what is pinned as load, and moves the rest', () => {
    const region = new Region(['a', 'b'], [4000, 1500, 100, 1500, 100]);
    region.pins.set(shardId(1, 0), 'a');
    region.holders.set(shardId(1, 0), 'a');
    for (const i of [1, 3]) region.holders.set(shardId(1, i), 'a');
    for (const i of [2, 4]) region.holders.set(shardId(1, i), 'b');
    const plan = region.plan()!;
    expect(plan.has(shardId(1, 0))).toBe(false);
    region.carryOut(plan);
    expect([region.loadOf('a'), region.loadOf('b')]).toEqual([5600, 1600]);
    region.carryOut(region.plan()!);
    expect([region.loadOf('a'), region.loadOf('b')]).toEqual([4200, 3000]);
    expect(region.plan()).toBeUndefined();
  });
});

// ── While a swap is under way ───────────────────────────────────────────────────────────────────────────────────────

type Entry =
  | { readonly kind: 'shard'; readonly shard: ShardId; readonly holder: string; readonly revision: number }
  | { readonly kind: 'places'; readonly places: Moves };

/** The bucket: one order of all that is written, of which each node has heard a part, from the beginning. What a node has written itself it knows at once. */
class Bucket {
  readonly entries: Entry[] = [];
  readonly sharing: Sharing;
  readonly shards: readonly ShardId[];
  readonly able: readonly string[];
  /** Of each node: how much it has heard. */
  readonly heard = new Map<string, number>();
  readonly holders = new Map<string, Map<ShardId, { readonly holder: string; readonly revision: number }>>();
  readonly places = new Map<string, Moves>();

  constructor(region: Region, places: Moves) {
    this.shards = region.shards;
    this.able = region.able;
    this.sharing = new Sharing(region.shards);
    for (const node of region.able) {
      this.heard.set(node, 0);
      this.places.set(node, new Map(region.places));
      this.holders.set(node, new Map([...region.holders].map(([shard, holder]) => [shard, { holder, revision: -1 }])));
    }
    this.entries.push({ kind: 'places', places: new Map([...region.places, ...places]) });
  }

  hear(node: string): void {
    const entry = this.entries[this.heard.get(node)!];
    if (entry === undefined) return;
    this.heard.set(node, this.heard.get(node)! + 1);
    if (entry.kind === 'places') this.places.set(node, entry.places);
    else this.#know(node, entry.shard, entry);
  }

  #know(
    node: string,
    shard: ShardId,
    { holder, revision }: { readonly holder: string; readonly revision: number },
  ): void {
    const known = this.holders.get(node)!;
    if ((known.get(shard)?.revision ?? -1) < revision) known.set(shard, { holder, revision });
  }

  /** What the node would write by what it knows: who holds which shard. */
  wishes(node: string): readonly (readonly [ShardId, string])[] {
    const known = this.holders.get(node)!;
    const wanted = this.sharing.wanted({
      able: this.able,
      holderOf: (each) => known.get(each)?.holder,
      pinnedTo: () => undefined,
      placedAt: (each) => this.places.get(node)!.get(each),
    });
    return this.shards.flatMap((shard) => {
      const holder = known.get(shard)!.holder;
      if (holder === node && wanted.get(shard) !== node) return [[shard, ''] as const];
      return holder === '' && wanted.get(shard) === node ? [[shard, node] as const] : [];
    });
  }

  /** By compare-and-set: nothing happens when what the node knows of the shard is not the newest. */
  write(node: string, shard: ShardId, holder: string): void {
    const known = this.holders.get(node)!.get(shard)!.revision;
    if (this.entries.findLastIndex((each) => each.kind === 'shard' && each.shard === shard) !== known) return;
    const revision = this.entries.length;
    this.entries.push({ kind: 'shard', shard, holder, revision });
    this.#know(node, shard, { holder, revision });
  }

  get done(): boolean {
    return this.able.every((node) => this.heard.get(node) === this.entries.length && this.wishes(node).length === 0);
  }
}

test('while two shards change places nothing else moves and nothing goes back, however late each node hears of what', () => {
  let swaps = 0;
  fc.assert(
    fc.property(someNodes, someLoads, fc.infiniteStream(fc.nat()), (able, loads, random) => {
      const next = (n: number): number => (random.next().value as number) % n;
      const region = regionOf(able, loads, []);
      for (let plan = region.plan(); plan !== undefined; plan = region.plan()) {
        swaps++;
        const bucket = new Bucket(region, plan);
        for (let steps = 0; !bucket.done; steps++) {
          expect(steps, 'it comes to an end').toBeLessThan(1000);
          const node = able[next(able.length)]!;
          const wishes = next(2) === 0 ? [] : bucket.wishes(node);
          if (wishes.length === 0) bucket.hear(node);
          else bucket.write(node, ...wishes[next(wishes.length)]!);
        }
        const written = bucket.entries.flatMap((each) =>
          each.kind === 'shard' ? [`${each.shard} ${each.holder}`] : [],
        );
        expect(written.sort()).toEqual([...plan].flatMap(([shard, node]) => [`${shard} `, `${shard} ${node}`]).sort());
        region.carryOut(plan);
      }
    }),
    { numRuns: 60 },
  );
  expect(swaps).toBeGreaterThan(10);
});
