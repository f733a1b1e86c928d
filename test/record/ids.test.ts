import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compareVersions,
  INCARNATION_MAX,
  isOriginId,
  isRegionName,
  originId,
  originIncarnation,
  originRegion,
  regionId,
  shardId,
  shardParts,
  type Version,
} from '../../src/record/ids.ts';
import { incarnations, regions } from './samples.ts';

describe('names', () => {
  test('an origin is its region and incarnation, and nothing else is one', () => {
    fc.assert(
      fc.property(regions, incarnations, (region, incarnation) => {
        const origin = originId(region, incarnation);
        expect(isOriginId(origin)).toBe(true);
        expect([originRegion(origin), originIncarnation(origin)]).toEqual([region, incarnation]);
      }),
    );
    expect(originId(regionId('eu-west'), 255)).toBe('eu-west~0000000000ff');
    for (const text of ['', 'eu', '~0000000000ff', 'eu~ff', 'eu~0000000000FF', 'EU~0000000000ff', 'eu~0000000000ff ']) {
      expect(isOriginId(text)).toBe(false);
    }
  });

  test('a region is refused with what it should be', () => {
    for (const bad of ['', '-eu', 'eu-', 'EU', 'e_u', 'x'.repeat(33), 'eu\n', 'é']) {
      expect(isRegionName(bad)).toBe(false);
      expect(() => regionId(bad)).toThrow("1 to 32 of a-z, 0-9 and '-'");
    }
    for (const good of ['e', 'eu-west-1', 'x'.repeat(32)]) expect(regionId(good)).toBe(good);
  });

  test('an incarnation has 48 bits', () => {
    for (const bad of [-1, 1.5, INCARNATION_MAX + 1, Number.NaN]) {
      expect(() => originId(regionId('eu'), bad)).toThrow('2^48-1');
    }
  });

  test('a shard is its placement and index', () => {
    expect(shardId(3, 12)).toBe('3/12');
    expect(shardParts(shardId(3, 12))).toEqual({ placementId: 3, index: 12 });
  });
});

describe('the order of versions', () => {
  const version: fc.Arbitrary<Version> = fc.record({
    origin: fc
      .constantFrom('ap', 'eu', 'eu-2')
      .chain((name) => incarnations.map((n) => originId(regionId(name), n % 3))),
    seq: fc.constant(1),
    stamp: fc.integer({ min: 1, max: 4 }),
  });

  test('I3: is total: by stamp, then by origin', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0);
        expect(compareVersions(a, b) === 0).toBe(a.stamp === b.stamp && a.origin === b.origin);
        if (compareVersions(a, b) < 0 && compareVersions(b, c) < 0) expect(compareVersions(a, c)).toBeLessThan(0);
      }),
    );
    const early = { origin: originId(regionId('us'), 1), seq: 9, stamp: 1 };
    expect(compareVersions(early, { origin: originId(regionId('ap'), 1), seq: 1, stamp: 2 })).toBeLessThan(0);
  });
});
