// What is pushed to a collector, and what happens when there is none.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { METRICS } from '../../src/metrics/catalog.ts';
import { readHeaders } from '../../src/telemetry/otlp-settings.ts';
import { contextBytes } from '../../src/tracing/context.ts';
import { parseExposition, valueOf } from '../support/exposition.ts';
import { startRegions, type LiveRegions } from '../support/live-nodes.ts';
import { OtlpReceiver } from '../support/otlp-receiver.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let collector: OtlpReceiver;
let directory: string;
let live: LiveRegions | undefined;

beforeAll(async () => {
  collector = await OtlpReceiver.listen();
  directory = mkdtempSync(join(tmpdir(), 'causeway-otlp-'));
});
afterEach(async () => {
  await live?.stop();
  live = undefined;
  collector.status = 200;
  collector.spans.length = 0;
});
afterAll(async () => {
  await collector.close();
  rmSync(directory, { recursive: true, force: true });
});

async function until(holds: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const trace = contextBytes({ traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8) });

async function write(key: string): Promise<void> {
  const client = connect({ endpoints: [live!.regions[0]!.node.clients], namespace: 'demo' });
  await client.register('profiles').set(key, 1, { trace });
  client.close();
}

test('metrics: every family of /metrics, by the same name, with type, unit and labels, and the headers of the file', async () => {
  const headersFile = join(directory, 'headers');
  writeFileSync(headersFile, '# of the collector\nAuthorization: Bearer a:b c\n\nx-tenant:  night \n');
  live = await startRegions(['eu', 'us'], {
    config: { otlp: { endpoint: `${collector.endpoint}/`, headersFile, metricsMs: 100 } },
  });
  await write('anna');
  const latest = (named: string): number | undefined =>
    collector.metrics.get('eu/eu-1')?.find(({ name }) => name === named)?.points[0]?.value;
  // A peer's clock is known with its first heartbeat.
  await until(
    () => latest('causeway_ops_accepted_total') === 1 && latest('causeway_clock_offset_seconds') !== undefined,
    'a push after the write, and after a heartbeat',
  );
  expect(collector.headers).toMatchObject({ authorization: 'Bearer a:b c', 'x-tenant': 'night' });
  expect([...collector.metrics.keys()].toSorted()).toEqual(['eu/eu-1', 'us/us-1']);
  const pushed = collector.metrics.get('eu/eu-1')!;
  const scraped = parseExposition(await live.regions[0]!.scrape());
  for (const { name, description, type, unit, points } of pushed) {
    const family = scraped.get(name)!;
    expect({ name, type: type as string, description }).toEqual({ name, type: family.type, description: family.help });
    expect(unit, name).toBe(
      /_seconds(_total|_max)?$/.test(name) ? 's' : /_bytes(_total|_max)?$/.test(name) ? 'By' : '',
    );
    const labels = new Set(family.samples.map(({ labels: { le: _, ...own } }) => JSON.stringify(own)));
    for (const point of points) {
      // Of calls there is one more with each scrape.
      if (!/^causeway_(http|rpc)/.test(name)) expect(labels, name).toContain(JSON.stringify(point.labels));
      if (type === 'histogram') expect(point.counts, name).toHaveLength(point.bounds.length + 1);
    }
  }
  // All that have a sample.
  const named = pushed.filter(({ points }) => points.length > 0).map(({ name }) => name);
  const sampled = [...scraped].filter(([, { samples }]) => samples.length > 0).map(([name]) => name);
  expect(sampled.filter((name) => !named.includes(name) && !/^causeway_(http|ops_refused)/.test(name))).toEqual([]);
  expect(pushed.map(({ name }) => name)).toEqual(Object.keys(METRICS));
  const histogram = pushed.find(({ name }) => name === 'causeway_log_sync_seconds')!.points[0]!;
  const inAll = histogram.counts.reduce((sum, count) => sum + count, 0);
  expect(inAll).toBeGreaterThan(0);
  expect(inAll).toBeLessThanOrEqual(valueOf(scraped, 'causeway_log_sync_seconds_count'));
});

test('nothing is pushed unless it was asked for', async () => {
  const before = collector.requests;
  live = await startRegions(['eu', 'us'], { config: { otlp: { endpoint: collector.endpoint } } });
  await write('anna');
  await live.stop();
  live = undefined;
  expect(collector.requests).toBe(before);
});

test('a collector that takes nothing is nothing to the writes, and what is left is sent at the end', async () => {
  collector.status = 400;
  live = await startRegions(['eu'], {
    config: { tracing: { enabled: true, canaryMs: 0 }, otlp: { endpoint: collector.endpoint } },
  });
  const before = collector.requests;
  await write('anna');
  await until(() => collector.requests > before, 'a request that was refused');
  expect(collector.spans).toEqual([]);
  collector.status = 200;
  await write('bert');
  await live.stop();
  live = undefined;
  expect(collector.trace('ab'.repeat(16)).map(({ name }) => name)).toContain('causeway.apply');
});

test('a trace file switches tracing on: a span a line', async () => {
  const file = join(directory, 'spans.jsonl');
  live = await startRegions(['eu'], { config: { tracing: { file, ratio: 0, canaryMs: 0 } } });
  await write('anna');
  await live.stop();
  live = undefined;
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const spans = lines.map((line) => JSON.parse(line) as { traceId: string; name: string; region: string });
  expect(spans.filter(({ traceId }) => traceId === 'ab'.repeat(16)).map(({ name }) => name)).toEqual([
    'causeway.sequence',
    'causeway.v1.Data/Write',
    'causeway.append',
    'causeway.apply',
  ]);
  expect(new Set(spans.map(({ region }) => region))).toEqual(new Set(['eu']));
});

test('a file that cannot be, and headers that are none, are said at the start', async () => {
  await expect(startRegions(['eu'], { config: { tracing: { file: directory } } })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('cannot write traces to'),
  });
  const headersFile = join(directory, 'wrong');
  writeFileSync(headersFile, 'a: b\nsecret token\n');
  expect(() => readHeaders(headersFile)).toThrow(/line 2 of otlp\.headersFile/);
  expect(() => readHeaders(headersFile)).not.toThrow(/secret/);
  expect(() => readHeaders(join(directory, 'none'))).toThrow(/cannot read/);
});
