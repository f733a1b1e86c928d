// The conflicts of another node of the region, as they are judged.
// Bound: the parts of one delivery, which together are one read of the journal there, and what gRPC reads ahead.

import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { cursorOf } from '../api/conflict-calls.ts';
import { fromServiceError } from '../client/status.ts';
import { CausewayError, toCausewayError } from '../errors/errors.ts';
import type { WatchConflictsResponse__Output } from '../proto/generated/causeway/v1/WatchConflictsResponse.ts';
import type { Conflict, ConflictSink, ConflictSubscription } from '../region/region.ts';
import { conflictMessageOf } from './admin-messages.ts';

type Call = ClientReadableStream<WatchConflictsResponse__Output>;

export class SiblingConflicts implements ConflictSubscription {
  readonly #sink: ConflictSink;
  #call: Call | undefined;
  /** Of a delivery whose cursor has not come. */
  #parts: Conflict[] = [];
  #lost = false;
  #over = false;

  constructor(sink: ConflictSink) {
    this.#sink = sink;
  }

  follow(begin: () => Call, address: string): void {
    if (this.#over) return;
    const call = begin();
    this.#call = call;
    call.on('data', (message: WatchConflictsResponse__Output) => {
      try {
        this.#heard(message);
      } catch (error) {
        this.fail(toCausewayError(error));
      }
    });
    call.on('error', (error: ServiceError) => this.fail(fromServiceError(error, address)));
    call.on('end', () => this.fail(new CausewayError('UNAVAILABLE', `${address}: the stream of conflicts ended`)));
  }

  #heard({ conflicts, cursor, lost }: WatchConflictsResponse__Output): void {
    if (this.#over) return;
    this.#parts.push(...conflicts.map(conflictMessageOf));
    this.#lost ||= lost;
    if (cursor === '') return;
    const [told, hasLost] = [this.#parts, this.#lost];
    this.#parts = [];
    this.#lost = false;
    if (!this.#sink.conflicts(told, cursorOf(cursor), hasLost)) this.#call?.pause();
  }

  resume(): void {
    this.#call?.resume();
  }

  cancel(): void {
    this.#over = true;
    this.#call?.cancel();
  }

  fail(error: CausewayError): void {
    if (this.#over) return;
    this.cancel();
    this.#sink.failed(error);
  }
}
