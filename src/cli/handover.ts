// Runs a program that is part of the checkout but not of src/ (demo, benchmark), as a process of its own: src/ imports neither,
// so that an installed server needs neither.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../config/version.ts';
import { CausewayError } from '../errors/errors.ts';

const FORWARDED = ['SIGTERM', 'SIGHUP'] as const;

/** Its exit code. Terminal, standard streams and Ctrl-C are the program's own. */
export async function handOver(script: string, args: readonly string[]): Promise<number> {
  const path = join(packageRoot(), script);
  if (!existsSync(path)) {
    throw new CausewayError('INVALID_ARGUMENT', `${script} is not part of this installation`, {
      hint: 'It comes with the source: clone the repository and run `npm run build`.',
    });
  }
  const child = spawn(process.execPath, ['--enable-source-maps', path, ...args], { stdio: 'inherit' });
  // Ctrl-C reaches the program by itself; we only must outlive it, to pass its exit code on.
  const ignore = (): void => {};
  process.on('SIGINT', ignore);
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of FORWARDED) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  } finally {
    process.off('SIGINT', ignore);
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}

/** What stands behind the command's name, untouched: flags of ours mean something of their own to the program. */
export function argsBehind(name: string, rawArgs: readonly string[]): string[] {
  return rawArgs.slice(rawArgs.indexOf(name) + 1);
}
