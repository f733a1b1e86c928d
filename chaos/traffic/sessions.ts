// Sessions that roam: one token, which is handed on from region to region. Reads are causal.
// Every client of a session has a connection to one region alone, so that it is known which region answered.

import type { Causeway } from '../../src/client/index.ts';
import { recordedRead, recordedWrite, rest, type Desk, type Seen, type Worker, type Written } from './desk.ts';
import type { CollectionName, WriteIntent } from '../history/records.ts';

const DEADLINE_MS = 1500;
/** A session that cannot go on for so long is given up, and a new one begun. */
const STUCK_MS_MAX = 6000;

/** One session after the other; each with its own token. */
export class Roamer {
  readonly #desk: Desk;
  readonly #client: string;
  #sessions = 0;
  #name = '';
  #causeways = new Map<string, Causeway>();
  #lastGoodMs = 0;
  region: string;

  constructor(desk: Desk, client: string, home: string) {
    this.#desk = desk;
    this.#client = client;
    this.region = home;
    this.begin();
  }

  get session(): string {
    return this.#name;
  }

  /** Forgets the token. */
  begin(): void {
    this.close();
    this.#name = `${this.#client}#${++this.#sessions}`;
    this.#lastGoodMs = performance.now();
    for (const name of this.#desk.stage.names) {
      this.#causeways.set(name, this.#desk.stage.connect([name], { deadlineMs: DEADLINE_MS }));
    }
  }

  /** Takes its token along. */
  move(region: string): void {
    const token = this.#here.session();
    this.region = region;
    this.#here.join(token);
  }

  async write(collection: CollectionName, key: string, intent: WriteIntent): Promise<Written> {
    const caller = { client: this.#client, home: this.region, session: this.#name };
    const written = await recordedWrite(this.#desk, this.#here, caller, { collection, key, intent });
    this.#note(written.outcome === 'ok');
    return written;
  }

  async read(collection: CollectionName, key: string): Promise<Seen> {
    const { region } = this;
    const caller = { client: this.#client, home: region, region, session: this.#name };
    const seen = await recordedRead(this.#desk, this.#here, caller, collection, key, DEADLINE_MS);
    this.#note(seen.error === undefined);
    return seen;
  }

  #note(good: boolean): void {
    if (good) this.#lastGoodMs = performance.now();
    else if (performance.now() - this.#lastGoodMs > STUCK_MS_MAX) {
      // What it has seen is out of reach, for now or for ever (SESSION_LOST).
      this.region = this.#desk.random.pick(this.#desk.stage.names);
      this.begin();
    }
  }

  get #here(): Causeway {
    return this.#causeways.get(this.region)!;
  }

  close(): void {
    for (const causeway of this.#causeways.values()) causeway.close();
    this.#causeways = new Map();
  }
}

const EVERY_MS = 70;
const SHARED_KEYS = 10;
const ELEMENTS_PER_SET = 40;

/** Reads and writes keys that all sessions share, and a set of its own, and moves on. */
export class RoamingSession implements Worker {
  readonly #desk: Desk;
  readonly #client: string;
  readonly #roamer: Roamer;
  #writes = 0;

  constructor(desk: Desk, client: string, home: string) {
    this.#desk = desk;
    this.#client = client;
    this.#roamer = new Roamer(desk, client, home);
  }

  async run(stop: AbortSignal): Promise<void> {
    const { random, stage } = this.#desk;
    while (!stop.aborted) {
      const key = `roam-${random.below(SHARED_KEYS)}`;
      const set = `roam-${this.#client}-${Math.floor(this.#writes / ELEMENTS_PER_SET)}`;
      const dice = random.float();
      if (dice < 0.3) await this.#roamer.write('registers', key, { kind: 'put', value: this.#value() });
      else if (dice < 0.6) await this.#roamer.read('registers', key);
      else if (dice < 0.75) await this.#roamer.write('sets', set, { kind: 'set-add', elements: [this.#value()] });
      else if (dice < 0.9) await this.#roamer.read('sets', set);
      else this.#roamer.move(random.pick(stage.others(this.#roamer.region)));
      await rest(EVERY_MS * random.between(0.5, 1.5), stop);
    }
  }

  #value(): string {
    return `${this.#client}-${++this.#writes}`;
  }

  close(): void {
    this.#roamer.close();
  }
}
