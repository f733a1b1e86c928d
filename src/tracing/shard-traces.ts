// A shard's stages of the writes that are recorded: sequence, append and apply, here or where they were shipped to.
// The runner tells what happens to whole batches; what of a batch is recorded is found in its bytes (traced-ops.ts), so that nothing is carried along
// in memory from one stage to the next but what is on its way to the log.
// I12 PENDING_MAX batches on their way and WAITING_MAX that wait; at the bound the oldest is forgotten, and its spans are not made.

import { msOfStamp } from '../clock/hlc.ts';
import { readBatchHeader, type Batch, type BatchHeader } from '../record/batch.ts';
import type { OriginId, ShardId } from '../record/ids.ts';
import type { LocatedOps } from '../record/located-ops.ts';
import {
  BATCH_BYTES,
  CONFLICT,
  DOT,
  HLC,
  LAG_MS,
  MESSAGING_BATCH_COUNT,
  MESSAGING_MESSAGE_ID,
  MESSAGING_OPERATION,
  MESSAGING_SYSTEM,
  ORIGIN,
  SHARD,
  SPANS,
} from './attributes.ts';
import { isCanaries, type LandedCanary } from './canaries.ts';
import { contextBytes, spanContextOf, type SpanContext } from './context.ts';
import type { Recently } from './recently.ts';
import type { Attributes } from './span.ts';
import { visitTraced } from './traced-ops.ts';
import type { Tracer } from './tracer.ts';

const PENDING_MAX = 1024;

/** Where a write became visible, for whoever hands it to a subscriber. */
export interface Applied {
  readonly spanId: string;
  readonly endMs: number;
}

export interface ShardTracesParts {
  readonly tracer: Tracer;
  readonly begun: Recently<number>;
  /** By dotKey(). */
  readonly applied: Recently<Applied>;
  /** When a batch that waits came, by its origin and first seq. */
  readonly waiting: Recently<number>;
  readonly onCanary: (canary: LandedCanary) => void;
}

interface TracedOp {
  readonly index: number;
  readonly context: SpanContext;
}

interface Pending {
  readonly offset: number;
  readonly own: boolean;
  readonly startMs: number;
  readonly bytes: number;
  readonly ops: readonly TracedOp[];
  readonly canaries: readonly LandedCanary[];
}

/** As the engine tells of a verdict. */
interface Verdict {
  readonly winner: { readonly origin: OriginId; readonly seq: number };
  readonly loser: { readonly origin: OriginId; readonly seq: number };
}

interface LandedBatches {
  readonly batches: readonly { readonly header: BatchHeader; readonly offset: number }[];
  readonly conflicts: readonly Verdict[];
}

export function dotKey(shard: string, origin: string, seq: number): string {
  return `${shard} ${origin}:${seq}`;
}

export class ShardTraces {
  readonly #shard: ShardId;
  readonly #parts: ShardTracesParts;
  /** By offset, ascending. */
  readonly #pending: Pending[] = [];

  constructor(shard: ShardId, parts: ShardTracesParts) {
    this.#shard = shard;
    this.#parts = parts;
  }

  nowMs(): number {
    return this.#parts.tracer.nowMs();
  }

  /** A peer's batch has come and is not taken yet: it waits for a round, or for what it depends on. */
  waits(batch: Uint8Array): void {
    const key = placeOf(batch);
    if (this.#parts.waiting.get(key) === undefined) this.#parts.waiting.set(key, this.nowMs());
  }

  /** A peer's batch is on its way to the log. */
  taken({ located, firstStamp }: Batch, batch: Uint8Array, offset: number): void {
    const ops = tracedOf(batch);
    const { waiting } = this.#parts;
    const cameMs = waiting.size === 0 ? undefined : waiting.take(placeOf(batch));
    if (ops.length === 0) return;
    const canaries = located.collections.some(isCanaries) ? canariesOf(located, firstStamp, ops) : NO_CANARIES;
    this.#add({ offset, own: false, startMs: cameMs ?? this.nowMs(), bytes: batch.length, ops, canaries });
  }

  /** A batch of our own is. */
  sealed(batch: Uint8Array, offset: number): void {
    const ops = tracedOf(batch);
    if (ops.length === 0) return;
    const { tracer, begun } = this.#parts;
    const header = readBatchHeader(batch, true);
    const nowMs = this.nowMs();
    for (const { index, context } of ops) {
      const startMs = begun.take(context.spanId) ?? nowMs;
      const { traceId, spanId: parentSpanId } = context;
      tracer.ended(
        { traceId, spanId: tracer.newSpanId() },
        {
          parentSpanId,
          name: SPANS.sequence,
          kind: 'internal',
          startMs,
          endMs: nowMs,
          attributes: this.#attributesOf(header, index),
        },
      );
    }
    this.#add({ offset, own: true, startMs: nowMs, bytes: batch.length, ops, canaries: NO_CANARIES });
  }

  #add(pending: Pending): void {
    if (this.#pending.length >= PENDING_MAX) this.#pending.shift();
    this.#pending.push(pending);
  }

  /** Batches are durable and visible. `durableMs`: when the log had said so. */
  landed({ batches, conflicts }: LandedBatches, durableMs: number): void {
    if (this.#pending.length === 0) return;
    const visibleMs = this.nowMs();
    for (const { header, offset } of batches) {
      while (this.#pending.length > 0 && this.#pending[0]!.offset < offset) this.#pending.shift();
      if (this.#pending[0]?.offset !== offset) continue;
      const pending = this.#pending.shift()!;
      this.#batchLanded(pending, header, conflicts, durableMs, visibleMs);
      for (const canary of pending.canaries) this.#parts.onCanary(canary);
    }
  }

  #batchLanded(
    { own, startMs, bytes, ops }: Pending,
    header: BatchHeader,
    conflicts: readonly Verdict[],
    durableMs: number,
    visibleMs: number,
  ): void {
    const { tracer, applied } = this.#parts;
    const batch = tracer.newTrace();
    const appends: SpanContext[] = [];
    for (const { index, context } of ops) {
      const { traceId, spanId: parentSpanId } = context;
      const append = { traceId, spanId: tracer.newSpanId() };
      appends.push(append);
      const attributes = this.#attributesOf(header, index);
      tracer.ended(append, {
        parentSpanId,
        name: SPANS.append,
        kind: own ? 'internal' : 'consumer',
        startMs,
        endMs: durableMs,
        attributes: own ? attributes : { ...attributes, ...RECEIVE },
        links: [batch],
      });
      const { origin, firstSeq, firstStamp } = header;
      const conflict = verdictOn(conflicts, origin, firstSeq + index);
      const apply = { traceId, spanId: tracer.newSpanId() };
      tracer.ended(apply, {
        parentSpanId: append.spanId,
        name: SPANS.apply,
        kind: 'internal',
        startMs: durableMs,
        endMs: visibleMs,
        attributes: {
          ...attributes,
          [LAG_MS]: Math.max(0, Math.round((visibleMs - msOfStamp(firstStamp + index)) * 1000) / 1000),
          ...(conflict === undefined ? {} : { [CONFLICT]: conflict }),
        },
      });
      applied.set(dotKey(this.#shard, origin, firstSeq + index), { spanId: apply.spanId, endMs: visibleMs });
    }
    tracer.ended(batch, {
      name: SPANS.batchAppend,
      kind: 'internal',
      startMs,
      endMs: durableMs,
      attributes: {
        [SHARD]: this.#shard,
        [ORIGIN]: header.origin,
        [MESSAGING_BATCH_COUNT]: header.count,
        [BATCH_BYTES]: bytes,
      },
      links: appends,
    });
  }

  #attributesOf({ origin, firstSeq, firstStamp }: BatchHeader, index: number): Attributes {
    const dot = `${origin}:${firstSeq + index}`;
    return {
      [SHARD]: this.#shard,
      [ORIGIN]: origin,
      [HLC]: firstStamp + index,
      [DOT]: dot,
      [MESSAGING_MESSAGE_ID]: dot,
    };
  }
}

const NO_CANARIES: readonly LandedCanary[] = [];

function canariesOf(located: LocatedOps, firstStamp: number, ops: readonly TracedOp[]): LandedCanary[] {
  const canaries: LandedCanary[] = [];
  for (const { index, context } of ops) {
    if (!isCanaries(located.collection(index))) continue;
    canaries.push({
      key: located.key(index),
      payload: Buffer.from(located.payload(index)),
      stamp: firstStamp + index,
      context: contextBytes(context),
    });
  }
  return canaries;
}

const RECEIVE: Attributes = { [MESSAGING_SYSTEM]: 'causeway', [MESSAGING_OPERATION]: 'receive' };

function tracedOf(batch: Uint8Array): TracedOp[] {
  const ops: TracedOp[] = [];
  visitTraced(batch, (index, bytes) => {
    const context = spanContextOf(bytes);
    if (context !== undefined) ops.push({ index, context });
  });
  return ops;
}

/** Of a batch that is at least a header: incarnation, shard and first seq. */
function placeOf(batch: Uint8Array): string {
  const bytes = Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength);
  return bytes.toString('latin1', 24, 32) + bytes.toString('latin1', 48, 58);
}

function verdictOn(conflicts: readonly Verdict[], origin: OriginId, seq: number): 'won' | 'lost' | undefined {
  for (const { winner, loser } of conflicts) {
    if (winner.origin === origin && winner.seq === seq) return 'won';
    if (loser.origin === origin && loser.seq === seq) return 'lost';
  }
  return undefined;
}
