// The programs in examples/, run as their first lines say.

import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { packageRoot } from '../../src/config/version.ts';

const root = packageRoot();
const programs = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'));

test('there are some', () => {
  expect(programs).toContain('testing.ts');
});

test.each(programs)('examples/%s passes', { timeout: 60_000 }, async (name) => {
  const env = { ...process.env, NODE_OPTIONS: '' };
  // Throws with what it said unless it exits 0.
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--test', '--test-reporter=tap', join('examples', name)],
    { cwd: root, env },
  );
  expect(stdout).toMatch(/^# pass [1-9]/m);
  expect(stdout).toMatch(/^# fail 0$/m);
});
