// What a span is here: a plain object, made once when it has ended. Nothing else is kept of it but in the ring and with whoever exports it.

export type AttributeValue = string | number | boolean;
export type Attributes = Readonly<Record<string, AttributeValue>>;
/** As OpenTelemetry has them. */
export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** undefined: the trace begins with it. */
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  /** Whose node made it. */
  readonly region: string;
  readonly kind: SpanKind;
  /** Unix ms, with a fraction. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly attributes: Attributes;
  /** At most LINKS_MAX; `causeway.links.dropped` says how many more there were. */
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** For people. undefined: it went well. */
  readonly error?: string | undefined;
}

/** What one node knows of a trace: the spans of its own region. */
export interface Trace {
  readonly traceId: string;
  /** By their start. */
  readonly spans: readonly Omit<Span, 'traceId'>[];
}

export const LINKS_MAX = 32;

/** Takes a span that has ended. Must not throw, and not wait. */
export type SpanSink = (span: Span) => void;
