// One Subscribe: a region's feed to one consumer.
// Bounds (I12): what is encoded and not taken by the connection is at most about subscriberBufferBytesMax plus one call of the
// feed; at the bound the feed waits, and the consumer costs the region a cursor (I8).
// Events that come while the connection takes a message travel together in the next one: small commits of many shards then
// cost one message, and a lonely event waits for nothing.

import type { ServerWritableStream } from '@grpc/grpc-js';
import type { CausewayError } from '../errors/errors.ts';
import type { OpDescription } from '../merge/types.ts';
import { messageType } from '../proto/load.ts';
import { lengthBytes, WIRE_LEN, WIRE_VARINT, WireWriter, wireTag } from '../proto/wire.ts';
import { shardParts, type OriginId, type ShardId } from '../record/ids.ts';
import type { CollectionRef } from '../record/op.ts';
import type { FeedEvent, FeedSink, FeedSubscription, SubscribeRequest } from '../region/region.ts';
import { draining, regionFor, type Drainable, type ServiceEnv } from './env.ts';
import { toStatus } from './status.ts';
import { collectionMessage, viewMessage } from './views.ts';
import { numberOf } from './write-encode.ts';

const ORIGINS = wireTag(1, WIRE_LEN);
const COLLECTIONS = wireTag(2, WIRE_LEN);
const SHARDS = wireTag(3, WIRE_LEN);

/** A message is closed when it is about this large; one event more may stand in it. */
const MESSAGE_BYTES = 512 * 1024;
/** Lengths of nested messages: up to 256 MiB. */
const WIDTH = 4;

export type FeedCall = ServerWritableStream<unknown, Buffer>;

export class FeedStream implements FeedSink, Drainable {
  readonly #call: FeedCall;
  readonly #env: ServiceEnv;
  readonly #withValues: boolean;
  #subscription: FeedSubscription | undefined;
  /** The message that is being filled. */
  readonly #out = new WireWriter(4096);
  readonly #origins = new Map<OriginId, number>();
  readonly #collections = new Map<CollectionRef, number>();
  /** Messages handed to the connection and not taken. */
  #writingBytes = 0;
  #flushDue = false;
  #waiting = false;
  #closed = false;

  constructor(call: FeedCall, env: ServiceEnv, withValues: boolean) {
    this.#withValues = withValues;
    this.#call = call;
    this.#env = env;
    call.on('cancelled', () => this.#close());
    call.on('close', () => this.#close());
    env.load.add(this);
    env.signals.rpc('Subscribe').began();
  }

  start(request: SubscribeRequest): void {
    // An empty message: whoever waits for it knows that the subscription stands, also when nothing happens.
    this.#write(Buffer.alloc(0));
    const subscription = regionFor(this.#env, this.#call).subscribe(request, this);
    if (this.#closed) {
      subscription.cancel();
      return;
    }
    this.#subscription = subscription;
    if (request.start.kind === 'now') this.#tellStart(request);
  }

  /** Where `now` is, in every shard: a cursor that lacks a shard would begin that one at its beginning. */
  #tellStart({ namespace, shards }: SubscribeRequest): void {
    const { region } = this.#env;
    const placement = region.placementOf(namespace);
    for (const { shard, origins } of region.status().shards) {
      const { placementId, index } = shardParts(shard);
      // Keys of `_system` are in every placement.
      if (placement !== undefined && placementId !== placement.placementId) continue;
      if (shards?.has(index) === false) continue;
      this.events([], shard, new Map(origins.map(({ origin, seq }) => [origin, seq])));
    }
  }

  events(events: readonly FeedEvent[], shard: ShardId, cursor: ReadonlyMap<OriginId, number>): boolean {
    if (this.#closed) return false;
    const out = this.#out;
    let begun = this.#beginShard(shard);
    for (const event of events) {
      if (out.length > MESSAGE_BYTES) {
        out.end(begun, WIDTH);
        this.#send();
        begun = this.#beginShard(shard);
      }
      this.#event(event);
    }
    if (cursor.size > 0) this.#cursor(cursor);
    out.end(begun, WIDTH);
    if (!this.#flushDue && this.#writingBytes === 0) {
      this.#flushDue = true;
      queueMicrotask(() => {
        this.#flushDue = false;
        this.#flush();
      });
    }
    this.#waiting = this.#writingBytes + out.length >= this.#env.limits.subscriberBufferBytesMax;
    return !this.#waiting;
  }

  failed(error: CausewayError): void {
    if (this.#closed) return;
    this.#send();
    this.#close(error);
    this.#call.emit('error', toStatus(error));
  }

  drain(): void {
    this.failed(draining());
  }

  #beginShard(shard: ShardId): number {
    const begun = this.#out.begin(SHARDS, WIDTH);
    this.#out.text(wireTag(1, WIRE_LEN), shard);
    return begun;
  }

  #event(event: FeedEvent): void {
    const out = this.#out;
    const { op, view, version } = event;
    const begun = out.begin(wireTag(2, WIRE_LEN), WIDTH);
    out.uint(wireTag(1, WIRE_VARINT), numberOf(this.#collections, event.collection));
    out.text(wireTag(2, WIRE_LEN), event.key);
    out.uint(wireTag(3, WIRE_VARINT), numberOf(this.#origins, version.origin));
    out.uint(wireTag(4, WIRE_VARINT), version.seq);
    out.uint(wireTag(5, WIRE_VARINT), version.stamp);
    encodeOp(out, op);
    if (event.trace !== undefined) {
      const { tracing } = this.#env;
      out.bytes(wireTag(13, WIRE_LEN), tracing === undefined ? event.trace : tracing.fed(event.trace, event));
    }
    if (this.#withValues) {
      const type = messageType('causeway.v1.View');
      out.bytes(wireTag(14, WIRE_LEN), type.encode(viewMessage(view) as object as never).finish());
    }
    out.end(begun, WIDTH);
  }

  #cursor(cursor: ReadonlyMap<OriginId, number>): void {
    const out = this.#out;
    const width = lengthBytes(cursor.size * 8);
    const origins = out.begin(wireTag(3, WIRE_LEN), width);
    for (const origin of cursor.keys()) out.varint(numberOf(this.#origins, origin));
    out.end(origins, width);
    const seqs = out.begin(wireTag(4, WIRE_LEN), width);
    for (const seq of cursor.values()) out.varint(seq);
    out.end(seqs, width);
  }

  #flush(): void {
    if (this.#closed || this.#writingBytes > 0) return;
    this.#send();
  }

  /** Closes the message that is being filled, if there is anything in it. */
  #send(): void {
    const out = this.#out;
    if (out.length === 0) return;
    for (const origin of this.#origins.keys()) out.text(ORIGINS, origin);
    if (this.#collections.size > 0) {
      const type = messageType('causeway.v1.CollectionInfo');
      for (const collection of this.#collections.keys()) {
        out.bytes(COLLECTIONS, type.encode(collectionMessage(collection) as object as never).finish());
      }
    }
    const message = out.copy();
    out.reset();
    this.#origins.clear();
    this.#collections.clear();
    this.#write(message);
  }

  #write(message: Buffer): void {
    this.#writingBytes += message.length;
    this.#call.write(message, () => {
      this.#writingBytes -= message.length;
      if (this.#closed) return;
      this.#flush();
      if (!this.#waiting || this.#writingBytes + this.#out.length > this.#env.limits.subscriberBufferBytesMax / 2)
        return;
      this.#waiting = false;
      this.#subscription?.resume();
    });
  }

  #close(error?: CausewayError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#env.signals.rpc('Subscribe').ended(error?.code, undefined);
    this.#env.load.remove(this);
    this.#subscription?.cancel();
    this.#subscription = undefined;
  }
}

function encodeOp(out: WireWriter, op: OpDescription): void {
  switch (op.kind) {
    case 'put':
      out.bytes(wireTag(6, WIRE_LEN), op.value);
      if (op.expiresAtMs !== undefined) out.uint(wireTag(12, WIRE_VARINT), op.expiresAtMs);
      break;
    case 'delete':
      out.bool(wireTag(7, WIRE_VARINT), true);
      break;
    case 'increment':
      out.text(wireTag(8, WIRE_LEN), op.by.toString());
      break;
    case 'set-add':
      encodeElements(out, wireTag(9, WIRE_LEN), op.elements);
      break;
    case 'set-remove':
      encodeElements(out, wireTag(10, WIRE_LEN), op.elements);
      break;
    case 'map-update': {
      const begun = out.begin(wireTag(11, WIRE_LEN), WIDTH);
      for (const { field, value } of op.put) {
        const entry = out.begin(wireTag(1, WIRE_LEN), WIDTH);
        out.text(wireTag(1, WIRE_LEN), field);
        out.bytes(wireTag(2, WIRE_LEN), value);
        out.end(entry, WIDTH);
      }
      for (const field of op.remove) out.text(wireTag(2, WIRE_LEN), field);
      out.end(begun, WIDTH);
      break;
    }
  }
}

function encodeElements(out: WireWriter, tag: number, elements: readonly Uint8Array[]): void {
  const begun = out.begin(tag, WIDTH);
  for (const element of elements) out.bytes(wireTag(1, WIRE_LEN), element);
  out.end(begun, WIDTH);
}
