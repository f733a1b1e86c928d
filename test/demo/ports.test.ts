// Ports of processes that start at the same time.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { claim, freePorts } from '../../demo/ports.ts';

const folder = mkdtempSync(join(tmpdir(), 'causeway-ports-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a port is claimed once, whoever asks, for as long as the process lives that has it', () => {
  expect(claim(20_000, folder)).toBe(true);
  expect(claim(20_000, folder)).toBe(false);
  expect(readFileSync(join(folder, '20000'), 'utf8')).toBe(String(process.pid));
  writeFileSync(join(folder, '20001'), String(process.ppid));
  expect(claim(20_001, folder)).toBe(false);
  writeFileSync(join(folder, '20002'), '');
  expect(claim(20_002, folder)).toBe(false);
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  writeFileSync(join(folder, '20003'), String(pid));
  expect(claim(20_003, folder)).toBe(true);
});

test('claims go with the process', () => {
  const script = `import { claim } from './demo/ports.ts'; console.log(claim(20_004, ${JSON.stringify(folder)}));`;
  const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  expect(stdout).toBe('true\n');
  expect(existsSync(join(folder, '20004'))).toBe(false);
});

test('many, all different', async () => {
  expect(new Set(await freePorts(100)).size).toBe(100);
});
