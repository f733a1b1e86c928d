// Makes a failing seed small: fewer faults, regions, nodes, shards and ops, less time, as long as the same invariant is violated.
// What was taken away is a text (`regions=2,ops=14,faults=crash.0+cut.1`) that goes with the seed; the two replay the small case.
//
// Greedy (Zeller and Hildebrandt, 2002, for the list of faults): each step tries to take something away and keeps what still fails.
// Faults are drawn from generators of their own (faults.ts), so that one that is taken away leaves the others as they are.

import type { Plan } from './plan.ts';
import type { SimResult } from './simulate.ts';

/** What a seed is cut down to; what is not named stays as the seed drew it. */
export interface Cut {
  readonly regions?: number;
  readonly nodes?: number;
  readonly shards?: number;
  readonly consumers?: number;
  /** Clients write no more after so many ops. */
  readonly ops?: number;
  /** Of chaos. */
  readonly ms?: number;
  /** `name.n`: the n-th of its kind that the seed draws, from 0. No others happen. */
  readonly faults?: readonly string[];
}

const NUMBERS = ['regions', 'nodes', 'shards', 'consumers', 'ops', 'ms'] as const;
type NumberName = (typeof NUMBERS)[number];

export function cutText(cut: Cut): string {
  return [
    ...NUMBERS.filter((name) => cut[name] !== undefined).map((name) => `${name}=${cut[name]}`),
    ...(cut.faults === undefined ? [] : [`faults=${cut.faults.join('+')}`]),
  ].join(',');
}

/** Throws a RangeError that says what is wrong. */
export function parseCut(text: string): Cut {
  const cut: { -readonly [K in keyof Cut]: Cut[K] } = {};
  for (const part of text.split(',')) {
    const [name, value] = [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)];
    if (name === 'faults') cut.faults = value === '' ? [] : value.split('+');
    else if (NUMBERS.includes(name as NumberName) && /^\d+$/.test(value)) cut[name as NumberName] = Number(value);
    else {
      throw new RangeError(
        `a cut is a list like 'regions=2,ops=14,faults=crash.0+cut.1' of ${NUMBERS.join(', ')} and faults; got '${part}'`,
      );
    }
  }
  if (cut.regions !== undefined && cut.regions < 2) throw new RangeError('a cut leaves at least two regions');
  if (cut.nodes === 0 || cut.shards === 0) throw new RangeError('a cut leaves at least one node and one shard');
  return cut;
}

export function cutPlan(plan: Plan, cut: Cut): Plan {
  const regions = Math.min(plan.regions, cut.regions ?? plan.regions);
  return {
    ...plan,
    regions,
    nodesPerRegion: Math.min(plan.nodesPerRegion, cut.nodes ?? plan.nodesPerRegion),
    shards: Math.min(plan.shards, cut.shards ?? plan.shards),
    narrowPlacement: plan.narrowPlacement && regions > 2,
    consumersPerRegion: Math.min(plan.consumersPerRegion, cut.consumers ?? plan.consumersPerRegion),
    chaosMs: Math.min(plan.chaosMs, cut.ms ?? plan.chaosMs),
    opsMax: cut.ops,
    faultsKept: cut.faults,
  };
}

export interface Shrunk {
  readonly cut: Cut;
  readonly result: SimResult;
  readonly runs: number;
}

/** A step costs a run of the seed. */
export const SHRINK_RUNS_MAX = 120;

/**
 * `failed`: what the seed gave, cut down to `from`. `run`: the seed, cut. undefined: nothing more could be taken away.
 */
export async function shrink(
  failed: SimResult,
  run: (cut: Cut) => Promise<SimResult>,
  from: Cut = {},
  runsMax = SHRINK_RUNS_MAX,
): Promise<Shrunk | undefined> {
  const invariant = failed.finding!.invariant;
  let best: { cut: Cut; result: SimResult } = { cut: from, result: failed };
  let runs = 0;
  const attempt = async (change: Cut): Promise<boolean> => {
    if (runs >= runsMax) return false;
    runs++;
    const cut = { ...best.cut, ...change };
    const result = await run(cut);
    if (result.finding?.invariant !== invariant) return false;
    best = { cut, result };
    return true;
  };
  const faultsNow = (): readonly string[] => best.cut.faults ?? best.result.faultsTaken;
  let before: string | undefined;
  while (before !== cutText(best.cut) && runs < runsMax) {
    before = cutText(best.cut);
    await shrinkFaults(faultsNow(), (faults) => attempt({ faults }));
    for (let regions = 2; regions < best.result.shape.regions; regions++) if (await attempt({ regions })) break;
    if (best.result.shape.nodesPerRegion > 1) await attempt({ nodes: 1 });
    if (best.result.shape.shards > 1) await attempt({ shards: 1 });
    if (best.result.shape.consumersPerRegion > 0) await attempt({ consumers: 0 });
    await shrinkNumber(best.result.stats.ops, 0, (ops) => attempt({ ops }));
    await shrinkNumber(best.result.shape.chaosMs, 50, (ms) => attempt({ ms }));
  }
  return cutText(best.cut) === cutText(from) ? undefined : { ...best, runs };
}

/** Takes away halves, quarters, … and single ones, as long as what is left fails. */
async function shrinkFaults(
  all: readonly string[],
  fails: (left: readonly string[]) => Promise<boolean>,
): Promise<void> {
  let left = [...all];
  if (left.length === 0 || (await fails([]))) return;
  for (let size = Math.ceil(left.length / 2); ; size = Math.ceil(size / 2)) {
    for (let at = 0; at < left.length;) {
      const without = [...left.slice(0, at), ...left.slice(at + size)];
      if (without.length > 0 && (await fails(without))) left = without;
      else at += size;
    }
    if (size === 1) return;
  }
}

/** Towards the smallest that fails, by halving what lies between. */
async function shrinkNumber(from: number, lowest: number, fails: (value: number) => Promise<boolean>): Promise<void> {
  let high = from;
  let low = lowest;
  while (high - low > Math.max(1, high * 0.1)) {
    const middle = Math.floor((low + high) / 2);
    if (await fails(middle)) high = middle;
    else low = middle;
  }
}
