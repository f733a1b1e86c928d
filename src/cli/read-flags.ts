// How fresh a read on the command line must be.

import { InvalidArgumentError, type Command } from 'commander';
import type { Consistency, ReadOptions } from '../client/types.ts';
import { addSessionFlags, type SessionFlags } from './session.ts';
import { durationMs } from './words.ts';

export interface ReadFlags extends SessionFlags {
  readonly consistency: Consistency;
  readonly allowStale?: true;
}

export function addReadFlags(command: Command): Command {
  return addSessionFlags(
    command.option(
      '--consistency <level>',
      'local (what this region has), causal (at least what the session has seen; a session means it), bounded:DURATION (at ' +
        'most so far behind every other region) or stable (one cut that nothing can change any more)',
      level,
      'local',
    ),
  ).option('--allow-stale', 'causal: at the deadline answer with what is there, marked stale');
}

/** Whoever hands a session over and names no level wants at least that. */
export function readOptions(flags: ReadFlags): Pick<ReadOptions, 'consistency' | 'allowStale'> {
  const session = flags.session !== undefined || flags.sessionFile !== undefined;
  const consistency = session && flags.consistency === 'local' ? 'causal' : flags.consistency;
  return { consistency, allowStale: flags.allowStale ?? false };
}

function level(text: string): Consistency {
  if (text === 'local' || text === 'causal' || text === 'stable') return text;
  const bound = /^bounded:(.+)$/.exec(text)?.[1];
  if (bound !== undefined) return { maxStaleMs: durationMs(bound) };
  throw new InvalidArgumentError('Expected local, causal, stable or bounded:DURATION, for example bounded:2s.');
}
