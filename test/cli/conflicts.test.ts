// causeway conflicts against three real regions with the wires between them cut: what each command is for, and one mistake.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { msOfStamp } from '../../src/clock/hlc.ts';
import { Regions, REGIONS, type RegionName } from '../integration/regions.ts';
import { until } from '../support/api.ts';
import { cli, RunningCli, type Ran } from '../support/cli.ts';

// Each command is a process, and a machine that is busy starts a process in seconds.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

let regions: Regions;
const addressOf = (region: RegionName): string => regions.cluster.region(region).address;
const everyone = (): string => REGIONS.map(addressOf).join(',');

beforeAll(async () => {
  regions = await Regions.start({ profiles: 'register-lww', people: 'map-lww' });
});

afterAll(() => regions.stop());

async function run(endpoint: string, args: readonly string[], code = 0): Promise<Ran> {
  const ran = await cli(['-e', endpoint, ...args]);
  expect({ args, code: ran.code, stderr: ran.stderr }).toEqual({ args, code, stderr: ran.stderr });
  return ran;
}

function documents(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** us-west writes first, by the stamps too, and loses to us-east, which has not seen it. */
async function lose(key: string, west: string, east: string): Promise<string> {
  await regions.converged();
  regions.wires.isolate('us-west', 'blackhole');
  const { version } = await regions.client('us-west').register<string>('profiles').set(key, west);
  // A node that has just been started stamps up to a lease ahead of its clock.
  await until(() => Date.now() > msOfStamp(version.stamp), "us-east's clock passes the write of us-west", 60_000);
  await regions.client('us-east').register<string>('profiles').set(key, east);
  regions.wires.heal();
  await regions.converged();
  const { stdout } = await run(everyone(), ['conflicts', 'list', `test/profiles/${key}`, '--json']);
  const found = documents(stdout);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({
    key,
    loser: { region: 'us-west', value: `"${west}"` },
    winner: { region: 'us-east' },
  });
  return found[0]!['conflict'] as string;
}

test('list, show and restore: the loser is the value again, in every region', async () => {
  const conflict = await lose('bob', 'from the west', 'from the east');
  const people = await run(everyone(), ['conflicts', 'list', 'test', '--since', '1h']);
  expect(people.stdout).toContain(`us-east over us-west: "from the west"  ${conflict}`);
  // Asked for where it is not, it is not there.
  expect((await run(addressOf('us-east'), ['conflicts', 'list'])).stderr).toContain('no conflicts');

  const shown = (await run(everyone(), ['conflicts', 'show', conflict])).stdout;
  expect(shown).toMatch(/^loser +us-west, written 20/m);
  expect(shown).toMatch(/^lost +"from the west"$/m);

  const restored = await run(everyone(), ['conflicts', 'restore', conflict]);
  expect(restored.stdout).toBe('restored profiles/bob\n');
  await regions.converged();
  expect((await run(addressOf('us-east'), ['get', 'test/profiles/bob'])).stdout).toBe('"from the west"\n');

  // Once is enough: what won is not the last word any more.
  const again = await run(everyone(), ['conflicts', 'restore', conflict], 6);
  expect(again.stderr).toContain('test/profiles/bob has been written since the conflict');
  const forced = documents((await run(everyone(), ['conflicts', 'restore', conflict, '--force', '--json'])).stdout);
  expect(forced).toMatchObject([{ conflict, namespace: 'test', key: 'bob', region: 'us-west' }]);
});

test('tail: what comes, with a cursor that is good after a restart of the node', async () => {
  const west = addressOf('us-west');
  const tail = new RunningCli(['-e', everyone(), 'conflicts', 'tail', 'test', '--from', 'beginning', '--json']);
  const first = await lose('carol', 'west', 'east');
  await tail.until(({ stdout }) => stdout.includes(first));
  tail.child.kill('SIGINT');
  const ended = await tail.ended;
  expect(ended.code).toBe(0);
  const { cursor } = documents(ended.stdout).find((line) => line['conflict'] === first)!;

  const region = regions.cluster.region('us-west');
  await region.stop(20_000);
  region.spawn();
  await region.ready();
  const second = await lose('dora', 'west', 'east');
  const rest = await run(west, ['conflicts', 'tail', '--from', cursor as string, '--json', '--count', '1']);
  expect(documents(rest.stdout).map((line) => line['conflict'])).toEqual([second]);
  // All that there ever was is still there.
  const { stdout } = await run(west, ['conflicts', 'list', '--oldest-first', '--json']);
  expect(documents(stdout).map(({ key }) => key)).toEqual(['bob', 'carol', 'dora']);
});

test('mistakes: a conflict that nobody has, a cursor for several regions, a cursor of something else', async () => {
  const nobody = '1/0:us-west~000000000001:7';
  expect((await run(everyone(), ['conflicts', 'show', nobody], 5)).stderr).toContain(
    'has no loser us-west~000000000001:7',
  );
  expect((await run(everyone(), ['conflicts', 'restore', nobody], 5)).stderr).toContain('has no loser');
  const cursor = ['conflicts', 'tail', '--from', 'abcdefghijkl'];
  expect((await run(everyone(), cursor, 2)).stderr).toContain('a cursor is of one region');
  expect((await run(addressOf('us-west'), cursor, 6)).stderr).toContain('no cursor of a stream of conflicts');
});

test('get with a level: as of when, or a refusal that names who is behind', async () => {
  await regions.converged();
  const bounded = documents(
    (await run(addressOf('us-east'), ['get', 'test/profiles/bob', '--consistency', 'bounded:30s', '--json'])).stdout,
  );
  expect(bounded).toMatchObject([{ value: '"from the west"', asOf: expect.stringMatching(/Z$/) as string }]);
  regions.wires.isolate('us-west', 'blackhole');
  const get = ['get', 'test/profiles/bob', '--consistency', 'bounded:10ms', '--timeout', '2s'];
  const refused = await run(addressOf('us-east'), get, 4);
  regions.wires.heal();
  expect(refused.stderr).toMatch(/at most 10 ms behind every other region, and is \d+ ms behind us-west/);
});
