// Which ways the engine went: every decision that it takes is counted by its outcome. A fault that no seed brings about and a branch that
// no seed takes are not tested, however many seeds pass.
// Counted from outside, by wrapping the engine's methods in the processes of the simulator: production runs nothing of this.

import type { AppendOutcome } from '../../src/log/log.ts';
import type { Decision } from '../../src/shard/decide.ts';
import { ShardEngine, type AllResult, type Inspection, type OpResult } from '../../src/shard/engine.ts';
import { WaitingBatches } from '../../src/region/intake.ts';
import { FAULTS } from './plan.ts';

/** What may become of a peer's batch (src/shard/decide.ts), and of bytes that are none. */
const DECISIONS: Readonly<Record<Decision['kind'] | 'garbage' | 'newer', string>> = {
  apply: 'taken',
  duplicate: 'had already',
  gap: 'something before it is missing',
  wait: 'something that it depends on is missing',
  hold: 'stamped too far ahead',
  frozen: 'beyond what may be taken of an origin that is being closed',
  'beyond-end': 'beyond the end of a closed origin',
  stopped: 'of an origin that was stopped by a fork or a quarantine',
  fork: 'of another history than the one here',
  quarantine: 'whole, and not valid',
  misrouted: 'of a shard or a region that does not belong here',
  garbage: 'not a whole batch',
  newer: 'of a format of a later version',
};

/** What may become of a client's op, alone or as the retry of an atomic write. What the engine refuses beyond this the node has refused before. */
const ADMISSIONS = {
  sequenced: 'new, and sequenced',
  duplicate: 'a retry, answered with the first result',
  PRECONDITION_FAILED: 'its condition does not hold',
  IDEMPOTENCY_WINDOW_PASSED: 'too old to tell whether it is a retry',
} as const;

/** What may become of an atomic write. */
const ATOMICS = {
  sequenced: 'all of it, new',
  retry: 'all of it, as it was answered before',
  PRECONDITION_FAILED: 'the condition of one op does not hold',
  IDEMPOTENCY_WINDOW_PASSED: 'too old to tell whether it is a retry',
} as const;

/** How an append may end. */
const APPENDS: Readonly<Record<Exclude<AppendOutcome['kind'], 'refused'> | 'read-only' | 'failed', string>> = {
  durable: 'written',
  fenced: 'refused by the fence',
  unknown: 'nobody knows',
  'read-only': 'no room',
  failed: 'the log has failed',
};

/** How an owner may begin whose store is of its log. */
const BEGINNINGS = {
  'read ahead': 'it had read the log before it owned the shard',
  'read behind': 'it reads the log now',
} as const;

/** What may become of a peer's batch before anybody looks at it (src/region/intake.ts). */
const TURNS = {
  waits: 'it would cut an open batch short, or there is no room',
  taken: 'its turn came',
} as const;

/** What a client may be refused with, by whichever part of the node. */
const REFUSALS = {
  NOT_READY: 'the shard has no owner here, or it is still reading its log',
  PRECONDITION_FAILED: 'a condition does not hold',
  TOO_LARGE: 'the op, or what it would make of its key, is too large',
  READ_ONLY: 'no room on the disk',
  STORE_AWAY: 'the store does not answer, and the key is not in memory',
  OVERLOADED: 'a bound of the node is reached',
  CLOCK_UNSYNCED: 'the clock here, or the one behind a session, is off',
  FENCED: 'another node of the region owns the shard',
  UNAVAILABLE: 'the shard began anew meanwhile',
  INDETERMINATE: 'nobody knows whether it was written',
  DURABILITY_NOT_REACHED: 'durable here, and in fewer regions than asked for',
  IDEMPOTENCY_WINDOW_PASSED: 'too old to tell whether it is a retry',
  CONSISTENCY_NOT_REACHED: 'not as fresh, or not as of one cut',
  SESSION_BEHIND: 'what the session has seen is not here yet',
  SESSION_LOST: 'what the session has seen is nowhere any more',
  CURSOR_INVALID: 'what the consumer has seen is nowhere any more',
  DRAINING: 'the node is being stopped',
} as const;

const GROUPS = {
  batch: DECISIONS,
  op: ADMISSIONS,
  atomic: ATOMICS,
  append: APPENDS,
  begin: BEGINNINGS,
  turn: TURNS,
  refused: REFUSALS,
  fault: FAULTS,
};

/** `group outcome` → what it means. */
export const BRANCHES: ReadonlyMap<string, string> = new Map(
  Object.entries(GROUPS).flatMap(([group, outcomes]) =>
    Object.entries(outcomes).map(([outcome, says]) => [`${group} ${outcome}`, says] as const),
  ),
);

let counts: Map<string, number> | undefined;

function count(branch: string): void {
  counts?.set(branch, (counts.get(branch) ?? 0) + 1);
}

/** Counts into `into` from now on; undefined: no more. One simulation at a time lives in a process. */
export function countBranches(into: Map<string, number> | undefined): void {
  watchEngine();
  watchTurns();
  counts = into;
}

/** Of an append, as its owner hears it. */
export function countAppend(outcome: AppendOutcome): void {
  count(`append ${outcome.kind === 'refused' ? outcome.reason : outcome.kind}`);
}

let watched = false;

/* oxlint-disable typescript/unbound-method -- each is called on the engine that it was called on */
function watchEngine(): void {
  if (watched) return;
  watched = true;
  const engine = ShardEngine.prototype;
  const { restore, inspect, admit, admitAll } = engine;
  engine.restore = function watchedRestore(...args): void {
    restore.apply(this, args);
    count(`begin ${args[1] === undefined ? 'read behind' : 'read ahead'}`);
  };
  engine.inspect = function watchedInspect(...args): Inspection {
    const inspection = inspect.apply(this, args);
    const { kind } = inspection;
    count(`batch ${kind === 'ready' ? 'apply' : kind === 'not-now' ? inspection.decision.kind : kind}`);
    return inspection;
  };
  engine.admit = function watchedAdmit(...args): OpResult {
    const result = admit.apply(this, args);
    count(`op ${result.kind === 'refused' ? result.error.code : result.kind}`);
    return result;
  };
  engine.admitAll = function watchedAdmitAll(...args): AllResult {
    const result = admitAll.apply(this, args);
    const { kind } = result;
    if (kind === 'none') count(`atomic ${result.error.code}`);
    else count(result.results.some((each) => each.kind === 'duplicate') ? 'atomic retry' : 'atomic sequenced');
    return result;
  };
}

let watchedTurns = false;

/* oxlint-disable typescript/unbound-method -- each is called on the queue that it was called on */
function watchTurns(): void {
  if (watchedTurns) return;
  watchedTurns = true;
  const waiting = WaitingBatches.prototype;
  const { push, take } = waiting;
  waiting.push = function watchedPush(...args): boolean {
    const kept = push.apply(this, args);
    if (kept) count('turn waits');
    return kept;
  };
  waiting.take = function watchedTake(bytesMax, from, each): number {
    return take.call(this, bytesMax, from, (batch) => {
      count('turn taken');
      each(batch);
    });
  };
}

/** What a run has not taken of what it should have. */
export function neverTaken(totals: Readonly<Record<string, number>>): string[] {
  return [...BRANCHES.keys()].filter((branch) => (totals[branch] ?? 0) === 0);
}
