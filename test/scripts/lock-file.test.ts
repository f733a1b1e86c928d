import { expect, test } from 'vitest';
import { lockFileProblems } from '../../scripts/lock-file.mjs';

const integrity = 'sha512-x';

test('a package that names where it was fetched from is found', () => {
  const resolved = 'https://mirror.example/a/-/a-1.0.0.tgz';
  const problems = lockFileProblems({ packages: { 'node_modules/a': { version: '1.0.0', resolved, integrity } } });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(resolved);
});

test('an address anywhere else is found too', () => {
  const dependencies = { b: 'git+ssh://git.example/b.git' };
  expect(lockFileProblems({ packages: { 'node_modules/a': { integrity, dependencies } } })).toHaveLength(1);
});

test('a package without a hash is found: npm ci would install whatever comes', () => {
  expect(lockFileProblems({ packages: { 'node_modules/a': { version: '1.0.0' } } })).toHaveLength(1);
});

test('local packages, links and funding pages are fine', () => {
  const packages = {
    '': { name: 'x', dependencies: { a: '1.0.0' } },
    'node_modules/a': { version: '1.0.0', integrity, funding: { url: 'https://sponsors.example' } },
    'node_modules/local': { resolved: 'scripts/local', link: true },
    'scripts/local': { version: '1.0.0' },
  };
  expect(lockFileProblems({ packages })).toEqual([]);
});
