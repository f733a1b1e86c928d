// Spans of a program that writes and follows changes: a port so small that any tracing library fits, and the client needs none of them.
// openTelemetry() makes one of OpenTelemetry's API: `connect({ …, tracer: openTelemetry(await import('@opentelemetry/api')) })`.
//
// A write that is recorded takes its span's context with it, into every region's log; a change that is delivered brings the context of its delivery.

import type { CausewayError } from '../errors/errors.ts';
import { toCausewayError } from '../errors/errors.ts';
import type { Op, WriteAck } from './types.ts';

type ClientAttributes = Readonly<Record<string, string | number | boolean>>;

export interface ClientSpan {
  /** W3C trace context: 16 bytes trace id, 8 bytes span id, 1 byte flags, sampled. */
  readonly context: Uint8Array;
  /** Once. `error`: what the write failed with. */
  end(attributes: ClientAttributes, error?: CausewayError): void;
}

export interface ClientTracer {
  /**
   * A span begins. `parent`: the context that the op or the event carries; undefined: whatever is active in the program. undefined: it is not
   * recorded, and costs nothing more. Must not throw.
   */
  start(
    name: string,
    kind: 'producer' | 'consumer',
    attributes: ClientAttributes,
    parent: Uint8Array | undefined,
  ): ClientSpan | undefined;
}

// Names of OpenTelemetry's semantic conventions for messaging.
const SYSTEM = 'messaging.system.name';
const OPERATION = 'messaging.operation.type';
const DESTINATION = 'messaging.destination.name';
const MESSAGE_ID = 'messaging.message.id';
const ERROR_TYPE = 'error.type';

/** From the call to its result. */
export function sendSpan(tracer: ClientTracer, namespace: string, op: Op): ClientSpan | undefined {
  const destination = `${namespace}/${op.collection}`;
  const attributes = { [SYSTEM]: 'causeway', [OPERATION]: 'send', [DESTINATION]: destination };
  return tracer.start(`send ${destination}`, 'producer', attributes, op.trace);
}

export function endSend(span: ClientSpan, result: WriteAck | CausewayError): void {
  if (!('version' in result)) {
    span.end({ [ERROR_TYPE]: result.code }, result);
    return;
  }
  const { shard, version, duplicate } = result;
  span.end({
    [MESSAGE_ID]: `${version.origin}:${version.seq}`,
    'causeway.shard': shard,
    ...(duplicate ? { 'causeway.duplicate': true } : {}),
  });
}

/** What is known of a change that is handed over. */
interface Delivered {
  readonly collection: string;
  readonly shard: string;
  readonly version: { readonly origin: string; readonly seq: number };
  readonly trace: Uint8Array | undefined;
}

const NO_SPANS: readonly ClientSpan[] = [];

/** While the program has these changes in hand: a span for each that was recorded when it was written. */
export function processSpans(
  tracer: ClientTracer | undefined,
  namespace: string,
  events: readonly Delivered[],
): readonly ClientSpan[] {
  if (tracer === undefined) return NO_SPANS;
  const spans: ClientSpan[] = [];
  for (const { collection, shard, version, trace } of events) {
    if (trace === undefined || (trace[24]! & 1) === 0) continue;
    const destination = `${namespace}/${collection}`;
    const attributes = {
      [SYSTEM]: 'causeway',
      [OPERATION]: 'process',
      [DESTINATION]: destination,
      [MESSAGE_ID]: `${version.origin}:${version.seq}`,
      'causeway.shard': shard,
    };
    const span = tracer.start(`process ${destination}`, 'consumer', attributes, trace);
    if (span !== undefined) spans.push(span);
  }
  return spans;
}

export function endProcess(spans: readonly ClientSpan[], thrown?: { readonly error: unknown }): void {
  if (spans.length === 0) return;
  const error = thrown === undefined ? undefined : toCausewayError(thrown.error);
  for (const span of spans) span.end(error === undefined ? {} : { [ERROR_TYPE]: error.code }, error);
}

/** What is used of `@opentelemetry/api`. */
export interface OpenTelemetryApi<Context> {
  readonly context: { active(): Context };
  readonly trace: {
    getTracer(name: string): {
      startSpan(
        name: string,
        options: { kind: number; attributes: Record<string, string | number | boolean> },
        context: Context,
      ): {
        spanContext(): { readonly traceId: string; readonly spanId: string; readonly traceFlags: number };
        setAttributes(attributes: Record<string, string | number | boolean>): unknown;
        setStatus(status: { code: number; message: string }): unknown;
        end(): void;
      };
    };
    setSpanContext(
      context: Context,
      spanContext: { traceId: string; spanId: string; traceFlags: number; isRemote: boolean },
    ): Context;
  };
}

// Of the API's enumerations SpanKind and SpanStatusCode.
const KINDS = { producer: 3, consumer: 4 } as const;
const STATUS_ERROR = 2;
const SAMPLED = 1;

/** A tracer of OpenTelemetry's API, with whatever SDK the program has set up. What its sampler does not take travels without a context, and the node's
 *  own sampler may begin a trace of it. */
export function openTelemetry<Context>(api: OpenTelemetryApi<Context>): ClientTracer {
  const tracer = api.trace.getTracer('causeway');
  return {
    start: (name, kind, attributes, parent) => {
      const active = api.context.active();
      const under = parent === undefined ? active : api.trace.setSpanContext(active, spanContextOf(parent));
      const span = tracer.startSpan(name, { kind: KINDS[kind], attributes: { ...attributes } }, under);
      const { traceId, spanId, traceFlags } = span.spanContext();
      if ((traceFlags & SAMPLED) === 0) {
        span.end();
        return undefined;
      }
      return {
        context: Buffer.from(`${traceId}${spanId}01`, 'hex'),
        end: (late, error) => {
          span.setAttributes({ ...late });
          if (error !== undefined) span.setStatus({ code: STATUS_ERROR, message: error.message });
          span.end();
        },
      };
    },
  };
}

function spanContextOf(context: Uint8Array): {
  traceId: string;
  spanId: string;
  traceFlags: number;
  isRemote: boolean;
} {
  const hex = Buffer.from(context).toString('hex');
  return { traceId: hex.slice(0, 32), spanId: hex.slice(32, 48), traceFlags: context[24] ?? 0, isRemote: true };
}
