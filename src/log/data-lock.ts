// One process per data directory. Two writers of one segment file would destroy it.
// Node has no flock, so there are two locks, and both must be free:
// - `lock.guard`, on which the program flock(1), where there is one, takes a lock that the kernel gives back when this process ends, in
//   whatever way. It holds between containers that share a volume on one machine, and nothing about it can be stale.
// - `lock`, which names the process that has the directory: for people, and for machines without flock(1). It is stale when the machine
//   was started anew since, or when no process with that pid and start time is there.
// HAZARD: without flock(1), two containers with a pid namespace each do not see each other's processes and can both take the lock.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { CausewayError } from '../errors/errors.ts';

const LOCK = 'lock';
const GUARD = 'lock.guard';
/** A taker that loses the race for a stale lock looks again; more rounds than this mean that something else is wrong. */
const ROUNDS_MAX = 10;

interface Holder {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat: tells a process from a later one with the same pid. Empty where there is no /proc. */
  readonly startTime: string;
  readonly bootId: string;
}

export interface DataLock {
  release(): void;
}

/** Throws FENCED when another process (or this one) has the directory. */
export async function lockDirectory(directory: string, flock = 'flock'): Promise<DataLock> {
  const path = join(directory, LOCK);
  const guard = fs.openSync(join(directory, GUARD), 'a', 0o640);
  try {
    if (!(await takeGuard(guard, flock))) throw fenced(directory, readHolder(path));
    const text = `${JSON.stringify(holderOf(process.pid))}\n`;
    takeFile(directory, path, text);
    return {
      release: () => {
        // Only our own: after a release that was forced by hand somebody else's may be there.
        if (readText(path) === text) fs.rmSync(path, { force: true });
        fs.closeSync(guard);
      },
    };
  } catch (error) {
    fs.closeSync(guard);
    throw error;
  }
}

/** flock(1) locks the open file, which this process shares with it and keeps open: the lock outlives the program. */
function takeGuard(fd: number, flock: string): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(flock, ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    // Not there, or not allowed: the file named `lock` alone decides.
    child.on('error', () => resolve(true));
    // 1 says that another has it; anything else that this flock(1) cannot do it here (some network file systems).
    child.on('exit', (code) => resolve(code !== 1));
  });
}

function takeFile(directory: string, path: string, text: string): void {
  // Linked into place whole, so that nobody ever reads half a lock.
  const own = `${path}.${process.pid}`;
  fs.writeFileSync(own, text, { mode: 0o640 });
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      try {
        fs.linkSync(own, path);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const found = readText(path);
      if (found === undefined) continue;
      const holder = parseHolder(found);
      if (holder !== undefined && isAlive(holder)) throw fenced(directory, holder);
      removeStale(path, found);
    }
  } finally {
    fs.rmSync(own, { force: true });
  }
  throw fenced(directory, readHolder(path));
}

/** Takes the stale lock away, unless another taker was faster and the file is already its lock. */
function removeStale(path: string, stale: string): void {
  const aside = `${path}.${process.pid}.stale`;
  try {
    fs.renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readText(aside) !== stale) {
    try {
      fs.linkSync(aside, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  fs.rmSync(aside, { force: true });
}

function isAlive(holder: Holder): boolean {
  if (holder.bootId !== bootId()) return false;
  if (holder.startTime !== '') return startTimeOf(holder.pid) === holder.startTime;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function holderOf(pid: number): Holder {
  return { pid, startTime: startTimeOf(pid) ?? '', bootId: bootId() };
}

function startTimeOf(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses and may itself contain spaces and parentheses.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

/** Changes with every start of the machine; empty where the system does not tell. */
export function bootId(): string {
  return readText('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
}

function readHolder(path: string): Holder | undefined {
  const text = readText(path);
  return text === undefined ? undefined : parseHolder(text);
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, startTime, bootId } = JSON.parse(text) as Record<string, unknown>;
    if (typeof pid !== 'number' || typeof startTime !== 'string' || typeof bootId !== 'string') return undefined;
    return { pid, startTime, bootId };
  } catch {
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

function fenced(directory: string, holder: Holder | undefined): CausewayError {
  const who = holder === undefined ? 'another process' : `process ${holder.pid}`;
  return new CausewayError('FENCED', `expected to have the data directory ${directory} alone; ${who} has it`, {
    retriable: false,
    outcome: 'not-applied',
    details: { directory, ...(holder === undefined ? {} : { pid: holder.pid }) },
    hint: `Stop ${who} first, or give this node a data directory of its own.`,
  });
}
