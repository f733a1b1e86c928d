import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { settingsHash } from '../../src/config/hash.ts';
import { loadConfig, readConfigFile } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { packageRoot } from '../../src/config/version.ts';

const directory = join(packageRoot(), 'examples');

function load(name: string): Config {
  return loadConfig({ file: readConfigFile(join(directory, name)), env: {}, flags: [], directory }).config;
}

test.each(readdirSync(directory).filter((name) => name.endsWith('.yaml')))('examples/%s is valid', (name) => {
  expect(load(name).collections.length).toBeGreaterThan(0);
});

test('the three regions of the examples would let each other in', () => {
  const hashes = ['us-east.yaml', 'us-west.yaml', 'eu-west.yaml'].map((name) => settingsHash(load(name)));
  expect(new Set(hashes).size).toBe(1);
});
