// A subscriber that moves from region to region in mid-stream: a cursor is a vector, so it means the same everywhere.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FeedEvent } from '../../src/client/index.ts';
import { Regions, REGIONS, SLOW_MS, type RegionName } from './regions.ts';

let regions: Regions;

beforeAll(async () => {
  regions = await Regions.start({ events: 'register-lww' });
}, SLOW_MS);

afterAll(() => regions.stop(), SLOW_MS);

/** Writes `count` keys in every region at once, slowly enough that a stream has a middle. */
async function writeEverywhere(prefix: string, count: number): Promise<string[]> {
  const written: string[] = [];
  await Promise.all(
    REGIONS.map(async (region) => {
      const client = regions.client(region);
      const producer = client.producer();
      for (let i = 0; i < count; i++) {
        const key = `${prefix}/${region}/${i}`;
        await producer.send(client.register<number>('events').op.set(key, i), (error) => {
          if (error === undefined) written.push(key);
        });
        if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await producer.close();
    }),
  );
  return written;
}

function dot({ shard, version }: FeedEvent): string {
  return `${shard} ${version.origin} ${version.seq}`;
}

/** Per shard and origin, in their order: what a consumer may rely on. */
function outOfOrder(events: readonly FeedEvent[]): string[] {
  const last = new Map<string, number>();
  const wrong: string[] = [];
  for (const { shard, version } of events) {
    const stream = `${shard} ${version.origin}`;
    if (version.seq <= (last.get(stream) ?? 0)) wrong.push(`${stream}: ${version.seq} after ${last.get(stream)}`);
    last.set(stream, version.seq);
  }
  return wrong;
}

test(
  'that moves with its cursor while all regions write misses nothing and sees nothing twice',
  async () => {
    const writing = writeEverywhere('moving', 1200);
    const seen: FeedEvent[] = [];
    let cursor: string | undefined;
    const route: readonly RegionName[] = ['us-west', 'us-east', 'us-central', 'us-east', 'us-west', 'us-central'];
    // Uneven stays, so that moves fall into the middle of messages.
    for (const [stay, region] of route.entries()) {
      const subscription = regions.client(region).subscribe({
        collections: ['events'],
        keyPrefix: 'moving/',
        from: cursor ?? 'beginning',
      });
      const leaveAt = seen.length + 137 + 91 * stay;
      for await (const event of subscription) {
        seen.push(event);
        cursor = event.cursor;
        if (seen.length === leaveAt) break;
      }
      subscription.close();
    }
    const written = await writing;
    expect(written).toHaveLength(3 * 1200);
    const rest = regions.client('us-west').subscribe({ collections: ['events'], keyPrefix: 'moving/', from: cursor! });
    for await (const event of rest) {
      seen.push(event);
      if (seen.length >= written.length) break;
    }
    rest.close();

    expect(new Set(seen.map(({ key }) => key))).toEqual(new Set(written));
    expect(new Set(seen.map(dot)).size).toBe(seen.length);
    expect(outOfOrder(seen)).toEqual([]);
  },
  SLOW_MS,
);

test(
  'whose region is killed goes on by itself in another and misses nothing',
  async () => {
    const victim = regions.cluster.region('us-central');
    const survivors = regions.client(['us-central', 'us-east', 'us-west']);
    const seen = new Map<string, string>();
    const subscription = survivors.subscribe({ collections: ['events'], keyPrefix: 'killed/', from: 'beginning' });
    const expected = 3 * 1200;
    let killed: Promise<void> | undefined;
    const reading = (async () => {
      for await (const event of subscription) {
        seen.set(dot(event), event.key);
        if (seen.size > 300) killed ??= victim.kill().then(() => victim.spawn());
        if (seen.size >= expected) break;
      }
    })();
    const written = await writeEverywhere('killed', 1200);
    await reading;
    expect(killed, 'the region was killed in mid-stream').toBeDefined();
    await killed;
    await victim.ready();
    expect(written).toHaveLength(expected);
    expect(new Set(seen.values())).toEqual(new Set(written));
  },
  SLOW_MS,
);
