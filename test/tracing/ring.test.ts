import { expect, test } from 'vitest';
import { TraceRing } from '../../src/tracing/ring.ts';
import type { Span } from '../../src/tracing/span.ts';

function span(traceId: string, spanId: string, name = 'causeway.append', startMs = 0): Span {
  return { traceId, spanId, name, region: 'eu', kind: 'internal', startMs, durationMs: 1, attributes: {}, links: [] };
}

test('the newest traces first, each with its spans by their start', () => {
  const ring = new TraceRing(10);
  ring.add(span('a', '1', 'causeway.apply', 5));
  ring.add(span('b', '2', 'causeway.append', 1));
  ring.add(span('a', '3', 'causeway.append', 2));
  expect(ring.recent(5).map(({ traceId, spans }) => [traceId, spans.map(({ spanId }) => spanId)])).toEqual([
    ['a', ['3', '1']],
    ['b', ['2']],
  ]);
  expect(ring.recent(1).map(({ traceId }) => traceId)).toEqual(['a']);
  expect(ring.recent(1)[0]!.spans).toHaveLength(2);
  expect(ring.recent(0)).toEqual([]);
});

test('I12: at the bound the oldest span goes, and nothing else is kept', () => {
  const ring = new TraceRing(3);
  for (let i = 0; i < 10; i++) ring.add(span(`t${i}`, String(i)));
  expect(ring.size).toBe(3);
  expect(ring.recent(100).map(({ traceId }) => traceId)).toEqual(['t9', 't8', 't7']);
  const none = new TraceRing(0);
  none.add(span('a', '1'));
  expect([none.size, none.recent(10)]).toEqual([0, []]);
});

test('stages of whole batches are left out of the list, and found by their id', () => {
  const ring = new TraceRing(10);
  ring.add(span('write', '1'));
  ring.add(span('batch', '2', 'causeway.batch.append'));
  expect(ring.recent(10).map(({ traceId }) => traceId)).toEqual(['write']);
  expect(ring.find('batch')?.spans.map(({ name }) => name)).toEqual(['causeway.batch.append']);
  expect(ring.find('other')).toBeUndefined();
});
