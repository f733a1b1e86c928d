// The death of a region in mid-run: SIGKILL, a while without it, and back.
// Owns: when that happens, and how long the region needs to catch up.

import { setTimeout as sleep } from 'node:timers/promises';
import type { RegionHandle } from './processes.ts';
import { hasReached, joinedVector, type RegionClient } from './region-client.ts';

export interface OutageOptions {
  readonly process: RegionHandle;
  readonly dead: RegionClient;
  readonly others: readonly RegionClient[];
  /** Share of the replay that has been sent, 0 to 1. */
  readonly progress: () => number;
  readonly onPhase: (phase: 'killed' | 'restarting' | 'caught up') => void;
  /** Ends the waiting when the run is over. */
  readonly signal: AbortSignal;
}

const KILL_AT = 0.35;
const RESTART_AT = 0.6;
/** Long enough for the others to be seen carrying on, also when there are few flights. */
const DEAD_MS_MIN = 1500;
const CATCH_UP_MS_MAX = 120_000;
const POLL_MS = 20;

/** Returns the milliseconds from the start of the new process until it has everything that the others had at that moment: the
 *  start of Node and the reading of its own log included. */
export async function runOutage(options: OutageOptions): Promise<number> {
  const { process: region, dead, others, progress, onPhase, signal } = options;
  while (progress() < KILL_AT) await sleep(POLL_MS, undefined, { signal });
  await region.kill();
  onPhase('killed');
  const killedMs = performance.now();
  while (progress() < RESTART_AT || performance.now() - killedMs < DEAD_MS_MIN) {
    await sleep(POLL_MS, undefined, { signal });
  }

  const goal = await joinedVector(others.map(({ admin }) => admin));
  const startMs = performance.now();
  region.spawn();
  onPhase('restarting');
  await region.ready();
  // Its client found nobody there just now, and may take a moment to try again: until then it has not caught up.
  while (!(await hasReached(dead.admin, goal).catch(() => false))) {
    if (performance.now() - startMs > CATCH_UP_MS_MAX) {
      throw new Error(`${region.name} had not caught up after ${CATCH_UP_MS_MAX / 1000} s:\n${region.logTail()}`);
    }
    await sleep(POLL_MS, undefined, { signal });
  }
  const caughtUpMs = Math.round(performance.now() - startMs);
  onPhase('caught up');
  return caughtUpMs;
}
