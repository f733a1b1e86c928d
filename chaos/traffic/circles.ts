// Circles: three sessions that talk to each other through three registers of one shard, for a dozen calls each. Small enough that the
// whole history of a circle can be searched for what causal consistency forbids (chaos/check/recorded/causal.ts).

import { rest, type Desk, type Worker } from './desk.ts';
import { Roamer } from './sessions.ts';

const CALLS = 10;
const EVERY_MS = 60;
const MOVE_SHARE = 0.2;
const WRITE_SHARE = 0.45;
const KEYS = ['x', 'y', 'z'] as const;

export class Circle implements Worker {
  readonly #desk: Desk;
  readonly #client: string;
  readonly #roamers: readonly Roamer[];
  #rounds = 0;

  constructor(desk: Desk, client: string) {
    this.#desk = desk;
    this.#client = client;
    this.#roamers = desk.stage.names.map((region, i) => new Roamer(desk, `${client}.${i}`, region));
  }

  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.#rounds++;
      await Promise.all(this.#roamers.map((roamer, i) => this.#talk(roamer, i, stop)));
    }
  }

  async #talk(roamer: Roamer, who: number, stop: AbortSignal): Promise<void> {
    const { random, stage } = this.#desk;
    // The tag in braces puts the three keys into one shard: between sessions causality holds within a shard (docs/CONSISTENCY.md).
    const tag = `{${this.#client}.${this.#rounds}}`;
    roamer.begin();
    for (let call = 1; call <= CALLS && !stop.aborted; call++) {
      const key = `${tag}${random.pick(KEYS)}`;
      if (random.chance(MOVE_SHARE)) roamer.move(random.pick(stage.others(roamer.region)));
      if (random.chance(WRITE_SHARE)) {
        await roamer.write('registers', key, { kind: 'put', value: `${tag}${who}.${call}` });
      } else {
        await roamer.read('registers', key);
      }
      await rest(EVERY_MS * random.between(0.3, 1.7), stop);
    }
  }

  close(): void {
    for (const roamer of this.#roamers) roamer.close();
  }
}
