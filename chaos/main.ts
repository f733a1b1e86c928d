// npm run chaos: regions of the built product, broken on purpose while clients use them; chaos/README.md.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { CausewayError, EXIT_CODES } from '../src/errors/errors.ts';
import { judge } from './check/recorded/checks.ts';
import type { Verdict } from './check/recorded/check.ts';
import { Recording } from './history/recording.ts';
import { OWN_SUBJECT, subjectOf } from './cluster/subject.ts';
import { pageOf } from './report/page.ts';
import { configText, summaryOf, summaryLines } from './report/summary.ts';
import { HISTORY_FILE, runScenario } from './run.ts';
import { scenarios } from './scenarios/index.ts';
import { ScenarioUnavailable, type Scenario } from './scenarios/play.ts';

const MINUTES_DEFAULT = 1;
const MINUTES_MIN = 0.1;
const MINUTES_MAX = 24 * 60;

const HELP = `
Scenarios:
${scenarios.map((scenario) => `  ${lineOf(scenario)}`).join('\n')}
(with servers): regions of two nodes each, on NATS and Redis servers of their own, which are found on this machine or fetched from Debian.

Examples:
  npm run chaos -- region-kill
  npm run chaos -- everything --minutes 5 --seed 7
  npm run chaos -- check .data/chaos/region-kill-7     judge a saved history again
  npm run chaos -- --list
  causeway chaos region-kill --config us-east.yaml --config us-west.yaml --config eu-west.yaml

With --config the regions, placements, limits, times and collections are those of the files, never the servers that they name. Everything runs on this machine, on loopback, in the run's folder and
without TLS: nothing that the files point to is touched.

A run leaves a folder: summary.json, history.jsonl, report.html, and with findings the regions' logs and data.
Exit codes: 0 nothing found, 7 findings, 2 usage, 3 a mistake in a config file, 4 this machine cannot do what the scenario needs, 1 a mistake in the run itself.`;

function lineOf({ name, says, servers }: Scenario): string {
  return `${name.padEnd(15)} ${says}${servers === undefined ? '' : ' (with servers)'}`;
}

interface Flags {
  readonly minutes: number;
  readonly seed: number;
  readonly out?: string;
  readonly config: readonly string[];
  readonly json: boolean;
  readonly list: boolean;
}

class UsageError extends Error {}

async function main(): Promise<number> {
  const command = new Command('causeway chaos')
    .description('Breaks real regions under traffic and judges what their clients saw.')
    .argument('[scenario]', "a scenario; or 'check' and the folder of a run")
    .argument('[folder]')
    .option('--minutes <m>', `how long there is traffic, ${MINUTES_MIN} to ${MINUTES_MAX}`, minutes, MINUTES_DEFAULT)
    .option('--seed <s>', 'of the traffic and of what the scenario draws', seed, Date.now() % 2 ** 32)
    .option(
      '--config <file>',
      'try the cluster of this config file instead of our own; again for each region that has a file of its own',
      (file: string, before: readonly string[]) => [...before, file],
      [],
    )
    .option('--out <folder>', 'where the report goes (default: .data/chaos/<scenario>-<seed>)')
    .option('--json', 'print the summary as one JSON document on stdout; progress goes to stderr', false)
    .option('--list', 'the scenarios', false)
    .addHelpText('after', HELP)
    .allowExcessArguments(false)
    .exitOverride()
    .showHelpAfterError('(--help shows all flags and scenarios, with examples)');
  try {
    command.parse();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === EXIT_CODES.ok ? EXIT_CODES.ok : EXIT_CODES.usage;
  }
  const flags = command.opts<Flags>();
  const [what, folder] = command.args;
  if (flags.list) {
    await print(scenarios.map(lineOf).join('\n'));
    return EXIT_CODES.ok;
  }
  if (what === 'check') return checkAgain(folder, flags);
  return run(what, folder, flags);
}

async function run(name: string | undefined, excess: string | undefined, flags: Flags): Promise<number> {
  const scenario = scenarios.find((each) => each.name === name);
  const known = scenarios.map((each) => each.name).join(', ');
  if (name === undefined) throw new UsageError(`which scenario? There are ${known}.`);
  if (scenario === undefined) throw new UsageError(`no scenario '${name}'; there are ${known}.`);
  if (excess !== undefined) throw new UsageError(`a scenario takes no further argument; got '${excess}'.`);
  // A signal ends the regions in an exit handler (demo/processes.ts).
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
  const folder = flags.out ?? freeFolder(join('.data', 'chaos', `${name}-${flags.seed}`));
  if (existsSync(folder)) throw new UsageError(`${folder} is there already; name another with --out.`);
  const subject = flags.config.length === 0 ? OWN_SUBJECT : subjectOf(flags.config);
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  say(`${name}, seed ${flags.seed}`);
  if (subject.config !== undefined) say(configText(subject.config));
  const { recording, verdicts } = await runScenario({
    scenario,
    subject,
    minutes: flags.minutes,
    seed: flags.seed,
    folder,
    say,
  });
  return report(recording, verdicts, folder, flags);
}

async function checkAgain(folder: string | undefined, flags: Flags): Promise<number> {
  if (folder === undefined)
    throw new UsageError('check takes the folder of a run, for example .data/chaos/region-kill-7.');
  const file = join(folder, HISTORY_FILE);
  if (!existsSync(file)) throw new UsageError(`there is no ${file}.`);
  const recording = await Recording.load(file);
  return report(recording, judge(recording), folder, flags);
}

async function report(
  recording: Recording,
  verdicts: readonly Verdict[],
  folder: string,
  { json }: Flags,
): Promise<number> {
  const summary = summaryOf(recording, verdicts, folder);
  writeFileSync(join(folder, 'summary.json'), `${JSON.stringify(summary, undefined, 2)}\n`);
  writeFileSync(join(folder, 'report.html'), pageOf(recording, summary));
  await print(json ? JSON.stringify(summary) : summaryLines(summary).join('\n'));
  return summary.findings === 0 ? EXIT_CODES.ok : EXIT_CODES.findings;
}

function freeFolder(wanted: string): string {
  let folder = wanted;
  for (let n = 2; existsSync(folder); n++) folder = `${wanted}-${n}`;
  return folder;
}

function minutes(text: string): number {
  const value = Number(text);
  if (!(value >= MINUTES_MIN && value <= MINUTES_MAX)) {
    throw new InvalidArgumentError(`Expected a number from ${MINUTES_MIN} to ${MINUTES_MAX}.`);
  }
  return value;
}

function seed(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('Expected a whole number from 0 on.');
  return value;
}

function print(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${text}\n`, () => resolve()));
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    if (error instanceof UsageError) {
      process.stderr.write(`chaos: ${error.message}\n(--help shows all flags and scenarios, with examples)\n`);
      process.exit(EXIT_CODES.usage);
    }
    if (error instanceof CausewayError && error.code === 'CONFIG_INVALID') {
      process.stderr.write(`chaos: ${error.message}\n${error.hint === undefined ? '' : `  → ${error.hint}\n`}`);
      process.exit(EXIT_CODES.config);
    }
    if (error instanceof ScenarioUnavailable) {
      process.stderr.write(`chaos: ${error.message}\n`);
      process.exit(EXIT_CODES.unavailable);
    }
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(EXIT_CODES.internal);
  },
);
