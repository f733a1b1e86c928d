// Sessions on the command line: a token by value, or kept in a file, which carries what one command has seen to the next.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CausewayError } from '../errors/errors.ts';
import { usage } from './context.ts';

export interface SessionFlags {
  readonly session?: string;
  readonly sessionFile?: string;
}

export function addSessionFlags(command: Command): Command {
  return command
    .option('--session <token>', 'what a session has seen, as put --json prints it')
    .option('--session-file <file>', 'the same from a file, which then holds what this command has seen too');
}

/** undefined: none. A file that is not there yet is a session that begins. */
export function sessionOf({ session, sessionFile }: SessionFlags): string | undefined {
  if (sessionFile === undefined) return session;
  if (session !== undefined) throw usage('expected one of --session and --session-file, got both');
  if (!existsSync(sessionFile)) return undefined;
  try {
    const token = readFileSync(sessionFile, 'utf8').trim();
    return token === '' ? undefined : token;
  } catch (error) {
    throw new CausewayError('INVALID_ARGUMENT', `cannot read ${sessionFile}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Readable for its owner alone: whoever has a token learns what the session has touched. */
export function keepSession({ sessionFile }: SessionFlags, token: string): void {
  if (sessionFile === undefined) return;
  try {
    writeFileSync(`${sessionFile}.new`, `${token}\n`, { mode: 0o600 });
    renameSync(`${sessionFile}.new`, sessionFile);
  } catch (error) {
    throw new CausewayError('INVALID_ARGUMENT', `cannot write ${sessionFile}: ${(error as Error).message}`, {
      cause: error,
      outcome: 'applied-locally',
      hint: 'The command itself was done.',
    });
  }
}
