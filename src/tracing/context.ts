// W3C trace context as ops carry it, in requests, in every log and on every link (docs/PROTOCOL.md, Op):
// 16 bytes trace id, 8 bytes span id, 1 byte flags, of which bit 1 says that somebody upstream has chosen to record the trace.
// https://www.w3.org/TR/trace-context/

import { TRACE_BYTES } from '../record/op.ts';

/** Where a span stands: both in lower-case hex, 32 and 16 digits. */
export interface SpanContext {
  readonly traceId: string;
  readonly spanId: string;
}

const SPAN_AT = 16;
const FLAGS_AT = 24;
const SAMPLED = 1;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);

/** A look at one byte: whatever is on a hot path asks this first. */
export function isSampled(context: Uint8Array | undefined): context is Uint8Array {
  return context !== undefined && (context[FLAGS_AT]! & SAMPLED) !== 0;
}

/** undefined: malformed, which counts as absent, as the standard asks. */
export function spanContextOf(context: Uint8Array): SpanContext | undefined {
  if (context.length !== TRACE_BYTES) return undefined;
  const hex = Buffer.from(context.buffer, context.byteOffset, FLAGS_AT).toString('hex');
  const traceId = hex.slice(0, 2 * SPAN_AT);
  const spanId = hex.slice(2 * SPAN_AT);
  return traceId === NO_TRACE || spanId === NO_SPAN ? undefined : { traceId, spanId };
}

/** Of a span that is recorded. */
export function contextBytes({ traceId, spanId }: SpanContext): Buffer {
  const bytes = Buffer.allocUnsafe(TRACE_BYTES);
  bytes.write(traceId, 0, 'hex');
  bytes.write(spanId, SPAN_AT, 'hex');
  bytes[FLAGS_AT] = SAMPLED;
  return bytes;
}
