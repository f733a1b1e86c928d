// Spans to a collector, as OTLP over HTTP.
// I12 a queue of QUEUE_SPANS_MAX spans, BATCH_SPANS a request and one request at a time; beyond, spans are dropped. A collector that is away is said once in a while.

import {
  SpanKind as OtelKind,
  SpanStatusCode,
  TraceFlags,
  type HrTime,
  type Link,
  type SpanContext,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { Resource } from '@opentelemetry/resources';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import type { Config } from '../config/schema.ts';
import type { Timers } from '../system/system.ts';
import { LINKS_DROPPED, REGION } from '../tracing/attributes.ts';
import type { Span, SpanKind, SpanSink } from '../tracing/span.ts';
import { hrTime, otlpUrl, readHeaders, resourceOf, withinMs } from './otlp-settings.ts';

const QUEUE_SPANS_MAX = 8192;
const BATCH_SPANS = 512;
const SEND_EVERY_MS = 1000;
const SEND_MS_MAX = 10_000;
const CLOSE_MS_MAX = 2000;

export class OtlpTraces {
  readonly #resource: Resource;
  readonly #processor: BatchSpanProcessor;

  /** Throws CausewayError CONFIG_INVALID. `complain`: the collector did not take something. */
  constructor(config: Pick<Config, 'clusterId' | 'region' | 'node' | 'otlp'>, complain: (message: string) => void) {
    const { endpoint, headersFile } = config.otlp;
    const url = otlpUrl(endpoint!, 'v1/traces');
    this.#resource = resourceOf(config);
    const exporter = new OTLPTraceExporter({ url, headers: readHeaders(headersFile), timeoutMillis: SEND_MS_MAX });
    this.#processor = new BatchSpanProcessor({
      exporter: complaining(exporter, (reason) => complain(`the collector at ${url} took no traces: ${reason}`)),
      maxQueueSize: QUEUE_SPANS_MAX,
      maxExportBatchSize: BATCH_SPANS,
      scheduledDelayMillis: SEND_EVERY_MS,
      exportTimeoutMillis: SEND_MS_MAX,
    });
  }

  readonly sink: SpanSink = (span) => this.#processor.onEnd(new OtelSpan(span, this.#resource));

  /** Sends what is left, if the collector takes it soon. */
  close(timers: Timers): Promise<void> {
    return withinMs(this.#processor.shutdown(), CLOSE_MS_MAX, timers);
  }
}

function complaining(exporter: SpanExporter, complain: (reason: string) => void): SpanExporter {
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        if (result.error !== undefined) complain(result.error.message);
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
  };
}

const KINDS: Readonly<Record<SpanKind, OtelKind>> = {
  internal: OtelKind.INTERNAL,
  server: OtelKind.SERVER,
  client: OtelKind.CLIENT,
  producer: OtelKind.PRODUCER,
  consumer: OtelKind.CONSUMER,
};

const SCOPE = { name: 'causeway' };

/** A span of ours as the exporter reads it: worked out when it does. */
class OtelSpan implements ReadableSpan {
  readonly #span: Span;
  readonly resource: Resource;
  readonly parentSpanContext?: SpanContext;
  readonly events: ReadableSpan['events'] = [];
  readonly ended = true;
  readonly instrumentationScope = SCOPE;
  readonly droppedAttributesCount = 0;
  readonly droppedEventsCount = 0;

  constructor(span: Span, resource: Resource) {
    this.#span = span;
    this.resource = resource;
    const { traceId, parentSpanId } = span;
    if (parentSpanId !== undefined)
      this.parentSpanContext = { traceId, spanId: parentSpanId, traceFlags: TraceFlags.SAMPLED };
  }

  get name(): string {
    return this.#span.name;
  }

  get kind(): OtelKind {
    return KINDS[this.#span.kind];
  }

  spanContext(): SpanContext {
    const { traceId, spanId } = this.#span;
    return { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
  }

  get startTime(): HrTime {
    return hrTime(this.#span.startMs);
  }

  get endTime(): HrTime {
    return hrTime(this.#span.startMs + this.#span.durationMs);
  }

  get duration(): HrTime {
    return hrTime(this.#span.durationMs);
  }

  get status(): ReadableSpan['status'] {
    const { error } = this.#span;
    return error === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: error };
  }

  get attributes(): ReadableSpan['attributes'] {
    return { [REGION]: this.#span.region, ...this.#span.attributes };
  }

  get links(): Link[] {
    return this.#span.links.map((context) => ({ context: { ...context, traceFlags: TraceFlags.SAMPLED } }));
  }

  get droppedLinksCount(): number {
    return Number(this.#span.attributes[LINKS_DROPPED] ?? 0);
  }
}
