// All clients of a run: started together, told to end together.

import { setMaxListeners } from 'node:events';
import { SeededRandom } from '../sim/random.ts';
import type { Stage } from '../cluster/stage.ts';
import type { Recorder } from '../history/recorder.ts';
import { BulkWriter } from './bulk.ts';
import { Circle } from './circles.ts';
import { Resident, RovingConsumer } from './consumers.ts';
import type { Desk, Worker } from './desk.ts';
import { EverydayClient } from './everyday.ts';
import { SteadyProducer } from './producers.ts';
import { Retrier } from './retriers.ts';
import { Sampler } from './sampler.ts';
import { RoamingSession } from './sessions.ts';

/** Patient clients ask until their region is back; when everything has healed they are answered within this. */
const SETTLE_MS_MAX = 60_000;

export class Traffic {
  readonly #writers: Worker[] = [];
  readonly #watchers: Worker[] = [];
  readonly #consumers: RovingConsumer[] = [];
  readonly #stopWriting = new AbortController();
  readonly #stopWatching = new AbortController();
  readonly #recorder: Recorder;
  #writing: Promise<void> = Promise.resolve();
  #watching: Promise<void> = Promise.resolve();

  constructor(stage: Stage, recorder: Recorder, seed: number) {
    this.#recorder = recorder;
    // Every client that rests listens for the end.
    setMaxListeners(0, this.#stopWriting.signal, this.#stopWatching.signal);
    const desk = (name: string): Desk => ({ stage, recorder, random: new SeededRandom(seed, name) });
    for (const home of stage.names) {
      for (const n of [1, 2]) {
        const name = `${home}-everyday-${n}`;
        this.#writers.push(new EverydayClient(desk(name), name, home));
      }
      const named = (what: string): [Desk, string] => [desk(`${home}-${what}`), `${home}-${what}`];
      this.#writers.push(new SteadyProducer(...named('producer'), home));
      this.#writers.push(new Retrier(...named('retrier'), home));
      this.#writers.push(new RoamingSession(...named('roamer'), home));
      if (stage.disk(home) !== undefined) this.#writers.push(new BulkWriter(...named('bulk'), home));
      this.#watchers.push(new Resident(desk(home), home), new Sampler(desk(home), home));
    }
    this.#writers.push(new Circle(desk('circle'), 'circle'));
    for (const [i, home] of stage.names.slice(0, 2).entries()) {
      this.#consumers.push(new RovingConsumer(desk(`consumer-${i}`), `consumer-${i}`, home));
    }
  }

  start(): void {
    const trouble = (error: unknown): void =>
      this.#recorder.trouble(
        `a client ended: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    const all = (workers: readonly Worker[], stop: AbortSignal): Promise<void> =>
      Promise.all(workers.map((worker) => worker.run(stop).catch(trouble))).then(() => {});
    this.#writing = all([...this.#writers, ...this.#consumers], this.#stopWriting.signal);
    this.#watching = all(this.#watchers, this.#stopWatching.signal);
  }

  /** No new calls; resolves when those under way have ended. */
  async stopWriting(): Promise<void> {
    this.#stopWriting.abort();
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), SETTLE_MS_MAX);
    const inTime = await Promise.race([
      this.#writing.then(() => true),
      new Promise<false>((resolve) => late.signal.addEventListener('abort', () => resolve(false))),
    ]);
    clearTimeout(timer);
    if (!inTime)
      this.#recorder.trouble(`calls were still unanswered ${SETTLE_MS_MAX / 1000} s after everything healed`);
  }

  /** Consumers get what they lack; then nobody watches any more. */
  async finish(): Promise<void> {
    for (const consumer of this.#consumers) await consumer.drain();
    this.#stopWatching.abort();
    await this.#watching;
  }

  close(): void {
    this.#stopWriting.abort();
    this.#stopWatching.abort();
    for (const worker of [...this.#writers, ...this.#watchers, ...this.#consumers]) worker.close();
  }
}
