// npm run sim: the seeded simulation of whole regions in virtual time.

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { EXIT_CODES } from '../../src/errors/errors.ts';
import { GUARDS, type GuardName } from '../../src/shard/guards.ts';
import { realSystem } from '../../src/system/real.ts';
import { BRANCHES, neverTaken } from './branches.ts';
import { runBulk, runSeed, shrinkSeed, type BulkReport, type Finding } from './bulk.ts';
import { codeId, progressFile, type Progress } from './progress.ts';
import { cutText, parseCut, type Cut } from './shrink.ts';
import { scenarios } from './scenarios/index.ts';

const HELP = `npm run sim -- [options]

  --seeds N        run N seeds (default 500)
  --start S        first seed (default 1)
  --resume         go on where a run of the same seeds was stopped (it is noted in .data/sim)
  --seed X         run this seed twice, compare the traces, and show the end of the trace when something is found
  --cut LIST       with --seed: cut down to regions=2,nodes=1,shards=1,consumers=0,ops=14,ms=900,faults=crash.0+cut.1
  --no-shrink      do not cut findings down
  --all-branches   a branch of the engine's decisions, or a fault, that no seed took is a failure (for long runs)
  --jobs J         processes (default: one per core)
  --scenario NAME  run a named scenario instead of random chaos; 'all' runs every one
  --without GUARD  switch a safety guard off (may be repeated): the run must then find something
  --findings N     stop after N findings (default 10)
  --lines N        lines of trace with a finding (default 60)
  --verbose        with --seed: the whole trace
  --json           one JSON document instead of text
  --list           scenarios and guards

Exit codes: 0 nothing found, 7 findings (with --all-branches also a branch that was never taken), 2 usage.
Examples:
  npm run sim -- --seeds 100000 --all-branches
  npm run sim -- --seeds 100000 --all-branches --resume
  npm run sim -- --seed 4711 --lines 200
  npm run sim -- --without depsCheck --seeds 300
  npm run sim -- --scenario deposed-owner-heartbeat
`;

/** Seeds between two lines of progress. */
const PROGRESS_EVERY = 1000;
/** Of one run: to cut one down takes as long as a hundred seeds. */
const SHRUNK_FINDINGS_MAX = 3;

class UsageError extends Error {}

interface Args {
  readonly seeds: number;
  readonly start: number;
  readonly seed: number | undefined;
  readonly jobs: number;
  readonly scenario: string | undefined;
  readonly without: readonly GuardName[];
  readonly cut: Cut;
  readonly resume: boolean;
  readonly shrink: boolean;
  readonly allBranches: boolean;
  readonly findings: number;
  readonly lines: number;
  readonly verbose: boolean;
  readonly json: boolean;
}

function parse(argv: readonly string[]): Args | 'help' | 'list' {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        seeds: { type: 'string' },
        start: { type: 'string' },
        seed: { type: 'string' },
        jobs: { type: 'string' },
        scenario: { type: 'string' },
        without: { type: 'string', multiple: true },
        findings: { type: 'string' },
        lines: { type: 'string' },
        cut: { type: 'string' },
        resume: { type: 'boolean' },
        'no-shrink': { type: 'boolean' },
        'all-branches': { type: 'boolean' },
        verbose: { type: 'boolean' },
        json: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (values.help === true) return 'help';
  if (values.list === true) return 'list';
  const number = (name: string, text: string | undefined, otherwise: number, min: number): number => {
    if (text === undefined) return otherwise;
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < min)
      throw new UsageError(`--${name} is a whole number from ${min} on; got '${text}'`);
    return value;
  };
  const without = (values.without ?? []).flatMap((each) => each.split(','));
  for (const guard of without) {
    if (!Object.hasOwn(GUARDS, guard))
      throw new UsageError(`no guard '${guard}'; there are ${Object.keys(GUARDS).join(', ')}`);
  }
  const { scenario } = values;
  if (scenario !== undefined && scenario !== 'all' && !scenarios.some(({ name }) => name === scenario)) {
    throw new UsageError(`no scenario '${scenario}'; there are ${scenarios.map(({ name }) => name).join(', ')}`);
  }
  if (values.cut !== undefined && (values.seed === undefined || scenario !== undefined))
    throw new UsageError('--cut goes with --seed, and not with a scenario');
  return {
    cut: values.cut === undefined ? {} : cutOf(values.cut),
    resume: values.resume ?? false,
    shrink: values['no-shrink'] !== true,
    allBranches: values['all-branches'] ?? false,
    seeds: number('seeds', values.seeds, scenario === undefined ? 500 : 1, 1),
    start: number('start', values.start, 1, 0),
    seed: values.seed === undefined ? undefined : number('seed', values.seed, 0, 0),
    jobs: number('jobs', values.jobs, availableParallelism(), 1),
    scenario,
    without: without as GuardName[],
    findings: number('findings', values.findings, 10, 1),
    lines: number('lines', values.lines, 60, 0),
    verbose: values.verbose ?? false,
    json: values.json ?? false,
  };
}

function cutOf(text: string): Cut {
  try {
    return parseCut(text);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--cut: ${error.message}`);
    throw error;
  }
}

function replayCommand(seed: number, args: Args, scenario: string | undefined, cut = ''): string {
  return [
    'npm run sim --',
    `--seed ${seed}`,
    ...(cut === '' ? [] : [`--cut ${cut}`]),
    ...(scenario === undefined ? [] : [`--scenario ${scenario}`]),
    ...args.without.map((guard) => `--without ${guard}`),
  ].join(' ');
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function single(seed: number, args: Args, scenario: string | undefined): Promise<boolean> {
  Error.stackTraceLimit = 40;
  if (!args.json) say(`seed ${seed}${scenario === undefined ? '' : `, scenario ${scenario}`}`);
  const onTrace = args.verbose && !args.json ? say : undefined;
  const result = await runSeed(seed, args.without, scenario, onTrace, args.lines, args.cut);
  const again = await runSeed(seed, args.without, scenario, undefined, undefined, args.cut);
  const finding =
    result.finding ??
    (again.hash === result.hash
      ? undefined
      : { invariant: 'determinism', message: `two runs differ: ${result.hash} and ${again.hash}`, stack: undefined });
  let cut = args.cut;
  if (result.finding !== undefined && finding === result.finding && scenario === undefined && args.shrink)
    cut = (await shrinkSeed(result, args.without, cut)) ?? cut;
  const replay = replayCommand(seed, args, scenario, cutText(cut));
  if (args.json) {
    say(JSON.stringify({ ...result, finding: finding ?? null, hashAgain: again.hash, replay }, undefined, 2));
    return finding === undefined;
  }
  say(`plan: ${result.plan}`);
  say(
    `trace ${result.hash}, again ${again.hash}; ${result.stats.events} events, ${(result.stats.virtualMs / 1000).toFixed(1)} s virtual, ${result.stats.acked} of ${result.stats.ops} ops acknowledged`,
  );
  if (finding === undefined) {
    say('nothing found');
    return true;
  }
  for (const line of result.trace) say(`  ${line}`);
  say(`VIOLATED ${finding.invariant}: ${finding.message}`);
  if (finding.stack !== undefined) say(finding.stack.split('\n').slice(1, 40).join('\n'));
  say(`replay: ${replay}`);
  return false;
}

async function bulk(args: Args): Promise<boolean> {
  const { clock } = realSystem();
  const began = clock.monotonicMs();
  const file = progressFile(args.start, args.seeds, args.without);
  const code = codeId();
  const resume = args.resume ? file.load() : undefined;
  if (resume !== undefined && resume.code !== code) {
    throw new UsageError(
      `${file.path} is of other code than this: what passed there proves nothing here. Begin anew, without --resume`,
    );
  }
  if (!args.json) {
    const without = args.without.length === 0 ? '' : `, without ${args.without.join(', ')}`;
    say(`seeds ${args.start} to ${args.start + args.seeds - 1}, ${args.jobs} processes${without}`);
    if (args.resume) say(resume === undefined ? `${file.path} is not there: from the beginning` : doneBefore(resume));
  }
  const secondsBefore = resume?.seconds ?? 0;
  const seconds = (): number => secondsBefore + (clock.monotonicMs() - began) / 1000;
  let shown = resume === undefined ? 0 : Number.NaN;
  let stopped = false;
  // A long run that is interrupted tells what it has seen so far.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      stopped = true;
    });
  const report = await runBulk({
    start: args.start,
    seeds: args.seeds,
    jobs: args.jobs,
    without: args.without,
    scenario: undefined,
    findingsMax: args.findings,
    shrinkMax: args.shrink ? SHRUNK_FINDINGS_MAX : 0,
    stopped: () => stopped,
    resume,
    onChunk: (chunk, { findings, totals, settleMsMax, cpuMs }) => {
      const { start, seeds, without } = args;
      const counted = { findings, totals, settleMsMax, cpuMs, seconds: seconds() };
      file.save({ code, start, seeds, without, ...chunk, ...counted });
    },
    onProgress: (sofar) => {
      if (Number.isNaN(shown)) shown = sofar.seeds;
      if (sofar.seeds - shown < PROGRESS_EVERY) return;
      shown = sofar.seeds;
      process.stderr.write(`${paceOf(sofar, seconds())}, ${sofar.findings.length} findings\n`);
    },
  });
  const missed = neverTaken(report.totals);
  if (args.json) {
    const figures = {
      seconds: seconds(),
      seedsPerSecond: report.seeds / seconds(),
      cpuMsPerSeed: report.cpuMs / report.seeds,
      branches: Object.fromEntries([...BRANCHES.keys()].map((name) => [name, report.totals[name] ?? 0])),
      branchesNeverTaken: missed,
    };
    const findings = report.findings.map((finding) => ({ ...finding, replay: replayOf(finding, args) }));
    say(JSON.stringify({ start: args.start, ...report, findings, ...figures }, undefined, 2));
  } else {
    printReport(report, seconds(), args, missed);
  }
  if (stopped && report.seeds < args.seeds && !args.json)
    say(`stopped after ${report.seeds} of ${args.seeds} seeds; the same command with --resume goes on`);
  return report.findings.length === 0 && !(args.allBranches && missed.length > 0);
}

function doneBefore({ findings, totals, seconds }: Progress): string {
  return `goes on: ${Math.round((totals['virtualMs'] ?? 0) / 3_600_000)} virtual hours were run in ${seconds.toFixed(0)} s, ${findings.length} findings`;
}

function paceOf(report: BulkReport, seconds: number): string {
  const { seeds, cpuMs } = report;
  return `${seeds} seeds in ${seconds.toFixed(1)} s: ${(seeds / seconds).toFixed(1)} seeds/s, ${(cpuMs / seeds).toFixed(1)} ms CPU a seed`;
}

function replayOf({ seed, scenario, cut }: Finding, args: Args): string {
  return replayCommand(seed, args, scenario, cut);
}

function printReport(report: BulkReport, seconds: number, args: Args, missed: readonly string[]): void {
  for (const finding of report.findings) {
    const { seed, scenario, plan, invariant, message } = finding;
    say(`${scenario === undefined ? '' : `scenario ${scenario}, `}seed ${seed}: VIOLATED ${invariant}: ${message}`);
    say(`  plan: ${plan}`);
    say(`  replay: ${replayOf(finding, args)}`);
  }
  const { totals } = report;
  const list = (entries: readonly (readonly [name: string, value: number])[]): string =>
    entries
      .toSorted(([, a], [, b]) => b - a)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  const branches = (group: string): string =>
    list(
      [...BRANCHES.keys()]
        .filter((name) => name.startsWith(`${group} `))
        .map((name) => [name.slice(group.length + 1), totals[name] ?? 0] as const),
    );
  const hours = (totals['virtualMs']! / 1000 / 3600).toFixed(1);
  say(
    `${paceOf(report, seconds)}, ${hours} virtual hours, longest healing ${(report.settleMsMax / 1000).toFixed(1)} s`,
  );
  say(
    `ops ${totals['ops']} (acknowledged ${totals['acked']}, unknown ${totals['unknown']}), batches ${totals['batches']}, reads ${totals['reads']} (bounded ${totals['boundedReads']}, stable ${totals['stableReads']}, ` +
      `of sessions that moved ${totals['roamedReads']}), scanned pages ${totals['scanPages']} (stable ${totals['stablePages']}), ` +
      `atomic writes ${totals['atomicWrites']}, ` +
      `feed events ${totals['feedEvents']}, conflicts ${totals['conflicts']}, events ${totals['events']}`,
  );
  say('branches taken');
  for (const [group, of] of [
    ['batch', "peers' batches"],
    ['op', "clients' ops"],
    ['atomic', 'atomic writes'],
    ['append', 'appends'],
    ['begin', 'owners that begin'],
    ['turn', "turns of peers' batches"],
    ['refused', 'refusals'],
    ['fault', 'faults'],
  ] as const)
    say(`  ${of}: ${branches(group)}`);
  if (missed.length > 0) say(`${args.allBranches ? 'NEVER TAKEN' : 'never taken'}: ${missed.join(', ')}`);
  say(report.findings.length === 0 ? 'nothing found' : `${report.findings.length} FINDINGS`);
}

async function main(): Promise<number> {
  const args = parse(process.argv.slice(2));
  if (args === 'help') {
    say(HELP);
    return EXIT_CODES.ok;
  }
  if (args === 'list') {
    say(`scenarios:\n${scenarios.map(({ name, says }) => `  ${name.padEnd(34)} ${says}`).join('\n')}`);
    say(`guards:\n  ${Object.keys(GUARDS).join(', ')}`);
    return EXIT_CODES.ok;
  }
  let clean = true;
  if (args.scenario !== undefined) {
    const names = args.scenario === 'all' ? scenarios.map(({ name }) => name) : [args.scenario];
    const first = args.seed ?? args.start;
    for (const name of names) {
      for (let seed = first; seed < first + (args.seed === undefined ? args.seeds : 1); seed++)
        clean = (await single(seed, args, name)) && clean;
    }
  } else if (args.seed !== undefined) clean = await single(args.seed, args, undefined);
  else clean = await bulk(args);
  return clean ? EXIT_CODES.ok : EXIT_CODES.findings;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n\n${HELP}`);
      process.exitCode = EXIT_CODES.usage;
    } else {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exitCode = EXIT_CODES.internal;
    }
  },
);
