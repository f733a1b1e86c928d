// How fresh a read on the command line must be.

import { InvalidArgumentError, type Command } from 'commander';
import type { ReadOptions } from '../client/types.ts';
import { addSessionFlags, type SessionFlags } from './session.ts';

export interface ReadFlags extends SessionFlags {
  readonly consistency: 'local' | 'causal';
  readonly allowStale?: true;
}

export function addReadFlags(command: Command): Command {
  return addSessionFlags(
    command.option(
      '--consistency <level>',
      'local (what this region has) or causal (at least what the session has seen; a session means it)',
      level,
      'local',
    ),
  ).option('--allow-stale', 'causal: at the deadline answer with what is there, marked stale');
}

/** Whoever hands a session over wants at least that. */
export function readOptions(flags: ReadFlags): Pick<ReadOptions, 'consistency' | 'allowStale'> {
  const session = flags.session !== undefined || flags.sessionFile !== undefined;
  return { consistency: session ? 'causal' : flags.consistency, allowStale: flags.allowStale ?? false };
}

function level(text: string): 'local' | 'causal' {
  if (text === 'local' || text === 'causal') return text;
  throw new InvalidArgumentError('Expected local or causal.');
}
