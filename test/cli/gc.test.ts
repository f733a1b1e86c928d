// The flags that Node gets: the script that people call and the programs that start nodes agree.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { packageRoot, version } from '../../src/config/version.ts';
import { serveFlags } from '../../src/cli/gc.ts';

const SCRIPT = join(packageRoot(), 'bin/causeway');
const directory = mkdtempSync(join(tmpdir(), 'causeway-bin-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Programs in front of the real ones: what the script would start is printed, on a machine of so many cores. */
function started(cores: number, ...args: string[]): string {
  for (const [name, body] of [
    ['node', 'echo "$@"'],
    ['nproc', `echo ${cores}`],
  ] as const) {
    writeFileSync(join(directory, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }
  const env = { ...process.env, PATH: `${directory}:${process.env['PATH']}` };
  const { stdout, status } = spawnSync(SCRIPT, args, { env, encoding: 'utf8' });
  expect(status).toBe(0);
  return stdout.trim();
}

test('the script gives a node the same flags as the programs that start nodes', () => {
  for (const cores of [1, 2, 3, 64]) {
    const line = started(cores, 'serve', '--config', 'a b.yaml');
    expect(line).toMatch(new RegExp(`^${serveFlags(cores).join(' ')} .*dist/src/cli/main.js serve --config a b.yaml$`));
  }
  expect(started(2, 'status')).toMatch(/^\S*main.js status$/);
});

test('Node takes these flags', () => {
  for (const cores of [2, 64]) {
    expect(spawnSync(process.execPath, [...serveFlags(cores), '-e', '0']).status).toBe(0);
  }
});

test('the command is found through links, as npm makes them', () => {
  const link = join(directory, 'causeway');
  symlinkSync(SCRIPT, link);
  const { stdout, stderr } = spawnSync(link, ['--version'], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout).toContain(version());
  expect(readFileSync(SCRIPT, 'utf8')).toMatch(/^#!\/bin\/sh\n/);
});
