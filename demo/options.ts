// The demo's command line.
// Owns: its flags, their help and their refusals (exit code 2, with a suggestion).

import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { FLIGHTS_MAX } from './dataset.ts';
import type { EngineName } from './processes.ts';

export interface DemoOptions {
  /** End when the flights have landed and are compared, instead of serving on. */
  readonly once: boolean;
  /** One JSON document on stdout; everything for people goes to stderr. */
  readonly json: boolean;
  readonly flights: number;
  /** Kill a region in mid-run. */
  readonly kill: boolean;
  readonly engine: EngineName;
  /** How long the flights of three months take. */
  readonly seconds: number;
}

/** What parsing ends in: options, or an exit code after help or a refusal was printed. */
export type Parsed = { readonly options: DemoOptions } | { readonly exitCode: number };

const EXIT_OK = 0;
const EXIT_USAGE = 2;

/** Long enough to watch a region die and come back; short enough for a continuous integration job. */
const SECONDS_DEFAULT = 30;

const HELP = `
Examples:
  npm start                                   watch it, then try the commands it prints; Ctrl-C ends it
  npm start -- --once --json                  run once and print one JSON document
  npm start -- --once --json --flights 2000   the same with fewer flights
  npm start -- --once --no-kill               without killing a region
  npm start -- --engine distributed           regions of two nodes, each region on a NATS and a Redis server of its own

The document has: flights, ops, seconds, opsPerSecond, regions, converged (digests equal), mismatches (against what the
dataset says), lagMsP50 and lagMsP99 (write until a subscriber in another region has it, over all ordered pairs, while both
regions were up), lagMsP99WithOutage (the same, waiting for the killed region included), killed (name or null), caughtUpMs.

Exit code: 0 converged without a mismatch, 2 wrong flags, 7 the regions disagree with each other or with the dataset.`;

export function parseOptions(
  args: readonly string[],
  print: { out: (text: string) => void; err: (text: string) => void },
): Parsed {
  const command = new Command('npm start --')
    .description(
      'Three regions as three processes, fed with the real flights of 2001; one of them is killed in mid-run.',
    )
    .option('--once', 'end when everything is compared, instead of serving on', false)
    .option('--json', 'print one JSON document on stdout (with --once); the view goes to stderr', false)
    .option('--flights <n>', `how many flights, 1 to ${FLIGHTS_MAX}`, integer(1, FLIGHTS_MAX), FLIGHTS_MAX)
    .option('--seconds <s>', 'how long the replay takes at least, 1 to 3600', integer(1, 3600), SECONDS_DEFAULT)
    .option('--no-kill', 'kill no region')
    .addOption(
      new Option('--engine <name>', 'embedded: a node a region; distributed: two nodes on NATS JetStream and Redis')
        .choices(['embedded', 'distributed'])
        .default('embedded'),
    )
    .addHelpText('after', HELP)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: print.out, writeErr: print.err })
    .showHelpAfterError('(--help shows all flags, with examples)');
  try {
    command.parse([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { exitCode: error.exitCode === EXIT_OK ? EXIT_OK : EXIT_USAGE };
  }
  const options = command.opts<DemoOptions>();
  if (options.json && !options.once) {
    print.err('error: --json prints its document at the end, so it needs --once\n(Did you mean --once --json?)\n');
    return { exitCode: EXIT_USAGE };
  }
  return { options };
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
