// The way in: which writes of a request are recorded, and the span of each from the request to its answer.
//
// A write that comes with a sampled context goes on in that trace; one without a context has the chance of the head sampler to begin one; one that came
// unsampled stays so. What goes on to the log is the context of the span made here, as W3C asks of each hop.
// I12 `perSecondMax` writes a second; beyond, a write's context is marked unsampled, so that no region records it.

import {
  DOT,
  DUPLICATE,
  ERROR_TYPE,
  HLC,
  MESSAGING_DESTINATION,
  ORIGIN,
  RPC_METHOD,
  RPC_SYSTEM,
  SHARD,
} from './attributes.ts';
import { contextBytes, isSampled, spanContextOf, type SpanContext } from './context.ts';
import type { HeadSampler } from './head-sampler.ts';
import type { Recently } from './recently.ts';
import type { Attributes } from './span.ts';
import type { Tracer } from './tracer.ts';

/** An op of a request. Its context is replaced. */
export interface IncomingOp {
  readonly namespace: string;
  readonly collection: string;
  trace?: Uint8Array | undefined;
}

/** What became of one. */
export type OpOutcome =
  | {
      readonly ok: true;
      readonly shard: string;
      readonly version: { readonly origin: string; readonly seq: number; readonly stamp: number };
      readonly duplicate: boolean;
    }
  | { readonly ok: false; readonly error: { readonly code: string; readonly message: string } };

/** By what they came: with rpc.method or http.route. */
export type CallAttributes = Attributes;

interface Chosen {
  readonly index: number;
  readonly context: SpanContext;
  readonly parentSpanId: string | undefined;
  readonly destination: string;
}

export interface IngestParts {
  readonly tracer: Tracer;
  readonly sampler: HeadSampler;
  readonly perSecondMax: number;
  /** When a write that is now on its way came in, by the id of its span here. */
  readonly begun: Recently<number>;
}

export class Ingest {
  readonly #parts: IngestParts;
  #second = 0;
  #inSecond = 0;

  constructor(parts: IngestParts) {
    this.#parts = parts;
  }

  /** undefined: none is recorded. `beganMs`: by the monotonic clock. */
  begin(
    ops: readonly IncomingOp[],
    name: string,
    attributes: CallAttributes,
    beganMs: number,
  ): IngestSpans | undefined {
    const { sampler } = this.#parts;
    let spans: IngestSpans | undefined;
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!;
      if (op.trace === undefined ? !sampler.takes() : !isSampled(op.trace)) continue;
      const parent = op.trace === undefined ? undefined : spanContextOf(op.trace);
      const context = this.#contextFor(op, parent, beganMs);
      if (context === undefined) continue;
      spans ??= new IngestSpans(this.#parts.tracer, name, attributes, this.#parts.tracer.unixMsOf(beganMs));
      op.trace = contextBytes(context);
      spans.add({
        index: i,
        context,
        parentSpanId: parent?.spanId,
        destination: `${op.namespace}/${op.collection}`,
      });
      this.#parts.begun.set(context.spanId, spans.startMs);
    }
    return spans;
  }

  #contextFor(op: IncomingOp, parent: SpanContext | undefined, beganMs: number): SpanContext | undefined {
    const { tracer, perSecondMax } = this.#parts;
    const second = Math.floor(beganMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    if (op.trace !== undefined && (parent === undefined || this.#inSecond >= perSecondMax)) {
      op.trace = unsampled(op.trace);
      return undefined;
    }
    if (this.#inSecond >= perSecondMax) return undefined;
    this.#inSecond++;
    return parent === undefined ? tracer.newTrace() : { traceId: parent.traceId, spanId: tracer.newSpanId() };
  }
}

/** A copy without the flag: nobody records what follows. */
function unsampled(context: Uint8Array): Uint8Array {
  const copy = Buffer.from(context);
  copy[copy.length - 1] = 0;
  return copy;
}

/** Of one request. */
export class IngestSpans {
  readonly startMs: number;
  readonly #tracer: Tracer;
  readonly #name: string;
  readonly #attributes: CallAttributes;
  readonly #chosen: Chosen[] = [];

  constructor(tracer: Tracer, name: string, attributes: CallAttributes, startMs: number) {
    this.#tracer = tracer;
    this.#name = name;
    this.#attributes = attributes;
    this.startMs = startMs;
  }

  add(chosen: Chosen): void {
    this.#chosen.push(chosen);
  }

  /** One outcome per op of the request. */
  answered(outcomes: readonly OpOutcome[]): void {
    const endMs = this.#tracer.nowMs();
    for (const { index, context, parentSpanId, destination } of this.#chosen) {
      const outcome = outcomes[index];
      this.#tracer.ended(context, {
        parentSpanId,
        name: this.#name,
        kind: 'server',
        startMs: this.startMs,
        endMs,
        attributes: { ...this.#attributes, [MESSAGING_DESTINATION]: destination, ...attributesOf(outcome) },
        error: outcome?.ok === false ? outcome.error.message : undefined,
      });
    }
  }
}

function attributesOf(outcome: OpOutcome | undefined): Attributes {
  if (outcome === undefined) return {};
  if (!outcome.ok) return { [ERROR_TYPE]: outcome.error.code };
  const { shard, version, duplicate } = outcome;
  return {
    [SHARD]: shard,
    [ORIGIN]: version.origin,
    [HLC]: version.stamp,
    [DOT]: `${version.origin}:${version.seq}`,
    ...(duplicate ? { [DUPLICATE]: true } : {}),
  };
}

/** rpc.* of a method of causeway.v1.Data. */
export function rpcAttributes(method: string): CallAttributes {
  return { [RPC_SYSTEM]: 'grpc', [RPC_METHOD]: `causeway.v1.Data/${method}` };
}
