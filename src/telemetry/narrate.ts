// Says in the log when an alarm begins and when it is over. By looking now and then, so that nothing is written from a hot
// path; readiness, links and findings are told by the node itself as they happen.

import type { Region, RegionStatus } from '../region/region.ts';
import type { System } from '../system/system.ts';
import type { Logger } from './log.ts';

const LOOK_MS = 1000;

/** The same line is written once in so long; a store that cannot write is tried many times a second. */
const REPEAT_MS = 30_000;
/** Different lines that are remembered. Beyond: forgotten all at once, so that some are said again too early. */
const REMEMBERED_MAX = 256;

/** A writer of a node's notices that complains of nothing twice within REPEAT_MS, but says then how often it was. What is no
 *  complaint is always said: "the link is up" ends an earlier "down". */
export function sparing(log: Logger, system: System): (level: 'info' | 'warn' | 'error', message: string) => void {
  const said = new Map<string, { readonly atMs: number; times: number }>();
  return (level, message) => {
    if (level === 'info') {
      log.info(message);
      return;
    }
    const nowMs = system.clock.monotonicMs();
    const before = said.get(message);
    if (before !== undefined && nowMs - before.atMs < REPEAT_MS) {
      before.times++;
      return;
    }
    if (said.size >= REMEMBERED_MAX) said.clear();
    said.set(message, { atMs: nowMs, times: 1 });
    if (before === undefined || before.times === 1) log[level](message);
    else log[level]({ timesSince: before.times }, message);
  };
}

/** `also`: who else wants to see the node once a second; a status costs too much to make it twice. Returns what ends it. */
export function narrate(
  region: Region,
  log: Logger,
  system: System,
  also: (status: RegionStatus) => void = () => undefined,
): () => void {
  let before: RegionStatus | undefined;
  const look = (): void => {
    const now = region.status();
    tell(before, now, log);
    also(now);
    before = now;
  };
  const timer = system.timers.every(LOOK_MS, look);
  return () => timer.cancel();
}

function tell(before: RegionStatus | undefined, now: RegionStatus, log: Logger): void {
  // Messages may hold figures that move; an alarm is the same as long as there are as many of its code.
  for (const [code, alarms] of byCode(now)) {
    const known = byCode(before).get(code)?.length ?? 0;
    for (const alarm of alarms.slice(known)) log.error({ alarm: code }, alarm.message);
  }
  for (const [code, alarms] of byCode(before)) {
    const left = byCode(now).get(code)?.length ?? 0;
    for (const alarm of alarms.slice(left)) log.info({ alarm: code }, `over: ${alarm.message}`);
  }
}

function byCode(status: RegionStatus | undefined): Map<string, RegionStatus['alarms']> {
  const codes = new Map<string, RegionStatus['alarms']>();
  for (const alarm of status?.alarms ?? []) codes.set(alarm.code, [...(codes.get(alarm.code) ?? []), alarm]);
  return codes;
}
