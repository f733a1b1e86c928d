// Ops that travel in one message of a WriteStream. Their bytes are written once; around them goes what differs per attempt.
//
//   tag and length of WriteStreamRequest.write │ ops … │ the rest of the WriteRequest │ request_id, epoch
//
// The part after the ops is written anew for every attempt, in the same buffer.

import protobuf from 'protobufjs';
import type { CausewayError } from '../../errors/errors.ts';
import { WIRE_LEN, WIRE_VARINT, WireWriter, wireTag } from '../../proto/wire.ts';
import type { Endpoint } from '../endpoint.ts';
import type { WriteAck } from '../types.ts';
import { encodeWriteHeader, type WriteHeader } from '../write-request.ts';

/** Exactly one of the two is given. Must not throw. */
export type OnResult = (error: CausewayError | undefined, ack: WriteAck | undefined) => void;

const WRITE = wireTag(1, WIRE_LEN);
const REQUEST_ID = wireTag(2, WIRE_VARINT);
const EPOCH = wireTag(3, WIRE_VARINT);
/** Of WriteStreamRequest.write: up to 256 MiB. */
const WIDTH = 4;
/** Tag and length. */
const HEAD_BYTES = 1 + WIDTH;

export class Batch {
  readonly writer: WireWriter;
  /** Where each op begins. */
  #offsets: number[] = [];
  /** Where the last op ends. */
  #opsEnd = HEAD_BYTES;
  #callbacks: (OnResult | undefined)[] | undefined;

  /** Names that the ops use by index; shared by the producer's batches. */
  collections: readonly string[] = [];
  /** Place among all ops of the producer. */
  order = 0;
  /** By the monotonic clock: when the first op came. */
  createdMs = 0;
  /** Unix ms of the first attempt; 0 before it. */
  issuedAtMs = 0;
  /** By the monotonic clock: when a node that has not answered the attempt that is under way is given up. */
  answerByMs = 0;
  /** It may have been applied, and it is not known; then `near` is where, unless it may move. */
  open = false;
  near: Endpoint | undefined;
  /** What the last attempt failed with. */
  error: CausewayError | undefined;

  constructor(writer: WireWriter) {
    this.writer = writer;
    writer.reset();
    writer.begin(WRITE, WIDTH);
  }

  get count(): number {
    return this.#offsets.length;
  }

  /** Of the ops. */
  get bytes(): number {
    return this.#opsEnd - HEAD_BYTES;
  }

  get wantsVersions(): boolean {
    return this.#callbacks !== undefined;
  }

  /** After an op was written to `writer`, which began at `offset`. */
  added(offset: number, onResult: OnResult | undefined): void {
    const index = this.#offsets.push(offset) - 1;
    this.#opsEnd = this.writer.length;
    if (onResult === undefined) return;
    this.#callbacks ??= [];
    this.#callbacks[index] = onResult;
  }

  callback(index: number): OnResult | undefined {
    return this.#callbacks?.[index];
  }

  /** The whole message, valid until the next attempt. */
  message(header: WriteHeader, requestId: number, epoch: number): Buffer {
    const { writer } = this;
    writer.length = this.#opsEnd;
    encodeWriteHeader(writer, header);
    writer.end(HEAD_BYTES, WIDTH);
    writer.uint(REQUEST_ID, requestId);
    writer.uint(EPOCH, epoch);
    return writer.view();
  }

  /** A batch of some of the ops, in the same place of the order. */
  subset(indexes: readonly number[]): Batch {
    const bytes = indexes.reduce((sum, index) => sum + this.#endOf(index) - (this.#offsets[index] as number), 0);
    const batch = new Batch(new WireWriter(bytes + 512));
    for (const index of indexes) {
      const from = this.#offsets[index] as number;
      const { writer } = batch;
      const at = writer.length;
      writer.ensure(this.#endOf(index) - from);
      writer.length += this.writer.buffer.copy(writer.buffer, at, from, this.#endOf(index));
      batch.added(at, this.#callbacks?.[index]);
    }
    batch.collections = this.collections;
    batch.order = this.order;
    batch.createdMs = this.createdMs;
    batch.issuedAtMs = this.issuedAtMs;
    batch.open = this.open;
    batch.near = this.near;
    batch.error = this.error;
    return batch;
  }

  #endOf(index: number): number {
    return this.#offsets[index + 1] ?? this.#opsEnd;
  }

  /** Collection and key of an op, to compare with others of the same producer. */
  keyOf(index: number): string {
    const reader = protobuf.Reader.create(
      this.writer.buffer.subarray(this.#offsets[index] as number, this.#endOf(index)),
    );
    reader.uint32(); // tag of the op
    reader.uint32(); // its length
    let collection = 0;
    let key = '';
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === wireTag(1, WIRE_VARINT)) collection = reader.uint32();
      else if (tag === wireTag(2, WIRE_LEN)) key = reader.string();
      else reader.skipType(tag & 7);
    }
    return `${this.collections[collection] ?? ''}\u0000${key}`;
  }
}

/** A callback that throws must not stop the answers of others; its error surfaces as uncaught. */
export function tell(
  callback: OnResult | ((error: CausewayError) => void),
  error: CausewayError | undefined,
  ack: WriteAck | undefined,
): void {
  try {
    (callback as OnResult)(error, ack);
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}
