// Who takes which shards: fair, still when nothing changes, and never two for one shard among those who see the same.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assign } from '../../../src/client/consumer/assignment.ts';

const names = ['ann', 'ben', 'cid', 'dan', 'eve', 'fay'];
const shardsOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `1/${i}`);

const group = fc.record({
  members: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 }),
  shards: fc.integer({ min: 1, max: 20 }).map(shardsOf),
  /** By shard, an index into everybody who ever was; beyond: nobody. */
  held: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 20, maxLength: 20 }),
});

function holdersOf(shards: readonly string[], held: readonly number[]): Map<string, string> {
  return new Map(shards.flatMap((shard, i) => (held[i]! < names.length ? [[shard, names[held[i]!]!]] : [])));
}

describe('assign', () => {
  test('members that see the same never claim the same, and claim only what is free', () => {
    fc.assert(
      fc.property(group, ({ members, shards, held }) => {
        const holders = holdersOf(shards, held);
        const claimed = members.flatMap((self) => assign({ self, members: new Set(members), shards, holders }).claim);
        expect(new Set(claimed).size).toBe(claimed.length);
        for (const shard of claimed) expect(holders.has(shard)).toBe(false);
      }),
    );
  });

  test('whatever it begins with: once the dead’s leases have ended, every shard has one holder, shares differ by at most one, and nothing moves', () => {
    fc.assert(
      fc.property(group, ({ members, shards, held }) => {
        let holders = holdersOf(shards, held);
        const alive = new Set(members);
        const round = (): number => {
          const plans = members.map((self) => ({ self, ...assign({ self, members: alive, shards, holders }) }));
          const next = new Map(holders);
          for (const { self, claim, release } of plans) {
            for (const shard of release) {
              expect(next.get(shard)).toBe(self);
              next.delete(shard);
            }
            for (const shard of claim) next.set(shard, self);
          }
          holders = next;
          return plans.reduce((sum, { claim, release }) => sum + claim.length + release.length, 0);
        };
        round();
        for (const [shard, holder] of [...holders]) if (!alive.has(holder)) holders.delete(shard);
        round();
        round();
        expect(holders.size).toBe(shards.length);
        const counts = members.map((member) => [...holders.values()].filter((holder) => holder === member).length);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        expect(round()).toBe(0);
      }),
    );
  });

  test('one that comes gets its share, and no shard moves that need not', () => {
    const shards = shardsOf(8);
    const holders = new Map(shards.map((shard, i) => [shard, i < 4 ? 'ann' : 'ben']));
    const members = new Set(['ann', 'ben', 'cid']);
    const of = (self: string) => assign({ self, members, shards, holders });
    expect(of('ann')).toEqual({ claim: [], release: ['1/3'] });
    expect(of('ben')).toEqual({ claim: [], release: ['1/7'] });
    expect(of('cid')).toEqual({ claim: [], release: [] });
  });
});
