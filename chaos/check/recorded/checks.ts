// All checkers of saved histories, in the order of the report.

import type { Recording } from '../../history/recording.ts';
import { acknowledged } from './acknowledged.ts';
import { availability } from './availability.ts';
import { causal } from './causal.ts';
import { verdictOf, type Check, type Verdict } from './check.ts';
import { conflicts } from './conflicts.ts';
import { convergence } from './convergence.ts';
import { counters } from './counters.ts';
import { deleted } from './deleted.ts';
import { effects } from './effects.ts';
import { feeds } from './feeds.ts';
import { held } from './held.ts';
import { idempotency } from './idempotency.ts';
import { lag } from './lag.ts';
import { registers } from './registers.ts';
import { sessions } from './sessions.ts';
import { shards } from './shards.ts';
import { silence } from './silence.ts';
import { values } from './values.ts';

/** The history is whole, and nothing went wrong that is no checker's affair. */
const run: Check = {
  name: 'run',
  promise: 'the run came to its end, and its clients worked',
  anyTime: true,
  judge: (recording, found) => {
    if (recording.end === undefined) found('the history has no end: the run was broken off');
    for (const { atMs, what } of recording.troubles) found(`at ${Math.round(atMs)} ms: ${what}`);
    return { looked: 1 };
  },
};

export const checks: readonly Check[] = [
  run,
  acknowledged,
  registers,
  counters,
  deleted,
  values,
  sessions,
  causal,
  idempotency,
  feeds,
  conflicts,
  held,
  convergence,
  availability,
  shards,
  effects,
  silence,
  lag,
];

export function judge(recording: Recording): Verdict[] {
  return checks.map((check) => verdictOf(check, recording));
}
