// The last spans of a node, for whoever looks without a collector.
// I12 `spansMax` spans; at the bound the oldest goes, whichever trace it is of.

import { isBatchSpan } from './attributes.ts';
import type { Span, Trace } from './span.ts';

export class TraceRing {
  readonly #spansMax: number;
  readonly #spans: Span[] = [];
  #next = 0;

  constructor(spansMax: number) {
    this.#spansMax = spansMax;
  }

  add(span: Span): void {
    if (this.#spans.length < this.#spansMax) {
      this.#spans.push(span);
      return;
    }
    if (this.#spansMax === 0) return;
    this.#spans[this.#next] = span;
    this.#next = (this.#next + 1) % this.#spansMax;
  }

  get size(): number {
    return this.#spans.length;
  }

  /** The traces that something was added to last, newest first, each with all that is left of it. Stages of whole batches, which are traces of
   *  their own, are left out: the links of a write's spans name them, and find() has them. */
  recent(limit: number): Trace[] {
    const traces = new Map<string, Span[]>();
    for (const span of this.#newestFirst()) {
      const spans = traces.get(span.traceId);
      if (spans !== undefined) spans.push(span);
      else if (traces.size < limit && !isBatchSpan(span.name)) traces.set(span.traceId, [span]);
    }
    return Array.from(traces, ([traceId, spans]) => traceOf(traceId, spans));
  }

  find(traceId: string): Trace | undefined {
    const spans = this.#spans.filter((span) => span.traceId === traceId);
    return spans.length === 0 ? undefined : traceOf(traceId, spans);
  }

  *#newestFirst(): Iterable<Span> {
    const { length } = this.#spans;
    for (let i = 1; i <= length; i++) yield this.#spans[(this.#next + length - i) % length]!;
  }
}

function traceOf(traceId: string, spans: readonly Span[]): Trace {
  return {
    traceId,
    spans: spans.map(({ traceId: _, ...span }) => span).toSorted((a, b) => a.startMs - b.startMs),
  };
}
