// Who shall have which shard: even shares, and nothing moves that need not.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Sharing } from '../../src/ownership/sharing.ts';
import { shardId, type ShardId } from '../../src/record/ids.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

/** A region whose nodes know everything at once. */
class Region {
  readonly shards: readonly ShardId[];
  readonly sharing: Sharing;
  readonly holders = new Map<ShardId, string>();
  readonly pins = new Map<ShardId, string>();
  readonly places = new Map<ShardId, string>();
  able: readonly string[] = [];

  constructor(count: number) {
    this.shards = Array.from({ length: count }, (_, i) => shardId(1, i));
    this.sharing = new Sharing(this.shards);
  }

  wanted(): ReadonlyMap<ShardId, string> {
    return this.sharing.wanted({
      able: this.able,
      holderOf: (shard) => this.holders.get(shard),
      pinnedTo: (shard) => this.pins.get(shard),
      placedAt: (shard) => this.places.get(shard),
    });
  }

  /** One after another gives up or takes what it shall, until nothing is left to do; which one is first, `order` says. Returns what moved. */
  settle(able: readonly string[], order: (n: number) => number = () => 0): Map<ShardId, string | undefined> {
    this.able = able;
    const before = new Map(this.holders);
    for (let steps = 0; ; steps++) {
      expect(steps, 'it comes to an end').toBeLessThan(4 * this.shards.length + 1);
      const wanted = this.wanted();
      const wrong = this.shards.filter((shard) => this.holders.get(shard) !== wanted.get(shard));
      if (wrong.length === 0) break;
      const shard = wrong[order(wrong.length)]!;
      const holder = this.holders.get(shard);
      // Given up first, by a node that lives; then taken.
      if (holder !== undefined && able.includes(holder)) this.holders.delete(shard);
      else this.holders.set(shard, wanted.get(shard)!);
    }
    return new Map(
      this.shards
        .filter((shard) => before.get(shard) !== this.holders.get(shard))
        .map((shard) => [shard, before.get(shard)]),
    );
  }

  counts(): number[] {
    return this.able.map(
      (node) => this.shards.filter((shard) => this.holders.get(shard) === node && !this.pins.has(shard)).length,
    );
  }
}

const shardCount = fc.integer({ min: 1, max: 40 });
const nodes = fc.subarray(NAMES, { minLength: 1 });
const orders = fc.infiniteStream(fc.nat()).map((stream) => (n: number) => (stream.next().value as number) % n);

describe('shares', () => {
  test('are even, whoever came and went before', () => {
    fc.assert(
      fc.property(shardCount, fc.array(nodes, { minLength: 1, maxLength: 5 }), orders, (count, steps, order) => {
        const region = new Region(count);
        for (const able of steps) {
          region.settle(able, order);
          const counts = region.counts();
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  test('are alike in regions of equally many nodes, whatever these are called and whoever takes a shard first', () => {
    const placesIn = (names: readonly string[], count: number, steps: number[][], order?: (n: number) => number) => {
      const region = new Region(count);
      for (const places of steps) {
        region.settle(
          places.map((place) => names[place]!),
          order,
        );
      }
      return region.shards.map((shard) => names.indexOf(region.holders.get(shard)!));
    };
    fc.assert(
      fc.property(shardCount, orders, (count, order) => {
        const step = [[0], [0, 1], [0, 1, 2]];
        expect(placesIn(['eu-1', 'eu-2', 'eu-3'], count, step)).toEqual(placesIn(NAMES, count, step));
        // What divides evenly is shared alike by all ways.
        const even = count * 2;
        const two = placesIn(NAMES, even, [[0, 1]]);
        for (const steps of [[[0, 1]], [[0], [0, 1]], [[1], [0, 1]]]) {
          expect(placesIn(['x', 'y'], even, steps, order)).toEqual(two);
        }
      }),
    );
  });

  test('of a node that goes are all that moves', () => {
    fc.assert(
      fc.property(shardCount, fc.subarray(NAMES, { minLength: 2 }), orders, (count, able, order) => {
        const region = new Region(count);
        region.settle(able, order);
        const [gone, ...left] = able;
        const moved = region.settle(left, order);
        expect([...moved.values()].every((from) => from === gone)).toBe(true);
      }),
    );
  });

  test('of a node that comes are all that moves', () => {
    fc.assert(
      fc.property(shardCount, fc.subarray(NAMES, { minLength: 2 }), orders, (count, able, order) => {
        const region = new Region(count);
        const [come, ...there] = able;
        region.settle(there, order);
        const moved = region.settle(able, order);
        for (const shard of moved.keys()) expect(region.holders.get(shard)).toBe(come);
        expect(moved.size).toBeLessThanOrEqual(Math.ceil(count / able.length));
      }),
    );
  });

  test('do not depend on the order of the nodes, and are the same again after one was away', () => {
    const region = new Region(8);
    region.settle(['a']);
    region.settle(['a', 'b']);
    const before = new Map(region.holders);
    region.settle(['a']);
    region.settle(['b', 'a']);
    expect(region.holders).toEqual(before);
  });
});

describe('a shard that an operator has placed', () => {
  test('moves alone, and back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 40 }), orders, fc.nat(), (count, order, which) => {
        const region = new Region(count);
        region.settle(['a', 'b'], order);
        const before = new Map(region.holders);
        const shard = region.shards[which % count]!;
        const [from, to] = before.get(shard) === 'a' ? ['a', 'b'] : ['b', 'a'];
        region.pins.set(shard, to!);
        const moved = region.settle(['a', 'b'], order);
        expect(moved.get(shard)).toBe(from);
        // Of the others one at most: they are shared evenly without it.
        expect(moved.size).toBeLessThanOrEqual(2);
        region.pins.delete(shard);
        region.settle(['a', 'b'], order);
        const counts = region.counts();
        expect(Math.abs(counts[0]! - counts[1]!)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('goes where it belongs while that node is away', () => {
    const region = new Region(4);
    region.pins.set(region.shards[0]!, 'b');
    region.settle(['a', 'c']);
    expect([...region.holders.values()].sort()).toEqual(['a', 'a', 'c', 'c']);
    region.settle(['a', 'b', 'c']);
    expect(region.holders.get(region.shards[0]!)).toBe('b');
  });
});

describe('shards that were placed by load', () => {
  const anywhere = fc.dictionary(
    fc.nat(39).map((i) => shardId(1, i)),
    fc.constantFrom(...NAMES),
  );

  /** As a region is that has placed some, by hand of whoever. */
  function placed(count: number, places: Record<string, string>): Region {
    const region = new Region(count);
    for (const shard of region.shards) if (places[shard] !== undefined) region.places.set(shard, places[shard]);
    return region;
  }

  test('count like all others: shares are even, and settling comes to an end, wherever they were placed', () => {
    fc.assert(
      fc.property(
        shardCount,
        fc.array(fc.tuple(nodes, anywhere), { minLength: 1, maxLength: 5 }),
        orders,
        (count, steps, order) => {
          const region = new Region(count);
          for (const [able, places] of steps) {
            region.places.clear();
            for (const shard of region.shards) if (places[shard] !== undefined) region.places.set(shard, places[shard]);
            region.settle(able, order);
            const counts = region.counts();
            expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
          }
        },
      ),
    );
  });

  test('and change places are all that moves, and what is wanted is the same in between', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 40 }),
        fc.subarray(NAMES, { minLength: 2 }),
        orders,
        fc.nat(),
        fc.nat(),
        (count, able, order, one, other) => {
          const region = new Region(count);
          region.settle(able, order);
          const x = region.shards[one % count]!;
          const elsewhere = region.shards.filter((shard) => region.holders.get(shard) !== region.holders.get(x));
          const y = elsewhere[other % elsewhere.length]!;
          const target = new Map(region.holders).set(x, region.holders.get(y)!).set(y, region.holders.get(x)!);
          region.places.set(x, target.get(x)!).set(y, target.get(y)!);
          const moved = region.settle(able, (n) => {
            expect(region.wanted()).toEqual(target);
            return order(n);
          });
          expect([...moved.keys()].sort()).toEqual([x, y].sort());
        },
      ),
    );
  });

  test('stay when a node comes, as long as they are no more than a share: all that moves goes there', () => {
    fc.assert(
      fc.property(
        shardCount,
        fc.array(nodes, { maxLength: 3 }),
        fc.subarray(NAMES, { minLength: 2 }),
        anywhere,
        orders,
        (count, earlier, able, places, order) => {
          const [come, ...there] = able;
          const region = placed(count, places);
          for (const node of NAMES) {
            const here = region.shards.filter((shard) => region.places.get(shard) === node);
            const share = node === come ? 0 : Math.floor(count / able.length);
            for (const shard of here.slice(share)) region.places.delete(shard);
          }
          for (const each of [...earlier, there]) region.settle(each, order);
          const moved = region.settle(able, order);
          for (const [shard, from] of moved) {
            expect(region.holders.get(shard)).toBe(come);
            expect(region.places.get(shard)).not.toBe(from);
          }
        },
      ),
    );
  });

  test('come back when their node does, and are the same as before', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 40 }), orders, (count, order) => {
        const region = new Region(count);
        region.settle(['a', 'b'], order);
        for (const [shard, holder] of region.holders) region.places.set(shard, holder);
        const before = new Map(region.holders);
        region.settle(['a'], order);
        expect(region.counts()).toEqual([count]);
        region.settle(['a', 'b'], order);
        expect(region.holders).toEqual(before);
      }),
    );
  });

  test('go where an operator wants them all the same', () => {
    const region = new Region(4);
    const shard = region.shards[0]!;
    region.places.set(shard, 'a');
    region.pins.set(shard, 'b');
    region.settle(['a', 'b']);
    expect(region.holders.get(shard)).toBe('b');
  });
});

test('nobody is able', () => {
  const region = new Region(3);
  expect(region.wanted().size).toBe(0);
});
