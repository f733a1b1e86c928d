// npm run chaos:mutants: each safety guard taken out by itself; something must notice.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { EXIT_CODES } from '../../src/errors/errors.ts';
import type { GuardName } from '../../src/shard/guards.ts';
import { MutantError, SourceCopy } from './copy.ts';
import { MUTANT_NAMES, PATCHES, SWITCHES } from './mutants.ts';
import { noticeOf, type Notice } from './notice.ts';

const SEEDS_DEFAULT = 300;

const HELP = `
Mutants: ${MUTANT_NAMES.join(', ')}

Examples:
  npm run chaos:mutants                              every one; some minutes
  npm run chaos:mutants -- depsCheck logFence        these
  npm run chaos:mutants -- --seeds 1000 --json       more patience, and a document

Exit codes: 0 each was noticed, 7 one was not, 2 usage, 4 the sources are not here, 1 a mistake in the run itself.`;

interface Outcome {
  readonly mutant: string;
  readonly says: string;
  readonly notice: Notice | null;
  readonly seconds: number;
}

async function main(): Promise<number> {
  const command = new Command('npm run chaos:mutants --')
    .description('Takes out one safety guard at a time and requires that a check notices.')
    .argument('[mutants...]', 'which; every one when none is named')
    .option('--seeds <n>', 'random seeds that a mutant is given at most', whole, SEEDS_DEFAULT)
    .option('--json', 'one JSON document on stdout; progress goes to stderr', false)
    .option('--list', 'the mutants and what each takes out', false)
    .addHelpText('after', HELP)
    .exitOverride()
    .showHelpAfterError('(--help shows all flags and mutants, with examples)');
  try {
    command.parse();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === EXIT_CODES.ok ? EXIT_CODES.ok : EXIT_CODES.usage;
  }
  const flags = command.opts<{ seeds: number; json: boolean; list: boolean }>();
  const says = new Map<string, string>([
    ...Object.entries(SWITCHES),
    ...PATCHES.map(({ name, says: text }) => [name, text] as const),
  ]);
  if (flags.list) {
    process.stdout.write(`${[...says].map(([name, text]) => `${name.padEnd(18)}${text}`).join('\n')}\n`);
    return EXIT_CODES.ok;
  }
  const unknown = command.args.find((name) => !says.has(name));
  if (unknown !== undefined) {
    process.stderr.write(`chaos:mutants: there is no mutant '${unknown}'; there are ${MUTANT_NAMES.join(', ')}\n`);
    return EXIT_CODES.usage;
  }
  const names = command.args.length === 0 ? MUTANT_NAMES : command.args;
  const root = checkout();
  const patches = PATCHES.filter(({ name }) => names.includes(name));
  if (root === undefined && patches.length > 0) {
    process.stderr.write('chaos:mutants: needs a checkout with its sources; here are compiled files alone\n');
    return EXIT_CODES.unavailable;
  }
  const outcomes: Outcome[] = [];
  const copy = patches.length === 0 ? undefined : new SourceCopy(root!);
  try {
    for (const name of names) {
      const startMs = performance.now();
      const patch = patches.find((each) => each.name === name);
      const notice = await (patch === undefined
        ? noticeOf(name as GuardName, flags.seeds)
        : copy!.without(patch, flags.seeds));
      const seconds = Math.round((performance.now() - startMs) / 100) / 10;
      const outcome = { mutant: name, says: says.get(name)!, notice: notice ?? null, seconds };
      outcomes.push(outcome);
      (flags.json ? process.stderr : process.stdout).write(`${lineOf(outcome)}\n`);
    }
  } finally {
    copy?.remove();
  }
  const missed = outcomes.filter(({ notice }) => notice === null);
  if (flags.json)
    process.stdout.write(`${JSON.stringify({ mutants: outcomes, missed: missed.length }, undefined, 2)}\n`);
  else process.stdout.write(missed.length === 0 ? 'each was noticed\n' : `${missed.length} NOT NOTICED\n`);
  return missed.length === 0 ? EXIT_CODES.ok : EXIT_CODES.findings;
}

function lineOf({ mutant, notice, seconds }: Outcome): string {
  const what = notice === null ? 'NOT NOTICED' : `${notice.check}, ${notice.by}`;
  return `${mutant.padEnd(18)}${what} (${seconds} s)`;
}

/** The nearest folder above with sources; this file is compiled into dist/ or not. */
function checkout(): string | undefined {
  let at = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(at, 'package.json'))) {
    const up = dirname(at);
    if (up === at) return undefined;
    at = up;
  }
  return existsSync(join(at, 'src')) && existsSync(join(at, 'test')) ? at : undefined;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('expected a whole number from 1 on');
  return value;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(
      `${error instanceof MutantError ? error.message : ((error as Error).stack ?? String(error))}\n`,
    );
    process.exitCode = EXIT_CODES.internal;
  },
);
