// Says in the log when an alarm begins and when it is over. By looking now and then, so that nothing is written from a hot
// path; readiness, links and findings are told by the node itself as they happen.

import type { Region, RegionStatus } from '../region/region.ts';
import type { System } from '../system/system.ts';
import type { Logger } from './log.ts';

const LOOK_MS = 1000;

/** Returns what ends it. */
export function narrate(region: Region, log: Logger, system: System): () => void {
  let before: RegionStatus | undefined;
  const look = (): void => {
    const now = region.status();
    tell(before, now, log);
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
