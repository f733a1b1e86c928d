// The simulation as part of the tests: as many seeds as a minute holds, every scenario, and proof that the suite would notice.

import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { GUARDS, type GuardName } from '../../src/shard/guards.ts';
import { noticeOf } from '../../chaos/mutants/notice.ts';
import { runBulk, runSeed } from '../../chaos/sim/bulk.ts';
import { regionNode } from '../../chaos/sim/node-factory.ts';
import { scenarios } from '../../chaos/sim/scenarios/index.ts';
import { simulate } from '../../chaos/sim/simulate.ts';

const SEEDS = 500;
/** A guard that is off is noticed within so many seeds, or by a scenario before them. */
const MUTANT_SEEDS = 100;
const MINUTE_MS = 60_000;

function told(
  findings: readonly { seed: number; scenario: string | undefined; invariant: string; message: string }[],
): string[] {
  return findings.map(
    ({ seed, scenario, invariant, message }) =>
      `npm run sim -- --seed ${seed}${scenario === undefined ? '' : ` --scenario ${scenario}`}: ${invariant}: ${message}`,
  );
}

describe('simulation', () => {
  test(
    `I1–I11: ${SEEDS} seeds of random faults, then healing and agreement`,
    async () => {
      const report = await runBulk({
        start: 1,
        seeds: SEEDS,
        jobs: Math.min(2, availableParallelism()),
        without: [],
        scenario: undefined,
        findingsMax: 5,
      });
      expect(told(report.findings)).toEqual([]);
      expect(report.seeds).toBe(SEEDS);
      // A run in which nothing happens finds nothing either.
      expect(report.totals['acked']).toBeGreaterThan(SEEDS * 20);
      expect(report.totals['conflicts']).toBeGreaterThan(SEEDS);
      // Each level is read at, and sessions do move.
      expect(report.totals['boundedReads']).toBeGreaterThan(SEEDS);
      expect(report.totals['stableReads']).toBeGreaterThan(SEEDS / 2);
      expect(report.totals['roamedReads']).toBeGreaterThan(SEEDS / 4);
      expect(report.totals['scanPages']).toBeGreaterThan(SEEDS * 5);
      expect(report.totals['stablePages']).toBeGreaterThan(SEEDS * 2);
      expect(report.totals['atomicWrites']).toBeGreaterThan(SEEDS * 2);
      expect(report.totals['feedEvents']).toBeGreaterThan(SEEDS * 10);
    },
    5 * MINUTE_MS,
  );

  test.each(scenarios.map(({ name, says }) => [name, says] as const))('%s: %s', async (name) => {
    const result = await runSeed(7, [], name);
    expect(result.finding === undefined ? '' : `${result.finding.invariant}: ${result.finding.message}`).toBe('');
  });

  test('a seed replays to the same trace, and another seed to another', async () => {
    const first = await runSeed(11, [], undefined);
    const again = await runSeed(11, [], undefined);
    expect(again.hash).toBe(first.hash);
    expect(again.stats).toEqual(first.stats);
    expect((await runSeed(12, [], undefined)).hash).not.toBe(first.hash);
  });

  test('a node that asks the machine for the time is caught, even if it swallows the error', async () => {
    const result = await simulate(1, {
      factory: (settings, ports) => {
        try {
          Date.now();
        } catch {
          // As careless code would.
        }
        return regionNode(settings, ports);
      },
    });
    expect(result.finding).toMatchObject({ invariant: 'trap', message: expect.stringContaining('Date.now') as string });
    expect(Date.now()).toBeGreaterThan(0);
  });
});

describe('without a guard', () => {
  test.each(Object.keys(GUARDS) as GuardName[])(
    '%s switched off is noticed',
    async (guard) => {
      const notice = await noticeOf(guard, MUTANT_SEEDS);
      expect(notice, `nothing in ${MUTANT_SEEDS} seeds noticed that ${guard} was off`).toBeDefined();
      expect(GUARDS[guard]).toBe(true);
    },
    MINUTE_MS,
  );
});
