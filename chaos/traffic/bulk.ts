// Large values, into a region whose disk is full: what a log has set aside is used up in seconds and not in minutes.

import type { Causeway } from '../../src/client/index.ts';
import { recordedWrite, rest, type Desk, type Worker } from './desk.ts';

const LOOK_MS = 50;
const DEADLINE_MS = 1000;
const BYTES = 64 * 1024;
/** Written over and over, so that views stay few. */
const KEYS = 8;

export class BulkWriter implements Worker {
  readonly #desk: Desk;
  readonly #caller: { readonly client: string; readonly home: string };
  readonly #causeway: Causeway;
  #writes = 0;

  constructor(desk: Desk, client: string, home: string) {
    this.#desk = desk;
    this.#caller = { client, home };
    this.#causeway = desk.stage.connect([home], { deadlineMs: DEADLINE_MS });
  }

  async run(stop: AbortSignal): Promise<void> {
    const { client, home } = this.#caller;
    const disk = this.#desk.stage.disk(home);
    while (!stop.aborted) {
      if (disk?.isFull === true) {
        const value = `${client}-${++this.#writes}`;
        await recordedWrite(this.#desk, this.#causeway, this.#caller, {
          collection: 'registers',
          key: `bulk-${this.#writes % KEYS}`,
          intent: { kind: 'put', value, bytes: BYTES },
        });
      }
      await rest(LOOK_MS, stop);
    }
  }

  close(): void {
    this.#causeway.close();
  }
}
