// causeway collection against two real regions with the wires between them cut: what each command is for, and one mistake.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Regions, type RegionName } from '../integration/regions.ts';
import { cli, type Ran } from '../support/cli.ts';

// Each command is a process, and a machine that is busy starts a process in seconds.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

let regions: Regions;
const addressOf = (region: RegionName): string => regions.cluster.region(region).address;

beforeAll(async () => {
  regions = await Regions.start({ profiles: 'register-lww' });
});

afterAll(() => regions.stop());

async function run(region: RegionName, args: readonly string[], code = 0): Promise<Ran> {
  const ran = await cli(['-e', addressOf(region), ...args]);
  expect({ args, code: ran.code, stderr: ran.stderr }).toEqual({ args, code, stderr: ran.stderr });
  return ran;
}

const CARTS = 'test/carts';

test('create, list, show, alter, drop, and create again: empty', async () => {
  const created = await run('us-west', [
    'collection',
    'create',
    CARTS,
    '--type',
    'set-aw',
    '--description',
    'what they want',
  ]);
  expect(created.stdout).toBe('created test/carts (set-aw, id 2147483908)\n');
  // It has waited until the others know.
  await run('us-east', ['set', 'add', `${CARTS}/anna`, 'book']);
  expect((await run('us-central', ['collection', 'list', 'test'])).stdout).toMatch(
    /^test\/carts +set-aw +us-west, id 2147483908 +- +what they want$/m,
  );
  expect((await run('us-east', ['collection', 'create', CARTS, '--type', 'set-aw'])).stdout).toContain(
    'was there already',
  );
  const other = await run('us-east', ['collection', 'create', CARTS, '--type', 'map-lww'], 6);
  expect(other.stderr).toContain('test/carts exists, with merge type set-aw');

  await run('us-east', ['collection', 'alter', CARTS, '--default-expiry', '1h']);
  expect((await run('us-west', ['collection', 'show', CARTS])).stdout).toMatch(
    /^expiry +1 h 0 min after a write that says none$/m,
  );
  const type = await run('us-west', ['collection', 'alter', CARTS, '--type', 'map-lww'], 6);
  expect(type.stderr).toContain('→ create another collection of type map-lww');

  await run('us-west', ['collection', 'drop', CARTS]);
  for (const region of ['us-west', 'us-east'] as const) {
    expect((await run(region, ['set', 'members', `${CARTS}/anna`], 2)).stderr).toContain("has no collection 'carts'");
  }
  const again = await run('us-east', ['collection', 'create', CARTS, '--type', 'set-aw', '--json']);
  expect(JSON.parse(again.stdout)).toMatchObject([
    { id: 2147484164, state: 'served', createdBy: ['us-east'], settled: true },
  ]);
  expect((await run('us-east', ['set', 'members', `${CARTS}/anna`])).stdout).toBe('');
  const shown = JSON.parse((await run('us-west', ['collection', 'show', CARTS, '--json'])).stdout) as {
    state: string;
  }[];
  expect(shown.map(({ state }) => state)).toEqual(['dropped', 'served']);
});

test('created in two regions that cannot see each other, with different types: one definition on both sides', async () => {
  regions.wires.isolate('us-west', 'blackhole');
  const first = await run('us-west', ['collection', 'create', 'test/twice', '--type', 'set-aw', '--no-wait']);
  expect(first.stdout).toContain('created test/twice (set-aw');
  await run('us-east', ['collection', 'create', 'test/twice', '--type', 'register-lww', '--no-wait']);
  await run('us-west', ['set', 'add', 'test/twice/anna', 'book']);
  await run('us-east', ['put', 'test/twice/anna', '"lamp"']);
  regions.wires.heal();
  await regions.converged();
  const documents = await Promise.all(
    (['us-west', 'us-east'] as const).map(async (region) => {
      const { stdout } = await run(region, ['collection', 'show', 'test/twice', '--json']);
      return (JSON.parse(stdout) as Record<string, unknown>[]).map(({ settled: _, ...rest }) => rest);
    }),
  );
  expect(documents[0]).toEqual(documents[1]);
  expect(documents[0]).toMatchObject([
    { state: 'served', type: 'set-aw', createdBy: ['us-west'] },
    { state: 'lost', type: 'register-lww', createdBy: ['us-east'] },
  ]);
  expect((await run('us-east', ['set', 'members', 'test/twice/anna'])).stdout).toBe('book\n');
  expect((await run('us-east', ['doctor'], 7)).stdout).toContain('alarm collection-clash');
  // A person decides for the other one.
  await run('us-west', ['collection', 'drop', 'test/twice', '--id', '2147483908']);
  expect((await run('us-east', ['get', 'test/twice/anna'])).stdout).toBe('"lamp"\n');
});

test('the system namespace: looked at as any other, and not written', async () => {
  await run('us-west', ['collection', 'create', 'test/seen', '--type', 'set-aw']);
  expect((await run('us-east', ['get', '_system/collections/test/seen'])).stdout).toContain(
    '2147483908/created/us-west',
  );
  expect((await run('us-east', ['scan', '_system/collections/test/seen', '--keys'])).stdout).toBe('test/seen\n');
  const refused = await run('us-east', ['del', '_system/collections/test/seen'], 2);
  expect(refused.stderr).toContain('namespace _system is written by Causeway alone');
  expect((await run('us-east', ['collection', 'show', 'test/nothing'], 5)).stderr).toContain(
    'there is no collection test/nothing',
  );
  expect((await run('us-east', ['collection', 'drop', 'test/profiles'], 6)).stderr).toContain(
    'stands in the configuration',
  );
});

test('definitions are known after a restart', async () => {
  await run('us-west', ['collection', 'create', 'test/kept', '--type', 'counter-pn']);
  const region = regions.cluster.region('us-west');
  await region.stop(20_000);
  region.spawn();
  await region.ready();
  expect((await run('us-west', ['incr', 'test/kept/k'])).stdout).toBe('1\n');
});
