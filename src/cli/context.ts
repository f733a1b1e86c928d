// What every command gets: the global flags, read and checked, and where to print.

import { CommanderError, InvalidArgumentError, Option, type Command } from 'commander';
import { realSystem } from '../system/real.ts';
import type { System } from '../system/system.ts';
import { terminal, type Terminal } from './terminal.ts';
import { addresses, durationMs } from './words.ts';

export interface Context {
  readonly terminal: Terminal;
  /** Where nodes are asked; the first that answers is taken, the others are for fail-over. */
  readonly endpoints: readonly string[];
  /** Whether somebody named them, by flag or variable. */
  readonly endpointsGiven: boolean;
  readonly timeoutMs: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly system: System;
}

/** Does the command's work; a number is its exit code. */
export type Run<A extends unknown[]> = (context: Context, ...args: A) => Promise<number | void>;

/** A command's file exports one of these: it adds the command to the program. `act` turns a Run into what commander calls. */
export type AddCommand = (
  program: Command,
  act: <A extends unknown[]>(run: Run<A>) => (...args: A) => Promise<void>,
) => void;

const ENDPOINT_DEFAULT = '127.0.0.1:7400';
const TIMEOUT_DEFAULT = '10s';

export function addGlobalOptions(program: Command): void {
  program
    .addOption(
      new Option('-e, --endpoint <host:port>', 'node to ask; several with commas between, tried in turn').argParser(
        addresses,
      ),
    )
    .option('--json', 'one JSON document, or one per line; errors as JSON on stderr')
    .addOption(
      new Option('--timeout <duration>', 'give up after this long, e.g. 500ms, 5s, 2m')
        .argParser(durationMs)
        .default(durationMs(TIMEOUT_DEFAULT), TIMEOUT_DEFAULT),
    )
    .option('--no-color', 'no colours (NO_COLOR does the same)');
}

interface GlobalOptions {
  readonly endpoint?: readonly string[];
  readonly json?: true;
  readonly timeout: number;
  readonly color: boolean;
}

export function contextOf(program: Command, env: Context['env']): Context {
  const { endpoint, json = false, timeout, color } = program.opts<GlobalOptions>();
  const fromEnv = env['CAUSEWAY_ENDPOINT'] ?? '';
  let endpoints = endpoint;
  try {
    endpoints ??= fromEnv === '' ? undefined : addresses(fromEnv);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw usage(`CAUSEWAY_ENDPOINT: ${error.message}`);
  }
  return {
    terminal: terminal({ json, color, env }),
    endpoints: endpoints ?? [ENDPOINT_DEFAULT],
    endpointsGiven: endpoints !== undefined,
    timeoutMs: timeout,
    env,
    system: realSystem(),
  };
}

/** A mistake on the command line that commander cannot see by itself. */
export function usage(message: string): CommanderError {
  return new CommanderError(2, 'causeway.usage', message);
}

export function examples(...rows: readonly (readonly [command: string, says: string])[]): string {
  const widest = Math.max(...rows.map(([command]) => command.length));
  const narrow = widest <= 64;
  return `\nExamples:\n${rows
    .map(([command, says]) => (narrow ? `  ${command.padEnd(widest)}   ${says}` : `  # ${says}\n  ${command}`))
    .join('\n')}\n`;
}
