// Makes spans: ids, time with fractions of a millisecond, and whoever wants to have them.

import type { System } from '../system/system.ts';
import { LINKS_DROPPED } from './attributes.ts';
import { LINKS_MAX, type Attributes, type Span, type SpanKind, type SpanSink } from './span.ts';
import type { SpanContext } from './context.ts';

/** The machine's clock tells whole milliseconds; further apart it has been set. */
const CLOCK_SET_MS = 2;

export interface SpanFacts {
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly links?: readonly SpanContext[];
  readonly error?: string | undefined;
}

const NO_LINKS: readonly SpanContext[] = [];

export class Tracer {
  readonly region: string;
  readonly #system: Pick<System, 'clock' | 'random'>;
  readonly #sinks: readonly SpanSink[];
  /** Unix ms at the zero of the monotonic clock. */
  #zeroMs: number;

  constructor(region: string, system: Pick<System, 'clock' | 'random'>, sinks: readonly SpanSink[]) {
    this.region = region;
    this.#system = system;
    this.#sinks = sinks;
    this.#zeroMs = system.clock.nowMs() - system.clock.monotonicMs();
  }

  /** Unix ms, with a fraction. */
  nowMs(): number {
    const { clock } = this.#system;
    const monotonicMs = clock.monotonicMs();
    const unixMs = clock.nowMs();
    if (Math.abs(unixMs - this.#zeroMs - monotonicMs) > CLOCK_SET_MS) this.#zeroMs = unixMs - monotonicMs;
    return this.#zeroMs + monotonicMs;
  }

  /** Unix ms of a moment by the monotonic clock. */
  unixMsOf(monotonicMs: number): number {
    return this.#zeroMs + monotonicMs;
  }

  newTrace(): SpanContext {
    const { random } = this.#system;
    const traceId = hex(random.uint32()) + hex(random.uint32()) + hex(random.uint32()) + hex(random.uint32() || 1);
    return { traceId, spanId: this.newSpanId() };
  }

  newSpanId(): string {
    const { random } = this.#system;
    // Never all zeros: those name no span.
    return hex(random.uint32()) + hex(random.uint32() || 1);
  }

  /** A span that has ended. */
  ended({ traceId, spanId }: SpanContext, facts: SpanFacts): void {
    const { parentSpanId, name, kind, startMs, endMs, error } = facts;
    let { attributes, links = NO_LINKS } = facts;
    if (links.length > LINKS_MAX) {
      attributes = { ...attributes, [LINKS_DROPPED]: links.length - LINKS_MAX };
      links = links.slice(0, LINKS_MAX);
    }
    const span: Span = {
      traceId,
      spanId,
      parentSpanId,
      name,
      region: this.region,
      kind,
      startMs,
      durationMs: Math.max(0, endMs - startMs),
      attributes,
      links,
      error,
    };
    for (const sink of this.#sinks) sink(span);
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Of 32 bits. A table, because toString(16) of large numbers takes a microsecond. */
function hex(value: number): string {
  return HEX[value >>> 24]! + HEX[(value >>> 16) & 255]! + HEX[(value >>> 8) & 255]! + HEX[value & 255]!;
}
