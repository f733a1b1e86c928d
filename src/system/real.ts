// The machine's own clock, timers and randomness: the only file of src/ that may touch them.

import { randomFillSync } from 'node:crypto';
import type { System, TimerHandle } from './system.ts';

/** setTimeout turns anything above this (24.8 days) into 1 ms, which would turn a long wait into a busy loop. */
const DELAY_MS_MAX = 2 ** 31 - 1;

/** One call to the kernel fills the pool; an id then costs a copy. Bounded by its size: refilled when used up. */
const POOL_BYTES = 4096;

export function realSystem(): System {
  const pool = new Uint8Array(POOL_BYTES);
  const view = new DataView(pool.buffer);
  let poolUsed = POOL_BYTES;

  /** Offset of `bytes` fresh random bytes in the pool. */
  const take = (bytes: number): number => {
    if (poolUsed + bytes > POOL_BYTES) {
      randomFillSync(pool);
      poolUsed = 0;
    }
    const offset = poolUsed;
    poolUsed += bytes;
    return offset;
  };

  const uint32 = (): number => view.getUint32(take(4));

  const uint48 = (): number => {
    const offset = take(6);
    return view.getUint16(offset) * 2 ** 32 + view.getUint32(offset + 2);
  };

  let loop = performance.eventLoopUtilization();
  return {
    load: {
      busy: () => {
        const before = loop;
        loop = performance.eventLoopUtilization();
        return performance.eventLoopUtilization(loop, before).utilization;
      },
    },
    clock: {
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
    },
    timers: {
      after: (ms, fn) => {
        const timer = setTimeout(fn, checkedDelay(ms));
        return { cancel: () => clearTimeout(timer) };
      },
      every: (ms, fn): TimerHandle => {
        // Node makes a period below 1 into 1; refusing it shows the mistake instead of burning a core.
        if (checkedDelay(ms) < 1) throw new RangeError(`a timer's period must be at least 1 ms, got ${ms}`);
        const timer = setInterval(fn, ms);
        return { cancel: () => clearInterval(timer) };
      },
      soon: (fn) => {
        setImmediate(fn);
      },
    },
    random: {
      uint32,
      // 53 bits, the most that a number in [0, 1) holds.
      float: () => (uint48() * 32 + (uint32() >>> 27)) / 2 ** 53,
      uint48,
    },
  };
}

/** For the end of a process alone: calls `fn` when something keeps the process alive for `ms` more. Keeps nothing alive by itself. */
export function ifStillAliveIn(ms: number, fn: () => void): void {
  setTimeout(fn, checkedDelay(ms)).unref();
}

function checkedDelay(ms: number): number {
  // NaN and Infinity become 1 ms in Node: a forgotten unit conversion would spin instead of failing.
  if (!(ms <= DELAY_MS_MAX)) throw new RangeError(`a timer's delay must be at most ${DELAY_MS_MAX} ms, got ${ms}`);
  // A deadline that has already passed gives a negative delay; that is ordinary, and means now.
  return Math.max(0, ms);
}
