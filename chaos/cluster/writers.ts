// Steady load on one region, through the client, while that region may be killed at any moment.
// Owns: what is written, and under which outcome it goes into the ledger.
//
// Two kinds of writers, because clients differ:
// - a patient one, a producer that asks again with the same idempotency key until its region is back: everything that it sent
//   ends acknowledged, and a retry of what the dead process had logged must be recognised by the next;
// - a hasty one, single calls with a short deadline: what was under way when the process died ends unknown.

import { setTimeout as sleep } from 'node:timers/promises';
import { connect, CausewayError, type Causeway, type Op, type Producer } from '../../src/client/index.ts';
import type { SeededRandom } from '../sim/random.ts';
import type { Ledger, LedgerOp, Outcome } from './ledger.ts';

export const NAMESPACE = 'chaos';
export const COLLECTIONS = { sets: 'set-aw', registers: 'register-lww', counters: 'counter-pn' } as const;

const PATIENT_EVERY_MS = 4;
const HASTY_EVERY_MS = 20;
const HASTY_DEADLINE_MS = 400;
/** Beyond, a patient writer waits: the load is steady, not a growing queue. */
const PATIENT_IN_FLIGHT_MAX = 2000;
const DELIVERY_MS_MAX = 600_000;
/** Regions add to the same sets; a new one every so many ops keeps them small. */
const OPS_PER_SET = 60;
const COUNTERS = 8;

export interface WriterOptions {
  readonly name: string;
  readonly address: string;
  readonly ledger: Ledger;
  readonly random: SeededRandom;
}

abstract class Writer {
  readonly #options: WriterOptions;
  protected readonly client: Causeway;
  #ops = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.client = connect({ endpoints: [options.address], namespace: NAMESPACE });
  }

  protected next(): LedgerOp {
    const { name, random } = this.#options;
    const n = ++this.#ops;
    const dice = random.float();
    if (dice < 0.4) return { kind: 'add', set: `set-${Math.floor(n / OPS_PER_SET)}`, element: `${name}-${n}` };
    if (dice < 0.8) return { kind: 'put', key: `${name}-${n}`, value: `${name}-${n}` };
    return {
      kind: 'increment',
      counter: `counter-${Math.floor(random.float() * COUNTERS)}`,
      by: 1 + Math.floor(random.float() * 9),
    };
  }

  protected record(op: LedgerOp, error: CausewayError | undefined): void {
    this.#options.ledger.record(op, outcomeOf(error));
  }

  close(): void {
    this.client.close();
  }
}

export class PatientWriter extends Writer {
  readonly #producer: Producer;
  #inFlight = 0;

  constructor(options: WriterOptions) {
    super(options);
    this.#producer = this.client.producer({ deliveryTimeoutMs: DELIVERY_MS_MAX });
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#inFlight < PATIENT_IN_FLIGHT_MAX) {
        const op = this.next();
        this.#inFlight++;
        void this.#producer.send(clientOp(op), (error) => {
          this.#inFlight--;
          this.record(op, error);
        });
      }
      await sleep(PATIENT_EVERY_MS);
    }
    await this.#producer.flush();
  }
}

export class HastyWriter extends Writer {
  async run(signal: AbortSignal): Promise<void> {
    const underWay = new Set<Promise<void>>();
    while (!signal.aborted) {
      const op = this.next();
      const call: Promise<void> = this.client
        .write([clientOp(op)], { deadlineMs: HASTY_DEADLINE_MS })
        .then(([result]) => this.record(op, result instanceof CausewayError ? result : undefined))
        .catch((error: unknown) => this.record(op, error as CausewayError))
        .finally(() => underWay.delete(call));
      underWay.add(call);
      await sleep(HASTY_EVERY_MS);
    }
    await Promise.all(underWay);
  }
}

function outcomeOf(error: CausewayError | undefined): Outcome {
  if (error === undefined || error.outcome === 'applied-locally') return 'acknowledged';
  // Anything that is no CausewayError says nothing about the write.
  return error.outcome === 'not-applied' ? 'refused' : 'unknown';
}

function clientOp(op: LedgerOp): Op {
  switch (op.kind) {
    case 'add':
      return {
        collection: 'sets',
        key: op.set,
        intent: { kind: 'set-add', elements: [Buffer.from(op.element)] },
      };
    case 'put':
      return { collection: 'registers', key: op.key, intent: { kind: 'put', value: Buffer.from(op.value) } };
    case 'increment':
      return { collection: 'counters', key: op.counter, intent: { kind: 'increment', by: BigInt(op.by) } };
  }
}
