// The flags that break a node on purpose: refused unless it is said that this is what is wanted.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addChaosFlags, chaosSystem } from '../../src/cli/chaos-flags.ts';
import { placesOf } from '../../src/cli/shells.ts';
import { realSystem } from '../../src/system/real.ts';
import type { System } from '../../src/system/system.ts';

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'causeway-flags-'));
  file = join(directory, 'clock');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A clock that stands still until it is told. */
function stopped(): { system: System; passMs: (ms: number) => void } {
  let nowMs = 1000;
  const system = { ...realSystem(), clock: { nowMs: () => nowMs, monotonicMs: () => nowMs } };
  return { system, passMs: (ms) => (nowMs += ms) };
}

test('without flags the system is the machine’s', () => {
  const { system } = stopped();
  expect(chaosSystem(system, {})).toBe(system);
  expect(chaosSystem(system, { chaos: true })).toBe(system);
});

test('a clock is not set wrong without --chaos', () => {
  writeFileSync(file, '5000\n');
  expect(() => chaosSystem(stopped().system, { chaosClock: file })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('--chaos') as string }),
  );
});

test('the time of day follows the file, and what is measured does not', () => {
  writeFileSync(file, '5000\n');
  const { system, passMs } = stopped();
  const { clock } = chaosSystem(system, { chaos: true, chaosClock: file });
  expect(clock.nowMs()).toBe(6000);
  expect(clock.monotonicMs()).toBe(1000);
  writeFileSync(file, '-250\n');
  passMs(100);
  expect(clock.nowMs()).toBe(850);
});

test.each(['', 'soon', '1.5', '1e400'])("'%s' is no shift", (text) => {
  writeFileSync(file, text);
  expect(() => chaosSystem(stopped().system, { chaos: true, chaosClock: file })).toThrow(/expected whole milliseconds/);
});

test('a file that is not there is named', () => {
  expect(() => chaosSystem(stopped().system, { chaos: true, chaosClock: file })).toThrow(/cannot read .*clock/);
});

test('neither help nor completion offers them', () => {
  const program = new Command('causeway');
  addChaosFlags(program.command('serve').option('--set <path=value>', 'any option'));
  const [serve] = program.commands;
  expect(serve!.helpInformation()).not.toContain('chaos');
  const words = placesOf(program).flatMap(({ flags }) => flags.map(({ word }) => word));
  expect(words).toContain('--set');
  expect(words.filter((word) => word.includes('chaos'))).toEqual([]);
});
