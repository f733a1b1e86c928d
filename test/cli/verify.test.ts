// The answers of verify that a healthy cluster never gives, from regions that say what the test wants.

import { expect, test, vi } from 'vitest';
import { originId, regionId, shardId } from '../../src/record/ids.ts';
import type { ShardDigest } from '../../src/region/region.ts';
import { serve } from '../support/api.ts';
import { cli, type Ran } from '../support/cli.ts';

// Each command is a process, and a machine that is busy starts a process in seconds.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const ORIGIN = originId(regionId('us-east'), 1);

async function verify(
  digests: Readonly<Record<string, readonly (readonly [digest: string, seq: number])[]>>,
  ...flags: string[]
): Promise<Ran> {
  const addresses: string[] = [];
  for (const [name, shards] of Object.entries(digests)) {
    const { region, address } = await serve({ name });
    region.digests = (asOfMs): readonly ShardDigest[] =>
      shards.map(([digest, seq], index) => ({
        shard: shardId(1, index),
        digest: digest.repeat(16),
        keys: 10,
        asOfMs,
        vector: new Map([[ORIGIN, seq]]),
      }));
    addresses.push(address);
  }
  return cli(['verify', '--endpoints', addresses.join(','), ...flags]);
}

test('DIVERGED: 7, with the shards and who holds what', async () => {
  const { code, stdout } = await verify({
    'us-east': [
      ['a', 3],
      ['b', 5],
    ],
    'us-west': [
      ['a', 3],
      ['c', 5],
    ],
  });
  expect(code).toBe(7);
  expect(stdout).toMatch(/^DIVERGED: us-east, us-west; 2 shards, 20 keys\n/);
  expect(stdout).toContain(
    `  shard 1/1: same writes applied, different data: us-east ${'b'.repeat(16)}, us-west ${'c'.repeat(16)}\n`,
  );
});

test('IN FLIGHT: 4 when a shard was never seen at one point, with what is missing where', async () => {
  const regions = { 'us-east': [['a', 3]], 'us-west': [['b', 7]] } as const;
  const { code, stdout, stderr } = await verify(regions, '--timeout', '700ms');
  expect(code).toBe(4);
  expect(stdout).toMatch(
    /^IN FLIGHT: us-east, us-west; 1 shards, 10 keys\n {2}shard 1\/0: on its way; us-east lacks 4\n/,
  );
  expect(stderr).toMatch(/^\d+ looks? in /);
  const json = await verify(regions, '--timeout', '300ms', '--json');
  expect(json.code).toBe(4);
  expect(JSON.parse(json.stdout)).toMatchObject({
    verdict: 'IN FLIGHT',
    shards: [{ missing: { 'us-east': 4, 'us-west': 0 } }],
  });
});

test('two nodes of one name are told apart by their address', async () => {
  const first = await serve({ name: 'us-east' });
  const second = await serve({ name: 'us-east' });
  const { code, stdout } = await cli(['verify', '--endpoints', `${first.address},${second.address}`]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^MATCH: us-east \(127\.0\.0\.1:\d+\), us-east \(127\.0\.0\.1:\d+\); 4 shards, 0 keys\n$/);
});
