// I6: one process per data directory, with flock(1) and without.

import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { isCausewayError } from '../../src/errors/errors.ts';
import { lockDirectory } from '../../src/log/data-lock.ts';

const directories: string[] = [];
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true, force: true });
});

function temporary(): string {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'causeway-lock-'));
  directories.push(directory);
  return directory;
}

const startTime = (pid: number): string => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
};
const bootId = (): string => fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

function sleeper(): ChildProcess {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  children.push(child);
  return child;
}

const isFenced = (pid: number | undefined) => (error: unknown) =>
  isCausewayError(error, 'FENCED') && (pid === undefined || error.message.includes(`process ${pid} has it`));

for (const [how, flock] of [
  ['with flock(1)', 'flock'],
  ['without flock(1)', '/nonexistent/flock'],
] as const) {
  describe(how, () => {
    test('one holder at a time, and free again after release', async () => {
      const directory = temporary();
      const lock = await lockDirectory(directory, flock);
      await expect(lockDirectory(directory, flock)).rejects.toSatisfy(isFenced(process.pid));
      lock.release();
      (await lockDirectory(directory, flock)).release();
      expect(fs.readdirSync(directory)).toEqual(['lock.guard']);
    });

    test('of many takers at once one gets it', async () => {
      const directory = temporary();
      fs.writeFileSync(join(directory, 'lock'), JSON.stringify({ pid: 1, startTime: 'stale', bootId: bootId() }));
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(directory, flock)));
      const held = results.filter((result) => result.status === 'fulfilled');
      expect(held).toHaveLength(1);
      for (const result of results)
        if (result.status === 'rejected') expect(result.reason).toSatisfy(isFenced(undefined));
      held[0]!.value.release();
    });

    const stale: Record<string, () => string> = {
      'of a process that is gone': () => JSON.stringify({ pid: 2 ** 22 - 1, startTime: '1', bootId: bootId() }),
      'of an earlier process with the pid of a living one': () =>
        JSON.stringify({ pid: sleeper().pid, startTime: '1', bootId: bootId() }),
      'from before the machine was started anew': () =>
        JSON.stringify({ pid: process.pid, startTime: startTime(process.pid), bootId: 'before' }),
      'that was not written whole': () => '{"pid":',
      'that is empty': () => '',
    };
    for (const [whose, content] of Object.entries(stale)) {
      test(`a lock ${whose} is taken over`, async () => {
        const directory = temporary();
        fs.writeFileSync(join(directory, 'lock'), content());
        const lock = await lockDirectory(directory, flock);
        expect(JSON.parse(fs.readFileSync(join(directory, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid });
        lock.release();
        expect(fs.readdirSync(directory)).toEqual(['lock.guard']);
      });
    }

    test('the lock of a living process is respected, and it is named', async () => {
      const directory = temporary();
      const { pid } = sleeper();
      const content = JSON.stringify({ pid, startTime: startTime(pid!), bootId: bootId() });
      fs.writeFileSync(join(directory, 'lock'), content);
      await expect(lockDirectory(directory, flock)).rejects.toSatisfy(isFenced(pid));
      expect(fs.readFileSync(join(directory, 'lock'), 'utf8')).toBe(content);
    });
  });
}

test('with flock(1): a holder whose processes cannot be seen (another container) is respected too', async () => {
  const directory = temporary();
  // It holds the guard and has left no lock file that could be read.
  const holder = spawn('flock', ['-x', join(directory, 'lock.guard'), 'sleep', '600'], { stdio: 'ignore' });
  children.push(holder);
  for (;;) {
    // The condition that is awaited: the holder has it.
    try {
      (await lockDirectory(directory)).release();
    } catch (error) {
      expect(error).toSatisfy(isFenced(undefined));
      break;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  // sleep inherits the lock and would keep it.
  const [sleep] = fs.readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').split(' ');
  process.kill(Number(sleep), 'SIGKILL');
  await new Promise((resolve) => holder.on('exit', resolve));
  (await lockDirectory(directory)).release();
});
