// Clients that know their ops by keys of their own, and send them again: after an answer, as a careless queue does, and after none. Each
// op is an increment, so that a second effect shows.

import type { Causeway } from '../../src/client/index.ts';
import { Choices } from './choices.ts';
import { recordedWrite, rest, type Desk, type Worker } from './desk.ts';

const EVERY_MS = 150;
const DEADLINE_MS = 800;
const TRIES_MAX = 40;
const REPEAT_SHARE = 0.5;

export class Retrier implements Worker {
  readonly #desk: Desk;
  readonly #caller: { readonly client: string; readonly home: string };
  readonly #choices: Choices;
  readonly #causeway: Causeway;
  #keys = 0;

  /** Bound to its region: the idempotency key is good in the region that took the first try. */
  constructor(desk: Desk, client: string, home: string) {
    this.#desk = desk;
    this.#caller = { client, home };
    this.#choices = new Choices(client, desk.random);
    this.#causeway = desk.stage.connect([home], { deadlineMs: DEADLINE_MS });
  }

  async run(stop: AbortSignal): Promise<void> {
    const { random, recorder } = this.#desk;
    while (!stop.aborted) {
      const write = this.#choices.increment();
      const again = {
        op: recorder.nextOp(),
        idempotencyKey: `${this.#caller.client}/${++this.#keys}`,
        issuedAtMs: Date.now(),
      };
      for (let tries = 1; tries <= TRIES_MAX; tries++) {
        const { outcome, error } = await recordedWrite(this.#desk, this.#causeway, this.#caller, { ...write, again });
        const settled = outcome === 'ok' || (outcome === 'failed' && error?.retriable !== true);
        if (settled && !(outcome === 'ok' && tries === 1 && random.chance(REPEAT_SHARE))) break;
        // Told to stop, it still wants to know what became of the op, but not for ever.
        if (stop.aborted && tries >= TRIES_MAX / 4) break;
        await rest(EVERY_MS * random.between(0.2, 1), stop);
      }
      await rest(EVERY_MS * random.between(0.5, 1.5), stop);
    }
  }

  close(): void {
    this.#causeway.close();
  }
}
