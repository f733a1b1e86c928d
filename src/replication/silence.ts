// Notices that a peer has gone silent: a link that brings nothing for SILENT_HEARTBEATS heartbeats (at least SILENT_MS_MIN) is dead,
// whatever TCP believes. Both ends watch, so that neither keeps a cursor or a stream for a peer that is gone.
// HAZARD: a process that was paused sees its timers before its sockets. A heartbeat that comes late therefore proves nothing
// about the peer, and starts the watch again.

export const SILENT_HEARTBEATS = 5;
export const SILENT_MS_MIN = 2000;

export function silentAfterMs(heartbeatMs: number): number {
  return Math.max(SILENT_HEARTBEATS * heartbeatMs, SILENT_MS_MIN);
}

/** A link over which no shard is asked for is kept alive, and its round trip and clock measured, so often. A node has as many of these as there are
 *  nodes elsewhere with which it shares nothing. */
export function quietBeatMs(heartbeatMs: number): number {
  return silentAfterMs(heartbeatMs) / 4;
}

export class SilenceWatch {
  readonly #heartbeatMs: number;
  readonly #afterMs: number;
  #heardAtMs: number;
  #beatAtMs: number;

  constructor(heartbeatMs: number, afterMs: number, monotonicMs: number) {
    this.#heartbeatMs = heartbeatMs;
    this.#afterMs = afterMs;
    this.#heardAtMs = monotonicMs;
    this.#beatAtMs = monotonicMs;
  }

  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  heard(monotonicMs: number): void {
    this.#heardAtMs = monotonicMs;
  }

  /** Called each heartbeat. Is the peer silent? */
  heartbeat(monotonicMs: number): boolean {
    const late = monotonicMs - this.#beatAtMs > this.#heartbeatMs + this.#afterMs / 2;
    this.#beatAtMs = monotonicMs;
    if (late) this.#heardAtMs = monotonicMs;
    return monotonicMs - this.#heardAtMs > this.#afterMs;
  }
}
