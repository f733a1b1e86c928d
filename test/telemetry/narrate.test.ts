import { expect, test } from 'vitest';
import type { Alarm, Region, RegionStatus } from '../../src/region/region.ts';
import type { System } from '../../src/system/system.ts';
import type { Logger } from '../../src/telemetry/log.ts';
import { narrate, sparing } from '../../src/telemetry/narrate.ts';

function setup(): {
  readonly lines: string[];
  readonly log: Logger;
  readonly system: System;
  readonly pass: (ms: number) => void;
} {
  const lines: string[] = [];
  let nowMs = 0;
  let tick: (() => void) | undefined;
  const write =
    (level: string) =>
    (first: object | string, second?: string): void =>
      void lines.push(typeof first === 'string' ? `${level} ${first}` : `${level} ${second} ${JSON.stringify(first)}`);
  return {
    lines,
    log: { info: write('info'), warn: write('warn'), error: write('error') } as unknown as Logger,
    system: {
      clock: { monotonicMs: () => nowMs, nowMs: () => nowMs },
      timers: {
        every: (_ms: number, fn: () => void) => {
          tick = fn;
          return { cancel: () => (tick = undefined) };
        },
      },
    } as unknown as System,
    pass: (ms) => {
      nowMs += ms;
      tick?.();
    },
  };
}

test('a complaint is written once in thirty seconds, then with how often it came', () => {
  const { lines, log, system, pass } = setup();
  const notice = sparing(log, system);
  for (let i = 0; i < 100; i++) notice('error', 'no space');
  notice('warn', 'link down');
  notice('info', 'link up');
  notice('info', 'link up');
  pass(30_000);
  notice('error', 'no space');
  notice('warn', 'link down');
  expect(lines).toEqual([
    'error no space',
    'warn link down',
    'info link up',
    'info link up',
    'error no space {"timesSince":100}',
    'warn link down',
  ]);
});

test('I12: what it remembers is bounded', () => {
  const { lines, log, system } = setup();
  const notice = sparing(log, system);
  for (let i = 0; i < 1000; i++) notice('error', `complaint ${i}`);
  notice('error', 'complaint 0');
  expect(lines).toHaveLength(1001);
});

test('an alarm is said when it begins and when it is over, not while it lasts', () => {
  const { lines, log, system, pass } = setup();
  let alarms: Alarm[] = [];
  const region = { status: () => ({ alarms }) as unknown as RegionStatus } as Region;
  const end = narrate(region, log, system);
  const alarm = (code: Alarm['code'], message: string): Alarm => ({ sinceMs: 0, code, message });
  pass(1000);
  alarms = [alarm('clock-hold', '3 s ahead')];
  pass(1000);
  alarms = [alarm('clock-hold', '2 s ahead')];
  pass(1000);
  alarms = [alarm('clock-hold', '1 s ahead'), alarm('read-only', 'no space')];
  pass(1000);
  alarms = [];
  pass(1000);
  end();
  alarms = [alarm('fork', 'x')];
  pass(1000);
  expect(lines).toEqual([
    'error 3 s ahead {"alarm":"clock-hold"}',
    'error no space {"alarm":"read-only"}',
    'info over: 1 s ahead {"alarm":"clock-hold"}',
    'info over: no space {"alarm":"read-only"}',
  ]);
});
