// Flags of `causeway serve` that break a node on purpose, for runs with faults. They are not in the help, and do nothing without --chaos:
// a flag that was copied from a test must not reach production unnoticed.

import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { CausewayError } from '../errors/errors.ts';
import { shiftedSystem } from '../system/shifted.ts';
import type { System } from '../system/system.ts';

/** A node that asks for the time looks into its file again after so long. */
const LOOK_MS = 25;

export interface ChaosFlags {
  readonly chaos?: true;
  readonly chaosClock?: string;
}

export function addChaosFlags(command: Command): Command {
  return command
    .addOption(new Option('--chaos', 'allow the flags that break a node on purpose').hideHelp())
    .addOption(
      new Option(
        '--chaos-clock <file>',
        "shift the node's clock by the milliseconds in this file, now and later",
      ).hideHelp(),
    );
}

/** Throws CONFIG_INVALID when a flag that breaks things came without --chaos, or its file cannot be read. */
export function chaosSystem(system: System, { chaos, chaosClock }: ChaosFlags): System {
  if (chaosClock === undefined) return system;
  if (chaos !== true) {
    throw new CausewayError(
      'CONFIG_INVALID',
      'expected --chaos with --chaos-clock: it sets the clock of the node wrong',
      {
        hint: 'It is for runs with faults only. In production leave it out.',
      },
    );
  }
  let shiftMs = readShift(chaosClock);
  let lookedMs = system.clock.monotonicMs();
  return shiftedSystem(system, () => {
    const nowMs = system.clock.monotonicMs();
    if (nowMs - lookedMs >= LOOK_MS) {
      lookedMs = nowMs;
      shiftMs = readShift(chaosClock);
    }
    return shiftMs;
  });
}

function readShift(file: string): number {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new CausewayError('CONFIG_INVALID', `cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
  const shiftMs = Number(text);
  if (text === '' || !Number.isSafeInteger(shiftMs)) {
    throw new CausewayError('CONFIG_INVALID', `expected whole milliseconds in ${file}, got '${text}'`);
  }
  return shiftMs;
}
