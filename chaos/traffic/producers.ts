// Idempotent producers, each bound to its region: they ask again until it is back, so that everything they send ends acknowledged, and a
// retry of what a dead process had logged must be recognised by the next.

import type { Causeway, Producer } from '../../src/client/index.ts';
import { clientOp } from '../history/names.ts';
import { Choices } from './choices.ts';
import { rest, writeRecord, type Desk, type Worker } from './desk.ts';

const EVERY_MS = 25;
/** Beyond, a producer waits: the load is steady, and not a growing queue. */
const IN_FLIGHT_MAX = 1000;
const DELIVERY_MS_MAX = 600_000;

export class SteadyProducer implements Worker {
  readonly #desk: Desk;
  readonly #caller: { readonly client: string; readonly home: string };
  readonly #choices: Choices;
  readonly #causeway: Causeway;
  readonly #producer: Producer;
  #inFlight = 0;

  constructor(desk: Desk, client: string, home: string) {
    this.#desk = desk;
    this.#caller = { client, home };
    this.#choices = new Choices(client, desk.random);
    this.#causeway = desk.stage.connect([home]);
    this.#producer = this.#causeway.producer({ deliveryTimeoutMs: DELIVERY_MS_MAX, onError: () => {} });
  }

  async run(stop: AbortSignal): Promise<void> {
    const { recorder, random, stage } = this.#desk;
    while (!stop.aborted) {
      if (this.#inFlight < IN_FLIGHT_MAX) {
        const write = this.#choices.next();
        const op = recorder.nextOp();
        const startMs = recorder.nowMs();
        this.#inFlight++;
        void this.#producer.send(
          clientOp(op, stage.subject.collections[write.collection], write.key, write.intent),
          (error, ack) => {
            this.#inFlight--;
            recorder.add(writeRecord(this.#caller, write, op, { startMs, endMs: recorder.nowMs() }, ack, error));
          },
        );
      }
      await rest(EVERY_MS * random.between(0.5, 1.5), stop);
    }
    await this.#producer.flush();
  }

  close(): void {
    this.#causeway.close();
  }
}
