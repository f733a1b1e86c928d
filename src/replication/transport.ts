// The port to the wire. grpc-transport.ts is the real one; the simulator's network (chaos/sim) is the other.

import type { Down, Up } from './messages.ts';

export interface LinkHandlers<In> {
  message(message: In): void;
  /** More may be sent again after send() said false. */
  drain(): void;
  /** Called once; nothing else is called afterwards. */
  closed(reason: string): void;
}

export interface LinkStream<Out> {
  /** False when the stream's own bounded buffer is full: the message was taken, and nothing more should be sent until drain(). */
  send(message: Out): boolean;
  /** Idempotent. closed() follows on both sides. */
  close(reason: string): void;
  /** Bytes that went over the wire so far, as encoded and compressed; undefined where there is no wire. */
  readonly wireBytesSent?: number;
}

export interface Transport {
  /** Never throws: a failed dial ends in closed(). */
  dial(address: string, handlers: LinkHandlers<Down>): LinkStream<Up>;
  /** Every stream that a peer dials comes here. */
  onAccept(accept: (stream: LinkStream<Down>) => LinkHandlers<Up>): void;
}
