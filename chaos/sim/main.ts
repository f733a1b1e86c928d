// npm run sim: the seeded simulation of whole regions in virtual time.

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { EXIT_CODES } from '../../src/errors/errors.ts';
import { GUARDS, type GuardName } from '../../src/shard/guards.ts';
import { realSystem } from '../../src/system/real.ts';
import { runBulk, runSeed, type BulkReport } from './bulk.ts';
import { scenarios } from './scenarios/index.ts';

const HELP = `npm run sim -- [options]

  --seeds N        run N seeds (default 500)
  --start S        first seed (default 1)
  --seed X         run this seed twice, compare the traces, and show the end of the trace when something is found
  --jobs J         processes (default: one per core)
  --scenario NAME  run a named scenario instead of random chaos; 'all' runs every one
  --without GUARD  switch a safety guard off (may be repeated): the run must then find something
  --findings N     stop after N findings (default 10)
  --lines N        lines of trace with a finding (default 60)
  --verbose        with --seed: the whole trace
  --json           one JSON document instead of text
  --list           scenarios and guards

Exit codes: 0 nothing found, 7 findings, 2 usage.
Examples:
  npm run sim -- --seeds 10000
  npm run sim -- --seed 4711 --lines 200
  npm run sim -- --without depsCheck --seeds 300
  npm run sim -- --scenario deposed-owner-heartbeat
`;

/** Seeds between two lines of progress. */
const PROGRESS_EVERY = 1000;

class UsageError extends Error {}

interface Args {
  readonly seeds: number;
  readonly start: number;
  readonly seed: number | undefined;
  readonly jobs: number;
  readonly scenario: string | undefined;
  readonly without: readonly GuardName[];
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
  return {
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

function replayCommand(seed: number, args: Args, scenario: string | undefined): string {
  return [
    'npm run sim --',
    `--seed ${seed}`,
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
  const result = await runSeed(seed, args.without, scenario, args.verbose && !args.json ? say : undefined, args.lines);
  const again = await runSeed(seed, args.without, scenario);
  const finding =
    result.finding ??
    (again.hash === result.hash
      ? undefined
      : { invariant: 'determinism', message: `two runs differ: ${result.hash} and ${again.hash}`, stack: undefined });
  if (args.json) {
    say(
      JSON.stringify(
        { ...result, finding: finding ?? null, hashAgain: again.hash, replay: replayCommand(seed, args, scenario) },
        undefined,
        2,
      ),
    );
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
  say(`replay: ${replayCommand(seed, args, scenario)}`);
  return false;
}

async function bulk(args: Args): Promise<boolean> {
  const { clock } = realSystem();
  const began = clock.monotonicMs();
  if (!args.json)
    say(
      `seeds ${args.start} to ${args.start + args.seeds - 1}, ${args.jobs} processes${args.without.length === 0 ? '' : `, without ${args.without.join(', ')}`}`,
    );
  let shown = 0;
  let stopped = false;
  // A long run that is interrupted tells what it has seen so far.
  process.once('SIGINT', () => {
    stopped = true;
  });
  const report = await runBulk({
    start: args.start,
    seeds: args.seeds,
    jobs: args.jobs,
    without: args.without,
    scenario: undefined,
    findingsMax: args.findings,
    stopped: () => stopped,
    onProgress: (done, findings) => {
      if (done - shown < PROGRESS_EVERY) return;
      shown = done;
      process.stderr.write(`${done} seeds, ${findings} findings\n`);
    },
  });
  const seconds = (clock.monotonicMs() - began) / 1000;
  if (args.json) {
    say(
      JSON.stringify(
        {
          start: args.start,
          ...report,
          seconds,
          seedsPerSecond: report.seeds / seconds,
          cpuMsPerSeed: report.cpuMs / report.seeds,
        },
        undefined,
        2,
      ),
    );
  } else {
    printReport(report, seconds, args);
  }
  return report.findings.length === 0;
}

function printReport(report: BulkReport, seconds: number, args: Args): void {
  for (const { seed, scenario, plan, invariant, message } of report.findings) {
    say(`${scenario === undefined ? '' : `scenario ${scenario}, `}seed ${seed}: VIOLATED ${invariant}: ${message}`);
    say(`  plan: ${plan}`);
    say(`  replay: ${replayCommand(seed, args, scenario)}`);
  }
  const { totals } = report;
  const group = (prefix: string): string =>
    Object.entries(totals)
      .filter(([name]) => name.startsWith(prefix))
      .sort(([, a], [, b]) => b - a)
      .map(([name, value]) => `${name.slice(prefix.length)} ${value}`)
      .join(', ');
  say(
    `${report.seeds} seeds in ${seconds.toFixed(1)} s: ${(report.seeds / seconds).toFixed(1)} seeds/s, ${(report.cpuMs / report.seeds).toFixed(1)} ms CPU a seed, ` +
      `${(totals['virtualMs']! / 1000 / 3600).toFixed(1)} virtual hours, longest healing ${(report.settleMsMax / 1000).toFixed(1)} s`,
  );
  say(
    `ops ${totals['ops']} (acknowledged ${totals['acked']}, unknown ${totals['unknown']}), batches ${totals['batches']}, reads ${totals['reads']} (bounded ${totals['boundedReads']}, stable ${totals['stableReads']}, ` +
      `of sessions that moved ${totals['roamedReads']}), scanned pages ${totals['scanPages']} (stable ${totals['stablePages']}), ` +
      `atomic writes ${totals['atomicWrites']}, ` +
      `feed events ${totals['feedEvents']}, conflicts ${totals['conflicts']}, events ${totals['events']}`,
  );
  say(`refusals: ${group('refused ')}`);
  say(`faults: ${group('fault ')}`);
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
