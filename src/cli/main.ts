#!/usr/bin/env node
// The causeway command. Each command is one file beside this one; this file reads the flags and says what went wrong.

import { Command, CommanderError } from 'commander';
import { version } from '../config/version.ts';
import { EXIT_CODES } from '../errors/errors.ts';
import { addBench } from './bench.ts';
import { addConfig } from './config.ts';
import { addGlobalOptions, contextOf, examples, type Run } from './context.ts';
import { addDemo } from './demo.ts';
import { reportFailure } from './failure.ts';
import { addGet } from './get.ts';
import { addPut } from './put.ts';
import { addServe } from './serve.ts';
import { addStart } from './start.ts';
import { addStatus } from './status.ts';
import { endQuietlyWithReader } from './terminal.ts';
import { addVerify } from './verify.ts';
import { addVersion } from './version.ts';
import { addWatch } from './watch.ts';

const COMMANDS = [
  addStart,
  addDemo,
  addServe,
  addPut,
  addGet,
  addWatch,
  addStatus,
  addVerify,
  addConfig,
  addBench,
  addVersion,
];

const EXAMPLES = examples(
  ['causeway start --regions 3', 'three regions on this machine, to try things'],
  ['causeway put demo/profiles/anna \'{"city":"Oslo"}\'', 'write'],
  ['causeway get demo/profiles/anna', 'read'],
  ['causeway watch demo', 'follow the changes of a namespace'],
  ['causeway status', 'what a node knows about itself and its peers'],
);

const EXIT_TEXT = `
Exit codes: 0 done, 2 wrong usage, 3 wrong configuration, 4 not reachable or not in time, 5 no such key,
            6 a condition does not hold, 7 a check found something, 1 a mistake in Causeway.
`;

async function main(args: readonly string[]): Promise<number> {
  endQuietlyWithReader();
  let exitCode: number = EXIT_CODES.ok;
  // Before the flags are parsed, since parsing is what may fail.
  const json = args.includes('--json');
  const refuse = (text: string): void => {
    const message = text.replace(/^error: /, '').trim();
    process.stderr.write(
      json
        ? `${JSON.stringify({ error: { code: 'USAGE', message, exitCode: EXIT_CODES.usage } })}\n`
        : `causeway: ${message}\n`,
    );
  };

  const program = new Command('causeway');
  const act =
    <A extends unknown[]>(run: Run<A>) =>
    async (...given: A): Promise<void> => {
      exitCode = (await run(contextOf(program, process.env), ...given)) ?? EXIT_CODES.ok;
    };

  program
    .description('A geo-replicated store in which every region takes writes and all regions agree.')
    .version(version(), '-V, --version', 'the version')
    .helpOption('-h, --help', 'this help; causeway <command> --help has examples of its own')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput({
      // In JSON the one document is written where the error is caught, by refuse().
      outputError: () => {},
      writeErr: (text) => {
        if (!json) process.stderr.write(text);
      },
    })
    .addHelpText('after', EXAMPLES + EXIT_TEXT);
  addGlobalOptions(program);
  for (const add of COMMANDS) add(program, act);

  if (args.length === 0) {
    program.outputHelp({ error: true });
    return EXIT_CODES.usage;
  }
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error, json, (text) => process.stderr.write(text));
    // Help and version that were asked for.
    if (error.exitCode === 0) return EXIT_CODES.ok;
    refuse(error.message);
    return EXIT_CODES.usage;
  }
}

process.exitCode = await main(process.argv.slice(2));
