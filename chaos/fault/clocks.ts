// Clocks that are wrong: the offset of `causeway serve --chaos --chaos-clock`.

import type { Stage } from '../cluster/stage.ts';
import { always, waysOf, type Fault } from './fault.ts';

/** Beyond this the skew guard holds streams and refuses writes, so nothing is promised about them. */
export interface ClockOptions {
  readonly maxSkewMs: number;
}

/** The region's clock is off by so much; healed by setting it right again. */
export function shiftClock(stage: Stage, region: string, shiftMs: number, { maxSkewMs }: ClockOptions): Fault {
  const beyond = Math.abs(shiftMs) > maxSkewMs;
  return {
    name: 'clock',
    says: `the clock of ${region} is ${Math.abs(shiftMs)} ms ${shiftMs < 0 ? 'slow' : 'fast'}`,
    hinders: beyond ? waysOf(stage, region) : [],
    stops: beyond ? [region] : [],
    available: always,
    inject: () => {
      stage.shiftClock(region, shiftMs);
      return Promise.resolve(() => {
        stage.shiftClock(region, 0);
        return Promise.resolve();
      });
    },
  };
}
