// One write request on its way: spread over shards, answered once, when every part has reached the durability that was asked for
// or the deadline has come.

import { CausewayError } from '../errors/errors.ts';
import type { View } from '../merge/types.ts';
import { viewBytes } from '../merge/view-bytes.ts';
import type { ShardId } from '../record/ids.ts';
import type { OpResult } from '../shard/engine.ts';
import type { Durability, SessionToken, WriteRequest, WriteResult } from './region.ts';

export class WriteCall {
  readonly request: WriteRequest;
  /** By the monotonic clock. */
  readonly deadlineAtMs: number;
  /** Its ops get stamps above this: what the session, or the client, has seen. */
  above: number;
  readonly #results: (WriteResult | undefined)[];
  readonly #done: (results: readonly WriteResult[]) => void;
  /** Parts that are not where the durability wants them. */
  #parts = 0;
  /** Room for the values that the caller wants to know. */
  #valueBytesLeft: number;
  /** Nothing more is added; set once all ops were handed out. */
  #complete = false;

  constructor(request: WriteRequest, deadlineAtMs: number, done: (results: readonly WriteResult[]) => void) {
    this.request = request;
    this.deadlineAtMs = deadlineAtMs;
    this.above = request.session === undefined ? (request.seenStamp ?? 0) : highestOf(request.session);
    this.#results = Array.from({ length: request.ops.length });
    this.#done = done;
    this.#valueBytesLeft = request.valueBytesMax ?? 0;
  }

  get durability(): Durability {
    return this.request.durability;
  }

  refuse(index: number, error: CausewayError): void {
    this.#fail(index, error);
  }

  #fail(index: number, error: CausewayError): void {
    this.#results[index] = { ok: false, error };
    if (error.retriable) this.request.failed?.(error);
  }

  set(index: number, shard: ShardId, result: OpResult): void {
    if (result.kind === 'refused') this.#fail(index, result.error);
    else this.#results[index] = { ok: true, shard, version: result.version, duplicate: result.kind === 'duplicate' };
  }

  get wantsValues(): boolean {
    return this.#valueBytesLeft > 0;
  }

  /** What the key of a sequenced op is now; told with the answer, so not before it is durable. */
  setValue(index: number, view: View | undefined): void {
    const result = this.#results[index];
    this.#valueBytesLeft -= viewBytes(view);
    if (result?.ok === true && this.#valueBytesLeft >= 0) this.#results[index] = { ...result, after: { view } };
  }

  addPart(): void {
    this.#parts++;
  }

  /** A part reached the durability. */
  partDone(): void {
    this.#parts--;
    this.#answerIfDone();
  }

  /** A part failed: those of its ops that were thought to be sequenced get the error instead. */
  partFailed(indexes: readonly number[], error: CausewayError): void {
    for (const index of indexes) if (this.#results[index]?.ok !== false) this.#fail(index, error);
    this.partDone();
  }

  /** The deadline has come for a part. `durableIn`: how many other regions hold it when it is durable here, undefined when it is not.
   *  Of other parts, in other shards, it says nothing: each knows its own. */
  partExpired(indexes: readonly number[], durableIn: number | undefined): void {
    this.partFailed(indexes, durableIn === undefined ? notLogged() : notReached(durableIn));
  }

  allHandedOut(): void {
    this.#complete = true;
    this.#answerIfDone();
  }

  #answerIfDone(): void {
    if (!this.#complete || this.#parts > 0) return;
    this.#done(this.#results as WriteResult[]);
  }
}

function notLogged(): CausewayError {
  return new CausewayError(
    'INDETERMINATE',
    'the deadline passed before the log answered; the write may or may not become durable',
    { hint: 'send it again to this region with the same idempotency key' },
  );
}

function notReached(durableIn: number): CausewayError {
  return new CausewayError(
    'DURABILITY_NOT_REACHED',
    `the write is accepted and durable here and in ${durableIn} other regions, fewer than asked for, by the deadline`,
    { details: { durableIn }, hint: 'it will still be replicated; nothing needs to be sent again' },
  );
}

/** The highest stamp that a session has seen. */
function highestOf(session: SessionToken): number {
  let highest = 0;
  for (const origins of session.values()) {
    for (const stamp of origins.values()) highest = Math.max(highest, stamp);
  }
  return highest;
}
