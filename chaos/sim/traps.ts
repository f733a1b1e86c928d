// Traps: while a simulation runs, whatever reads the machine's time, randomness, timers, files or sockets throws. Without
// them a seed would replay only by luck.
// HAZARD: the code under test may catch what a trap throws, so each trap is also noted, and a noted trap fails the run.

import childProcess from 'node:child_process';
import crypto from 'node:crypto';
import dgram from 'node:dgram';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

export class TrapSprung extends Error {
  override readonly name = 'TrapSprung';
}

type Target = Record<string, unknown>;

const TRAPPED: readonly (readonly [name: string, target: object, properties: readonly string[]])[] = [
  ['Date', Date, ['now']],
  ['Math', Math, ['random']],
  ['globalThis', globalThis, ['setTimeout', 'setInterval', 'setImmediate', 'fetch']],
  ['performance', performance, ['now']],
  ['process', process, ['hrtime', 'uptime', 'cpuUsage']],
  ['AbortSignal', AbortSignal, ['timeout']],
  ['crypto', globalThis.crypto, ['getRandomValues', 'randomUUID']],
  [
    'node:crypto',
    crypto,
    [
      'randomBytes',
      'randomFillSync',
      'randomFill',
      'randomInt',
      'randomUUID',
      'generateKeyPairSync',
      'generateKeySync',
    ],
  ],
  [
    'node:fs',
    fs,
    [
      'openSync',
      'open',
      'readSync',
      'readFileSync',
      'readFile',
      'writeSync',
      'writeFileSync',
      'writeFile',
      'mkdirSync',
      'statSync',
      'existsSync',
      'createReadStream',
      'createWriteStream',
    ],
  ],
  ['node:fs promises', fs.promises, ['open', 'readFile', 'writeFile', 'mkdir', 'stat']],
  ['node:net', net, ['connect', 'createConnection', 'createServer']],
  ['node:dgram', dgram, ['createSocket']],
  ['node:child_process', childProcess, ['spawn', 'spawnSync', 'exec', 'execSync', 'fork']],
];

export interface Traps {
  /** What was touched, in order. */
  readonly sprung: readonly string[];
  restore(): void;
}

let installed = false;

export function installTraps(): Traps {
  if (installed) throw new Error('traps are set already: one simulation at a time in a process');
  installed = true;
  const sprung: string[] = [];
  const undo: (() => void)[] = [];
  const spring = (what: string): never => {
    sprung.push(what);
    throw new TrapSprung(`${what} inside the simulation: take it from the ports (src/system/system.ts)`);
  };

  for (const [name, target, properties] of TRAPPED) {
    for (const property of properties) {
      const before = Object.getOwnPropertyDescriptor(target, property);
      const trap = function trap(): never {
        return spring(`${name}.${property}`);
      };
      try {
        Object.defineProperty(target, property, { value: trap, configurable: true, writable: true });
      } catch {
        continue; // not ours to replace in this version of Node
      }
      undo.push(() => {
        if (before === undefined) delete (target as Target)[property];
        else Object.defineProperty(target, property, before);
      });
    }
  }

  const RealDate = globalThis.Date;
  const TrappedDate = new Proxy(RealDate, {
    construct(date, args: unknown[], newTarget) {
      if (args.length === 0) spring('new Date()');
      return Reflect.construct(date, args, newTarget) as object;
    },
    apply: () => spring('Date()'),
  });
  globalThis.Date = TrappedDate;
  undo.push(() => {
    globalThis.Date = RealDate;
  });

  // Named imports of Node's modules see the traps only after this.
  syncBuiltinESMExports();
  return {
    sprung,
    restore: () => {
      for (const step of undo.toReversed()) step();
      undo.length = 0;
      syncBuiltinESMExports();
      installed = false;
    },
  };
}
