// What a live node exports, and docs/METRICS.md: the same names, types and labels, both ways.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { packageRoot } from '../../src/config/version.ts';
import { CONSTANT_LABELS, METRICS, metricsMarkdown } from '../../src/metrics/catalog.ts';
import { parseExposition, valueOf, type Family } from '../support/exposition.ts';
import { startRegions, type LiveRegions } from '../support/live-nodes.ts';

let live: LiveRegions;

beforeAll(async () => {
  live = await startRegions(['eu', 'us']);
});

afterAll(() => live.stop());

async function scraped(at = 0): Promise<Map<string, Family>> {
  return parseExposition(await live.regions[at]!.scrape());
}

test('docs/METRICS.md lists what there is', () => {
  const text = readFileSync(join(packageRoot(), 'docs/METRICS.md'), 'utf8');
  const table = /<!-- metrics -->\n([\s\S]*?)\n<!-- \/metrics -->/.exec(text)?.[1]?.trim();
  // `npm run build && node scripts/metrics-doc.mjs` writes it anew.
  expect(table).toBe(metricsMarkdown());
});

test('a live node exports every metric of the list with its type and labels, and no other', async () => {
  const client = connect({ endpoints: [live.regions[0]!.node.clients], namespace: 'demo' });
  await client.register('profiles').set('anna', 1);
  await client.register('profiles').get('anna');
  // One op that is refused, so that every family has a sample.
  await expect(client.counter('profiles').increment('anna', 1n)).rejects.toMatchObject({ code: 'WRONG_OPERATION' });
  client.close();
  // A peer's clock is known with its first heartbeat. The scrape that is going on is not answered yet: the next one sees it.
  let families = await scraped();
  await vi.waitFor(
    async () => {
      families = await scraped();
      expect(families.get('causeway_clock_offset_seconds')!.samples).not.toEqual([]);
    },
    { timeout: 10_000 },
  );
  expect([...families.keys()]).toEqual(Object.keys(METRICS));
  for (const [name, { type, help, labels }] of Object.entries(METRICS)) {
    const family = families.get(name)!;
    expect({ name, type: family.type, help: family.help }).toEqual({ name, type, help });
    expect(family.samples.length, `${name} has a sample`).toBeGreaterThan(0);
    for (const sample of family.samples) {
      const own = Object.keys(sample.labels).filter((label) => label !== 'le');
      expect(own.toSorted(), name).toEqual([...CONSTANT_LABELS, ...labels].toSorted());
    }
  }
});

test('what was done is counted', async () => {
  const before = await scraped();
  const [eu, us] = live.regions;
  const client = connect({ endpoints: [us!.node.clients], namespace: 'demo' });
  for (let i = 0; i < 5; i++) await client.register('profiles').set(`k${i}`, i);
  client.close();
  const applied = (families: Map<string, Family>): number =>
    valueOf(families, 'causeway_ops_applied_total', { origin: 'us' });
  let after = await scraped();
  for (const endMs = performance.now() + 10_000; applied(after) - applied(before) < 5 && performance.now() < endMs;) {
    after = await scraped();
  }
  const grew = (name: string, labels: Record<string, string> = {}): number =>
    valueOf(after, name, labels) - valueOf(before, name, labels);
  expect(applied(after) - applied(before)).toBe(5);
  expect(grew('causeway_replication_op_lag_seconds_count', { origin: 'us' })).toBe(5);
  expect(grew('causeway_link_received_bytes_total', { peer: 'us' })).toBeGreaterThan(0);
  expect(grew('causeway_log_sync_seconds_count')).toBeGreaterThan(0);
  expect(grew('process_cpu_seconds_total')).toBeGreaterThan(0);
  const there = parseExposition(await us!.scrape());
  expect(valueOf(there, 'causeway_ops_accepted_total')).toBe(5);
  expect(valueOf(there, 'causeway_link_sent_wire_bytes_total', { peer: 'eu' })).toBeGreaterThan(0);
  expect(eu!.node.region.status().hotKeys.written.length).toBeLessThanOrEqual(10);
});

test('a scrape says when it was made, and is for Prometheus', async () => {
  const answer = await fetch(`http://${live.regions[0]!.node.http}/metrics`);
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(answer.headers.get('cache-control')).toBe('no-store');
});
