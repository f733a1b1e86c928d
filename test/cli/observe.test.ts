// Looking at regions that really run: lag as a matrix, top, status of several, and the story of a lost update.

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { adminClient, connect, type Causeway } from '../../src/client/index.ts';
import { cli, RunningCli, type Ran } from '../support/cli.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';

// Each command is a process, and a machine that is busy starts a process in seconds.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let cluster: TestCluster;
let all: string;
let config: string;
const clients: Causeway[] = [];

beforeAll(async () => {
  cluster = await startCluster(['us-east', 'eu-west']);
  all = cluster.endpoints.join(',');
  config = join(cluster.cluster.directory, 'us-east.yaml');
});

afterAll(async () => {
  for (const client of clients) client.close();
  await cluster.stop();
});

async function run(args: readonly string[], code = 0): Promise<Ran> {
  const ran = await cli(args);
  expect({ args, code: ran.code, stderr: ran.stderr }).toEqual({ args, code, stderr: ran.stderr });
  return ran;
}

async function runJson<T>(args: readonly string[], code = 0): Promise<T> {
  return JSON.parse((await run([...args, '--json'], code)).stdout) as T;
}

function clientOf(region: string): Causeway {
  const client = connect({ endpoints: [cluster.region(region).address], namespace: 'demo' });
  clients.push(client);
  return client;
}

test('lag: a matrix by every region’s own answer, from a configuration too', async () => {
  const { stdout } = await run(['lag', '-e', all]);
  expect(stdout).toMatch(/^behind +us-east +eu-west\nus-east +· +\d.*\neu-west +\d.* +·\n\n/);
  expect(stdout).toMatch(/^at +of +lag/m);
  const { matrix } = await runJson<{ matrix: Record<string, Record<string, number>> }>(['lag', '--config', config]);
  expect(Object.keys(matrix)).toEqual(['us-east', 'eu-west']);
  expect(matrix['us-east']!['eu-west']).toBeGreaterThanOrEqual(0);
});

test('status of several: all regions in a table, then each with what its engines promise', async () => {
  const { stdout } = await run(['status', '--config', config]);
  expect(stdout).toMatch(/^region +state +keys/);
  expect(stdout).toMatch(/^ {2}clock +within \d.* of its peers; stamps more than 2\.0 s ahead are held$/m);
  expect(stdout).toMatch(/^ {2}store +lmdb, a cache of the log/m);
  expect(stdout.match(/^(us-east|eu-west) ready/gm)).toHaveLength(2);
});

test('top: rates of one look, live until Ctrl-C, and a node that is not there', async () => {
  const writer = clientOf('us-east');
  let going = true;
  const writing = (async () => {
    while (going) await Promise.all(Array.from({ length: 20 }, () => writer.register('profiles').set('hot', 1)));
  })();
  const { nodes } = await runJson<{ nodes: { region: string; writesPerS: number; fromPeersPerS: number }[] }>([
    'top',
    '--once',
    '-e',
    all,
  ]);
  expect(nodes.map(({ region }) => region)).toEqual(['us-east', 'eu-west']);
  expect(nodes[0]!.writesPerS).toBeGreaterThan(0);
  expect(nodes[1]!.fromPeersPerS).toBeGreaterThan(0);
  const live = new RunningCli(['top', '-e', all, '--every', '100ms']);
  await live.until(({ stdout }) => (stdout.match(/us-east +ready/g)?.length ?? 0) > 2);
  await live.until(({ stdout }) => /demo\/profiles\/hot +written +about [\d ]+\/s/.test(stdout));
  live.child.kill('SIGINT');
  expect((await live.ended).code).toBe(0);
  going = false;
  await writing;
  const partly = await run(['top', '--once', '--every', '50ms', '--timeout', '2s', '-e', `${all},127.0.0.1:1`], 4);
  expect(partly.stdout).toContain('127.0.0.1:1 does not answer');
});

/** Two writes at once, in two regions, until one of them has lost without having been seen. */
async function lostUpdate(): Promise<string> {
  const [east, west] = [clientOf('us-east'), clientOf('eu-west')];
  const admins = cluster.endpoints.map((endpoint) => adminClient(endpoint));
  try {
    for (let i = 0; i < 200; i++) {
      const key = `anna-${i}`;
      await Promise.all([
        east.register('profiles').set(key, 'from the east'),
        west.register('profiles').set(key, 'from the west'),
      ]);
      for (const endMs = performance.now() + 200; performance.now() < endMs;) {
        const pages = await Promise.all(
          admins.map((admin) => admin.listConflicts({ namespace: 'demo', keyPrefix: key })),
        );
        if (pages.some(({ conflicts }) => conflicts.some((conflict) => conflict.key === key))) return key;
      }
    }
    throw new Error('no two of 200 pairs of writes met');
  } finally {
    for (const admin of admins) admin.close();
  }
}

interface Traced {
  readonly writes: readonly {
    readonly region: string;
    readonly version: string;
    readonly op: { readonly value: string };
    readonly landings: readonly { readonly region: string; readonly kind: string }[];
    readonly heldBy: readonly string[];
    readonly fates: readonly { readonly kind: string; readonly to?: string; readonly region?: string }[];
    readonly conflict?: string;
  }[];
  readonly values: readonly { readonly region: string; readonly version: string }[];
}

test('trace explains a lost update: both writes, their regions and times, and who lost to whom', async () => {
  const key = await lostUpdate();
  const { writes, values } = await runJson<Traced>(['trace', `demo/profiles/${key}`, '-e', all]);
  expect(writes.map(({ op }) => op.value).toSorted()).toEqual(['"from the east"', '"from the west"']);
  const [loser, winner] = writes;
  expect(loser!.fates).toMatchObject([{ kind: 'lost', to: winner!.version, region: winner!.region }]);
  expect(winner!.fates).toEqual([{ kind: 'visible' }]);
  expect(new Set(values.map(({ version }) => version))).toEqual(new Set([winner!.version]));
  for (const { region, landings, heldBy } of writes) {
    const other = region === 'us-east' ? 'eu-west' : 'us-east';
    expect(landings.find((landing) => landing.region === region)).toMatchObject({ kind: 'own' });
    expect(landings.find((landing) => landing.region === other)).toMatchObject({ kind: 'landed' });
    expect(heldBy).toEqual([other]);
  }
  const { stdout } = await run(['trace', `demo/profiles/${key}`, '--config', config]);
  expect(stdout).toMatch(/^now in us-east, eu-west: "from the (east|west)"$/m);
  expect(stdout).toMatch(/^ {4}LOST to (us-east|eu-west)'s write of 20\d\d-.*, which had not seen it$/m);
  // What it names can be shown.
  expect(
    (await run(['conflicts', 'show', loser!.conflict!, '-e', cluster.region(loser!.region).address])).stdout,
  ).toContain(key);
});

test('trace: one region alone says whom to ask; a key that nobody knows is 5; names are checked', async () => {
  await run([
    'put',
    'demo/counters/visits',
    '+3',
    '-e',
    cluster.region('eu-west').address,
    '--durability',
    'regions:1',
  ]);
  const east = cluster.region('us-east').address;
  const { stdout } = await run(['trace', 'demo/counters/visits', '-e', east]);
  expect(stdout).toMatch(/eu-west \+3 /);
  expect(stdout).toContain('eu-west wrote too and was not asked');
  expect((await run(['trace', 'demo/profiles/nobody', '-e', all], 5)).stderr).toContain(
    'no region that was asked knows a write',
  );
  expect((await run(['trace', 'demo/profile/anna', '-e', east], 2)).stderr).toContain(
    "there is no collection 'profile'",
  );
  const partly = await run(['trace', 'demo/counters/visits', '-e', `${east},127.0.0.1:1`, '--timeout', '2s'], 4);
  expect(partly.stdout).toContain('127.0.0.1:1 does not answer');
});
