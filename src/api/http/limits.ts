// Every bound of the HTTP listener beside those that it shares with gRPC (../limits.ts), and what happens at it (I12).

export interface HttpLimits {
  /** Connections at once. Beyond: a new one is closed. Default 2048. */
  readonly connectionsMax: number;
  /** Bytes of a request's line and headers. Beyond: 431. As much as the largest cursor takes in Last-Event-ID. Default 96 KiB. */
  readonly headerBytesMax: number;
  /** Until a request's headers must be there. Beyond: 408. Default 10 s. */
  readonly headersTimeoutMs: number;
  /** Until a request must be there with its body. Beyond: 408. Default 30 s. */
  readonly requestTimeoutMs: number;
  /** A connection without a request is closed after this long: above the usual minute of load balancers, so that it is they who
   *  close. Default 75 s. */
  readonly keepAliveMs: number;
  /** A connection on which no byte moves is cut after this long; watchers have their heartbeats. Above the longest deadline.
   *  Default 2 min. */
  readonly idleMs: number;
  /** Bytes of a JSON document in a request. Beyond: 413. As much as the largest change of a set takes in base64. Default 8 MiB. */
  readonly documentBytesMax: number;
  /** How often a silent watch gets a comment, so that proxies keep it and both sides find out when the other is gone. Default 15 s. */
  readonly heartbeatMs: number;
  /** A watcher that has taken nothing for this long is cut; it goes on from its cursor when it comes back. Default 60 s. */
  readonly watchStallMs: number;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  connectionsMax: 2048,
  headerBytesMax: 96 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveMs: 75_000,
  idleMs: 120_000,
  documentBytesMax: 8 * 1024 * 1024,
  heartbeatMs: 15_000,
  watchStallMs: 60_000,
};
