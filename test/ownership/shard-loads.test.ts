// What is measured of a shard's load, and when it is said.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LoadMeter, ShardLoads } from '../../src/ownership/shard-loads.ts';
import { shardId } from '../../src/record/ids.ts';

const TIMES = { meanMs: 120_000, publishMs: 15_000 };
const SECOND_MS = 1000;

describe('a meter', () => {
  test('is right at once and stays so while the rate is the same, however often one looks', () => {
    fc.assert(
      fc.property(fc.nat(50_000), fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1 }), (perS, steps) => {
        const meter = new LoadMeter(TIMES.meanMs, 0, 0);
        let nowMs = 0;
        for (const step of steps) {
          nowMs += step;
          meter.look((perS * nowMs) / 1000, nowMs);
          expect(meter.perS).toBeCloseTo(perS, 4);
        }
        expect(meter.measuredMs).toBe(nowMs);
      }),
    );
  });

  test('follows a new rate within minutes, and a burst hardly', () => {
    const meter = new LoadMeter(TIMES.meanMs, 0, 0);
    let [count, nowMs] = [0, 0];
    const run = (perS: number, seconds: number): number => {
      for (let i = 0; i < seconds; i++) meter.look((count += perS), (nowMs += SECOND_MS));
      return meter.perS;
    };
    expect(run(1000, 600)).toBeCloseTo(1000);
    expect(run(5000, 5)).toBeLessThan(1200);
    run(1000, 600);
    expect(run(3000, 120)).toBeCloseTo(1000 + 2000 * (1 - Math.exp(-1)), -2);
    expect(run(3000, 480)).toBeGreaterThan(2950);
    expect(run(0, 1200)).toBeLessThan(1);
  });

  test('has nothing before it has looked twice', () => {
    const meter = new LoadMeter(TIMES.meanMs, 1_000_000, 5);
    expect(meter.perS).toBe(0);
    meter.look(2_000_000, 5);
    expect(meter.perS).toBe(0);
  });
});

describe('loads', () => {
  const [x, y] = [shardId(1, 0), shardId(1, 1)];
  let count = 0;

  /** Looks every half second, says what is due, and hears it. Returns what was said, and when. */
  function run(loads: ShardLoads, fromMs: number, toMs: number, perS: () => number, owned = [x]): [number, number][] {
    const said: [number, number][] = [];
    for (let nowMs = fromMs; nowMs <= toMs; nowMs += 500) {
      count += perS() / 2;
      loads.look(owned, () => count, nowMs);
      for (const [shard, load] of loads.due(nowMs)) {
        if (shard === x) said.push([nowMs, load]);
        loads.heard(shard, String(load));
      }
    }
    return said;
  }

  test('are said when they were measured for a while, and again when they are others by a tenth, not too often', () => {
    const loads = new ShardLoads(TIMES);
    expect(loads.of(x)).toBeUndefined();
    expect(run(loads, 0, 600_000, () => 1234)).toEqual([[15_000, 1200]]);
    expect(loads.of(x)).toBe(1200);
    expect(loads.measuredMs(x)).toBe(600_000);
    const grown = run(loads, 600_500, 1_800_000, () => 5000);
    expect(grown.at(-1)![1]).toBeGreaterThanOrEqual(4500);
    expect(grown.length).toBeGreaterThan(3);
    for (const [i, [atMs, load]] of grown.entries()) {
      const [beforeMs, before] = grown[i - 1] ?? [15_000, 1200];
      expect(atMs - beforeMs).toBeGreaterThanOrEqual(15_000);
      expect(load - before).toBeGreaterThan(before / 10);
    }
  });

  test('of what comes from another node are what that one said, until it was measured here', () => {
    const loads = new ShardLoads(TIMES);
    loads.heard(x, '7000');
    expect(loads.measuredMs(x)).toBe(0);
    run(loads, 0, 14_000, () => 90);
    expect(loads.of(x)).toBe(7000);
    run(loads, 14_500, 20_000, () => 90);
    expect(loads.of(x)).toBe(90);
    // Gone, and back.
    run(loads, 20_500, 21_000, () => 90, [y]);
    expect(loads.measuredMs(x)).toBe(0);
    expect(loads.of(x)).toBe(90);
  });

  test('of an idle shard are said once; what is no number is not known', () => {
    const loads = new ShardLoads(TIMES);
    let odd = 0;
    expect(run(loads, 0, 600_000, () => (odd++ % 100 === 0 ? 20 : 0))).toHaveLength(1);
    for (const text of [undefined, '', '-1', '1e3', '12x', '1'.repeat(20)]) {
      loads.heard(x, '5');
      loads.heard(x, text);
      expect(loads.of(x)).toBeUndefined();
    }
  });
});
