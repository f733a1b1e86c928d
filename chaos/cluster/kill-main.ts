// npm run chaos:kill -- --kills N: see kill.ts.

import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { runKills } from './kill.ts';

const EXIT_OK = 0;
const EXIT_INTERNAL = 1;
const EXIT_USAGE = 2;
const EXIT_FINDINGS = 7;

const HELP = `
Examples:
  npm run chaos:kill -- --kills 10
  npm run chaos:kill -- --kills 300 --json > report.json

The report has: seed, kills, killsByRegion, seconds, ops (acknowledged, unknown, refused), startMsMax, converged, findings.
Exit code: 0 nothing was lost, doubled or different; 7 findings, whose logs and data are kept.`;

interface Flags {
  readonly kills: number;
  readonly seed: number;
  readonly json: boolean;
}

async function main(): Promise<number> {
  const command = new Command('npm run chaos:kill --')
    .description(
      'Kills real regions (SIGKILL) at random moments under load and checks that nothing acknowledged is lost.',
    )
    .option('--kills <n>', 'how many kills, 1 to 100000', integer(1, 100_000), 10)
    .option('--seed <s>', 'of the moments and the load', integer(0, 2 ** 32), Date.now() % 2 ** 32)
    .option('--json', 'print the report as one JSON document on stdout; progress goes to stderr', false)
    .addHelpText('after', HELP)
    .allowExcessArguments(false)
    .exitOverride()
    .showHelpAfterError('(--help shows all flags, with examples)');
  try {
    command.parse();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === EXIT_OK ? EXIT_OK : EXIT_USAGE;
  }
  const { kills, seed, json } = command.opts<Flags>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

  process.stderr.write(`seed ${seed}\n`);
  const report = await runKills({ kills, seed, say: (line) => process.stderr.write(`${line}\n`) });
  const { acknowledged, unknown, refused } = report.ops;
  const lines = json
    ? [JSON.stringify(report)]
    : [
        `${report.kills} kills in ${report.seconds} s; ${acknowledged} ops acknowledged, ${unknown} unknown, ${refused} refused; ` +
          `digests ${report.converged ? 'equal' : 'NOT equal'}; longest start ${report.startMsMax} ms`,
        ...report.findings.map(({ region, what }) => `FINDING in ${region}: ${what}`),
        ...(report.directory === undefined
          ? ['nothing was lost, nothing doubled']
          : [`logs and data: ${report.directory}`, `again: npm run chaos:kill -- --kills ${kills} --seed ${seed}`]),
      ];
  await new Promise<void>((resolve) => process.stdout.write(`${lines.join('\n')}\n`, () => resolve()));
  return report.findings.length === 0 ? EXIT_OK : EXIT_FINDINGS;
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(EXIT_INTERNAL);
  },
);
