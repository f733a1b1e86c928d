// What the benchmark offers and how it counts, without running it.

import { describe, expect, test } from 'vitest';
import { encodeLatency, mergeLatencies, newLatency, percentileMs, recordMicros } from './latency.ts';
import { jsonLike, keyName, makeLoad, OpenLoop, PROBE_EVERY, PROBE_PREFIX, random32, sentAtMicros } from './load.ts';
import { parseOptions } from './options.ts';
import { Steering } from './steering.ts';
import type { Progress } from './worker-messages.ts';

describe('the load', () => {
  test.each([64, 200, 4096])('has JSON values of %i bytes that carry their time', (bytes) => {
    const random = random32(7);
    for (let i = 0; i < 100; i++) {
      const at = 123_456_789_012_345 + i;
      const value = Buffer.from(jsonLike(at, bytes, random));
      expect(value).toHaveLength(bytes);
      expect(sentAtMicros(value)).toBe(at);
      if (bytes >= 200) expect(JSON.parse(value.toString())).toMatchObject({ at });
    }
  });

  test('finds no time in what carries none', () => {
    expect(sentAtMicros(Buffer.from(''))).toBeUndefined();
    expect(sentAtMicros(Buffer.from('hello, world'))).toBeUndefined();
    expect(sentAtMicros(Buffer.from('{"at":x}'))).toBeUndefined();
  });

  test('is uniform over the keys, with one probe in PROBE_EVERY', () => {
    const load = makeLoad({ keys: 160, valueBytes: 200, seed: 3 });
    const counts = new Map<string, number>();
    let probes = 0;
    for (let i = 0; i < 32_000; i++) {
      const { key, value } = load.next(i + 1);
      counts.set(key, (counts.get(key) ?? 0) + 1);
      expect(value).toHaveLength(200);
      if (!key.startsWith(PROBE_PREFIX)) continue;
      probes++;
      expect(sentAtMicros(value)).toBe(i + 1);
    }
    expect(counts.size).toBe(160);
    expect(Math.min(...counts.values())).toBeGreaterThan(120);
    expect(Math.max(...counts.values())).toBeLessThan(290);
    expect(probes).toBeGreaterThan(32_000 / PROBE_EVERY / 1.2);
    expect(probes).toBeLessThan((32_000 / PROBE_EVERY) * 1.2);
    expect(new Set(Array.from({ length: 1000 }, (_, i) => keyName(i))).size).toBe(1000);
  });

  test('is the same for the same seed', () => {
    const keys = (seed: number): string[] => {
      const load = makeLoad({ keys: 1000, valueBytes: 64, seed });
      return Array.from({ length: 20 }, () => load.next(1).key);
    };
    expect(keys(5)).toEqual(keys(5));
    expect(keys(5)).not.toEqual(keys(6));
  });

  test('of an open loop is due by the clock, whatever became of earlier ops', () => {
    const loop = new OpenLoop(1000, 50);
    expect([loop.take(), loop.take()]).toEqual([1000, 21_000]);
    loop.setRate(100);
    expect(loop.take()).toBe(41_000);
    expect(loop.nextMicros).toBe(51_000);
  });
});

describe('steering', () => {
  const report = (lagMsP90: number | undefined, behindMs = 0): Progress => ({ lagMsP90, behindMs });

  test('goes up while lag is low, less so near the target', () => {
    const far = new Steering(100).next([report(5), report(7)]);
    const near = new Steering(100).next([report(5), report(80)]);
    expect(far).toBeGreaterThan(near);
    expect(near).toBeGreaterThan(new Steering(100).rate);
  });

  test('goes down for the worst region, for probes that do not come and for ops that start late; then it waits', () => {
    for (const worst of [report(150), report(undefined), report(5, 300)]) {
      const steering = new Steering(100);
      const before = steering.rate;
      const after = steering.next([report(5), worst]);
      expect(after).toBeLessThan(before);
      expect(steering.next([report(5), worst])).toBe(after);
    }
  });

  test('never stops', () => {
    const steering = new Steering(100);
    for (let i = 0; i < 1000; i++) steering.next([report(10_000)]);
    expect(steering.rate).toBeGreaterThan(0);
  });
});

test('latencies of several processes are merged without loss', () => {
  const encoded = [1, 2].map((worker) => {
    const histogram = newLatency();
    for (let i = 1; i <= 500; i++) recordMicros(histogram, worker * 1_000_000);
    return encodeLatency(histogram);
  });
  const all = mergeLatencies(encoded);
  expect(all.totalCount).toBe(1000);
  expect(percentileMs(all, 50)).toBeCloseTo(1000, -1);
  expect(percentileMs(all, 99)).toBeCloseTo(2000, -1);
  expect(percentileMs(all, 99, 100)).toBeCloseTo(1900, -1);
});

describe('flags', () => {
  const parse = (args: string[]): { result: ReturnType<typeof parseOptions>; err: string } => {
    let err = '';
    return { result: parseOptions(args, { out: () => {}, err: (text) => (err += text) }), err };
  };

  test('have the defaults of docs/BENCHMARKS.md', () => {
    expect(parse([]).result).toMatchObject({
      options: { json: false, seconds: 20, keys: 100_000, valueBytes: 200, regions: 3, shards: 8, delayMs: 0 },
    });
    expect(parse(['--rate', '12000']).result).toMatchObject({ options: { rate: 12_000 } });
  });

  test.each([
    [['--sekonds', '5'], '--seconds'],
    [['--regions', '1'], 'from 2 to 7'],
    [['--rate', 'fast'], 'whole number'],
    [['--rate', '5', '--in-flight', '5'], 'one of them'],
    [['fast'], 'too many arguments'],
  ])('%j is refused with exit code 2 and a suggestion', (args, says) => {
    const { result, err } = parse(args);
    expect(result).toEqual({ exitCode: 2 });
    expect(err).toContain(says);
  });
});
