// What a run comes to, for programs (summary.json) and in a few lines for people.

import type { Facts, Verdict } from '../check/recorded/check.ts';
import type { Recording } from '../history/recording.ts';
import type { ConfigRecord } from '../history/records.ts';

export interface Summary {
  readonly scenario: string;
  readonly seed: number;
  readonly minutes: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly regions: readonly string[];
  /** Of a run with somebody's configuration. */
  readonly config?: ConfigRecord;
  /** All of all checks; 0: the run passed. */
  readonly findings: number;
  readonly ops: { readonly acknowledged: number; readonly mayHaveHappened: number; readonly refused: number };
  readonly faults: readonly { readonly says: string; readonly fromMs: number; readonly toMs: number }[];
  readonly checks: readonly {
    readonly check: string;
    readonly promise: string;
    readonly looked: number;
    readonly findingsTotal: number;
    /** The first of them. */
    readonly findings: readonly string[];
    readonly facts: Facts;
  }[];
  readonly folder: string;
  /** The same scenario and traffic; processes keep their own time, so it is not the same run. */
  readonly again: string;
}

export function summaryOf(recording: Recording, verdicts: readonly Verdict[], folder: string): Summary {
  const { scenario, seed, minutes, startedAtMs, regions, config } = recording.run;
  const ops = { acknowledged: 0, mayHaveHappened: 0, refused: 0 };
  for (const { outcome } of recording.ops.values()) {
    if (outcome === 'ok') ops.acknowledged++;
    else if (outcome === 'maybe') ops.mayHaveHappened++;
    else ops.refused++;
  }
  return {
    scenario,
    seed,
    minutes,
    startedAt: new Date(startedAtMs).toISOString(),
    regions,
    ...(config === undefined ? {} : { config }),
    findings: verdicts.reduce((sum, { findingsTotal }) => sum + findingsTotal, 0),
    ops,
    faults: recording.faults.map(({ says, startMs, endMs }) => ({ says, fromMs: startMs, toMs: endMs })),
    checks: verdicts,
    folder,
    again: [
      `causeway chaos ${scenario} --minutes ${minutes} --seed ${seed}`,
      ...(config?.files ?? []).map((file) => `--config ${file}`),
    ].join(' '),
  };
}

export function configText({ files, namespace, collections, added }: ConfigRecord): string {
  const more = added.length === 0 ? '' : `; added for want of one of the type: ${added.join(', ')}`;
  return `${files.join(', ')}: namespace ${namespace}, collections ${collections.join(', ')}${more}`;
}

export function summaryLines(summary: Summary): string[] {
  const { acknowledged, mayHaveHappened, refused } = summary.ops;
  return [
    `${summary.scenario}, seed ${summary.seed}: ${acknowledged} ops acknowledged, ${mayHaveHappened} may have happened, ${refused} refused; ${summary.faults.length} faults`,
    ...(summary.config === undefined ? [] : [configText(summary.config)]),
    ...summary.checks.flatMap(({ check, looked, findingsTotal, findings, facts }) => [
      `${findingsTotal === 0 ? 'ok     ' : 'FOUND  '} ${check.padEnd(13)} looked at ${looked}${factsText(facts)}`,
      ...findings.slice(0, FINDINGS_SHOWN).map((finding) => `          ${finding}`),
      ...(findingsTotal > FINDINGS_SHOWN ? [`          and ${findingsTotal - FINDINGS_SHOWN} more`] : []),
    ]),
    summary.findings === 0 ? 'nothing found' : `${summary.findings} FINDINGS`,
    `report: ${summary.folder}/report.html`,
    ...(summary.findings === 0 ? [] : [`again: ${summary.again}`]),
  ];
}

const FINDINGS_SHOWN = 10;

function factsText(facts: Facts): string {
  const texts = Object.entries(facts).map(([name, value]) => `${name} ${value}`);
  return texts.length === 0 ? '' : `: ${texts.join(', ')}`;
}
