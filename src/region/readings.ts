// Reads and scans of a node, at the level of consistency that was asked for (DESIGN 8): each waits, to its deadline, until the shards hold what
// its level wants, or says why they do not.
// Owns: the calls that wait, the cuts of those that want one, and who waits for a store that is slow.
// I11 No read is answered from a shard that does not hold what it must. I12 WaitingCalls and StoreReaders have the bounds.

import { msOfStamp, stampOfMs, STAMPS_PER_MS } from '../clock/hlc.ts';
import { CausewayError, isCausewayError } from '../errors/errors.ts';
import { mergeOf } from '../merge/merge.ts';
import type { View } from '../merge/types.ts';
import type { OriginId, RegionId, ShardId } from '../record/ids.ts';
import { stateKey, type CollectionRef } from '../record/op.ts';
import type { Landed } from '../shard/engine.ts';
import { GUARDS } from '../shard/guards.ts';
import type { Store } from '../store/store.ts';
import { lowest, notStable, promisedFront, tooStale, type Front } from './read-levels.ts';
import type { Consistency, ReadRequest, ReadResult, ScanRequest, ScanResult } from './region.ts';
import { scanPage, type KeyRange } from './scan.ts';
import { behindOf, lostOf, sessionBehind, sessionOf } from './sessions.ts';
import type { ShardRunner } from './shard-runner.ts';
import type { Cut } from './stable-read.ts';
import { StoreReaders } from './store-readers.ts';
import { DEADLINE_MS_MAX, WaitingCalls } from './waiting-calls.ts';

/** What an answer says of itself; `viewAtMs`: as of when what expires is judged, now if undefined. */
interface AnsweredAs {
  readonly stale?: boolean;
  readonly asOfStamp?: number;
  readonly unchangedSince?: number;
  readonly viewAtMs?: number;
}

/** A read or a scan that was asked for, once its names are known to be right. */
export interface Reading<Result> {
  readonly consistency: Consistency;
  readonly deadlineMs: number;
  /** Of this moment: while it waits, a shard may begin anew, or go. Always as many, in one order. */
  readonly runners: () => ShardRunner[] | CausewayError;
  readonly answer: (
    runners: readonly ShardRunner[],
    as: AnsweredAs,
    answered: (result: Result | CausewayError) => void,
  ) => void;
  /** Not all of it is in memory. */
  readonly needsStore: (runner: ShardRunner) => boolean;
  readonly cut: (runners: readonly ShardRunner[]) => Cut;
  readonly done: (result: Result | CausewayError) => void;
}

export interface ReadingsHost {
  readonly region: RegionId;
  readonly store: Pick<Store, 'answersAtOnce'>;
  readonly runners: ReadonlyMap<ShardId, ShardRunner>;
  /** Why, as an error. */
  notReady(): CausewayError;
  nowMs(): number;
  monotonicMs(): number;
}

export class Readings {
  readonly #host: ReadingsHost;
  readonly #waiting = new WaitingCalls('reads');
  readonly #storeReaders = new StoreReaders();
  /** Reads and scans of the level stable that wait. */
  readonly #cuts = new Set<Cut>();

  constructor(host: ReadingsHost) {
    this.#host = host;
  }

  /** For others whose calls wait as reads do. */
  readonly wait: WaitingCalls['wait'] = (call) => this.#waiting.wait(call);
  readonly ask: StoreReaders['ask'] = (...asked) => this.#storeReaders.ask(...asked);

  /** Something moved, or time passed. */
  check(monotonicMs: number): void {
    this.#waiting.check(monotonicMs);
  }

  storeAway(): void {
    this.#storeReaders.check();
  }

  landed(runner: ShardRunner, { changes, registers, batches }: Landed): void {
    if (this.#cuts.size === 0) return;
    const changed = new Set(changes.map(({ key }) => key));
    for (const place of registers) changed.add(runner.cache.registers.keyOf(place));
    for (const cut of this.#cuts) cut.landed(runner, changed, batches);
  }

  /** Answers once the shards hold what is asked for, or says at the deadline why they do not. */
  answer<Result>(reading: Reading<Result>): void {
    const runners = reading.runners();
    if (runners instanceof CausewayError) {
      reading.done(runners);
      return;
    }
    const { consistency } = reading;
    const deadlineAtMs = this.#host.monotonicMs() + Math.min(reading.deadlineMs, DEADLINE_MS_MAX);
    switch (consistency.kind) {
      case 'local':
        this.#answerFrom(reading, runners, {}, reading.done);
        return;
      case 'causal':
        this.#readCausal(reading, consistency, runners, deadlineAtMs);
        return;
      case 'bounded':
        this.#readBounded(reading, consistency.maxStaleMs, deadlineAtMs);
        return;
      case 'stable':
        this.#readStable(reading, consistency.atStamp ?? 0, runners, deadlineAtMs);
        return;
    }
  }

  /** From the runners of this moment: while a read waited, its shard may have begun anew, or gone. */
  #answerNow<Result>(reading: Reading<Result>, as: AnsweredAs): void {
    const found = reading.runners();
    if (found instanceof CausewayError) reading.done(found);
    else this.#answerFrom(reading, found, as, reading.done);
  }

  #answerFrom<Result>(
    { answer, needsStore }: Reading<Result>,
    runners: readonly ShardRunner[],
    as: AnsweredAs,
    done: (result: Result | CausewayError) => void,
  ): void {
    if (this.#host.store.answersAtOnce) answer(runners, as, done);
    else
      this.#storeReaders.ask<Result | CausewayError>(
        runners,
        needsStore,
        (answered) => answer(runners, as, answered),
        done,
      );
  }

  #readCausal<Result>(
    reading: Reading<Result>,
    consistency: Extract<Consistency, { kind: 'causal' }>,
    runners: readonly ShardRunner[],
    deadlineAtMs: number,
  ): void {
    const { done } = reading;
    // Only the shards that are read: causality holds within a shard.
    const shards = new Set(runners.map(({ shard }) => shard));
    const session = new Map([...consistency.session].filter(([shard]) => shards.has(shard)));
    const lost = lostOf(session, this.#host.runners);
    if (lost !== undefined) {
      done(lost);
      return;
    }
    const error = this.#waiting.wait({
      deadlineAtMs,
      attempt: () => {
        if (behindOf(session, this.#host.runners).length > 0) return false;
        // Reached may also mean that the origin was closed meanwhile, before what the session has seen.
        const lostNow = lostOf(session, this.#host.runners);
        if (lostNow === undefined) this.#answerNow(reading, {});
        else done(lostNow);
        return true;
      },
      expired: () => {
        if (consistency.allowStale) this.#answerNow(reading, { stale: true });
        else done(sessionBehind(this.#host.region, behindOf(session, this.#host.runners)));
      },
    });
    if (error !== undefined) done(error);
  }

  #readBounded<Result>(reading: Reading<Result>, maxStaleMs: number, deadlineAtMs: number): void {
    const { done } = reading;
    /** Of this moment: a shard may begin anew while the read waits. */
    const front = (): Front | CausewayError => {
      const runners = reading.runners();
      return runners instanceof CausewayError
        ? runners
        : lowest(runners.map((runner) => promisedFront(runner, this.#host.region)));
    };
    const isYoung = ({ stamp }: Front): boolean => stamp >= stampOfMs(this.#host.nowMs()) - maxStaleMs * STAMPS_PER_MS;
    /** The views are being read: when they are there they may be too old. */
    let trying = false;
    let over = false;
    const error = this.#waiting.wait({
      deadlineAtMs,
      attempt: () => {
        if (over || trying) return over;
        const runners = reading.runners();
        // What is not ready now may be by the deadline.
        if (runners instanceof CausewayError) return false;
        const reached = lowest(runners.map((runner) => promisedFront(runner, this.#host.region)));
        if (!isYoung(reached)) return false;
        trying = true;
        this.#answerFrom(
          reading,
          runners,
          { asOfStamp: Math.min(reached.stamp, stampOfMs(this.#host.nowMs())) },
          (result) => {
            trying = false;
            if (over || (!isStoreAway(result) && (result instanceof CausewayError || !isYoung(reached)))) return;
            over = true;
            done(result);
          },
        );
        return over;
      },
      expired: () => {
        over = true;
        const reached = front();
        done(
          reached instanceof CausewayError
            ? reached
            : tooStale(this.#host.region, reached, maxStaleMs, this.#host.nowMs()),
        );
      },
    });
    if (error !== undefined) done(error);
  }

  #readStable<Result>(
    reading: Reading<Result>,
    atStamp: number,
    found: readonly ShardRunner[],
    deadlineAtMs: number,
  ): void {
    const cut = reading.cut(found);
    this.#cuts.add(cut);
    const end = (result: Result | CausewayError): void => {
      this.#cuts.delete(cut);
      reading.done(result);
    };
    /** The views are being read: they tell whether they are of one cut. */
    let trying = false;
    let over = false;
    const attempt = (): boolean => {
      if (over) return true;
      const runners = reading.runners();
      if (trying || runners instanceof CausewayError) return false;
      cut.moved(runners);
      const { front, beyond } = cut.judge(this.#host.nowMs());
      if (beyond.length > 0 || front.stamp < atStamp) return false;
      trying = true;
      const { changes, bound } = cut;
      // What is read is the same as of any stamp between the two.
      const asOfStamp = atStamp > 0 && bound <= atStamp ? atStamp : front.stamp;
      const answered = (result: Result | CausewayError): void => {
        trying = false;
        // Something landed while the views were read: the next attempt begins from there.
        if (over || (cut.changes !== changes && !isStoreAway(result))) return;
        over = true;
        end(result);
      };
      this.#answerFrom(
        reading,
        runners,
        { asOfStamp, unchangedSince: bound, viewAtMs: msOfStamp(asOfStamp) },
        answered,
      );
      return over;
    };
    const look = (looked: (nothing: undefined) => void): void => cut.look(this.#host.nowMs(), () => looked(undefined));
    this.#storeReaders.ask(found, reading.needsStore, look, (away) => {
      if (away !== undefined) {
        end(away);
        return;
      }
      const error = this.#waiting.wait({
        deadlineAtMs,
        attempt,
        expired: () => {
          over = true;
          const { front, beyond } = cut.judge(this.#host.nowMs());
          end(notStable(this.#host.region, front, beyond[0], this.#host.nowMs()));
        },
      });
      if (error !== undefined) end(error);
    });
  }

  /** As `Reading.answer`: the views of the keys as they are now. */
  read(
    runners: readonly ShardRunner[],
    request: ReadRequest,
    collection: CollectionRef,
    { stale = false, asOfStamp, unchangedSince, viewAtMs }: AnsweredAs,
    done: (result: ReadResult | CausewayError) => void,
  ): void {
    const nowMs = viewAtMs ?? this.#host.nowMs();
    const merge = mergeOf(collection.type);
    const views: (View | undefined)[] = Array.from({ length: request.keys.length });
    const session = new Map<ShardId, ReadonlyMap<OriginId, number>>();
    const parts = new Map<ShardRunner, number[]>();
    runners.forEach((runner, i) => {
      const part = parts.get(runner);
      if (part === undefined) parts.set(runner, [i]);
      else part.push(i);
    });
    let left = parts.size + 1;
    const finish = (): void => {
      if (--left > 0) return;
      // A store may take its time, and a shard may have begun anew meanwhile.
      if (runners.some((runner) => runner.stopped)) done(this.#host.notReady());
      else done({ views, session, stale, asOfStamp, unchangedSince });
    };
    for (const [runner, part] of parts) {
      const { cache, engine, shard } = runner;
      const keys = part.map((i) => ({ key: stateKey(collection, request.keys[i]!), type: collection.type }));
      // All of a shard in one turn: the session says as of when they are.
      cache.load(keys, () => {
        part.forEach((i, at) => {
          const state = GUARDS.durableReads
            ? cache.get(keys[at]!.key, collection.type)
            : engine.latestOf(collection, request.keys[i]!, cache);
          views[i] = merge.view(state, nowMs);
        });
        session.set(shard, sessionOf(runner));
        finish();
      });
    }
    finish();
  }

  /** As `Reading.answer`: a page as it is now. */
  scan(
    runners: readonly ShardRunner[],
    { limit, bytesMax }: ScanRequest,
    range: KeyRange,
    { stale = false, asOfStamp, unchangedSince, viewAtMs }: AnsweredAs,
    done: (result: ScanResult | CausewayError) => void,
  ): void {
    const caches = runners.map(({ cache }) => cache);
    scanPage(caches, { ...range, limit, bytesMax, nowMs: viewAtMs ?? this.#host.nowMs() }, ({ entries, next }) => {
      // A store may take its time, and a shard may have begun anew meanwhile.
      const gone = runners.find((runner) => runner.stopped);
      if (gone !== undefined) done(this.#host.notReady());
      else {
        const session = new Map(runners.map((runner) => [runner.shard, sessionOf(runner)]));
        done({ entries, next, session, stale, asOfStamp, unchangedSince });
      }
    });
  }
}

/** Waiting is in vain: it ends what would wait for something else. */
function isStoreAway(result: unknown): boolean {
  return isCausewayError(result, 'STORE_AWAY');
}
