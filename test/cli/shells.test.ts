// Completion scripts, tried in the shells that this machine has.

import { spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { completionScript, placesOf, type Shell } from '../../src/cli/shells.ts';

function script(shell: Shell): string {
  const program = new Command('causeway').version('1').option('--json', "what's for programs: documents");
  const set = program.command('set').description('elements');
  set.command('add').description('add: some').option('--ttl <duration>', 'gone after');
  set.command('rm').description('remove');
  program.command('scan').description('list').option('--limit <n>', 'how many');
  return completionScript(shell, placesOf(program));
}

function run(program: string, args: readonly string[]): { readonly status: number | null; readonly stdout: string } {
  return spawnSync(program, args, { encoding: 'utf8' });
}

const has = (program: string): boolean => run(program, ['--version']).status === 0;

function bash(...line: readonly string[]): string[] {
  const words = line.map((word) => `'${word}'`).join(' ');
  const ask = `${script('bash')}\nCOMP_WORDS=(${words}); COMP_CWORD=${line.length - 1}; _causeway; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout } = run('bash', ['--norc', '-c', ask]);
  expect(status).toBe(0);
  return stdout.split('\n').filter((word) => word !== '');
}

test('places know their commands and flags, the global ones included', () => {
  expect(script('bash')).toContain("'/set/add') commands='' flags='--ttl --help --json'");
});

test('bash completes commands, what is below them, and flags', () => {
  expect(bash('causeway', '')).toEqual(['set', 'scan']);
  expect(bash('causeway', 's')).toEqual(['set', 'scan']);
  expect(bash('causeway', '--json', 'set', '')).toEqual(['add', 'rm']);
  expect(bash('causeway', 'set', 'add', '--t')).toEqual(['--ttl']);
  expect(bash('causeway', 'scan', '--')).toEqual(['--limit', '--help', '--json']);
  // Keys are nobody's to guess.
  expect(bash('causeway', 'scan', 'demo')).toEqual([]);
});

test('fish and zsh are given their words with what they are for, quoted', () => {
  const fish = script('fish');
  expect(fish).toContain(`complete -c causeway -f -n '__causeway_at \\'/set\\'' -a 'add' -d 'add: some'`);
  expect(fish).toContain(`-l 'json' -d 'what\\'s for programs: documents'`);
  const zsh = script('zsh');
  expect(zsh).toContain(`('/set') commands=('add:add\\: some' 'rm:remove')`);
  expect(zsh).toContain(`'--json:what'\\''s for programs\\: documents'`);
});

test.each(['zsh', 'fish'] as const)('%s reads its script, where it is installed', (shell) => {
  if (!has(shell)) return;
  const noRc = shell === 'zsh' ? ['-f'] : ['--no-config'];
  expect(run(shell, [...noRc, '-n', '-c', script(shell)]).status).toBe(0);
});
