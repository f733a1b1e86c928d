// Whether the suite notices that a switch of the engine is off: the scenarios first, which are quick, then seed after seed.

import type { GuardName } from '../../src/shard/guards.ts';
import { runSeed } from '../sim/bulk.ts';
import { scenarios } from '../sim/scenarios/index.ts';

export interface Notice {
  /** The check that noticed: an invariant's number or a promise's name. */
  readonly check: string;
  /** What it ran: a scenario, a seed, or the names of tests. */
  readonly by: string;
  /** Random seeds that were run for it, the one that noticed included; 0: a scenario or a test did. */
  readonly seeds: number;
  readonly message: string;
}

/** undefined: `seedsMax` seeds found nothing. */
export async function noticeOf(guard: GuardName, seedsMax: number): Promise<Notice | undefined> {
  for (const { name } of scenarios) {
    const { finding } = await runSeed(1, [guard], name);
    if (finding !== undefined)
      return { check: finding.invariant, by: `scenario ${name}`, seeds: 0, message: finding.message };
  }
  for (let seed = 1; seed <= seedsMax; seed++) {
    const { finding } = await runSeed(seed, [guard], undefined);
    if (finding !== undefined)
      return { check: finding.invariant, by: `seed ${seed}`, seeds: seed, message: finding.message };
  }
  return undefined;
}
