// Clients as most programs have them: single calls with a short deadline, the home region first and the others for when it is away. By
// them the availability of a region is judged.

import type { Causeway } from '../../src/client/index.ts';
import { Choices } from './choices.ts';
import { recordedRead, recordedWrite, rest, type Caller, type Desk, type Worker } from './desk.ts';

const EVERY_MS = 50;
const DEADLINE_MS = 1500;
const READ_SHARE = 0.2;
/** Of writes that ask for another region to have them too; those wait for a wire and may time out. */
const DURABLE_ELSEWHERE_SHARE = 0.05;

export class EverydayClient implements Worker {
  readonly #desk: Desk;
  readonly #caller: Caller;
  readonly #choices: Choices;
  readonly #causeway: Causeway;

  constructor(desk: Desk, client: string, home: string) {
    this.#desk = desk;
    this.#caller = { client, home, failsOver: true };
    this.#choices = new Choices(client, desk.random);
    const regions = [home, ...desk.stage.others(home)];
    this.#causeway = desk.stage.connect(regions, { deadlineMs: DEADLINE_MS, connectTimeoutMs: 500 });
  }

  async run(stop: AbortSignal): Promise<void> {
    const { random } = this.#desk;
    // A write that waits for another region must not keep the next ones from being tried.
    const slow = new Set<Promise<unknown>>();
    while (!stop.aborted) {
      const write = this.#choices.next();
      if (random.chance(DURABLE_ELSEWHERE_SHARE)) {
        const call: Promise<unknown> = recordedWrite(this.#desk, this.#causeway, this.#caller, {
          ...write,
          otherRegions: 1,
        }).finally(() => slow.delete(call));
        slow.add(call);
      } else {
        await recordedWrite(this.#desk, this.#causeway, this.#caller, write);
      }
      if (random.chance(READ_SHARE)) {
        const region = this.#causeway.endpoint()?.region ?? this.#caller.home;
        await recordedRead(
          this.#desk,
          this.#causeway,
          { ...this.#caller, region },
          write.collection,
          write.key,
          DEADLINE_MS,
        );
      }
      await rest(EVERY_MS * random.between(0.5, 1.5), stop);
    }
    await Promise.all(slow);
  }

  close(): void {
    this.#causeway.close();
  }
}
