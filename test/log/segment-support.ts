// A segment log on a simulated disk, with time that stands still until a test moves it.

import { SegmentLog, type SegmentLogOptions } from '../../src/log/segment.ts';
import type { LogRecovery } from '../../src/log/log.ts';
import type { CausewayError } from '../../src/errors/errors.ts';
import type { System } from '../../src/system/system.ts';
import { appendTo, entry, SHARDS } from '../contract/log.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

export const DATA = '/data';
export const IDENTITY = `${DATA}/identity.json`;
export const segmentPath = (number: number): string => `${DATA}/log/${String(number).padStart(16, '0')}.seg`;

export interface ManualSystem extends System {
  /** Lets timers that are due run. */
  advance(ms: number): void;
}

export function manualSystem(seed = 1): ManualSystem {
  let now = 1_700_000_000_000;
  let random = seed;
  const timers = new Set<{ at: number; period: number | undefined; fn: () => void }>();
  const uint32 = (): number => {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    return random;
  };
  const start = (ms: number, period: number | undefined, fn: () => void): { cancel: () => void } => {
    const timer = { at: now + ms, period, fn };
    timers.add(timer);
    return { cancel: () => void timers.delete(timer) };
  };
  return {
    clock: { nowMs: () => now, monotonicMs: () => now },
    load: { busy: () => 0 },
    timers: {
      after: (ms, fn) => start(ms, undefined, fn),
      every: (ms, fn) => start(ms, ms, fn),
      soon: (fn) => void setImmediate(fn),
    },
    random: { uint32, float: () => uint32() / 2 ** 32, uint48: () => uint32() * 0x1_0000 + (uint32() & 0xffff) },
    advance: (ms) => {
      const until = now + ms;
      for (;;) {
        const due = [...timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
        if (due === undefined) break;
        now = due.at;
        if (due.period === undefined) timers.delete(due);
        else due.at += due.period;
        due.fn();
      }
      now = until;
    },
  };
}

export interface OpenedLog {
  readonly log: SegmentLog;
  readonly recovery: LogRecovery;
  readonly system: ManualSystem;
  readonly fatal: CausewayError[];
}

export async function openOn(
  disk: SimulatedDisk,
  options: Partial<SegmentLogOptions> = {},
  shards = SHARDS,
): Promise<OpenedLog> {
  const system = manualSystem();
  const fatal: CausewayError[] = [];
  const log = new SegmentLog({
    directory: DATA,
    clusterId: 'test',
    system,
    onFatal: (error) => fatal.push(error),
    files: disk.process(),
    ...options,
  });
  const recovery = await log.open(shards);
  return { log, recovery, system, fatal };
}

/** One lease for each shard, so that the log is whole from here on. */
export async function prove(log: SegmentLog, shards = SHARDS): Promise<void> {
  for (const shard of shards) await appendTo(log, shard, log.tail(shard) + 1, entry('lease', `lease of ${shard}`));
}

/** Resolves when `condition` holds, checked after each round of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; !condition(); round++) {
    if (round > 100_000) throw new Error('the condition did not come true');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
