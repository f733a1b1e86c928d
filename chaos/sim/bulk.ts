// Many seeds over several processes. A seed is independent of every other, so a run is as fast as the machine has cores; each worker
// takes the next chunk when it is done with one.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { GuardName } from '../../src/shard/guards.ts';
import { regionNode } from './node-factory.ts';
import type { Progress } from './progress.ts';
import { scenarios } from './scenarios/index.ts';
import { cutPlan, cutText, shrink, type Cut } from './shrink.ts';
import { simulate, type SimResult, type SimStats } from './simulate.ts';

/** Every so many seeds, one is run twice: its traces must be equal. */
export const TWICE_EVERY = 64;

export interface BulkOptions {
  readonly start: number;
  readonly seeds: number;
  readonly jobs: number;
  readonly without: readonly GuardName[];
  readonly scenario: string | undefined;
  /** Stop after so many findings. */
  readonly findingsMax: number;
  readonly onProgress?: (report: BulkReport) => void;
  /** True: no more seeds are begun, and what was run is reported. */
  readonly stopped?: () => boolean;
  /** Findings of random seeds are cut down, so many of them: each costs up to SHRINK_RUNS_MAX runs. Default 0. */
  readonly shrinkMax?: number;
  /** What an earlier part of the same run has done. */
  readonly resume?: Progress | undefined;
  /** Called after each chunk. */
  readonly onChunk?: (done: Pick<Progress, 'chunkSeeds' | 'chunks'>, report: BulkReport) => void;
}

export interface Finding {
  readonly seed: number;
  /** undefined: random chaos. */
  readonly scenario: string | undefined;
  readonly plan: string;
  readonly invariant: string;
  readonly message: string;
  /** What is left of the seed when everything was taken away that the finding does not need; undefined: it was not tried, or nothing could be. */
  readonly cut?: string | undefined;
}

export interface BulkReport {
  readonly seeds: number;
  readonly findings: readonly Finding[];
  /** Sums over all seeds. */
  readonly totals: Readonly<Record<string, number>>;
  readonly settleMsMax: number;
  readonly cpuMs: number;
}

export async function runSeed(
  seed: number,
  without: readonly GuardName[],
  scenario: string | undefined,
  onTrace?: (line: string) => void,
  traceLines?: number,
  cut: Cut = {},
): Promise<SimResult> {
  const base = {
    without,
    factory: regionNode,
    ...(onTrace === undefined ? {} : { onTrace }),
    ...(traceLines === undefined ? {} : { traceLines }),
  };
  if (scenario === undefined) return simulate(seed, { ...base, adjust: (plan) => cutPlan(plan, cut) });
  const found = scenarios.find(({ name }) => name === scenario);
  if (found === undefined) throw new Error(`no scenario ${scenario}`);
  return simulate(seed, { ...base, adjust: found.plan, script: found.script });
}

/** A seed, twice when its turn comes. A run that differs from itself is a finding of its own. */
async function checkedSeed(
  seed: number,
  without: readonly GuardName[],
  scenario: string | undefined,
): Promise<SimResult> {
  return twice(seed, () => runSeed(seed, without, scenario));
}

/** Runs it, and when it is its turn once more. */
export async function twice(seed: number, run: () => Promise<SimResult>): Promise<SimResult> {
  const result = await run();
  if (seed % TWICE_EVERY !== 0 || result.finding !== undefined) return result;
  const again = await run();
  if (again.hash === result.hash) return result;
  return {
    ...result,
    finding: {
      invariant: 'determinism',
      message: `two runs of the seed differ: ${result.hash} and ${again.hash}`,
      stack: undefined,
    },
  };
}

/** The smallest case that violates the same. undefined: nothing can be taken away. */
export async function shrinkSeed(
  failed: SimResult,
  without: readonly GuardName[],
  from: Cut = {},
): Promise<Cut | undefined> {
  const run = (cut: Cut): Promise<SimResult> => runSeed(failed.seed, without, undefined, undefined, undefined, cut);
  return (await shrink(failed, run, from))?.cut;
}

interface Chunk {
  readonly index: number;
  readonly from: number;
  readonly to: number;
  readonly without: readonly GuardName[];
  readonly scenario: string | undefined;
}

interface ChunkResult {
  readonly findings: Finding[];
  readonly totals: Record<string, number>;
  readonly settleMsMax: number;
  readonly cpuMs: number;
}

function add(totals: Record<string, number>, name: string, value: number): void {
  totals[name] = (totals[name] ?? 0) + value;
}

function addStats(totals: Record<string, number>, stats: SimStats): void {
  add(totals, 'events', stats.events);
  add(totals, 'virtualMs', Math.round(stats.virtualMs));
  add(totals, 'ops', stats.ops);
  add(totals, 'acked', stats.acked);
  add(totals, 'unknown', stats.unknown);
  add(totals, 'batches', stats.batches);
  add(totals, 'reads', stats.reads);
  add(totals, 'boundedReads', stats.boundedReads);
  add(totals, 'stableReads', stats.stableReads);
  add(totals, 'roamedReads', stats.roamedReads);
  add(totals, 'atomicWrites', stats.atomicWrites);
  add(totals, 'scanPages', stats.scanPages);
  add(totals, 'stablePages', stats.stablePages);
  add(totals, 'feedEvents', stats.feedEvents);
  add(totals, 'conflicts', stats.conflicts);
  for (const [name, value] of Object.entries(stats.refusals)) add(totals, `refused ${name}`, value);
  for (const [name, value] of Object.entries(stats.faults)) add(totals, `fault ${name}`, value);
  for (const [name, value] of Object.entries(stats.branches)) add(totals, name, value);
}

export async function runChunk({ from, to, without, scenario }: Omit<Chunk, 'index'>): Promise<ChunkResult> {
  const result: ChunkResult = { findings: [], totals: {}, settleMsMax: 0, cpuMs: 0 };
  // A stack costs more than the refusal that it is of, and nobody reads one here.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  let settleMsMax = 0;
  const cpu = process.cpuUsage();
  for (let seed = from; seed < to; seed++) {
    const { finding, plan, stats } = await checkedSeed(seed, without, scenario);
    addStats(result.totals, stats);
    settleMsMax = Math.max(settleMsMax, stats.settleMs ?? 0);
    if (finding !== undefined)
      result.findings.push({ seed, scenario, plan, invariant: finding.invariant, message: finding.message });
  }
  Error.stackTraceLimit = stackTraceLimit;
  const used = process.cpuUsage(cpu);
  return { ...result, settleMsMax, cpuMs: (used.user + used.system) / 1000 };
}

export async function runBulk(options: BulkOptions): Promise<BulkReport> {
  const { start, seeds, without, scenario } = options;
  const end = start + seeds;
  const { resume } = options;
  const size = resume?.chunkSeeds ?? Math.max(1, Math.min(50, Math.ceil(seeds / (options.jobs * 4))));
  const chunks = new Set(resume?.chunks);
  const last = Math.ceil(seeds / size);
  const seedsIn = (index: number): number => Math.min(end, start + (index + 1) * size) - (start + index * size);
  let next = 0;
  let done = [...chunks].reduce((sum, index) => sum + seedsIn(index), 0);
  let settleMsMax = resume?.settleMsMax ?? 0;
  let cpuMs = resume?.cpuMs ?? 0;
  const findings: Finding[] = [...(resume?.findings ?? [])];
  const totals: Record<string, number> = { ...resume?.totals };
  const report = (): BulkReport => ({ seeds: done, findings, totals, settleMsMax, cpuMs });
  const take = (): Chunk | undefined => {
    while (chunks.has(next)) next++;
    if (next >= last || findings.length >= options.findingsMax || options.stopped?.() === true) return undefined;
    const index = next++;
    const from = start + index * size;
    return { index, from, to: from + seedsIn(index), without, scenario };
  };
  const addResult = (result: ChunkResult): void => {
    findings.push(...result.findings);
    for (const [name, value] of Object.entries(result.totals)) add(totals, name, value);
    settleMsMax = Math.max(settleMsMax, result.settleMsMax);
    cpuMs += result.cpuMs;
  };
  const put = (chunk: Chunk, result: ChunkResult): void => {
    addResult(result);
    chunks.add(chunk.index);
    done += chunk.to - chunk.from;
    options.onProgress?.(report());
    options.onChunk?.({ chunkSeeds: size, chunks: [...chunks] }, report());
  };
  // The scenarios go first: they are quick, and some mistakes need them (a guard against what only a script can bring about).
  if (scenario === undefined && resume === undefined) {
    for (const { name } of scenarios) {
      addResult(await runChunk({ from: start, to: start + 1, without, scenario: name }));
      if (findings.length >= options.findingsMax) break;
    }
  }
  if (options.jobs <= 1) {
    for (let chunk = take(); chunk !== undefined; chunk = take()) put(chunk, await runChunk(chunk));
  } else {
    await Promise.all(Array.from({ length: options.jobs }, () => runWorker(take, put)));
  }
  findings.sort((a, b) => a.seed - b.seed);
  const shrunk = await shrinkFindings(findings, without, options.shrinkMax ?? 0);
  return { ...report(), findings: shrunk };
}

async function shrinkFindings(
  findings: readonly Finding[],
  without: readonly GuardName[],
  max: number,
): Promise<Finding[]> {
  const result: Finding[] = [];
  let left = max;
  for (const finding of findings) {
    if (finding.scenario !== undefined || finding.cut !== undefined || left === 0) {
      result.push(finding);
      continue;
    }
    left--;
    const failed = await runSeed(finding.seed, without, undefined);
    // Of a seed that differs from itself nothing can be said of a part of it.
    const cut = failed.finding?.invariant === finding.invariant ? await shrinkSeed(failed, without) : undefined;
    result.push(cut === undefined ? finding : { ...finding, cut: cutText(cut) });
  }
  return result;
}

/** Young objects live about as long as a seed: with the usual 16 MiB most would be copied twice before they die. */
const WORKER_FLAGS = ['--max-semi-space-size=64', '--single-threaded-gc'];

/** A process of its own: traps replace globals, and one simulation at a time lives in a process. */
function runWorker(take: () => Chunk | undefined, put: (chunk: Chunk, result: ChunkResult) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    const path = fileURLToPath(new URL(`./worker${extension}`, import.meta.url));
    const child = fork(path, [], {
      execArgv: [...(extension === '.ts' ? ['--import', 'tsx'] : process.execArgv), ...WORKER_FLAGS],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    let current: Chunk | undefined;
    const give = (): void => {
      current = take();
      if (current === undefined) child.disconnect();
      else child.send(current);
    };
    child.on('message', (result) => {
      put(current!, result as ChunkResult);
      give();
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (current === undefined) resolve();
      else reject(new Error(`a worker ended with ${code} while it ran seeds ${current.from} to ${current.to - 1}`));
    });
    give();
  });
}
