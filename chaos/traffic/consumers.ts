// Consumers of the feed: those that stay and say when an op has arrived in their region, and those that move on with their cursor.

import {
  adminClient,
  CausewayError,
  isCausewayError,
  type Causeway,
  type FeedBatch,
  type Subscription,
} from '../../src/client/index.ts';
import { decodeCursor } from '../../src/client/cursor.ts';
import { opOfTrace } from '../history/names.ts';
import type { FeedEntry } from '../history/records.ts';
import { rest, type Desk, type Worker } from './desk.ts';

const STAY_MS = 3000;
const LOOK_MS = 100;
/** A consumer that is told to stop has until then to get the rest. */
const DRAIN_MS_MAX = 60_000;
/** Or until nothing has come for so long: a cursor is not told of control ops alone, and one of these may be the last of a shard. Whether
 *  anything is missing then is for the check to find. */
const QUIET_MS = 8_000;
/** What was received and not handled is received again in the next region. */
const LEAVING = new CausewayError('CANCELLED', 'the consumer moves on');

/** Follows one region for as long as the run lasts. */
export class Resident implements Worker {
  readonly #desk: Desk;
  readonly #region: string;
  readonly #causeway: Causeway;

  constructor(desk: Desk, region: string) {
    this.#desk = desk;
    this.#region = region;
    this.#causeway = desk.stage.connect([region]);
  }

  async run(stop: AbortSignal): Promise<void> {
    const { recorder } = this.#desk;
    while (!stop.aborted) {
      const subscription = this.#causeway.subscribe({
        from: 'beginning',
        signal: stop,
        onEvents: ({ events }) => {
          const ops = events.map(({ trace }) => opOfTrace(trace)).filter((op) => op !== 0);
          if (ops.length > 0) recorder.add({ kind: 'arrival', region: this.#region, atMs: recorder.nowMs(), ops });
        },
      });
      // A region that lost its disk has another history than the one that was followed: from the beginning, then.
      await subscription.done.catch(() => undefined);
      await rest(LOOK_MS, stop);
    }
  }

  close(): void {
    this.#causeway.close();
  }
}

/** Takes its cursor from region to region. */
export class RovingConsumer implements Worker {
  readonly #desk: Desk;
  readonly #consumer: string;
  readonly #causeways: ReadonlyMap<string, Causeway>;
  #lives = 1;
  #heardMs = 0;
  #region: string;
  #cursor: string | undefined;

  constructor(desk: Desk, consumer: string, home: string) {
    this.#desk = desk;
    this.#consumer = consumer;
    this.#region = home;
    this.#causeways = new Map(desk.stage.names.map((name) => [name, desk.stage.connect([name])]));
  }

  async run(stop: AbortSignal): Promise<void> {
    const { random, stage } = this.#desk;
    while (!stop.aborted) {
      const subscription = this.#subscribe();
      await Promise.race([rest(STAY_MS * random.between(0.3, 1.7), stop), subscription.done.catch(() => undefined)]);
      this.#leave(subscription);
      const failure = await subscription.done.then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure !== LEAVING) this.#giveUp(isCausewayError(failure) ? failure.code : 'INTERNAL');
      else if (!stop.aborted) this.#region = random.pick(stage.others(this.#region));
    }
  }

  /** When nothing is written any more: the rest of what its region has. */
  async drain(): Promise<void> {
    const { recorder, stage } = this.#desk;
    const admin = adminClient(stage.region(this.#region).address, { deadlineMs: DRAIN_MS_MAX });
    const subscription = this.#subscribe();
    try {
      const digests = await admin.digests();
      const untilMs = performance.now() + DRAIN_MS_MAX;
      const isDone = (): boolean => {
        const { cursor } = subscription;
        if (cursor === undefined) return false;
        const { position } = decodeCursor(cursor);
        return digests.every(({ shard, vector }) =>
          Object.entries(vector).every(([origin, seq]) => (position.get(shard)?.get(origin) ?? 0) >= seq),
        );
      };
      let failure: unknown;
      subscription.done.catch((error: unknown) => {
        failure = error;
      });
      this.#heardMs = performance.now();
      const isOver = (): boolean => isDone() || performance.now() - this.#heardMs > QUIET_MS;
      while (!isOver() && failure === undefined && performance.now() < untilMs) {
        await rest(LOOK_MS, new AbortController().signal);
      }
      const code = isCausewayError(failure) ? failure.code : isOver() ? undefined : 'NOT_DRAINED';
      recorder.add({
        kind: 'feed-end',
        consumer: this.#name,
        region: this.#region,
        atMs: recorder.nowMs(),
        ...(code === undefined ? {} : { code }),
      });
    } finally {
      this.#leave(subscription);
      admin.close();
    }
  }

  get #name(): string {
    return `${this.#consumer}#${this.#lives}`;
  }

  #subscribe(): Subscription {
    const { recorder } = this.#desk;
    const [consumer, region] = [this.#name, this.#region];
    recorder.add({ kind: 'feed-move', consumer, region, atMs: recorder.nowMs() });
    return this.#causeways.get(region)!.subscribe({
      from: this.#cursor ?? 'beginning',
      onEvents: ({ events, cursor }: FeedBatch) => {
        const entries = events.map(({ shard, version, trace }): FeedEntry => [
          shard,
          version.origin,
          version.seq,
          opOfTrace(trace),
        ]);
        recorder.add({ kind: 'feed', consumer, region, atMs: recorder.nowMs(), events: entries });
        this.#cursor = cursor;
        this.#heardMs = performance.now();
      },
    });
  }

  #leave(subscription: Subscription): void {
    subscription.abort(LEAVING);
  }

  /** Its cursor is of no use any more; a new consumer begins at the beginning. */
  #giveUp(code: string): void {
    const { recorder } = this.#desk;
    recorder.add({ kind: 'feed-end', consumer: this.#name, region: this.#region, atMs: recorder.nowMs(), code });
    this.#lives++;
    this.#cursor = undefined;
  }

  close(): void {
    for (const causeway of this.#causeways.values()) causeway.close();
  }
}
