// Many seeds over several processes. A seed is independent of every other, so a run is as fast as the machine has cores; each worker
// takes the next chunk when it is done with one.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { GuardName } from '../../src/shard/guards.ts';
import { regionNode } from './node-factory.ts';
import { scenarios } from './scenarios/index.ts';
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
  readonly onProgress?: (done: number, findings: number) => void;
  /** True: no more seeds are begun, and what was run is reported. */
  readonly stopped?: () => boolean;
}

export interface Finding {
  readonly seed: number;
  /** undefined: random chaos. */
  readonly scenario: string | undefined;
  readonly plan: string;
  readonly invariant: string;
  readonly message: string;
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
): Promise<SimResult> {
  const base = {
    without,
    factory: regionNode,
    ...(onTrace === undefined ? {} : { onTrace }),
    ...(traceLines === undefined ? {} : { traceLines }),
  };
  if (scenario === undefined) return simulate(seed, base);
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
  const result = await runSeed(seed, without, scenario);
  if (seed % TWICE_EVERY !== 0 || result.finding !== undefined) return result;
  const again = await runSeed(seed, without, scenario);
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

interface Chunk {
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
}

export async function runChunk({ from, to, without, scenario }: Chunk): Promise<ChunkResult> {
  const result: ChunkResult = { findings: [], totals: {}, settleMsMax: 0, cpuMs: 0 };
  let settleMsMax = 0;
  const cpu = process.cpuUsage();
  for (let seed = from; seed < to; seed++) {
    const { finding, plan, stats } = await checkedSeed(seed, without, scenario);
    addStats(result.totals, stats);
    settleMsMax = Math.max(settleMsMax, stats.settleMs ?? 0);
    if (finding !== undefined)
      result.findings.push({ seed, scenario, plan, invariant: finding.invariant, message: finding.message });
  }
  const used = process.cpuUsage(cpu);
  return { ...result, settleMsMax, cpuMs: (used.user + used.system) / 1000 };
}

export async function runBulk(options: BulkOptions): Promise<BulkReport> {
  const { start, seeds, without, scenario } = options;
  const end = start + seeds;
  const size = Math.max(1, Math.min(50, Math.ceil(seeds / (options.jobs * 4))));
  let next = start;
  let done = 0;
  let settleMsMax = 0;
  let cpuMs = 0;
  const findings: Finding[] = [];
  const totals: Record<string, number> = {};
  const take = (): Chunk | undefined => {
    if (next >= end || findings.length >= options.findingsMax || options.stopped?.() === true) return undefined;
    const from = next;
    next = Math.min(end, next + size);
    return { from, to: next, without, scenario };
  };
  const put = (chunk: Chunk, result: ChunkResult): void => {
    if (chunk.scenario === scenario) done += chunk.to - chunk.from;
    findings.push(...result.findings);
    for (const [name, value] of Object.entries(result.totals)) add(totals, name, value);
    settleMsMax = Math.max(settleMsMax, result.settleMsMax);
    cpuMs += result.cpuMs;
    options.onProgress?.(done, findings.length);
  };
  // The scenarios go first: they are quick, and some mistakes need them (a guard against what only a script can bring about).
  if (scenario === undefined) {
    for (const { name } of scenarios) {
      const chunk: Chunk = { from: start, to: start + 1, without, scenario: name };
      put(chunk, await runChunk(chunk));
      if (findings.length >= options.findingsMax) break;
    }
  }
  if (options.jobs <= 1) {
    for (let chunk = take(); chunk !== undefined; chunk = take()) put(chunk, await runChunk(chunk));
  } else {
    await Promise.all(Array.from({ length: options.jobs }, () => runWorker(take, put)));
  }
  findings.sort((a, b) => a.seed - b.seed);
  return { seeds: done, findings, totals, settleMsMax, cpuMs };
}

/** A process of its own: traps replace globals, and one simulation at a time lives in a process. */
function runWorker(take: () => Chunk | undefined, put: (chunk: Chunk, result: ChunkResult) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    const path = fileURLToPath(new URL(`./worker${extension}`, import.meta.url));
    const child = fork(path, [], {
      execArgv: extension === '.ts' ? ['--import', 'tsx'] : process.execArgv,
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
