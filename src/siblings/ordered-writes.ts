// Writes of one sender to one other node, over a WriteStream: several messages under way, in their order.
// Owns: what was sent and has no answer yet, and the stream, which is opened when it is needed and given back when it has been idle.
//
// The order is the other node's to keep, as for any client (api/write-stream.ts): after a message failed that may be tried again, it refuses those of
// the same epoch that come behind it, untried.
//
// HAZARD: a stream that breaks leaves the outcome of what was under way unknown; whoever wrote it tries again in a new epoch.
// Bound: as many messages as their sender may have under way.

import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { fromErrorDetail, fromServiceError, type DecodedErrorDetail } from '../client/status.ts';
import { CausewayError } from '../errors/errors.ts';
import { messageType } from '../proto/load.ts';
import { WIRE_LEN, WIRE_VARINT, WireWriter, wireTag } from '../proto/wire.ts';
import type { WriteResponse__Output } from '../proto/generated/causeway/v1/WriteResponse.ts';
import type { System, TimerHandle } from '../system/system.ts';

const WRITE = wireTag(1, WIRE_LEN);
const REQUEST_ID = wireTag(2, WIRE_VARINT);
const EPOCH = wireTag(3, WIRE_VARINT);
/** Lengths: up to 256 MiB. */
const WIDTH = 4;
/** A node that has not said by then that the time is over is given up. */
const GRACE_MS = 2000;
const LOOK_MS = 500;
const IDLE_MS = 10_000;

export type WriteStreamCall = ClientDuplexStream<Buffer, Buffer>;

export interface OrderedWrite {
  readonly epoch: number;
  readonly deadlineMs: number;
  /** Everything of a WriteRequest. */
  readonly encode: (into: WireWriter) => void;
  readonly done: (answer: WriteResponse__Output | CausewayError) => void;
}

interface UnderWay {
  readonly write: OrderedWrite;
  readonly answerByMs: number;
}

export interface StreamOpener {
  readonly address: string;
  readonly system: System;
  /** Once the connection stands; rejects with a CausewayError, nothing was sent. */
  open(): Promise<WriteStreamCall>;
  closed(writes: OrderedWrites): void;
}

export class OrderedWrites {
  readonly #opener: StreamOpener;
  readonly #underWay = new Map<number, UnderWay>();
  #waiting: OrderedWrite[] = [];
  #opening = false;
  #call: WriteStreamCall | undefined;
  #requestId = 0;
  #looking: TimerHandle | undefined;
  #idleSinceMs = 0;

  constructor(opener: StreamOpener) {
    this.#opener = opener;
  }

  /** `write.done` is called once, never before this returns. */
  send(write: OrderedWrite): void {
    this.#waiting.push(write);
    if (this.#call !== undefined) this.#transmit(this.#call);
    else if (!this.#opening) this.#open();
  }

  #open(): void {
    this.#opening = true;
    this.#opener.open().then(
      (call) => {
        this.#opening = false;
        this.#follow(call);
        this.#transmit(call);
      },
      (error: CausewayError) => {
        this.#opening = false;
        this.#failWaiting(error);
      },
    );
  }

  #failWaiting(error: CausewayError): void {
    for (const write of this.#waiting.splice(0)) write.done(error);
  }

  #follow(call: WriteStreamCall): void {
    const { address, system } = this.#opener;
    this.#call = call;
    this.#idleSinceMs = system.clock.monotonicMs();
    call.on('data', (bytes: Buffer) => {
      if (this.#call === call) this.#answered(bytes);
    });
    call.on('error', (error: ServiceError) => this.#broken(call, fromServiceError(error, address)));
    call.on('end', () => this.#broken(call, new CausewayError('UNAVAILABLE', `${address}: the stream ended`)));
    this.#looking = system.timers.every(LOOK_MS, () => this.#look());
  }

  #transmit(call: WriteStreamCall): void {
    const nowMs = this.#opener.system.clock.monotonicMs();
    for (const write of this.#waiting.splice(0)) {
      const requestId = ++this.#requestId;
      const out = new WireWriter(512);
      const begun = out.begin(WRITE, WIDTH);
      write.encode(out);
      out.end(begun, WIDTH);
      out.uint(REQUEST_ID, requestId);
      out.uint(EPOCH, write.epoch);
      this.#underWay.set(requestId, { write, answerByMs: nowMs + write.deadlineMs + GRACE_MS });
      call.write(out.view());
    }
  }

  #answered(bytes: Buffer): void {
    const { results } = messageType('causeway.v1.WriteStreamResponse').decode(bytes) as unknown as {
      results: { requestId: number; write?: WriteResponse__Output | null; error?: DecodedErrorDetail | null }[];
    };
    for (const { requestId, write, error } of results) {
      const underWay = this.#underWay.get(requestId);
      if (underWay === undefined) continue;
      this.#underWay.delete(requestId);
      if (write) underWay.write.done(write);
      else underWay.write.done(error ? fromErrorDetail(error) : nothingSaid(this.#opener.address));
    }
    this.#idleSinceMs = this.#opener.system.clock.monotonicMs();
  }

  /** What was under way is told in its order. */
  #broken(call: WriteStreamCall, error: CausewayError): void {
    if (this.#call !== call) return;
    this.#letGo();
    const lost = [...this.#underWay.values()];
    this.#underWay.clear();
    for (const { write } of lost) write.done(error);
  }

  #letGo(): void {
    this.#call = undefined;
    this.#looking?.cancel();
    this.#opener.closed(this);
  }

  #look(): void {
    const nowMs = this.#opener.system.clock.monotonicMs();
    for (const { answerByMs } of this.#underWay.values()) {
      if (nowMs < answerByMs) continue;
      const what = `${this.#opener.address} has not answered a write by its deadline`;
      this.close(new CausewayError('UNAVAILABLE', what));
      return;
    }
    if (this.#underWay.size > 0 || nowMs - this.#idleSinceMs < IDLE_MS) return;
    const call = this.#call!;
    this.#letGo();
    call.end();
  }

  close(error: CausewayError): void {
    const call = this.#call;
    if (call === undefined) return;
    this.#broken(call, error);
    call.cancel();
  }
}

function nothingSaid(address: string): CausewayError {
  return new CausewayError('INTERNAL', `${address} answered a write without a result`, { outcome: 'unknown' });
}
