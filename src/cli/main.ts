#!/usr/bin/env node
// The causeway command. Each command is one file beside this one; this file reads the flags and says what went wrong.

import { Command, CommanderError } from 'commander';
import { version } from '../config/version.ts';
import { EXIT_CODES } from '../errors/errors.ts';
import { addGlobalOptions, contextOf, examples, type AddCommand, type Run } from './context.ts';
import { reportFailure } from './failure.ts';
import { endQuietlyWithReader } from './terminal.ts';

/** Loaded when they are needed: a `put` must not wait for what only a node needs. In the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  start: async () => (await import('./start.ts')).addStart,
  demo: async () => (await import('./demo.ts')).addDemo,
  serve: async () => (await import('./serve.ts')).addServe,
  put: async () => (await import('./put.ts')).addPut,
  get: async () => (await import('./get.ts')).addGet,
  del: async () => (await import('./del.ts')).addDel,
  incr: async () => (await import('./incr.ts')).addIncr,
  set: async () => (await import('./set.ts')).addSet,
  map: async () => (await import('./map.ts')).addMap,
  scan: async () => (await import('./scan.ts')).addScan,
  watch: async () => (await import('./watch.ts')).addWatch,
  export: async () => (await import('./export.ts')).addExport,
  import: async () => (await import('./import.ts')).addImport,
  collection: async () => (await import('./collection.ts')).addCollection,
  conflicts: async () => (await import('./conflicts.ts')).addConflicts,
  group: async () => (await import('./group.ts')).addGroup,
  status: async () => (await import('./status.ts')).addStatus,
  health: async () => (await import('./health.ts')).addHealth,
  lag: async () => (await import('./lag.ts')).addLag,
  top: async () => (await import('./top.ts')).addTop,
  trace: async () => (await import('./trace.ts')).addTrace,
  move: async () => (await import('./move.ts')).addMove,
  regions: async () => (await import('./regions.ts')).addRegions,
  verify: async () => (await import('./verify.ts')).addVerify,
  doctor: async () => (await import('./doctor.ts')).addDoctor,
  config: async () => (await import('./config.ts')).addConfig,
  bench: async () => (await import('./bench.ts')).addBench,
  chaos: async () => (await import('./chaos.ts')).addChaos,
  completion: async () => (await import('./completion.ts')).addCompletion,
  version: async () => (await import('./version.ts')).addVersion,
};

const EXAMPLES = examples(
  ['causeway start --regions 3', 'three regions on this machine, to try things'],
  ['causeway put demo/profiles/anna \'{"city":"Oslo"}\'', 'write'],
  ['causeway get demo/profiles/anna', 'read'],
  ['causeway scan demo/profiles', 'list keys'],
  ['causeway watch demo', 'follow the changes of a namespace'],
  ['causeway status', 'what a node knows about itself and its peers'],
  ['causeway trace demo/profiles/anna', 'what became of a key: who wrote what, and which write lost'],
);

const EXIT_TEXT = `
Exit codes: 0 done, 2 wrong usage, 3 wrong configuration, 4 not reachable or not in time, 5 no such key,
            6 a condition does not hold, 7 a check found something, 1 a mistake in Causeway.
`;

async function main(args: readonly string[]): Promise<number> {
  endQuietlyWithReader();
  // Completion knows all commands.
  const asksAll = ['--help', '-h', 'completion'].includes(args[0] ?? '');
  const named = asksAll ? undefined : args.find((arg) => Object.hasOwn(COMMANDS, arg));
  // Without a command that we know, all of them are needed: for the help, and to say what was meant.
  const names = named === undefined ? Object.keys(COMMANDS) : [named];
  const run = await prepare(args, names);
  return run();
}

async function prepare(args: readonly string[], names: readonly string[]): Promise<() => Promise<number>> {
  let exitCode: number = EXIT_CODES.ok;
  // Before the flags are parsed, since parsing is what may fail.
  const json = args.includes('--json');
  const program = new Command('causeway');
  const act =
    <A extends unknown[]>(run: Run<A>) =>
    async (...given: A): Promise<void> => {
      exitCode = (await run(contextOf(program, process.env), ...given)) ?? EXIT_CODES.ok;
    };

  program
    .description('A geo-replicated store in which every region takes writes and all regions agree.')
    .version(version(), '-V, --version', 'the version')
    .helpOption('-h, --help', 'help, with examples')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    // Refusals are written where they are caught, in one form for people and one for programs.
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', EXAMPLES + EXIT_TEXT);
  addGlobalOptions(program);
  for (const name of names) (await COMMANDS[name]!())(program, act);

  return async () => {
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
      refuse(error.message, names.length === 1 ? names[0] : undefined, json);
      return EXIT_CODES.usage;
    }
  };
}

function refuse(text: string, command: string | undefined, json: boolean): void {
  const message = text.replace(/^error: /, '').trim();
  const hint = `causeway ${command === undefined ? '' : `${command} `}--help shows how, with examples.`;
  process.stderr.write(
    json
      ? `${JSON.stringify({ error: { code: 'USAGE', message, hint, exitCode: EXIT_CODES.usage } })}\n`
      : `causeway: ${message}\n  → ${hint}\n`,
  );
}

process.exitCode = await main(process.argv.slice(2));
