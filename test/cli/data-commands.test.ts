// The commands for data and for looking at a cluster, against two real regions: what each is for, and one mistake.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { cli, type Ran, type RunOptions } from '../support/cli.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';

// Each command is a process, and a machine that is busy starts a process in seconds.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let cluster: TestCluster;
let east: string;
let west: string;
const directory = mkdtempSync(join(tmpdir(), 'causeway-data-'));
const path = (name: string): string => join(directory, name);

beforeAll(async () => {
  cluster = await startCluster(['us-east', 'us-west']);
  [east = '', west = ''] = cluster.endpoints;
});

afterAll(async () => {
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Fails with what the command said when its exit code is another. */
async function run(endpoint: string, args: readonly string[], code = 0, options: RunOptions = {}): Promise<Ran> {
  const ran = await cli(['-e', endpoint, ...args], options);
  expect({ args, code: ran.code, stderr: ran.stderr }).toEqual({ args, code, stderr: ran.stderr });
  return ran;
}

async function runJson(endpoint: string, args: readonly string[], code = 0): Promise<Record<string, unknown>> {
  return JSON.parse((await run(endpoint, [...args, '--json'], code)).stdout) as Record<string, unknown>;
}

test('incr says what the counter then is, once per idempotency key', async () => {
  expect((await run(east, ['incr', 'demo/counters/i'])).stdout).toBe('1\n');
  expect((await run(east, ['incr', 'demo/counters/i', '5', '--idempotency-key', 'x'])).stdout).toBe('6\n');
  expect(await runJson(east, ['incr', 'demo/counters/i', '5', '--idempotency-key', 'x'])).toMatchObject({
    value: 6,
    duplicate: true,
  });
  expect((await run(east, ['incr', 'demo/counters/i', '-10'])).stdout).toBe('-4\n');
  expect((await run(east, ['incr', 'demo/sets/i'], 2)).stderr).toContain(
    'demo/sets is a set-aw; this command is for a counter-pn',
  );
});

test('set add, rm, members', async () => {
  await run(east, ['set', 'add', 'demo/sets/tags', 'blue', 'green', 'red']);
  await run(east, ['set', 'rm', 'demo/sets/tags', 'red']);
  expect((await run(east, ['set', 'members', 'demo/sets/tags'])).stdout).toBe('blue\ngreen\n');
  expect(await runJson(east, ['set', 'members', 'demo/sets/none'])).toMatchObject({ elements: [], key: 'none' });
  await run(east, ['set', 'add', 'demo/sets/short', 'x', '--ttl', '1h']);
  for (const words of [
    ['add', 'demo/flights/x', 'y'],
    ['rm', 'demo/flights/x', 'y'],
    ['members', 'demo/flights/x'],
  ]) {
    expect((await run(east, ['set', ...words], 2)).stderr).toContain('→ For a map-lww there is causeway map');
  }
});

test('map set, get, rm', async () => {
  await run(east, ['map', 'set', 'demo/flights/m', 'gate=B12', 'status=boarding']);
  await run(east, ['map', 'set', 'demo/flights/m', '{"delay":5}']);
  expect((await run(east, ['map', 'get', 'demo/flights/m', 'gate'])).stdout).toBe('B12\n');
  await run(east, ['map', 'rm', 'demo/flights/m', 'gate']);
  expect((await run(east, ['map', 'get', 'demo/flights/m'])).stdout).toBe('delay=5\nstatus=boarding\n');
  const missing = await run(east, ['map', 'get', 'demo/flights/m', 'gate', 'delay'], 5);
  expect(missing.stdout).toBe('delay=5\n');
  expect(missing.stderr).toContain('demo/flights/m field gate has no value');
  expect(await runJson(east, ['map', 'get', 'demo/flights/m', 'gate'], 5)).toMatchObject({ missing: ['gate'] });
  expect((await run(east, ['map', 'set', 'demo/flights/m', 'gate'], 2)).stderr).toContain('which is not field=value');
  expect((await run(east, ['map', 'set', 'demo/sets/m', 'a=b'], 2)).stderr).toContain('demo/sets is a set-aw');
});

test('del removes keys of any type, and says what it could not', async () => {
  await run(east, ['put', 'demo/profiles/d1', 'x']);
  await run(east, ['incr', 'demo/counters/d2']);
  expect((await run(east, ['del', 'demo/profiles/d1', 'demo/counters/d2'])).stdout).toBe(
    'deleted profiles/d1\ndeleted counters/d2\n',
  );
  await run(east, ['get', 'demo/profiles/d1'], 5);
  await run(east, ['put', 'demo/profiles/d3', 'x']);
  const partly = await run(east, ['del', 'demo/profiles/d1', 'demo/profiles/d3', '--if-exists'], 6);
  expect(partly.stdout).toBe('deleted profiles/d3\n');
  expect(partly.stderr).toContain('1 of 2 keys were deleted');
  expect(await runJson(east, ['del', 'demo/profiles/d3'])).toMatchObject({ deleted: [{ key: 'd3' }] });
  expect((await run(east, ['del', 'demo/profile/d3'], 2)).stderr).toContain("Did you mean 'profiles'?");
});

describe('scan', () => {
  test('lists keys in order; a limit says how to go on', async () => {
    for (const key of ['b', 'a', 'c/1']) await run(east, ['put', `demo/notes/s-${key}`, `value ${key}`]);
    expect((await run(east, ['scan', 'demo/notes/s-'])).stdout).toBe('s-a\tvalue a\ns-b\tvalue b\ns-c/1\tvalue c/1\n');
    const first = await run(east, ['scan', 'demo/notes/s-', '--keys', '--limit', '2']);
    expect(first.stdout).toBe('s-a\ns-b\n');
    const token = /--page-token (\S+)/.exec(first.stderr)![1]!;
    const rest = (await run(east, ['scan', 'demo/notes/s-', '--page-token', token, '--json'])).stdout;
    expect(JSON.parse(rest)).toMatchObject({ key: 's-c/1', values: [{ value: 'value c/1' }] });
  });

  test('with a session kept in a file sees what was written elsewhere', async () => {
    const file = path('session');
    await run(west, ['put', 'demo/notes/t-1', 'x', '--session-file', file]);
    const { stdout } = await run(east, ['scan', 'demo/notes/t-', '--keys', '--session-file', file, '--timeout', '30s']);
    expect(stdout).toBe('t-1\n');
    writeFileSync(file, 'no token\n');
    await run(east, ['scan', 'demo/notes', '--session-file', file], 2);
  });

  test('mistakes: a token of another scan, an unknown collection', async () => {
    const { stderr } = await run(east, ['scan', 'demo/notes/s-', '--limit', '1']);
    const token = /--page-token (\S+)/.exec(stderr)![1]!;
    expect((await run(east, ['scan', 'demo/notes', '--page-token', token], 2)).stderr).toContain('another namespace');
    expect((await run(east, ['scan', 'demo/note'], 2)).stderr).toContain("Did you mean 'notes'?");
  });
});

describe('export and import', () => {
  test('what was exported is imported again, whatever its type', async () => {
    const binary = path('binary');
    writeFileSync(binary, Buffer.from([0, 0xff, 0x80]));
    await run(east, ['put', 'demo/profiles/x-1', '{"city":"Oslo"}']);
    await run(east, ['put', 'demo/profiles/x-2', '--file', binary]);
    const file = path('profiles.ndjson');
    expect((await run(east, ['export', 'demo/profiles/x-', '-o', file])).stderr).toContain('exported 2 keys');
    expect(existsSync(`${file}.part`)).toBe(false);
    const before = readFileSync(file, 'utf8');
    await run(east, ['del', 'demo/profiles/x-1', 'demo/profiles/x-2']);
    expect((await run(east, ['import', 'demo', file, '--dry-run'])).stdout).toBe('ok 2 lines could be imported\n');
    expect((await run(east, ['export', 'demo/profiles/x-'])).stdout).toBe('');
    expect((await run(east, ['import', 'demo', file, '--streams', '3'])).stdout).toBe('ok 2 written\n');
    expect((await run(east, ['import', 'demo', file, '--streams', '17'], 2)).stderr).toContain('from 1 to 16');
    const valuesOf = (text: string): unknown[] =>
      text
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { value: unknown }).value);
    expect(valuesOf((await run(east, ['export', 'demo/profiles/x-'])).stdout)).toEqual(valuesOf(before));
    expect(await runJson(east, ['import', 'demo', file, '--if-absent'])).toMatchObject({ written: 0, skipped: 2 });
    // All collections of the namespace.
    const all = (await run(east, ['export', 'demo'])).stdout.trim().split('\n');
    expect(new Set(all.map((line) => (JSON.parse(line) as { type: string }).type)).size).toBeGreaterThan(2);
  });

  test('standard input, lines by hand, and a thousand of them', async () => {
    const lines = Array.from({ length: 1000 }, (_, i) => JSON.stringify({ key: `n-${i}`, value: { n: i } }));
    const input = `${lines.join('\n')}\n\n`;
    expect((await run(east, ['import', 'demo/profiles'], 0, { input })).stdout).toBe('ok 1 000 written\n');
    expect((await run(east, ['get', 'demo/profiles/n-999'])).stdout).toBe('{"n":999}\n');
  });

  test('a bad line is named, what is before it is written, and --skip goes on', async () => {
    const file = path('bad.ndjson');
    const line = (key: string): string => JSON.stringify({ key, value: 1 });
    writeFileSync(file, [line('z-1'), line('z-2'), '{"key":', line('z-4')].join('\n'));
    const { stderr } = await run(east, ['import', 'demo/counters', file], 2);
    expect(stderr).toContain('causeway: line 3: it is not JSON');
    expect(stderr).toContain('2 lines are done for certain: go on with --skip 2');
    const error = JSON.parse(
      (await run(east, ['import', 'demo/counters', file, '--skip', '2', '--json'], 2)).stderr,
    ) as object;
    expect(error).toMatchObject({ error: { code: 'INVALID_ARGUMENT', details: { line: 3, skip: 2 } } });
    writeFileSync(file, [line('z-1'), line('z-2'), line('z-3'), line('z-4')].join('\n'));
    expect((await run(east, ['import', 'demo/counters', file, '--skip', '2'])).stdout).toBe('ok 2 written\n');
    // Nothing was counted twice.
    expect((await run(east, ['scan', 'demo/counters/z-'])).stdout).toBe('z-1\t1\nz-2\t1\nz-3\t1\nz-4\t1\n');
    expect((await run(east, ['import', 'demo', path('none.ndjson')], 2)).stderr).toContain('cannot read');
    expect((await run(east, ['import', 'demo/nowhere', file], 2)).stderr).toContain("no collection 'nowhere'");
    expect((await run(east, ['export', 'demo', '-o', '/none/x.ndjson'], 2)).stderr).toContain('cannot write');
    expect((await run(east, ['export', 'demo/nowhere'], 2)).stderr).toContain("no collection 'nowhere'");
  });
});

test('lag: a table, a bound for scripts, again and again', async () => {
  const { stdout } = await run(`${east},${west}`, ['lag']);
  expect(stdout).toMatch(/^us-east +us-west +\d/m);
  expect(stdout).toMatch(/^us-west +us-east +\d/m);
  await run(east, ['lag', '--max', '1h']);
  await run(east, ['lag', '--max', '0ms'], 7);
  const lines = (await run(east, ['lag', '--every', '50ms', '--count', '2', '--json'])).stdout.trim().split('\n');
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { regions: [{ region: 'us-east', peers: [{ region: 'us-west', link: 'up' }] }] },
    { regions: [{ region: 'us-east' }] },
  ]);
  const partly = await run(`${east},127.0.0.1:1`, ['lag', '--timeout', '2s'], 4);
  expect(partly.stdout).toContain('127.0.0.1:1 does not answer');
});

test('regions: what one node knows, and what others say themselves', async () => {
  expect((await run(east, ['regions'])).stdout).toMatch(/^us-west +not asked +- +- +us-east: /m);
  expect(await runJson(`${east},${west}`, ['regions'])).toMatchObject({
    regions: [
      { region: 'us-east', asked: true, state: 'ready', seenBy: [{ region: 'us-west', link: 'up' }] },
      { region: 'us-west', asked: true, state: 'ready', seenBy: [{ region: 'us-east', link: 'up' }] },
    ],
    failed: [],
  });
  await run(`${east},127.0.0.1:1`, ['regions', '--timeout', '2s'], 4);
});

test('doctor: nothing is bad here; a node that does not answer and a wrong configuration are', async () => {
  const config = join(cluster.cluster.directory, 'us-east.yaml');
  const well = await run(`${east},${west}`, ['doctor', '--config', config]);
  expect(well.stdout).toMatch(/^ok {3}us-east \(.*\): ready, durable, linked to us-west$/m);
  expect(well.stdout).toContain('the configuration has no mistakes');
  const wrong = path('wrong.yaml');
  writeFileSync(wrong, 'region: us-east\n');
  const ill = await runJson('127.0.0.1:1', ['doctor', '--config', wrong, '--timeout', '500ms'], 7);
  expect(ill).toMatchObject({
    bad: 2,
    findings: expect.arrayContaining([expect.objectContaining({ level: 'bad', where: wrong })]),
  });
});

test('completion prints a script for the whole of the command', async () => {
  const { stdout } = await cli(['completion', 'bash']);
  expect(stdout).toContain("'/set') commands='add rm members'");
  expect(stdout).toContain("'/config/print') ");
});
