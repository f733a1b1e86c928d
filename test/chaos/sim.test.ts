// The simulation as part of the tests: as many seeds as a minute holds, every scenario, and proof that the suite would notice.

import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { GUARDS, type GuardName } from '../../src/shard/guards.ts';
import { noticeOf } from '../../chaos/mutants/notice.ts';
import { BRANCHES } from '../../chaos/sim/branches.ts';
import { runBulk, runSeed, shrinkSeed, twice, TWICE_EVERY, type BulkOptions } from '../../chaos/sim/bulk.ts';
import { regionNode } from '../../chaos/sim/node-factory.ts';
import { scenarios } from '../../chaos/sim/scenarios/index.ts';
import type { Progress } from '../../chaos/sim/progress.ts';
import { cutText, parseCut } from '../../chaos/sim/shrink.ts';
import { simulate } from '../../chaos/sim/simulate.ts';

/** About a minute of two cores. */
const SEEDS = 800;
/** What every hundredth seed takes, or more often. */
const COMMON = [
  ...['apply', 'duplicate', 'gap', 'wait', 'hold'].map((outcome) => `batch ${outcome}`),
  ...['sequenced', 'duplicate', 'PRECONDITION_FAILED'].map((outcome) => `op ${outcome}`),
  ...['sequenced', 'retry'].map((outcome) => `atomic ${outcome}`),
  ...['durable', 'fenced', 'unknown'].map((outcome) => `append ${outcome}`),
  ...[...BRANCHES.keys()].filter((branch) => branch.startsWith('fault ')),
];

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
      // Every fault happens, and the decisions that matter are taken many times.
      for (const branch of COMMON) expect(report.totals[branch] ?? 0, branch).toBeGreaterThan(SEEDS / 100);
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

describe('a long run', () => {
  const options: BulkOptions = { start: 60, seeds: 4, jobs: 1, without: [], scenario: undefined, findingsMax: 5 };

  test(
    'that was stopped goes on where it was, and tells the same in the end',
    async () => {
      const whole = await runBulk(options);
      let noted: Progress | undefined;
      const first = await runBulk({
        ...options,
        stopped: () => (noted?.chunks.length ?? 0) >= 2,
        onChunk: (chunk, { findings, totals, settleMsMax, cpuMs }) => {
          const counted = { findings, totals, settleMsMax, cpuMs, seconds: 1 };
          noted = structuredClone({ code: 'this', start: 60, seeds: 4, without: [], ...chunk, ...counted });
        },
      });
      expect(first.seeds).toBeLessThan(whole.seeds);
      const rest = await runBulk({ ...options, resume: noted });
      expect(rest.seeds).toBe(whole.seeds);
      expect(rest.totals).toEqual(whole.totals);
    },
    3 * MINUTE_MS,
  );

  test('one seed in so many runs twice, and is a finding when its two runs differ', async () => {
    const result = await runSeed(TWICE_EVERY, [], undefined);
    const hashes = ['first', 'second'];
    const differing = await twice(TWICE_EVERY, () => Promise.resolve({ ...result, hash: hashes.shift()! }));
    expect(differing.finding).toMatchObject({ invariant: 'determinism' });
    expect(hashes).toEqual([]);
    let runs = 0;
    const once = await twice(TWICE_EVERY + 1, () => {
      runs++;
      return Promise.resolve({ ...result, hash: String(runs) });
    });
    expect(runs).toBe(1);
    expect(once.finding).toBeUndefined();
  });
});

describe('a failing seed', () => {
  test(
    'is cut down to what the finding needs, and the cut replays',
    async () => {
      const without = ['depsCheck'] as const;
      let failed = await runSeed(1, without, undefined);
      for (let seed = 2; failed.finding === undefined; seed++) failed = await runSeed(seed, without, undefined);
      const cut = await shrinkSeed(failed, without);
      expect(cut).toBeDefined();
      // As a person would: from the text that the report prints.
      const replayed = await runSeed(failed.seed, without, undefined, undefined, undefined, parseCut(cutText(cut!)));
      expect(replayed.finding?.invariant).toBe(failed.finding.invariant);
      expect(replayed.stats.ops).toBeLessThan(failed.stats.ops);
      expect(replayed.faultsTaken.length).toBeLessThanOrEqual(failed.faultsTaken.length);
      for (const fault of replayed.faultsTaken) expect(cut!.faults).toContain(fault);
      // What is left over of it is harmless while the guard is on.
      const guarded = await runSeed(failed.seed, [], undefined, undefined, undefined, cut);
      expect(guarded.finding).toBeUndefined();
    },
    2 * MINUTE_MS,
  );

  test('a cut is read as it is written, and a wrong one is refused', () => {
    const text = 'regions=2,nodes=1,shards=1,consumers=0,ops=14,ms=900,faults=crash.0+cut.1';
    expect(cutText(parseCut(text))).toBe(text);
    expect(parseCut('faults=')).toEqual({ faults: [] });
    for (const wrong of ['', 'regions=1', 'ops=-3', 'colour=blue', 'shards=0', 'ops'])
      expect(() => parseCut(wrong), wrong).toThrow(RangeError);
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
