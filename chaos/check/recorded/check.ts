// A checker of saved histories: what it promises, and what speaks against that. All of it is told, not only the first thing, because a
// history is of one run that will not come again.

import type { Recording } from '../../history/recording.ts';

export interface Verdict {
  readonly check: string;
  /** What must hold. */
  readonly promise: string;
  /** How much there was to judge: a checker that looked at nothing has shown nothing. */
  readonly looked: number;
  /** The first FINDINGS_MAX. */
  readonly findings: readonly string[];
  readonly findingsTotal: number;
  readonly facts: Facts;
}

export type Facts = Readonly<Record<string, number | string>>;

export interface Check {
  readonly name: string;
  readonly promise: string;
  /** Judges also a history that was broken off: it asks nothing about the end. */
  readonly anyTime?: true;
  /** Calls `found` for everything that is wrong. */
  judge(recording: Recording, found: (what: string) => void): { readonly looked: number; readonly facts?: Facts };
}

const FINDINGS_MAX = 50;

export function verdictOf(check: Check, recording: Recording): Verdict {
  const { name, promise } = check;
  const findings: string[] = [];
  let findingsTotal = 0;
  if (recording.end === undefined && check.anyTime !== true)
    return { check: name, promise, looked: 0, findings, findingsTotal, facts: {} };
  const { looked, facts = {} } = check.judge(recording, (what) => {
    findingsTotal++;
    if (findings.length < FINDINGS_MAX) findings.push(what);
  });
  return { check: name, promise, looked, findings, findingsTotal, facts };
}

/** The value below which the part lies; 0 of nothing. `sorted` ascends. */
export function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}
