// Time, timers and chance under a test's command.

import fc from 'fast-check';
import type { System, TimerHandle } from '../../../src/system/system.ts';

interface Timer {
  atMs: number;
  order: number;
  fn: () => void;
  everyMs: number | undefined;
  cancelled: boolean;
}

export class VirtualTime {
  monotonicMs = 0;
  /** Added to get unix time; a test may step it. */
  epochMs = 1_750_000_000_000;
  #timers: Timer[] = [];
  #soon: (() => void)[] = [];
  #order = 0;
  #seed: number;
  readonly system: System;

  constructor(seed = 1) {
    this.#seed = seed >>> 0;
    this.system = {
      load: { busy: () => 0 },
      clock: {
        nowMs: () => Math.floor(this.epochMs + this.monotonicMs),
        monotonicMs: () => this.monotonicMs,
      },
      timers: {
        after: (ms, fn) => this.#add(ms, fn, undefined),
        every: (ms, fn) => this.#add(ms, fn, ms),
        soon: (fn) => void this.#soon.push(fn),
      },
      random: {
        uint32: () => this.uint32(),
        float: () => this.float(),
        uint48: () => this.uint32() * 65_536 + (this.uint32() & 0xffff),
      },
    };
  }

  /** mulberry32 */
  uint32(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) >>> 0;
    let t = this.#seed;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  float(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Timers that are not cancelled and have not fired. */
  get pending(): number {
    return this.#timers.filter(({ cancelled }) => !cancelled).length;
  }

  #add(ms: number, fn: () => void, everyMs: number | undefined): TimerHandle {
    const timer: Timer = {
      atMs: this.monotonicMs + Math.max(0, ms),
      order: this.#order++,
      fn,
      everyMs,
      cancelled: false,
    };
    this.#timers.push(timer);
    return {
      cancel: () => {
        timer.cancelled = true;
      },
    };
  }

  #runSoon(): void {
    for (let rounds = 0; this.#soon.length > 0; rounds++) {
      if (rounds > 100_000) throw new Error('soon() never comes to an end');
      for (const fn of this.#soon.splice(0)) fn();
    }
  }

  advance(ms: number): void {
    const until = this.monotonicMs + ms;
    for (;;) {
      this.#runSoon();
      this.#timers = this.#timers.filter(({ cancelled }) => !cancelled);
      const due = this.#timers
        .filter(({ atMs }) => atMs <= until)
        .reduce<Timer | undefined>(
          (a, b) => (a === undefined || b.atMs < a.atMs || (b.atMs === a.atMs && b.order < a.order) ? b : a),
          undefined,
        );
      if (due === undefined) break;
      this.monotonicMs = Math.max(this.monotonicMs, due.atMs);
      if (due.everyMs === undefined) due.cancelled = true;
      else due.atMs += due.everyMs;
      due.fn();
    }
    this.monotonicMs = until;
    this.#runSoon();
  }

  /** Advances until the condition holds; fails after `limitMs` of virtual time. */
  until(what: string, holds: () => boolean, limitMs = 60_000, stepMs = 10): void {
    for (let waited = 0; !holds(); waited += stepMs) {
      if (waited >= limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
      this.advance(stepMs);
    }
  }
}

export const seeds = fc.integer({ min: 1, max: 2 ** 31 - 1 });
