// What the outside world gives to code that must also run in the simulator: time, timers and randomness.
// Owns: the ports only. real.ts is the one file that reads them from the machine; the simulator has its own.
// HAZARD: code that goes round these ports cannot be simulated, so its bugs do not replay. A lint rule and
//         test/layering.test.ts keep Date.now, Math.random, setTimeout and their like out of the rest of src/.

export interface ClockSource {
  /** Unix time in whole milliseconds. May step either way when the machine's clock is set: never measure with it. */
  nowMs(): number;
  /** Milliseconds with a fraction, from an arbitrary zero. Never steps and never goes back: measure with this one. */
  monotonicMs(): number;
}

export interface TimerHandle {
  /** After this returns, the function is not called again. Cancelling twice, or after it fired, does nothing. */
  cancel(): void;
}

/**
 * Delays are in milliseconds and are lower bounds. An error thrown by a callback is never swallowed: it stops the process
 * (or fails the simulation), because state that a callback half changed cannot be trusted.
 */
export interface Timers {
  /** Calls `fn` once, `ms` from now. */
  after(ms: number, fn: () => void): TimerHandle;
  /** Calls `fn` every `ms`, first in `ms` from now. Missed periods are not made up for. */
  every(ms: number, fn: () => void): TimerHandle;
  /** Calls `fn` in the next macrotask, before timers that are due: pending I/O callbacks and promises go first. */
  soon(fn: () => void): void;
}

export interface Random {
  /** Uniform in 0 … 2^32 - 1. */
  uint32(): number;
  /** Uniform in [0, 1). For jitter and sampling. */
  float(): number;
  /** Uniform in 0 … 2^48 - 1, unpredictable: for ids that must not collide between machines. */
  uint48(): number;
}

/** How busy this process is with its one thread. */
export interface Load {
  /** Part of the time since the last call in which the event loop did not wait, 0 … 1. One caller. */
  busy(): number;
}

export interface System {
  readonly clock: ClockSource;
  readonly load: Load;
  readonly timers: Timers;
  readonly random: Random;
}
