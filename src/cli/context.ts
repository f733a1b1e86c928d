// What every command gets: the global flags, read and checked, and where to print.

import { CommanderError, InvalidArgumentError, Option, type Command } from 'commander';
import type { TlsOptions } from '../client/index.ts';
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
  /** undefined: without TLS. */
  readonly tls: TlsOptions | undefined;
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
    .option('--tls', 'connect with TLS; any of the next four says so too')
    .option('--ca <file>', 'CAs that sign the certificates of nodes (default: what Node trusts); or CAUSEWAY_CA')
    .option('--cert <file>', 'the certificate to show, where nodes ask for one; or CAUSEWAY_CERT')
    .option('--key <file>', "the certificate's private key; or CAUSEWAY_KEY")
    .option('--server-name <name>', 'the name in the certificates of nodes, if not their host; or CAUSEWAY_SERVER_NAME')
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
  readonly tls?: true;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
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
    tls: tlsOf(program.opts<GlobalOptions>(), env),
    timeoutMs: timeout,
    env,
    system: realSystem(),
  };
}

function tlsOf(given: GlobalOptions, env: Context['env']): TlsOptions | undefined {
  const named = (flag: string | undefined, variable: string): string | undefined => {
    const value = flag ?? env[variable];
    return value === '' ? undefined : value;
  };
  const ca = named(given.ca, 'CAUSEWAY_CA');
  const cert = named(given.cert, 'CAUSEWAY_CERT');
  const key = named(given.key, 'CAUSEWAY_KEY');
  const serverName = named(given.serverName, 'CAUSEWAY_SERVER_NAME');
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { serverName }),
  };
  return given.tls === true || Object.keys(tls).length > 0 ? tls : undefined;
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
