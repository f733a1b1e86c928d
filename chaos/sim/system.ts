// The System port of one simulated process: a clock that is off, drifts and steps, timers that die with the process, and
// randomness from the seed.

import type { System, TimerHandle } from '../../src/system/system.ts';
import type { Life, Scheduler } from './scheduler.ts';
import type { SeededRandom } from './random.ts';

/** Unix ms at virtual time 0: 2026-01-01. */
export const EPOCH_MS = 1_767_225_600_000;

/** No batch takes longer from its judgement to the log. */
const JUDGED_MS_MAX = 10_000;

/** A machine's clock; it survives the crash of a process. */
export class SimClock {
  readonly #scheduler: Scheduler;
  #offsetMs = 0;
  /** Extra ms per ms. */
  #drift = 0;
  #since = 0;
  /** What it showed before it was set back, and until when somebody may still go by that. */
  #before: { readonly offsetMs: number; readonly until: number } | undefined;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Shown time minus true time, ms. */
  get offsetMs(): number {
    return this.#offsetMs + (this.#scheduler.now - this.#since) * this.#drift;
  }

  nowMs(): number {
    return Math.floor(EPOCH_MS + this.#scheduler.now + this.offsetMs);
  }

  step(byMs: number): void {
    this.set(this.offsetMs + byMs, this.#drift);
  }

  /** The latest that a decision which takes effect now may have seen: a batch is judged when it comes and logged a while later. */
  latestMs(): number {
    const before =
      this.#before !== undefined && this.#before.until > this.#scheduler.now ? this.#before.offsetMs : -Infinity;
    return Math.floor(EPOCH_MS + this.#scheduler.now + Math.max(this.offsetMs, before));
  }

  set(offsetMs: number, drift: number): void {
    const { now } = this.#scheduler;
    const shown = Math.max(
      this.offsetMs,
      this.#before !== undefined && this.#before.until > now ? this.#before.offsetMs : -Infinity,
    );
    if (shown > offsetMs) this.#before = { offsetMs: shown, until: now + JUDGED_MS_MAX };
    this.#offsetMs = offsetMs;
    this.#drift = drift;
    this.#since = this.#scheduler.now;
  }
}

/** `soon` runs after what is ready now; a real event loop takes some time to come round. */
const SOON_MS = 0.02;

/** Of a node's judgements of how busy it is (seal-rounds.ts): often enough that a run has both, seldom enough that the pace gets from one end to the other. */
const LOAD_CHANGES = 0.04;

export function simSystem(scheduler: Scheduler, clock: SimClock, life: Life, random: SeededRandom): System {
  let busy = false;
  return {
    load: {
      busy: () => {
        if (random.float() < LOAD_CHANGES) busy = !busy;
        return busy ? 0.9 : 0.1;
      },
    },
    clock: {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => scheduler.now,
    },
    timers: {
      after: (ms, fn) => scheduler.after(checked(ms), fn, life),
      every: (ms, fn): TimerHandle => {
        if (checked(ms) < 1) throw new RangeError(`a timer's period must be at least 1 ms, got ${ms}`);
        let task = scheduler.after(ms, tick, life);
        let cancelled = false;
        function tick(): void {
          fn();
          if (!cancelled) task = scheduler.after(ms, tick, life);
        }
        return {
          cancel: () => {
            cancelled = true;
            task.cancel();
          },
        };
      },
      soon: (fn) => {
        scheduler.after(SOON_MS, fn, life);
      },
    },
    random,
  };
}

function checked(ms: number): number {
  if (!(ms <= 2 ** 31 - 1)) throw new RangeError(`a timer's delay must be at most 2^31-1 ms, got ${ms}`);
  return ms;
}
