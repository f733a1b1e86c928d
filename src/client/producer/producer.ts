// The producer: very many writes, over one WriteStream or several (routes.ts chooses among them, lane.ts has all of the delivery).
// Owns: the bounds, and failures that nobody was told of.
// Bounds (I12): maxInFlightBytes and maxInFlightOps, sent or waiting, of all lanes; at them send() returns a promise to wait for, and at
// twice that it throws OVERLOADED.

import { CausewayError, toCausewayError } from '../../errors/errors.ts';
import { orGiveUp } from '../give-up.ts';
import { endSend, sendSpan, type ClientSpan } from '../tracer.ts';
import type { CallOptions, Op, WriteAck } from '../types.ts';
import { tell, type OnResult } from './batch.ts';
import { producerSettings, type ClientParts, type ProducerOptions, type ProducerSettings } from './options.ts';
import { Routes } from './routes.ts';

export type { OnResult } from './batch.ts';

export interface ProducerStats {
  readonly pendingOps: number;
  readonly pendingBytes: number;
  readonly acknowledgedOps: number;
  readonly failedOps: number;
  /** Ops that were sent once more. */
  readonly retriedOps: number;
  readonly messages: number;
  /** Where it sends to now; of several streams, the first that has one. */
  readonly address: string | undefined;
  readonly region: string | undefined;
}

export class Producer {
  readonly #parts: ClientParts;
  readonly #settings: ProducerSettings;
  readonly #onError: ((error: CausewayError) => void) | undefined;
  readonly #onClosed: () => void;
  readonly #routes: Routes;

  #pendingOps = 0;
  #pendingBytes = 0;
  #failedOps = 0;
  #room: Promise<void> | undefined;
  #roomDone: (() => void) | undefined;
  /** Failures that nobody was told of. */
  #unreported: CausewayError | undefined;
  #unreportedOps = 0;
  #closed: CausewayError | undefined;
  #closing = false;

  constructor(parts: ClientParts, options: ProducerOptions, onClosed: () => void) {
    this.#parts = parts;
    this.#settings = producerSettings(options, parts.defaults);
    this.#onError = options.onError;
    this.#onClosed = onClosed;
    this.#routes = new Routes(parts, this.#settings, {
      failed: (error, callback) => this.#failed(error, callback),
      settled: (ops, bytes) => this.#settled(ops, bytes),
      grown: (bytes) => {
        this.#pendingBytes += bytes;
      },
    });
  }

  get stats(): ProducerStats {
    const { acknowledgedOps, retriedOps, messages, endpoint } = this.#routes.stats;
    return {
      pendingOps: this.#pendingOps,
      pendingBytes: this.#pendingBytes,
      acknowledgedOps,
      failedOps: this.#failedOps,
      retriedOps,
      messages,
      address: endpoint?.address,
      region: endpoint?.region,
    };
  }

  /**
   * Takes the op. Returns nothing while there is room, else a promise to await before the next one: `await producer.send(op)` does
   * both. `onResult` is told what became of it. Throws CausewayError when the op can be taken by no node, when the producer is
   * closed, and OVERLOADED when the promises are not awaited.
   */
  send(op: Op, onResult?: OnResult): void | Promise<void> {
    if (this.#closed !== undefined || this.#closing) {
      throw this.#closed ?? new CausewayError('CANCELLED', 'the producer is closed', { outcome: 'not-applied' });
    }
    const { maxInFlightBytes, maxInFlightOps } = this.#settings;
    if (this.#pendingBytes >= 2 * maxInFlightBytes || this.#pendingOps >= 2 * maxInFlightOps) {
      throw new CausewayError('OVERLOADED', `${this.#pendingOps} ops with ${this.#pendingBytes} bytes wait already`, {
        hint: 'await what send() returns',
      });
    }
    const { tracer, namespace } = this.#parts.defaults;
    const span = tracer === undefined ? undefined : sendSpan(tracer, namespace, op);
    const bytes = span === undefined ? this.#routes.add(op, onResult) : this.#addRecorded(op, onResult, span);
    this.#pendingBytes += bytes;
    this.#pendingOps += 1;
    if (this.#pendingBytes < maxInFlightBytes && this.#pendingOps < maxInFlightOps) return undefined;
    return this.#waitForRoom();
  }

  /** Waits for room, sends, and waits for the result. Throws what the op failed with; one that is given up is sent all the same. */
  sendAndWait(op: Op, options: CallOptions = {}): Promise<WriteAck> {
    return orGiveUp(this.#sendAndWait(op), options, this.#parts.system, 'the result of the op');
  }

  async #sendAndWait(op: Op): Promise<WriteAck> {
    while (this.#room !== undefined) await this.#room;
    return new Promise((resolve, reject) => {
      void this.send(op, (error, ack) => {
        if (ack === undefined) reject(error ?? new CausewayError('INTERNAL', 'no result'));
        else resolve(ack);
      });
    });
  }

  /** Resolves when everything that was sent before has its result. Throws the first failure that nobody was told of. */
  flush(options: CallOptions = {}): Promise<void> {
    return orGiveUp(this.#flush(), options, this.#parts.system, 'the flush');
  }

  async #flush(): Promise<void> {
    await this.#routes.flush();
    this.#throwUnreported();
  }

  /** flush(), then ends the streams. The producer takes nothing more. What has no result when it is given up fails as CANCELLED. */
  async close(options: CallOptions = {}): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    try {
      await this.flush(options);
    } finally {
      this.#end(new CausewayError('CANCELLED', 'the producer is closed', { outcome: 'not-applied' }), false);
    }
  }

  /** Ends now: what has no result fails with `error`. */
  abort(error: CausewayError): void {
    this.#end(error, true);
  }

  #end(error: CausewayError, now: boolean): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#routes.end(error, now);
    this.#onClosed();
  }

  #addRecorded(op: Op, onResult: OnResult | undefined, span: ClientSpan): number {
    const told: OnResult = (error, ack) => {
      endSend(span, ack ?? error!);
      if (onResult !== undefined) onResult(error, ack);
      else if (error !== undefined) this.#unheard(error);
    };
    try {
      return this.#routes.add({ ...op, trace: span.context }, told);
    } catch (error) {
      endSend(span, toCausewayError(error));
      throw error;
    }
  }

  #waitForRoom(): Promise<void> {
    this.#room ??= new Promise((resolve) => {
      this.#roomDone = resolve;
    });
    return this.#room;
  }

  #failed(error: CausewayError, callback: OnResult | undefined): void {
    this.#failedOps += 1;
    if (callback !== undefined) tell(callback, error, undefined);
    else this.#unheard(error);
  }

  #unheard(error: CausewayError): void {
    if (this.#onError !== undefined) tell(this.#onError, error, undefined);
    else {
      this.#unreported ??= error;
      this.#unreportedOps += 1;
    }
  }

  #settled(ops: number, bytes: number): void {
    this.#pendingOps -= ops;
    this.#pendingBytes -= bytes;
    const { maxInFlightBytes, maxInFlightOps } = this.#settings;
    if (
      this.#roomDone === undefined ||
      this.#pendingBytes > maxInFlightBytes * 0.75 ||
      this.#pendingOps > maxInFlightOps * 0.75
    )
      return;
    const done = this.#roomDone;
    this.#roomDone = undefined;
    this.#room = undefined;
    done();
  }

  #throwUnreported(): void {
    const error = this.#unreported;
    if (error === undefined) return;
    const failed = this.#unreportedOps;
    this.#unreported = undefined;
    this.#unreportedOps = 0;
    throw new CausewayError(
      error.code,
      failed === 1 ? error.message : `${failed} ops failed, the first: ${error.message}`,
      {
        cause: error,
        retriable: error.retriable,
        outcome: error.outcome,
        details: { ...error.details, failedOps: failed },
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      },
    );
  }
}
