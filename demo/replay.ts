// Sends the events, in time order and sped up, each from a producer of its region.
// Owns: the pace, the bound on what is under way, and where an event goes when its region does not answer.
//
// Counters must come out exact although a region dies in the middle of it all, so:
// - An op that was sent to a region stays that region's. Its producer goes on asking, with the same idempotency key, until the
//   region is back and answers with the first result, or writes it now. Sent to another region it could count twice: the
//   dead one may have logged it and not yet told anybody.
// - A new event for a region that does not answer goes to the next one. Nobody has seen it before, so nothing can be doubled,
//   and counters, sets and maps do not mind who writes.
// A region "does not answer" when something has been under way for SUSPECT_MS without a single acknowledgement: what a real
// producer can know. The demo's own knowledge of whom it killed is not used.

import { setTimeout as sleep } from 'node:timers/promises';
import type { DemoOp, FlightEvent } from './events.ts';

export interface WriteAck {
  readonly stamp: number;
  /** `region~incarnation`. */
  readonly origin: string;
}

export interface RegionWriter {
  readonly region: string;
  /** Acknowledged = durable there. Waits for a region that is away; rejects only when the op can never be written. */
  write(op: DemoOp): Promise<WriteAck>;
}

export interface ReplayOptions {
  readonly events: readonly FlightEvent[];
  /** In order of failover: an event whose region is away goes to the first that answers. */
  readonly writers: readonly RegionWriter[];
  readonly seconds: number;
  readonly onSent?: (event: FlightEvent, sentMs: number) => void;
  readonly onAck?: (op: DemoOp, ack: WriteAck) => void;
  /** Asked before each event: true while the regions should not be given more. The pace then falls behind, and stays there. */
  readonly hold?: () => boolean;
  readonly suspectMs?: number;
}

/** Ops under way per region. Beyond, the replay waits. Less than a producer's idempotency window, so that none of them can
 *  fall out of it. */
export const IN_FLIGHT_MAX = 4000;
const SUSPECT_MS = 700;
const TICK_MS = 4;

export class Replay {
  readonly #options: ReplayOptions;
  readonly #lanes: readonly Lane[];
  #eventsSent = 0;
  #opsAcknowledged = 0;
  #opsSent = 0;
  #rerouted = 0;
  #failed: Error | undefined;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#lanes = options.writers.map((writer) => new Lane(writer, options.suspectMs ?? SUSPECT_MS));
  }

  /** Returns when everything is sent and acknowledged. */
  async run(): Promise<void> {
    const { events, seconds } = this.#options;
    const startMs = performance.now();
    const perMs = events.length / (seconds * 1000);
    while (this.#eventsSent < events.length) {
      if (this.#failed !== undefined) throw this.#failed;
      const nowMs = performance.now();
      const due = Math.min(events.length, Math.ceil((nowMs - startMs) * perMs));
      while (this.#eventsSent < due && this.#trySend(events[this.#eventsSent]!, nowMs)) this.#eventsSent++;
      await sleep(TICK_MS);
    }
    while (this.#lanes.some((lane) => lane.inFlight > 0)) {
      if (this.#failed !== undefined) throw this.#failed;
      await sleep(TICK_MS);
    }
  }

  get eventsSent(): number {
    return this.#eventsSent;
  }

  get opsSent(): number {
    return this.#opsSent;
  }

  get opsAcknowledged(): number {
    return this.#opsAcknowledged;
  }

  /** Events that another region than their own took. */
  get rerouted(): number {
    return this.#rerouted;
  }

  acknowledgedBy(region: string): number {
    return this.#lanes.find((lane) => lane.writer.region === region)?.acknowledged ?? 0;
  }

  /** Of the last event that was sent. */
  get atMinutes(): number {
    const { events } = this.#options;
    return events[Math.max(0, this.#eventsSent - 1)]?.atMinutes ?? 0;
  }

  /** False: nobody can take it now; the events behind it wait too, because they come in time order. */
  #trySend(event: FlightEvent, nowMs: number): boolean {
    if (this.#options.hold?.() === true) return false;
    const home = this.#lanes.find((lane) => lane.writer.region === event.region);
    const lane = home?.answers(nowMs) === true ? home : this.#lanes.find((each) => each.answers(nowMs));
    if (lane === undefined || lane.inFlight + event.ops.length > IN_FLIGHT_MAX) return false;
    if (lane !== home) this.#rerouted++;
    this.#options.onSent?.(event, performance.now());
    for (const op of event.ops) {
      this.#opsSent++;
      lane.write(op).then(
        (ack) => {
          this.#opsAcknowledged++;
          this.#options.onAck?.(op, ack);
        },
        (error: unknown) => {
          this.#failed ??= new Error(`${lane.writer.region} can never write ${op.collection}/${op.key}`, {
            cause: error,
          });
        },
      );
    }
    return true;
  }
}

/** One region's producer, and whether it answers. */
class Lane {
  readonly writer: RegionWriter;
  readonly #suspectMs: number;
  inFlight = 0;
  acknowledged = 0;
  /** When something was last acknowledged, or first under way after nothing was. */
  #aliveMs = 0;

  constructor(writer: RegionWriter, suspectMs: number) {
    this.writer = writer;
    this.#suspectMs = suspectMs;
  }

  answers(nowMs: number): boolean {
    return this.inFlight === 0 || nowMs - this.#aliveMs < this.#suspectMs;
  }

  async write(op: DemoOp): Promise<WriteAck> {
    if (this.inFlight === 0) this.#aliveMs = performance.now();
    this.inFlight++;
    try {
      const ack = await this.writer.write(op);
      this.#aliveMs = performance.now();
      this.acknowledged++;
      return ack;
    } finally {
      this.inFlight--;
    }
  }
}
