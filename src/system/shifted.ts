// A system whose clock is wrong on purpose, for runs with faults (chaos/). Nothing in production makes one: `causeway serve` does so only
// when it is told --chaos.
// HAZARD: stamps come from this clock. A region that ran with a clock far ahead keeps what it stamped.

import type { System } from './system.ts';

/** Only the time of day is shifted, as when a machine's clock is set: what is measured goes on as before. `shiftMs` may change at any time. */
export function shiftedSystem(system: System, shiftMs: () => number): System {
  const { clock } = system;
  return { ...system, clock: { nowMs: () => clock.nowMs() + shiftMs(), monotonicMs: () => clock.monotonicMs() } };
}
