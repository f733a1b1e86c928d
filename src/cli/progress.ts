// How far a long command has come, on one line of stderr that is drawn over; nothing when nobody looks at it.

import type { System } from '../system/system.ts';
import { count, span } from './words.ts';

const DRAW_EVERY_MS = 100;
const BAR_WIDTH = 24;
const ERASE_LINE = '\r\u001b[2K';

export interface ProgressTarget {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export class Progress {
  readonly #system: System;
  readonly #target: ProgressTarget;
  readonly #what: string;
  readonly #startMs: number;
  #drawnMs = -Infinity;
  #drawn = false;

  /** `what`: of how many things it tells, e.g. `keys`. */
  constructor(system: System, target: ProgressTarget, what: string) {
    this.#system = system;
    this.#target = target;
    this.#what = what;
    this.#startMs = system.clock.monotonicMs();
  }

  /** `share`: from 0 to 1 of the whole, when that is known. */
  update(done: number, share?: number): void {
    if (this.#target.isTTY !== true) return;
    const nowMs = this.#system.clock.monotonicMs();
    if (nowMs - this.#drawnMs < DRAW_EVERY_MS) return;
    this.#drawnMs = nowMs;
    this.#drawn = true;
    const line = progressLine(done, this.#what, nowMs - this.#startMs, share);
    this.#target.write(`${ERASE_LINE}${line.slice(0, (this.#target.columns ?? 80) - 1)}`);
  }

  /** Takes the line away, so that what is printed next stands at its beginning. */
  clear(): void {
    if (this.#drawn) this.#target.write(ERASE_LINE);
    this.#drawn = false;
    this.#drawnMs = -Infinity;
  }

  /** `1 234 keys in 1.5 s, 822 a second`. */
  summary(done: number): string {
    return summaryOf(done, this.#what, this.#system.clock.monotonicMs() - this.#startMs);
  }
}

function summaryOf(done: number, what: string, ms: number): string {
  return `${count(done)} ${what} in ${span(ms)}${ms < 1 ? '' : `, ${count(Math.round((done * 1000) / ms))} a second`}`;
}

export function progressLine(done: number, what: string, ms: number, share: number | undefined): string {
  if (share === undefined) return summaryOf(done, what, ms);
  const part = Math.min(1, Math.max(0, share));
  const full = Math.round(part * BAR_WIDTH);
  const left = part > 0.01 && part < 1 ? `, ${span((ms * (1 - part)) / part)} to go` : '';
  const bar = '█'.repeat(full) + '░'.repeat(BAR_WIDTH - full);
  return `${bar} ${String(Math.floor(part * 100)).padStart(3)} %  ${summaryOf(done, what, ms)}${left}`;
}
