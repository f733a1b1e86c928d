// Spans of one trace, of all regions, as the rows of a waterfall. Pure.

import type { SpanMessage, TraceMessage } from '../../src/api/http/page/messages.ts';

export interface Bar {
  readonly span: SpanMessage;
  /** Parents above it. */
  readonly depth: number;
  /** Of the whole trace, 0 … 1. */
  readonly left: number;
  readonly width: number;
}

export interface Waterfall {
  readonly traceId: string;
  readonly startMs: number;
  readonly durationMs: number;
  readonly regions: readonly string[];
  readonly name: string;
  readonly error: boolean;
  readonly bars: readonly Bar[];
}

/** What several regions tell of the same traces, put together: newest first. */
export function waterfallsOf(told: readonly TraceMessage[]): Waterfall[] {
  const traces = new Map<string, Map<string, SpanMessage>>();
  for (const { traceId, spans } of told) {
    const known = traces.get(traceId) ?? new Map<string, SpanMessage>();
    traces.set(traceId, known);
    for (const span of spans) known.set(span.spanId, span);
  }
  return Array.from(traces, ([traceId, spans]) => waterfallOf(traceId, [...spans.values()])).toSorted(
    (a, b) => b.startMs - a.startMs,
  );
}

function waterfallOf(traceId: string, spans: readonly SpanMessage[]): Waterfall {
  const startMs = Math.min(...spans.map((span) => span.startMs));
  const endMs = Math.max(...spans.map((span) => span.startMs + span.durationMs));
  const durationMs = endMs - startMs;
  const share = (ms: number): number => (durationMs === 0 ? 0 : ms / durationMs);
  const byStart = spans.toSorted((a, b) => a.startMs - b.startMs || b.durationMs - a.durationMs);
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const bars: Bar[] = [];
  const placed = new Set<string>();
  const place = (span: SpanMessage, depth: number): void => {
    if (placed.has(span.spanId)) return;
    placed.add(span.spanId);
    bars.push({ span, depth, left: share(span.startMs - startMs), width: share(span.durationMs) });
    for (const child of byStart) if (child.parentSpanId === span.spanId) place(child, depth + 1);
  };
  // A parent that nobody here has, such as the producer's own: its children begin the picture.
  for (const span of byStart) if (span.parentSpanId === undefined || !ids.has(span.parentSpanId)) place(span, 0);
  // Spans that are each other's parents, from who knows whom.
  for (const span of byStart) place(span, 0);
  return {
    traceId,
    startMs,
    durationMs,
    regions: [...new Set(byStart.map(({ region }) => region))],
    name: bars[0]?.span.name ?? '',
    error: spans.some(({ error }) => error !== undefined),
    bars,
  };
}
