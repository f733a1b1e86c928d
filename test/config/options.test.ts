import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatAddress, isLoopback, parseAddress } from '../../src/config/address.ts';
import { configJsonSchema, optionRows, optionsMarkdown } from '../../src/config/describe.ts';
import { OPTIONS } from '../../src/config/options.ts';
import { closest } from '../../src/config/suggest.ts';
import { packageRoot } from '../../src/config/version.ts';
import { DEFAULT_LIMITS } from '../../src/region/options.ts';

test('every option has a variable of its own, a sentence and a range', () => {
  expect(new Set(OPTIONS.map(({ env }) => env)).size).toBe(OPTIONS.length);
  expect(OPTIONS.map(({ env }) => env)).toContain('CAUSEWAY_LIMITS_OPS_PER_REQUEST_MAX');
  for (const { facts, path } of OPTIONS) {
    expect(facts.is, path).toMatch(/\.$/);
    expect(facts.expected, path).not.toBe('');
  }
});

test('every limit of a node can be set, and says what it costs', () => {
  const limits = optionRows().filter(({ path }) => path.startsWith('limits.'));
  expect(limits.map(({ path }) => path.slice('limits.'.length)).toSorted()).toEqual(
    Object.keys(DEFAULT_LIMITS).toSorted(),
  );
  for (const { path, cost } of limits) expect(cost, path).not.toBe('');
});

test('docs/OPERATIONS.md has the options as they are', () => {
  const text = readFileSync(join(packageRoot(), 'docs/OPERATIONS.md'), 'utf8');
  const table = /<!-- options -->\n([\s\S]*?)\n<!-- \/options -->/.exec(text)?.[1]?.trim();
  // `causeway config schema --markdown` prints it anew.
  expect(table).toBe(optionsMarkdown());
});

test('the JSON Schema lets an editor complete and check a file', () => {
  const schema = configJsonSchema() as {
    properties: Record<string, { description?: string }>;
    required: string[];
    additionalProperties: boolean;
  };
  expect(schema.required).toEqual(['clusterId', 'region', 'dataDir']);
  expect(schema.additionalProperties).toBe(false);
  expect(schema.properties['maxSkewMs']).toMatchObject({
    default: 2000,
    minimum: 50,
    maximum: 600_000,
    description: expect.stringContaining('Cost:'),
  });
});

test('addresses are read as people write them', () => {
  expect(parseAddress('eu-1.example.net:7401')).toEqual({ host: 'eu-1.example.net', port: 7401 });
  expect(parseAddress('[::1]:7401')).toEqual({ host: '::1', port: 7401 });
  expect(formatAddress({ host: '::1', port: 1 })).toBe('[::1]:1');
  for (const wrong of [
    '',
    'a',
    ':1',
    'a:',
    'a:b',
    'a:65536',
    'a b:1',
    '::1:7401',
    '[::1:7401',
    'http://a:1',
    'a:1/x',
    '-a:1',
    'a:-1',
  ]) {
    expect(parseAddress(wrong), wrong).toBeUndefined();
  }
  expect(['127.0.0.1', '127.9.9.9', 'localhost', '::1'].every(isLoopback)).toBe(true);
  expect(['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', 'node-1', 'localhost.example.net'].some(isLoopback)).toBe(false);
});

test('suggestions name the near miss and nothing else', () => {
  const names = ['maxSkewMs', 'leaseMs', 'heartbeatMs', 'region', 'regions'];
  expect(closest('max_skew_ms', names)).toBe('maxSkewMs');
  expect(closest('leesMs', names)).toBe('leaseMs');
  expect(closest('regoin', names)).toBe('region');
  expect(closest('ttl', names)).toBeUndefined();
  expect(closest('', names)).toBeUndefined();
});
