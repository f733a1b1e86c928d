// Each command against three real regions: what it is for, and one mistake.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { cli, RunningCli, type Ran, type RunOptions } from '../support/cli.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';

// Each command is a process, and a machine that is busy starts a process in seconds.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let cluster: TestCluster;
let east: string;
let west: string;
let europe: string;

beforeAll(async () => {
  cluster = await startCluster(['us-east', 'us-west', 'eu-west']);
  [east = '', west = '', europe = ''] = cluster.endpoints;
});

afterAll(async () => {
  await cluster.stop();
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

describe('put and get, for every merge type', () => {
  test('register-lww, in one region and then in another with the session', async () => {
    const { stdout } = await run(east, ['put', 'demo/profiles/anna', '{"city":"Oslo"}']);
    expect(stdout).toBe('ok profiles/anna\n');
    const { session, version } = await runJson(east, ['put', 'demo/profiles/anna', '{"city":"Bergen"}']);
    const read = await runJson(europe, ['get', 'demo/profiles/anna', '--session', session as string]);
    expect(read).toMatchObject({
      type: 'register-lww',
      value: '{"city":"Bergen"}',
      version,
      region: 'eu-west',
      stale: false,
    });
    expect((await run(east, ['get', 'demo/profiles/anna'])).stdout).toBe('{"city":"Bergen"}\n');
  });

  test('register-mv', async () => {
    await run(east, ['put', 'demo/notes/n', 'first']);
    expect((await run(east, ['get', 'demo/notes/n'])).stdout).toBe('first\n');
  });

  test('counter-pn, added to in two regions', async () => {
    await run(east, ['put', 'demo/counters/likes', '+5']);
    const { session } = await runJson(west, ['put', 'demo/counters/likes', '-2', '--durability', 'regions:2']);
    // What both wrote is in both: the second write is durable everywhere, and the first was read-your-writes of its region.
    const { value } = await runJson(east, ['get', 'demo/counters/likes', '--session', session as string]);
    expect(value).toBe(3);
  });

  test('set-aw', async () => {
    await run(east, ['put', 'demo/sets/tags', 'red', 'blue', '--add', 'green']);
    await run(east, ['put', 'demo/sets/tags', '--remove', 'red', '--add', 'black']);
    expect((await run(east, ['get', 'demo/sets/tags'])).stdout).toBe('black\nblue\ngreen\n');
    expect(await runJson(east, ['get', 'demo/sets/tags'])).toMatchObject({ elements: ['black', 'blue', 'green'] });
  });

  test('map-lww; what get prints is what put takes', async () => {
    await run(east, ['put', 'demo/flights/f1', 'gate=B12', 'status=boarding', 'delay=5']);
    await run(east, ['put', 'demo/flights/f1', '{"status":"gone","seats":{"free":3}}', '--remove', 'delay']);
    const { stdout } = await run(east, ['get', 'demo/flights/f1']);
    expect(stdout).toBe('gate=B12\nseats={"free":3}\nstatus=gone\n');
    await run(east, ['put', 'demo/flights/f2', ...stdout.trim().split('\n')]);
    expect((await run(east, ['get', 'demo/flights/f2'])).stdout).toBe(stdout);
  });

  test('values from a file and from standard input, bytes as they are', async () => {
    const file = join(cluster.cluster.directory, 'value');
    writeFileSync(file, new Uint8Array([0, 255, 10]));
    await run(east, ['put', 'demo/profiles/bytes', '--file', file]);
    expect((await run(east, ['get', 'demo/profiles/bytes'])).stdout).toBe('base64:AP8K\n');
    expect(await runJson(east, ['get', 'demo/profiles/bytes'])).toMatchObject({ value: { base64: 'AP8K' } });
    await run(east, ['put', 'demo/profiles/stdin', '-'], 0, { input: 'from a pipe' });
    expect((await run(east, ['get', 'demo/profiles/stdin', '--raw'])).stdout).toBe('from a pipe');
  });

  test('delete, and the key is gone: 5', async () => {
    await run(east, ['put', 'demo/sets/gone', 'a']);
    await run(east, ['put', 'demo/sets/gone', '--delete']);
    const { stdout, stderr } = await run(east, ['get', 'demo/sets/gone'], 5);
    expect(stdout).toBe('');
    expect(stderr).toContain('demo/sets/gone has no value in us-east');
    expect(await runJson(east, ['get', 'demo/sets/gone', 'demo/sets/tags'], 5)).toMatchObject({
      values: [{ key: 'gone', value: null }, { key: 'tags' }],
    });
  });

  test('conditions: 6 when they do not hold', async () => {
    const { version } = await runJson(east, ['put', 'demo/profiles/cas', '1', '--if-absent']);
    await run(east, ['put', 'demo/profiles/cas', '2', '--if-absent'], 6);
    await run(east, ['put', 'demo/profiles/cas', '2', '--if-version', version as string]);
    const { stderr } = await run(east, ['put', 'demo/profiles/cas', '3', '--if-version', version as string], 6);
    expect(stderr).toMatch(/^causeway: .+\n/);
    await run(east, ['put', 'demo/profiles/none', 'x', '--if-exists'], 6);
  });

  test('an idempotency key makes a repetition harmless', async () => {
    const args = ['put', 'demo/counters/once', '+1', '--idempotency-key', 'order-17'];
    const { duplicate } = await runJson(east, args);
    const again = await runJson(east, args);
    expect([duplicate, again['duplicate']]).toEqual([false, true]);
    expect((await run(east, ['get', 'demo/counters/once'])).stdout).toBe('1\n');
  });

  test('a value that expires', async () => {
    await run(east, ['put', 'demo/profiles/short', 'x', '--ttl', '1h']);
    expect(await runJson(east, ['get', 'demo/profiles/short'])).toMatchObject({
      expiresAt: expect.stringMatching(/Z$/),
    });
  });

  test('names that are wrong say what there is', async () => {
    const { stderr } = await run(east, ['put', 'demo/profile/anna', 'x'], 2);
    expect(stderr).toContain("namespace 'demo' has no collection 'profile'; it has");
    expect(stderr).toContain("→ Did you mean 'profiles'?");
    expect((await run(east, ['get', 'dmo/profiles/anna'], 2)).stderr).toContain("there is no namespace 'dmo'");
    const error = JSON.parse((await run(east, ['get', 'dmo/x/y', '--json'], 2)).stderr) as { error: object };
    expect(error.error).toMatchObject({ code: 'UNKNOWN_COLLECTION', exitCode: 2, hint: "did you mean 'demo'?" });
  });

  test('a value that the merge type does not take', async () => {
    const { stderr } = await run(east, ['put', 'demo/counters/likes', 'many'], 2);
    expect(stderr).toContain("demo/counters is a counter-pn, which takes a number to add, e.g. +5 or -3; got 'many'");
  });
});

describe('watch', () => {
  test('from the beginning, and on from a cursor in another region', async () => {
    for (const n of [1, 2, 3]) await run(east, ['put', 'demo/flights/watched', `n=${n}`, '--durability', 'regions:2']);
    const watch = ['watch', 'demo/flights/watched', '--json', '--from'];
    const first = (await run(east, [...watch, 'beginning', '--count', '1'])).stdout.trim();
    const { cursor, ...event } = JSON.parse(first) as Record<string, unknown>;
    expect(event).toMatchObject({
      collection: 'flights',
      key: 'watched',
      region: 'us-east',
      op: { kind: 'map-update', put: { n: '1' } },
    });
    const rest = (await run(europe, [...watch, cursor as string, '--count', '2'])).stdout.trim().split('\n');
    expect(rest.map((line) => (JSON.parse(line) as { op: object }).op)).toMatchObject([
      { put: { n: '2' } },
      { put: { n: '3' } },
    ]);
  });

  test('what comes while it runs, with the merged value; Ctrl-C ends it with a cursor', async () => {
    const watching = new RunningCli(['-e', west, 'watch', 'demo/counters', '--from', 'beginning', '--value']);
    await watching.until(({ stdout }) => stdout.includes('counters/likes'));
    await run(east, ['put', 'demo/counters/live', '+7']);
    await watching.until(({ stdout }) => /us-east counters\/live \+7 {2}= \{"value":"7"\}/.test(stdout));
    watching.child.kill('SIGINT');
    const { code, stderr } = await watching.ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(/^go on with --from \S+\n$/);
  });

  test('ends by itself when nothing comes', async () => {
    expect((await run(east, ['watch', 'demo/sets/none', '--from', 'beginning', '--idle', '300ms'])).stdout).toBe('');
  });

  test('mistakes: an unknown collection, a word that is no place to start', async () => {
    expect((await run(east, ['watch', 'demo/flight'], 2)).stderr).toContain("Did you mean 'flights'?");
    expect((await run(east, ['watch', 'demo', '--from', 'start'], 2)).stderr).toContain(
      'expected beginning, now, a time',
    );
  });
});

test('status: a screen for people, a document for programs', async () => {
  const { stdout } = await run(east, ['status', '--shards']);
  expect(stdout).toMatch(/^us-east ready {2}node us-east-1, causeway \d/);
  expect(stdout).toMatch(/^ {2}us-west +up +\d/m);
  expect(stdout).toMatch(/^ {2}log +.*durable \(/m);
  expect(stdout).toMatch(/^ {2}1\/7 +us-east~/m);
  const status = await runJson(europe, ['status']);
  expect(status).toMatchObject({ region: 'eu-west', state: 'ready', log: { durable: true }, alarms: [] });
  const several = await run(`${east},127.0.0.1:1`, ['status', '--timeout', '2s'], 4);
  expect(several.stdout).toContain('us-east ready');
  expect(several.stdout).toContain('does not answer');
});

test('verify: MATCH for regions of one cluster, and a mistake', async () => {
  const { stdout } = await run(east, ['verify', '--endpoints', [east, west, europe].join(',')]);
  expect(stdout).toMatch(/^MATCH: us-east, us-west, eu-west; 8 shards, \d+ keys\n$/);
  const file = join(cluster.cluster.directory, 'us-east.yaml');
  expect(await runJson(east, ['verify', '--config', file])).toMatchObject({
    verdict: 'MATCH',
    regions: ['us-east', 'us-west', 'eu-west'],
  });
  expect((await run(east, ['verify'], 2)).stderr).toContain('expected two regions or more');
});

test('version: here, and of a node', async () => {
  expect((await cli(['version'])).stdout).toMatch(/^causeway \d+\.\d+\.\d+ \(Node /);
  expect(await runJson(east, ['version'])).toMatchObject({ servers: [{ endpoint: east, region: 'us-east' }] });
});

test('a reader that goes away is no mistake', async () => {
  const watching = new RunningCli(['-e', east, 'watch', 'demo', '--from', 'beginning']);
  await watching.until(({ stdout }) => stdout.length > 0);
  watching.child.stdout!.destroy();
  await run(east, ['put', 'demo/profiles/anna', 'again']);
  const { code, stderr } = await watching.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});
