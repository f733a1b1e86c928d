// One WatchConflicts: the journal's entries to one reader.
// Bound (I12): entries that the connection has not taken are at most subscriberBufferBytesMax and one read of the journal; then the journal
// waits, and the reader costs a cursor (I8).

import type { ServerWritableStream } from '@grpc/grpc-js';
import type { CausewayError } from '../errors/errors.ts';
import { messageType } from '../proto/load.ts';
import type { Conflict, ConflictCursor, ConflictSink, ConflictSubscription, TailRequest } from '../region/region.ts';
import { conflictBytes, conflictMessage, cursorText } from './conflict-calls.ts';
import { draining, regionFor, type Drainable, type ServiceEnv } from './env.ts';
import { toStatus } from './status.ts';

/** A message is closed when it is about this large. */
const MESSAGE_BYTES = 512 * 1024;

export type ConflictCall = ServerWritableStream<unknown, Buffer>;

export class ConflictStream implements ConflictSink, Drainable {
  readonly #call: ConflictCall;
  readonly #env: ServiceEnv;
  #subscription: ConflictSubscription | undefined;
  #writingBytes = 0;
  #waiting = false;
  #closed = false;

  constructor(call: ConflictCall, env: ServiceEnv) {
    this.#call = call;
    this.#env = env;
    call.on('cancelled', () => this.#close());
    call.on('close', () => this.#close());
    env.load.add(this);
    env.signals.rpc('WatchConflicts').began();
  }

  start(request: TailRequest): void {
    const subscription = regionFor(this.#env, this.#call).watchConflicts(request, this);
    if (this.#closed) subscription.cancel();
    else this.#subscription = subscription;
  }

  conflicts(conflicts: readonly Conflict[], cursor: ConflictCursor, lost: boolean): boolean {
    if (this.#closed) return false;
    let part: Conflict[] = [];
    let bytes = 0;
    const told = { lost };
    for (const conflict of conflicts) {
      const size = conflictBytes(conflict);
      if (part.length > 0 && bytes + size > MESSAGE_BYTES) {
        // Without a cursor: it is good behind the last part only.
        this.#write({ conflicts: part.map(conflictMessage), lost: told.lost });
        told.lost = false;
        part = [];
        bytes = 0;
      }
      part.push(conflict);
      bytes += size;
    }
    this.#write({ conflicts: part.map(conflictMessage), cursor: cursorText(cursor), lost: told.lost });
    this.#waiting = this.#writingBytes >= this.#env.limits.subscriberBufferBytesMax;
    return !this.#waiting;
  }

  failed(error: CausewayError): void {
    if (this.#closed) return;
    this.#close(error);
    this.#call.emit('error', toStatus(error));
  }

  drain(): void {
    this.failed(draining());
  }

  #write(message: object): void {
    const type = messageType('causeway.v1.WatchConflictsResponse');
    const bytes = type.encode({ ...message, region: this.#env.region.id } as never).finish() as Buffer;
    this.#writingBytes += bytes.length;
    this.#call.write(bytes, () => {
      this.#writingBytes -= bytes.length;
      if (!this.#waiting || this.#closed || this.#writingBytes > this.#env.limits.subscriberBufferBytesMax / 2) return;
      this.#waiting = false;
      this.#subscription?.resume();
    });
  }

  #close(error?: CausewayError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#env.signals.rpc('WatchConflicts').ended(error?.code, undefined);
    this.#env.load.remove(this);
    this.#subscription?.cancel();
    this.#subscription = undefined;
  }
}
