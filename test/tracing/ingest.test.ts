import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../chaos/sim/random.ts';
import { contextBytes, isSampled, spanContextOf } from '../../src/tracing/context.ts';
import { HeadSampler } from '../../src/tracing/head-sampler.ts';
import { LINKS_MAX, type Span } from '../../src/tracing/span.ts';
import { Recently } from '../../src/tracing/recently.ts';
import { Tracer } from '../../src/tracing/tracer.ts';
import { Tracing } from '../../src/tracing/tracing.ts';

const parent = { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8) };

function bench(
  ratio: number,
  perSecondMax = 1000,
): { tracing: Tracing; spans: Span[]; readonly at: (ms: number) => void } {
  const random = new SeededRandom(1, 'ids');
  let monotonicMs = 5000;
  const system = {
    clock: { nowMs: () => 1_600_000_000_000 + Math.floor(monotonicMs), monotonicMs: () => monotonicMs },
    random: { uint32: () => random.uint32(), uint48: () => random.uint48(), float: () => random.float() },
  };
  const spans: Span[] = [];
  const sinks = [(span: Span) => void spans.push(span)];
  return {
    tracing: new Tracing({ region: 'eu', system, ratio, perSecondMax, ringSpans: 100, sinks }),
    spans,
    at: (ms) => {
      monotonicMs = ms;
    },
  };
}

const op = (trace?: Uint8Array): { namespace: string; collection: string; trace?: Uint8Array | undefined } => ({
  namespace: 'demo',
  collection: 'profiles',
  trace,
});

describe('the way in', () => {
  test('a sampled context goes on in its trace, with the span that was made here', () => {
    const { tracing, spans, at } = bench(0);
    const ops = [op(), op(contextBytes(parent)), op()];
    const ingest = tracing.ingest(ops, 'causeway.v1.Data/Write', {}, 5000)!;
    const carried = spanContextOf(ops[1]!.trace!)!;
    expect(carried.traceId).toBe(parent.traceId);
    expect(carried.spanId).not.toBe(parent.spanId);
    expect([ops[0]!.trace, ops[2]!.trace]).toEqual([undefined, undefined]);
    at(5012.5);
    const version = { origin: 'eu~1', seq: 7, stamp: 99 };
    const fine = { ok: true as const, shard: '1/0', version, duplicate: false };
    ingest.answered([fine, fine, fine]);
    expect(spans).toMatchObject([
      {
        ...carried,
        parentSpanId: parent.spanId,
        kind: 'server',
        startMs: 1_600_000_005_000,
        durationMs: 12.5,
        attributes: { 'causeway.dot': 'eu~1:7', 'messaging.destination.name': 'demo/profiles' },
      },
    ]);
  });

  test('what came unsampled stays as it is, and is recorded by nobody', () => {
    const { tracing } = bench(1);
    const unsampled = contextBytes(parent);
    unsampled[24] = 0;
    const ops = [op(unsampled)];
    expect(tracing.ingest(ops, 'x', {}, 5000)).toBeUndefined();
    expect(ops[0]!.trace).toBe(unsampled);
  });

  test('a context that names nothing is not carried on as one that is recorded', () => {
    const { tracing } = bench(0);
    const ops = [op(contextBytes({ traceId: '0'.repeat(32), spanId: parent.spanId }))];
    expect(tracing.ingest(ops, 'x', {}, 5000)).toBeUndefined();
    expect(isSampled(ops[0]!.trace)).toBe(false);
  });

  test('a refused op is told as an error', () => {
    const { tracing, spans } = bench(1);
    const ingest = tracing.ingest([op()], 'x', {}, 5000)!;
    ingest.answered([{ ok: false, error: { code: 'OVERLOADED', message: 'too much' } }]);
    expect(spans).toMatchObject([{ error: 'too much', attributes: { 'error.type': 'OVERLOADED' } }]);
    expect(spans[0]!.parentSpanId).toBeUndefined();
  });

  test('I12: beyond so many a second writes lose their flag, so that no region records them', () => {
    const { tracing, at } = bench(1, 3);
    const offered = (): number => {
      const ops = Array.from({ length: 10 }, (_, i) => op(i % 2 === 0 ? contextBytes(parent) : undefined));
      tracing.ingest(ops, 'x', {}, 5000 + seconds * 1000);
      for (const { trace } of ops) if (trace !== undefined) expect(trace).toHaveLength(25);
      return ops.filter(({ trace }) => isSampled(trace)).length;
    };
    let seconds = 0;
    expect([offered(), offered()]).toEqual([3, 0]);
    seconds = 1;
    at(6000);
    expect(offered()).toBe(3);
  });
});

describe('head sampling', () => {
  const taken = (ratio: number, times: number): number => {
    const random = new SeededRandom(7, 'sampler');
    const sampler = new HeadSampler(ratio, () => random.float());
    let count = 0;
    for (let i = 0; i < times; i++) if (sampler.takes()) count++;
    return count;
  };

  test('all, none, and about as many as asked for', () => {
    expect(taken(1, 1000)).toBe(1000);
    expect(taken(0, 1000)).toBe(0);
    for (const ratio of [0.01, 0.1, 0.5, 0.9]) {
      const times = 200_000;
      // Five standard deviations.
      const within = 5 * Math.sqrt(times * ratio * (1 - ratio));
      expect(Math.abs(taken(ratio, times) - times * ratio), String(ratio)).toBeLessThan(within);
    }
  });
});

test('I12: what is remembered between two stages is bounded, the oldest goes first', () => {
  const recently = new Recently<number>(3);
  for (let i = 0; i < 10; i++) recently.set(String(i), i);
  expect(recently.size).toBe(3);
  expect(['6', '7', '9'].map((key) => recently.get(key))).toEqual([undefined, 7, 9]);
  expect(recently.take('9')).toBe(9);
  expect(recently.take('9')).toBeUndefined();
});

test('I12: a span has at most so many links, and says how many there were more', () => {
  const spans: Span[] = [];
  const random = new SeededRandom(1, 'ids');
  const system = {
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    random: { uint32: () => random.uint32(), uint48: () => random.uint48(), float: () => random.float() },
  };
  const tracer = new Tracer('eu', system, [(span) => void spans.push(span)]);
  const links = Array.from({ length: 40 }, () => tracer.newTrace());
  tracer.ended(parent, { name: 'x', kind: 'internal', startMs: 0, endMs: 1, attributes: { a: 1 }, links });
  expect(spans[0]!.links).toHaveLength(LINKS_MAX);
  expect(spans[0]!.attributes).toEqual({ a: 1, 'causeway.links.dropped': 8 });
  expect(new Set(links.map(({ traceId }) => traceId)).size).toBe(40);
  for (const { traceId, spanId } of links) expect(`${traceId} ${spanId}`).toMatch(/^[0-9a-f]{32} [0-9a-f]{16}$/);
});

test('time goes on evenly, and follows the clock when that is set', () => {
  let nowMs = 1000;
  let monotonicMs = 50.25;
  const system = {
    clock: { nowMs: () => nowMs, monotonicMs: () => monotonicMs },
    random: { uint32: () => 0, uint48: () => 0, float: () => 0 },
  };
  const tracer = new Tracer('eu', system, []);
  monotonicMs += 0.5;
  expect(tracer.nowMs()).toBe(1000.5);
  nowMs += 60_000;
  expect(tracer.nowMs()).toBe(61_000);
  expect(tracer.unixMsOf(monotonicMs - 10)).toBe(60_990);
});
