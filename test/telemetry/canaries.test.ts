// Canaries between regions that run: each goes there and back in one trace, is measured, and is nothing that clients see.

import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { connect } from '../../src/client/index.ts';
import type { Trace } from '../../src/tracing/span.ts';
import { parseExposition, valueOf } from '../support/exposition.ts';
import { startRegions, type LiveRegions } from '../support/live-nodes.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let live: LiveRegions;
beforeAll(async () => {
  live = await startRegions(['eu', 'us'], { config: { tracing: { enabled: true, ratio: 0, canaryMs: 50 } } });
});
afterAll(() => live.stop());

async function until<Value>(look: () => Promise<Value | undefined> | Value | undefined, what: string): Promise<Value> {
  const endMs = performance.now() + 30_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > endMs) throw new Error(`not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const names = (trace: Trace | undefined): string[] => [...new Set(trace?.spans.map(({ name }) => name))].toSorted();

test('one trace has the way there and the way back', async () => {
  const [eu, us] = live.regions;
  const here = await until(
    () =>
      eu!.node
        .recentTraces(50)
        .find(({ spans }) => spans.some(({ name, error }) => name === 'causeway.canary' && error === undefined)),
    'a canary of eu is back',
  );
  const root = here.spans.find(({ name }) => name === 'causeway.canary')!;
  expect(root.parentSpanId).toBeUndefined();
  expect(root.attributes['causeway.peer']).toBe('us');
  const stages = ['causeway.append', 'causeway.apply', 'causeway.link', 'causeway.sequence'];
  expect(names(here)).toEqual([...stages, 'causeway.canary'].toSorted());
  const there = us!.node.recentTraces(200).find(({ traceId }) => traceId === here.traceId);
  expect(names(there)).toEqual(stages);
  for (const { spans } of [here, there!])
    for (const { startMs } of spans) expect(startMs).toBeGreaterThanOrEqual(root.startMs - 1);
});

test('the round trip is measured, and none is lost', async () => {
  const families = await until(async () => {
    const scraped = parseExposition(await live.regions[1]!.scrape());
    return valueOf(scraped, 'causeway_canary_round_trip_seconds_count', { peer: 'eu' }) > 3 ? scraped : undefined;
  }, 'canaries of us are back');
  const count = valueOf(families, 'causeway_canary_round_trip_seconds_count', { peer: 'eu' });
  expect(valueOf(families, 'causeway_canary_round_trip_seconds_sum', { peer: 'eu' })).toBeLessThan(count * 10);
  expect(valueOf(families, 'causeway_canaries_lost_total', { peer: 'eu' })).toBe(0);
});

test('two keys for each pair and direction, which no client can write, and regions that agree', async () => {
  const [eu, us] = live.regions;
  const client = connect({ endpoints: [eu!.node.clients], namespace: '_system' });
  await expect(client.register('canaries').set('eu/us', 1)).rejects.toMatchObject({ code: 'UNKNOWN_COLLECTION' });
  client.close();
  expect(eu!.node.region.status().keys).toBe(4);
  await until(() => {
    const asOfMs = Date.now();
    const [a, b] = [eu!, us!].map(({ node }) =>
      node.region
        .digests(asOfMs)
        .map(({ shard, digest, vector }) => [
          shard,
          digest,
          [...vector].toSorted(([one], [other]) => (one < other ? -1 : 1)),
        ]),
    );
    return JSON.stringify(a) === JSON.stringify(b) ? true : undefined;
  }, 'the digests are equal between two canaries');
});
