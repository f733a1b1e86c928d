// The demo as people start it, and that it leaves nothing behind, whatever happens to it.

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { processStart } from '../../demo/process-start.ts';
import type { DemoResult } from '../../demo/run.ts';
import { natsFound, redisFound } from '../support/servers.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const SLOW_MS = 180_000;
const noServers = [natsFound, redisFound].find((found) => typeof found === 'string');
if (noServers !== undefined) console.warn(`the demo on NATS and Redis is not tested: ${noServers}`);

interface Running {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  readonly exit: Promise<number | string>;
}

const running: ChildProcess[] = [];

function start(args: readonly string[]): Running {
  const child = spawn(process.execPath, [join(ROOT, 'dist/demo/main.js'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (some: string) => (out += some));
  child.stderr.setEncoding('utf8').on('data', (some: string) => (err += some));
  const exit = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => resolve(signal ?? code ?? 'none')),
  );
  return { child, out: () => out, err: () => err, exit };
}

afterEach(() => {
  for (const child of running.splice(0))
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
});

async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function pidsIn(text: string): number[] {
  return [...text.matchAll(/\(pid (\d+)\)/g)].map(([, pid]) => Number(pid));
}

function alive(pids: readonly number[]): number[] {
  return pids.filter((pid) => processStart(pid) !== undefined);
}

test(
  'once, with a region killed: one JSON document, converged, no mismatch, exit code 0',
  async () => {
    const demo = start(['--once', '--json', '--flights', '400']);
    expect(await demo.exit, demo.err()).toBe(0);
    const lines = demo.out().trim().split('\n');
    expect(lines).toHaveLength(1);
    const result = JSON.parse(lines[0]!) as DemoResult;
    expect(result).toMatchObject({
      flights: 400,
      regions: ['us-west', 'us-central', 'us-east'],
      converged: true,
      mismatches: 0,
      killed: 'us-central',
    });
    expect(result.ops).toBeGreaterThan(4000);
    expect(result.caughtUpMs).toBeGreaterThan(0);
    expect(result.lagMsP50).toBeGreaterThan(0);
    expect(result.lagMsP99).toBeGreaterThanOrEqual(result.lagMsP50);
    expect(result.lagSamples).toBeGreaterThan(100);
    await until(() => alive(pidsIn(demo.err())).length === 0, 'the regions are gone');
  },
  SLOW_MS,
);

test.skipIf(noServers !== undefined)(
  'once on NATS and Redis, two nodes a region, one region killed: the same answers',
  async () => {
    const demo = start(['--once', '--json', '--flights', '300', '--engine', 'distributed']);
    expect(await demo.exit, demo.err()).toBe(0);
    expect(JSON.parse(demo.out())).toMatchObject({
      flights: 300,
      regions: ['us-west', 'us-central', 'us-east'],
      converged: true,
      mismatches: 0,
      killed: 'us-central',
    });
    expect(demo.err()).toMatch(/us-west +127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+ /);
    await until(() => alive(pidsIn(demo.err())).length === 0, 'the regions are gone');
  },
  SLOW_MS,
);

test(
  'live: goes on serving until Ctrl-C, then ends the regions and exits 0',
  async () => {
    const demo = start(['--flights', '100', '--no-kill']);
    await until(() => demo.out().includes('Ctrl-C ends everything.'), 'it has finished the flights');
    const pids = pidsIn(demo.out());
    expect(pids).toHaveLength(3);
    expect(alive(pids)).toEqual(pids);
    expect(demo.out()).toContain('all right');
    demo.child.kill('SIGINT');
    expect(await demo.exit).toBe(0);
    expect(alive(pids)).toEqual([]);
  },
  SLOW_MS,
);

test(
  'killed itself with SIGKILL in mid-run: the watchdog ends the regions and removes their data',
  async () => {
    const demo = start(['--once', '--flights', '5000', '--no-kill']);
    await until(() => pidsIn(demo.out()).length === 3, 'the regions are up');
    const pids = pidsIn(demo.out());
    const directory = /data in (\S+)/.exec(demo.out())?.[1];
    expect(directory).toBeDefined();
    expect(existsSync(directory!)).toBe(true);
    demo.child.kill('SIGKILL');
    await until(() => alive(pids).length === 0, 'the regions are gone');
    await until(() => !existsSync(directory!), 'their data is gone');
  },
  SLOW_MS,
);

test('wrong flags: exit code 2 and a suggestion, at once', async () => {
  const demo = start(['--flight', '3']);
  expect(await demo.exit).toBe(2);
  expect(demo.err()).toContain('--flights');
  expect(demo.out()).toBe('');
});
