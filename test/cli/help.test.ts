// Every command explains itself, with examples; what is typed wrongly is answered with what was meant.

import { describe, expect, test, vi } from 'vitest';
import { cli } from '../support/cli.ts';

// Each command is a process, and a machine that is busy starts a process in seconds.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const COMMANDS = [
  'start',
  'demo',
  'serve',
  'put',
  'get',
  'del',
  'incr',
  'set',
  'map',
  'scan',
  'watch',
  'export',
  'import',
  'collection',
  'conflicts',
  'group',
  'status',
  'health',
  'lag',
  'top',
  'trace',
  'move',
  'regions',
  'verify',
  'doctor',
  'config',
  'bench',
  'chaos',
  'completion',
  'version',
];

const SUBCOMMANDS = [
  ['set', 'add'],
  ['set', 'rm'],
  ['set', 'members'],
  ['map', 'set'],
  ['map', 'get'],
  ['map', 'rm'],
  ...['list', 'show', 'create', 'alter', 'drop'].map((name) => ['collection', name]),
  ...['list', 'tail', 'show', 'restore'].map((name) => ['conflicts', name]),
  ...['list', 'show', 'reset'].map((name) => ['group', name]),
  ['config', 'check'],
  ['config', 'print'],
  ['config', 'schema'],
];

test('the help lists every command, with examples and exit codes', async () => {
  const { code, stdout } = await cli(['--help']);
  expect(code).toBe(0);
  for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  expect(stdout).toContain('Examples:');
  expect(stdout).toContain('Exit codes: 0 done, 2 wrong usage');
});

test.each([...COMMANDS.map((name) => [name]), ...SUBCOMMANDS])('%s %s --help has examples', async (...words) => {
  const names = words.filter((word) => word !== undefined);
  const { code, stdout, stderr } = await cli([...names, '--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(new RegExp(`Examples:\\n(?:.*\\n)?.*causeway ${names.join(' ')}`));
});

test('without a command: the help, on stderr, as a usage mistake', async () => {
  const { code, stdout, stderr } = await cli([]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('Usage: causeway');
});

describe('typed wrongly', () => {
  const rows: readonly (readonly [args: string[], says: string])[] = [
    [['statsu'], "unknown command 'statsu'\n(Did you mean status?)"],
    [['put', 'demo/p/k', 'v', '--durabilty', 'local'], "unknown option '--durabilty'\n(Did you mean --durability?)"],
    [['status', '--jsn'], "unknown option '--jsn'\n(Did you mean --json?)"],
    [['get', 'demo/profiles'], 'Expected namespace/collection/key, for example demo/profiles/anna.'],
    [['status', '-e', 'nowhere'], "Expected host:port, for example 'eu-1.example.net:7401'"],
    [['status', '--timeout', 'soon'], 'Expected a duration such as 500ms, 5s, 2m, 1h or 7d.'],
    [['put', 'demo/p/k', 'v', '--durability', 'most'], 'Expected local (durable in this region), applied'],
    [['put', 'demo/p/k', 'v', '--if-version', '17'], 'Expected a version as `causeway get --json` prints it'],
    [['start', '--regions', '9'], 'Expected a whole number from 1 to 7.'],
    [['start', '--log-level', 'loud'], 'Allowed choices are trace, debug, info, warn, error, fatal, silent.'],
    [['get', 'demo/p/k', '--consistency', 'bound:2s'], 'Expected local, causal, stable or bounded:DURATION'],
    [['move', 'one', 'eu-2'], "a shard is placement/index, e.g. 1/3; got 'one'"],
    [['move', '1/3'], 'expected a node to move it to, or --back'],
    [['move', '1/3', 'eu-2', '--back'], '--back takes no node'],
    [['collection', 'crate', 'demo/c'], "unknown command 'crate'\n(Did you mean create?)"],
    [['collection', 'create', 'demo/carts'], "required option '-t, --type <type>' not specified"],
    [
      ['collection', 'create', 'carts', '--type', 'set-aw'],
      'Expected namespace/collection, for example demo/profiles.',
    ],
    [
      ['collection', 'create', 'demo/carts', '--type', 'set'],
      'Allowed choices are register-lww, register-mv, counter-pn,',
    ],
    [['collection', 'alter', 'demo/carts'], 'expected what to alter: --description, --default-expiry'],
    [['collection', 'drop', 'demo/carts', '--id', 'x'], 'Expected a whole number from 1 to 4294967295.'],
    [['conflicts', 'lst'], "unknown command 'lst'\n(Did you mean list?)"],
    [['conflicts', 'show', '17'], 'Expected a conflict as `causeway conflicts list` prints it'],
    [['conflicts', 'list', '--since', 'soon'], 'Expected a duration such as 500ms, 5s, 2m, 1h or 7d.'],
    [['conflicts', 'tail', '--from', 'start'], '--from: expected beginning, now or a cursor'],
    [['verify'], 'expected two regions or more to compare: --endpoints a:7400,b:7400, or --config FILE'],
    [['set', 'ad', 'demo/sets/s', 'x'], "unknown command 'ad'\n(Did you mean add?)"],
    [['map', 'st'], "unknown command 'st'\n(Did you mean set?)"],
    [['set', 'add', 'demo/sets/s'], "missing required argument 'elements'"],
    [['map', 'set', 'demo/flights/f'], "missing required argument 'field=value'"],
    [['incr', 'demo/counters/c', '1.5'], 'Expected a whole number such as 5 or -3.'],
    [['del', 'demo/p'], 'Expected namespace/collection/key, for example demo/profiles/anna.'],
    [['del', 'demo/p/k', 'other/p/k'], 'expected keys of one namespace'],
    [['scan', 'demo'], 'Expected namespace/collection, for example demo/profiles'],
    [['scan', 'demo/p', '--limt', '3'], "unknown option '--limt'\n(Did you mean --limit?)"],
    [['scan', 'demo/p', '--consistency', 'strong'], 'Expected local, causal, stable or bounded:DURATION'],
    [['export', ''], 'Expected namespace, namespace/collection or namespace/collection/key-prefix.'],
    [['import', 'demo/p/k', 'x.ndjson'], 'expected namespace or namespace/collection; a line has its whole key'],
    [['import', 'demo', '--skip', 'all'], 'Expected a whole number from 0 on.'],
    [['get', 'demo/p/k', '--session', 'x', '--session-file', 'y'], 'expected one of --session and --session-file'],
    [['lag', '--max', 'much'], 'Expected a duration such as 500ms, 5s, 2m, 1h or 7d.'],
    [['trace', 'demo/profiles'], 'Expected namespace/collection/key, for example demo/profiles/anna.'],
    [['trace', 'demo/profiles/anna', '--limit', '0'], 'Expected a whole number from 1 to 10000.'],
    [['top', '--every', 'often'], 'Expected a duration such as 500ms, 5s, 2m, 1h or 7d.'],
    [['regions', 'all'], "too many arguments for 'regions'"],
    [['doctor', '--confg', 'x'], "unknown option '--confg'\n(Did you mean --config?)"],
    [['completion', 'tcsh'], 'Allowed choices are bash, zsh, fish.'],
    [['version', 'extra'], "too many arguments for 'version'"],
  ];
  test.each(rows)('%j', async (args, says) => {
    const { code, stdout, stderr } = await cli(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(says);
    expect(stderr).toMatch(/→ causeway .*--help shows how, with examples\.\n$/);
  });

  test('with --json it is a document', async () => {
    const { code, stderr } = await cli(['statsu', '--json']);
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'USAGE', exitCode: 2, message: expect.stringContaining('status') },
    });
  });

  test('a variable that is wrong says so by its name', async () => {
    const { code, stderr } = await cli(['status'], { env: { CAUSEWAY_ENDPOINT: 'x' } });
    expect(code).toBe(2);
    expect(stderr).toContain('CAUSEWAY_ENDPOINT: Expected host:port');
  });
});

test('nobody there: 4, with what to do', async () => {
  for (const args of [
    ['status'],
    ['get', 'demo/profiles/anna'],
    ['scan', 'demo/profiles'],
    ['incr', 'demo/counters/likes'],
    ['lag'],
    ['top', '--once'],
    ['trace', 'demo/profiles/anna'],
    ['regions'],
    ['verify', '--endpoints', '127.0.0.1:1,127.0.0.1:2'],
  ]) {
    const { code, stdout, stderr } = await cli([...args, '-e', '127.0.0.1:1', '--timeout', '500ms']);
    expect({ args, code, stdout }).toEqual({ args, code: 4, stdout: '' });
    expect(stderr).toContain('127.0.0.1:1');
  }
});
