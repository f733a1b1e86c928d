// One WriteStream: messages of ops in, their answers out, many in flight.
// Bounds (I12): while more than streamPendingBytesMax of requests is unanswered, nothing is read, so that HTTP/2 flow control
// stops the sender. An answer counts as given when the connection has taken it, so a sender that does not read its answers is
// stopped as well.
// A stream that this side ends has answered every message that it took: what has no answer then was not tried.

import type { ServerDuplexStream } from '@grpc/grpc-js';
import { CausewayError, toCausewayError } from '../errors/errors.ts';
import { MalformedMessage } from '../proto/load.ts';
import { WIRE_LEN, WIRE_VARINT, WireWriter, wireTag } from '../proto/wire.ts';
import type { Region, WriteResult } from '../region/region.ts';
import { rpcAttributes } from '../tracing/ingest.ts';
import { authorize, draining, isForwarded, regionFor, type Drainable, type ServiceEnv } from './env.ts';
import { effectiveDeadlineMs } from './limits.ts';
import type { CallSignals } from './signals.ts';
import { toStatus } from './status.ts';
import { decodeStreamWrite, type DecodeContext, type DecodedWrite } from './write-decode.ts';
import { encodeError, encodeWriteResponse } from './write-encode.ts';

const INGEST = 'causeway.v1.Data/WriteStream';
const INGEST_ATTRIBUTES = rpcAttributes('WriteStream');
const RESULTS = wireTag(1, WIRE_LEN);
const REQUEST_ID = wireTag(1, WIRE_VARINT);
const WRITE = wireTag(2, WIRE_LEN);
const ERROR = wireTag(3, WIRE_LEN);
/** Lengths of one answer: up to 256 MiB. */
const WIDTH = 4;
/** What a message costs beside its bytes. */
const OVERHEAD_BYTES = 256;

export type WriteStreamCall = ServerDuplexStream<Buffer | MalformedMessage, Buffer>;

export class WriteStream implements Drainable {
  readonly #call: WriteStreamCall;
  readonly #env: ServiceEnv;
  readonly #region: Region;
  readonly #messageBytesMax: number;
  readonly #context: DecodeContext;
  readonly #signals: CallSignals;
  /** Answers that are not written yet. */
  readonly #out = new WireWriter(4096);
  #outBytes = 0;
  /** What the answers that are being written were for. */
  #flushingBytes = 0;
  #pendingBytes = 0;
  #paused = false;
  /** The message that waits for its session: what came behind it stays there. */
  #waitsFor: number | undefined;
  #flushing = false;
  #flushDue = false;
  /** Nothing more is read; with `#error`, or OK, the stream ends when all is answered. */
  #finishing = false;
  #error: CausewayError | undefined;
  #closed = false;
  /** Messages of this epoch and below are refused untried, with this error: a message before them failed. */
  #refusedEpoch = -1;
  #refusal: CausewayError | undefined;

  constructor(call: WriteStreamCall, env: ServiceEnv) {
    this.#call = call;
    this.#env = env;
    this.#region = regionFor(env, call);
    const { requestBytesMax, streamMessageBytesMax } = env.limits;
    this.#messageBytesMax = isForwarded(call) ? requestBytesMax : Math.min(streamMessageBytesMax, requestBytesMax);
    this.#signals = env.signals.rpc('WriteStream');
    this.#context = {
      limits: env.limits,
      clusterId: env.clusterId,
      admit: (namespace) => {
        authorize(env, call, 'write', namespace);
        const unknown = env.catalog.checkNamespace(namespace);
        if (unknown !== undefined) throw unknown;
      },
      collectionError: (namespace, name) => env.catalog.checkCollection(namespace, name),
    };
    limitReadAhead(call);
    call.on('data', (message: Buffer | MalformedMessage) => this.#receive(message));
    call.on('end', () => this.#finish(undefined));
    call.on('cancelled', () => this.#close());
    call.on('close', () => this.#close());
    env.load.add(this);
  }

  drain(): void {
    this.#finish(draining());
  }

  #receive(message: Buffer | MalformedMessage): void {
    if (this.#closed || this.#finishing) return;
    const beganMs = this.#env.system.clock.monotonicMs();
    this.#signals.began();
    if (message instanceof MalformedMessage || message.length > this.#messageBytesMax) {
      const reason =
        message instanceof MalformedMessage
          ? message.reason
          : `a message of ${message.length} bytes, the limit is ${this.#messageBytesMax}`;
      this.#signals.ended('TOO_LARGE', undefined);
      this.#finish(new CausewayError('TOO_LARGE', reason, { hint: 'send smaller messages' }));
      return;
    }
    const bytes = message.length + OVERHEAD_BYTES;
    const { load } = this.#env;
    let decoded;
    try {
      decoded = decodeStreamWrite(message, this.#context);
    } catch (error) {
      // Without a request there is nothing to answer; a sender that frames wrongly cannot be trusted with the next one.
      const refused = toCausewayError(error);
      this.#signals.ended(refused.code, undefined);
      this.#finish(refused);
      return;
    }
    const { write, requestId, epoch } = decoded;
    const behind = epoch <= this.#refusedEpoch ? this.#refusal : undefined;
    const refusal = write instanceof CausewayError ? write : (behind ?? load.refusal(bytes));
    load.hold(bytes);
    this.#pendingBytes += bytes;
    if (refusal !== undefined) {
      this.#refuse(requestId, epoch, refusal, bytes, beganMs);
    } else if (!(write instanceof CausewayError)) {
      this.#write(write, requestId, epoch, bytes, beganMs);
    }
    this.#pauseOrResume();
  }

  #pauseOrResume(): void {
    if (this.#closed || this.#finishing) return;
    const { streamPendingBytesMax } = this.#env.limits;
    const full = this.#pendingBytes > (this.#paused ? streamPendingBytesMax / 2 : streamPendingBytesMax);
    const pause = full || this.#waitsFor !== undefined;
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#call.pause();
    else this.#call.resume();
  }

  #write(write: DecodedWrite, requestId: number, epoch: number, bytes: number, beganMs: number): void {
    if (write.ops.length === 0) {
      this.#answer(write, [], false, requestId, epoch, bytes, beganMs);
      return;
    }
    const { tracing } = this.#env;
    const spans = tracing?.ingest(write.ops, INGEST, INGEST_ATTRIBUTES, beganMs);
    let elsewhere = false;
    this.#region.write(
      {
        ops: write.ops,
        durability: write.durability,
        deadlineMs: effectiveDeadlineMs(write.deadlineMs, Infinity),
        session: write.session,
        seenStamp: write.seenStamp,
        sender: { stream: this, epoch },
        waits: () => {
          this.#waitsFor = requestId;
          this.#pauseOrResume();
        },
        // What may be retried must stay ahead of what came after it.
        failed: (error) => this.#refuseFrom(epoch, error),
        passedOn: () => {
          elsewhere = true;
        },
        valueBytesMax: write.wantValues ? this.#env.limits.writeValueBytesMax : undefined,
      },
      (results) => {
        spans?.answered(results);
        this.#answer(write, results, elsewhere, requestId, epoch, bytes, beganMs);
      },
    );
  }

  #answer(
    write: DecodedWrite,
    results: readonly WriteResult[],
    elsewhere: boolean,
    requestId: number,
    epoch: number,
    bytes: number,
    beganMs: number,
  ): void {
    for (const result of results) if (!result.ok && result.error.retriable) this.#refuseFrom(epoch, result.error);
    if (this.#waitsFor === requestId) {
      this.#waitsFor = undefined;
      this.#pauseOrResume();
    }
    const out = this.#out;
    const begun = out.begin(RESULTS, WIDTH);
    out.uint(REQUEST_ID, requestId);
    const body = out.begin(WRITE, WIDTH);
    encodeWriteResponse(out, write, results, elsewhere, this.#env);
    out.end(body, WIDTH);
    out.end(begun, WIDTH);
    this.#signals.ended(undefined, this.#env.system.clock.monotonicMs() - beganMs);
    this.#answered(bytes);
  }

  #refuse(requestId: number, epoch: number, error: CausewayError, bytes: number, beganMs: number): void {
    if (error.retriable) this.#refuseFrom(epoch, error);
    const out = this.#out;
    const begun = out.begin(RESULTS, WIDTH);
    out.uint(REQUEST_ID, requestId);
    encodeError(out, ERROR, error);
    out.end(begun, WIDTH);
    this.#signals.ended(error.code, this.#env.system.clock.monotonicMs() - beganMs);
    this.#answered(bytes);
  }

  #refuseFrom(epoch: number, error: CausewayError): void {
    if (epoch <= this.#refusedEpoch) return;
    this.#refusedEpoch = epoch;
    // What comes behind is not tried at all, whatever became of the first.
    this.#refusal = new CausewayError(error.code, `an earlier message of the stream failed: ${error.message}`, {
      retriable: true,
      outcome: 'not-applied',
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    });
  }

  #answered(bytes: number): void {
    if (this.#closed) {
      this.#release(bytes);
      return;
    }
    this.#outBytes += bytes;
    if (this.#flushDue || this.#flushing) return;
    // After everything that is answered in this turn: one commit answers many messages.
    this.#flushDue = true;
    queueMicrotask(() => {
      this.#flushDue = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#flushing || this.#closed) return;
    if (this.#out.length === 0) {
      this.#endWhenDone();
      return;
    }
    const message = this.#out.copy();
    this.#out.reset();
    this.#flushingBytes = this.#outBytes;
    this.#outBytes = 0;
    this.#flushing = true;
    this.#call.write(message, () => {
      if (this.#closed) return;
      this.#flushing = false;
      this.#release(this.#flushingBytes);
      this.#flushingBytes = 0;
      this.#flush();
    });
  }

  #release(bytes: number): void {
    this.#pendingBytes -= bytes;
    this.#env.load.release(bytes);
    this.#pauseOrResume();
  }

  #finish(error: CausewayError | undefined): void {
    if (this.#finishing || this.#closed) return;
    this.#finishing = true;
    this.#error = error;
    // Reads on, and drops, what still comes: a sender that waits to send must be able to see the end.
    this.#call.resume();
    this.#endWhenDone();
  }

  #endWhenDone(): void {
    if (!this.#finishing || this.#closed || this.#flushing || this.#pendingBytes > 0) return;
    const error = this.#error;
    this.#close();
    if (error === undefined) this.#call.end();
    else this.#call.emit('error', toStatus(error));
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#env.load.remove(this);
    // Answers that nobody takes any more.
    this.#release(this.#outBytes + this.#flushingBytes);
    this.#outBytes = 0;
    this.#flushingBytes = 0;
    this.#out.reset();
  }
}

/** grpc-js gives its streams Node's 16 objects of read-ahead, whatever their size; we want the one that is being handled. The
 *  field is Node's own; should it go away, the read-ahead is 16 messages of at most streamMessageBytesMax again. */
function limitReadAhead(call: WriteStreamCall): void {
  const state = (call as unknown as { _readableState?: { highWaterMark: number } })._readableState;
  if (state !== undefined) state.highWaterMark = 1;
}
