// What a node calls when tracing is on; without it nobody makes one of these, and each place that would call it asks for undefined and is done.
//
//   producer's span ─▶ ingest ─▶ sequence ─▶ append ─▶ apply ─▶ feed ─▶ consumer's span        where it was written
//                         ├─▶ link                                                             to each peer, or onward by a relay
//                         └─▶ append ─▶ apply ─▶ feed ─▶ consumer's span                       in every other region
//
// The context travels in the op, so in every log and over every link. All of it is one trace. Whole batches are spans of traces of their own, with links to
// the writes' spans, and these link back.

import type { ShardId } from '../record/ids.ts';
import { BatchPeeker } from '../record/peek.ts';
import type { System } from '../system/system.ts';
import {
  BATCH_BYTES,
  BATCH_COUNT,
  DOT,
  MESSAGING_DESTINATION,
  MESSAGING_MESSAGE_ID,
  MESSAGING_OPERATION,
  MESSAGING_SYSTEM,
  ORIGIN,
  PEER,
  RELAYED,
  SHARD,
  SPANS,
} from './attributes.ts';
import type { LandedCanary } from './canaries.ts';
import { contextBytes, isSampled, spanContextOf, type SpanContext } from './context.ts';
import { HeadSampler } from './head-sampler.ts';
import { Ingest, type CallAttributes, type IncomingOp, type IngestSpans } from './ingest.ts';
import { Recently } from './recently.ts';
import { TraceRing } from './ring.ts';
import { dotKey, ShardTraces, type Applied } from './shard-traces.ts';
import type { SpanSink } from './span.ts';
import { visitTraced } from './traced-ops.ts';
import { Tracer } from './tracer.ts';

export interface TracingOptions {
  readonly region: string;
  readonly system: Pick<System, 'clock' | 'random'>;
  /** Of the writes that come without a context, 0 to 1. */
  readonly ratio: number;
  readonly perSecondMax: number;
  readonly ringSpans: number;
  /** Beside the ring. */
  readonly sinks: readonly SpanSink[];
}

/** Writes that are between two stages. */
const BETWEEN_MAX = 4096;

/** A change on its way to a subscriber. */
export interface FedEvent {
  readonly shard: ShardId;
  readonly version: { readonly origin: string; readonly seq: number };
  readonly collection: { readonly namespace: string; readonly name: string };
}

export class Tracing {
  readonly ring: TraceRing;
  readonly tracer: Tracer;
  readonly #ingest: Ingest;
  readonly #begun = new Recently<number>(BETWEEN_MAX);
  readonly #applied = new Recently<Applied>(BETWEEN_MAX);
  readonly #waiting = new Recently<number>(BETWEEN_MAX);
  readonly #peeker = new BatchPeeker();
  /** Told of each canary of a peer. */
  onCanary: ((canary: LandedCanary) => void) | undefined;

  constructor({ region, system, ratio, perSecondMax, ringSpans, sinks }: TracingOptions) {
    this.ring = new TraceRing(ringSpans);
    this.tracer = new Tracer(region, system, [(span) => this.ring.add(span), ...sinks]);
    const sampler = new HeadSampler(ratio, () => system.random.float());
    this.#ingest = new Ingest({ tracer: this.tracer, sampler, perSecondMax, begun: this.#begun });
  }

  /** The ops of a request, before they are handed on; what is recorded has another context afterwards. undefined: nothing is. `name`: of the spans, which
   *  end when the request is answered(). `beganMs`: by the monotonic clock. */
  ingest(
    ops: readonly IncomingOp[],
    name: string,
    attributes: CallAttributes,
    beganMs: number,
  ): IngestSpans | undefined {
    return this.#ingest.begin(ops, name, attributes, beganMs);
  }

  shard(shard: ShardId): ShardTraces {
    return new ShardTraces(shard, {
      tracer: this.tracer,
      begun: this.#begun,
      applied: this.#applied,
      waiting: this.#waiting,
      onCanary: (canary) => this.onCanary?.(canary),
    });
  }

  /** A frame of batches is with the stream to a peer. `startMs`: of tracer.nowMs(), before. */
  shipped(peer: string, batches: readonly Uint8Array[], startMs: number): void {
    const { tracer } = this;
    let frame: SpanContext | undefined;
    const links: SpanContext[] = [];
    const endMs = tracer.nowMs();
    let bytes = 0;
    for (const batch of batches) {
      bytes += batch.length;
      visitTraced(batch, (index, context) => {
        const parent = spanContextOf(context);
        const peek = this.#peeker.peek(batch);
        if (parent === undefined || peek === undefined) return;
        frame ??= tracer.newTrace();
        const link = { traceId: parent.traceId, spanId: tracer.newSpanId() };
        links.push(link);
        const dot = `${peek.origin}:${peek.firstSeq + index}`;
        tracer.ended(link, {
          parentSpanId: parent.spanId,
          name: SPANS.link,
          kind: 'producer',
          startMs,
          endMs,
          attributes: {
            [MESSAGING_SYSTEM]: 'causeway',
            [MESSAGING_OPERATION]: 'send',
            [MESSAGING_MESSAGE_ID]: dot,
            [PEER]: peer,
            [ORIGIN]: peek.origin,
            [DOT]: dot,
            ...(peek.region === tracer.region ? {} : { [RELAYED]: true }),
          },
          links: [frame],
        });
      });
    }
    if (frame === undefined) return;
    tracer.ended(frame, {
      name: SPANS.batchLink,
      kind: 'producer',
      startMs,
      endMs,
      attributes: {
        [MESSAGING_SYSTEM]: 'causeway',
        [MESSAGING_OPERATION]: 'send',
        [PEER]: peer,
        [BATCH_COUNT]: batches.length,
        [BATCH_BYTES]: bytes,
      },
      links,
    });
  }

  /** A change is handed to a subscriber; what it is handed with. */
  fed(context: Uint8Array, { shard, version, collection }: FedEvent): Uint8Array {
    const came = isSampled(context) ? spanContextOf(context) : undefined;
    if (came === undefined) return context;
    const { tracer } = this;
    const endMs = tracer.nowMs();
    const { origin, seq } = version;
    // After a restart, or long afterwards, nobody knows any more when it was applied.
    const applied = this.#applied.get(dotKey(shard, origin, seq));
    const feed = { traceId: came.traceId, spanId: tracer.newSpanId() };
    const dot = `${origin}:${seq}`;
    tracer.ended(feed, {
      parentSpanId: applied?.spanId ?? came.spanId,
      name: SPANS.feed,
      kind: 'producer',
      startMs: applied?.endMs ?? endMs,
      endMs,
      attributes: {
        [MESSAGING_SYSTEM]: 'causeway',
        [MESSAGING_OPERATION]: 'send',
        [MESSAGING_DESTINATION]: `${collection.namespace}/${collection.name}`,
        [MESSAGING_MESSAGE_ID]: dot,
        [SHARD]: shard,
        [ORIGIN]: origin,
        [DOT]: dot,
      },
    });
    return contextBytes(feed);
  }
}
