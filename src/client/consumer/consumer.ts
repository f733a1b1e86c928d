// A member of a consumer group: it shares the shards of a namespace with the other members in its region, and where the group is lies in Causeway
// itself, so that the group goes on in any region.
//
// At least once: an op counts as handled when the consumer has come back from it, and is handed over again, here or elsewhere, unless
// that was committed. Two members that both believe a shard is theirs hand over twice and lose nothing, because what they commit
// is joined (progress.ts). Order holds per shard.
// Life: it sits at an endpoint (sitting.ts) and takes turns there: renew what it has, look who is there, give up, take. When the endpoint
// fails, or an earlier one is back, it sits down elsewhere with what it knows and what that region has stored.
// Bounds (I12): per shard, bufferBytes of events that were not taken.

import { CausewayError, toCausewayError } from '../../errors/errors.ts';
import type { System } from '../../system/system.ts';
import type { CallDefaults } from '../calls.ts';
import type { Endpoint } from '../endpoint.ts';
import type { Endpoints } from '../endpoints.ts';
import type { FeedEvent } from '../subscribe.ts';
import { endProcess, processSpans } from '../tracer.ts';
import type { Version } from '../types.ts';
import { assign } from './assignment.ts';
import { checkOptions } from './check-options.ts';
import { readFront } from './front.ts';
import { checkGroupName, GROUPS_COLLECTION } from './group-keys.ts';
import type { ConsumerLag, ConsumerOptions } from './options.ts';
import { covers, joinProgress, opsBetween, type Progress } from './progress.ts';
import { failureOf, RegionFailure, takeState } from './resync.ts';
import { ShardReader, type ReaderHost } from './shard-reader.ts';
import { Sitting, type SittingOptions } from './sitting.ts';

export interface ConsumerParts {
  readonly endpoints: Endpoints;
  readonly system: System;
  readonly defaults: CallDefaults;
}

const ACQUIRE_MS = 5000;
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 2000;
const BUFFER_BYTES = 256 * 1024;
/** Shards whose cursors are refused at about the same time are begun anew together. */
const RESYNC_GATHER_MS = 50;
/** After close(): how long the last commit may take. */
const CLOSE_MS_MAX = 5000;
/** Stamps count milliseconds since 2020, times 4096 (docs/PROTOCOL.md). */
const STAMP_EPOCH_MS = Date.UTC(2020, 0, 1);
const STAMPS_PER_MS = 4096;

type Work = { readonly kind: 'events'; readonly reader: ShardReader } | { readonly kind: 'resync' };

export class Consumer implements AsyncIterable<FeedEvent>, ReaderHost {
  readonly member: string;
  readonly #parts: ConsumerParts;
  readonly #options: ConsumerOptions;
  readonly #sittingOptions: SittingOptions;
  readonly #leaseMs: number;
  readonly #onClosed: () => void;
  readonly #giveUp = new AbortController();
  /** Of the shards that are ours now. */
  readonly #readers = new Map<string, ShardReader>();
  /** Handled by this member, in this and earlier sittings. */
  readonly #known = new Map<string, Progress>();
  readonly #paused = new Set<string>();
  #allPaused = false;
  #sitting: Sitting | undefined;
  /** Shards whose cursors were refused, and why. */
  readonly #refused = new Map<ShardReader, CausewayError>();
  #resyncDue = false;
  #current: ShardReader | undefined;
  #wake: (() => void) | undefined;
  #wakeRounds: (() => void) | undefined;
  #iterating = false;
  #handling: Promise<void> | undefined;
  #stopping = false;
  #ended = false;
  #error: CausewayError | undefined;
  #committing: Promise<void> = Promise.resolve();
  /** Resolves when the consumer has ended by close() or signal; rejects with what it failed with. */
  readonly done: Promise<void>;
  #resolveDone: () => void = () => undefined;
  #rejectDone: (error: CausewayError) => void = () => undefined;

  /** Throws CausewayError INVALID_ARGUMENT. */
  constructor(parts: ConsumerParts, options: ConsumerOptions, onClosed: () => void) {
    const { namespace } = parts.defaults;
    const groups = {
      namespace: options.groups?.namespace ?? namespace,
      collection: options.groups?.collection ?? GROUPS_COLLECTION,
    };
    checkOptions(options, namespace, groups);
    this.#parts = parts;
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? 10_000;
    this.#onClosed = onClosed;
    this.member = checkGroupName('member', options.member ?? parts.system.random.uint48().toString(36));
    this.#sittingOptions = { group: options.group, member: this.member, groups, leaseMs: this.#leaseMs };
    this.done = new Promise((resolve, reject) => {
      this.#resolveDone = resolve;
      this.#rejectDone = reject;
    });
    // Whoever iterates gets the error there; `done` must not be the reason for a crash as well.
    this.done.catch(() => undefined);
    options.signal?.addEventListener('abort', () => void this.close(), { once: true });
    if (options.signal?.aborted === true) this.#end(undefined);
    else this.#run().catch((error: unknown) => this.abort(toCausewayError(error)));
    if (options.onEvents !== undefined) this.#handling = this.#handle(options.onEvents);
    void this.#commitNowAndThen();
  }

  /** That it reads now. */
  get shards(): readonly string[] {
    return [...this.#readers.keys()].toSorted();
  }

  /** Where it reads now; undefined while it looks for an endpoint. */
  get region(): string | undefined {
    return this.#sitting?.region;
  }

  /** Hands over nothing more of these shards, or of any, until resume(). They stay with this member, and wait at a cursor. */
  pause(shards?: readonly string[]): void {
    if (shards === undefined) this.#allPaused = true;
    else for (const shard of shards) this.#paused.add(shard);
  }

  resume(shards?: readonly string[]): void {
    if (shards === undefined) {
      this.#allPaused = false;
      this.#paused.clear();
    } else for (const shard of shards) this.#paused.delete(shard);
    this.ready();
  }

  /**
   * Commits what has been handled: every event that the loop or onEvents has come back from, and, with an event, that one and what
   * came before it in its shard. Throws CausewayError UNAVAILABLE while no region can be reached; nothing is lost then, and the next commit
   * says it too.
   */
  async commit(event?: FeedEvent): Promise<void> {
    if (event !== undefined) this.#readers.get(event.shard)?.say(event);
    const sitting = this.#sitting;
    if (sitting === undefined) throw this.#nowhere();
    await this.#commit(sitting, [...this.#readers.values()]);
  }

  /** How far this member is behind its region, of the shards that it reads. */
  async lag(): Promise<ConsumerLag> {
    const sitting = this.#sitting;
    if (sitting === undefined) throw this.#nowhere();
    const readers = [...this.#readers.values()];
    const { collections } = this.#options;
    const names = readers.map(({ shard }) => shard);
    const front = await readFront(sitting.parts, names, collections, sitting.callOptions);
    const nowMs = this.#regionNowMs(sitting);
    const shards = readers.map((reader) => {
      const ops = opsBetween(reader.progress.vector, front.get(reader.shard) ?? new Map<string, number>());
      const stamp = reader.oldest?.version.stamp;
      const ms =
        stamp === undefined
          ? ops === 0
            ? 0
            : undefined
          : Math.max(0, nowMs - STAMP_EPOCH_MS - Math.floor(stamp / STAMPS_PER_MS));
      return { shard: reader.shard, ops, ms };
    });
    const most = Math.max(0, ...shards.map(({ ms = 0 }) => ms));
    return {
      ops: shards.reduce((sum, { ops }) => sum + ops, 0),
      // Nothing that is here waits, but not everything is here.
      ms: most === 0 && shards.some(({ ms }) => ms === undefined) ? undefined : most,
      shards,
    };
  }

  /** Hands over nothing more, waits for what onEvents has in hand, commits, and gives its shards to the others. Never rejects. */
  close(): Promise<void> {
    if (!this.#stopping && !this.#ended) {
      this.#stopping = true;
      this.ready();
      this.#wakeRounds?.();
      const cut = this.#parts.system.timers.after(CLOSE_MS_MAX, () => this.#end(undefined));
      this.done.then(
        () => cut.cancel(),
        () => cut.cancel(),
      );
      // The sitting says good-bye; without one there is nobody to say it to.
      if (this.#sitting === undefined) this.#end(undefined);
    }
    return this.done.catch(() => undefined);
  }

  /** Ends it at once, with an error for whoever waits. Its shards stay with it until its lease ends. */
  abort(error: CausewayError): void {
    this.#end(error);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FeedEvent, void, undefined> {
    if (this.#options.onEvents !== undefined || this.#iterating) {
      throw new CausewayError('INVALID_ARGUMENT', 'a consumer is taken from once: iterate it, or give it onEvents');
    }
    this.#iterating = true;
    try {
      for (;;) {
        const work = await this.#next();
        if (work === undefined) return;
        if (work.kind === 'resync') {
          await this.#resync();
          continue;
        }
        const [event] = work.reader.next(1);
        if (event === undefined) continue;
        const spans = this.#spans([event]);
        try {
          yield event;
        } finally {
          endProcess(spans);
        }
        this.#finish(work.reader);
      }
    } finally {
      await this.close();
    }
  }

  async #handle(onEvents: NonNullable<ConsumerOptions['onEvents']>): Promise<void> {
    try {
      for (;;) {
        const work = await this.#next();
        if (work === undefined) return;
        if (work.kind === 'resync') {
          await this.#resync();
          continue;
        }
        const { reader } = work;
        await this.#hand({ shard: reader.shard, events: reader.next(Infinity) }, onEvents);
        this.#finish(reader);
      }
    } catch (error) {
      this.abort(toCausewayError(error));
    }
  }

  async #hand(
    batch: Parameters<NonNullable<ConsumerOptions['onEvents']>>[0],
    onEvents: NonNullable<ConsumerOptions['onEvents']>,
  ): Promise<void> {
    const spans = this.#spans(batch.events);
    try {
      await onEvents(batch);
      endProcess(spans);
    } catch (error) {
      endProcess(spans, { error });
      throw error;
    }
  }

  #spans(events: readonly FeedEvent[]): ReturnType<typeof processSpans> {
    const { tracer, namespace } = this.#parts.defaults;
    return processSpans(tracer, namespace, events);
  }

  // For readers

  ready(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  failed(reader: ShardReader, error: CausewayError): void {
    if (error.code !== 'CURSOR_INVALID') {
      this.abort(error);
      return;
    }
    if (this.#options.onResync === undefined) {
      const hint = 'give the consumer onResync, which takes the state instead; or reset the group';
      this.abort(new CausewayError('CURSOR_INVALID', error.message, { hint, cause: error }));
      return;
    }
    this.#refuse(reader, error);
  }

  #refuse(reader: ShardReader, error: CausewayError): void {
    if (this.#refused.size === 0) {
      this.#parts.system.timers.after(RESYNC_GATHER_MS, () => {
        this.#resyncDue = true;
        this.ready();
      });
    }
    this.#refused.set(reader, error);
  }

  // Handing over

  /** undefined: it was closed. Throws what it failed with. */
  async #next(): Promise<Work | undefined> {
    for (;;) {
      if (this.#ended && this.#error !== undefined) throw this.#error;
      if (this.#ended || this.#stopping) return undefined;
      if (this.#resyncDue) return { kind: 'resync' };
      const reader = this.#pick();
      if (reader !== undefined) return { kind: 'events', reader };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The one that was last taken from while it has more of its batch, then the others in turn. */
  #pick(): ShardReader | undefined {
    const readers = [...this.#readers.values()];
    const at = this.#current === undefined ? -1 : readers.indexOf(this.#current);
    if (at >= 0 && !this.#current!.isFresh && this.#mayHandOver(this.#current!)) return this.#current;
    for (let i = 1; i <= readers.length; i++) {
      const reader = readers[(at + i) % readers.length]!;
      if (!this.#mayHandOver(reader)) continue;
      this.#current = reader;
      return reader;
    }
    return undefined;
  }

  #mayHandOver(reader: ShardReader): boolean {
    return (
      reader.hasNext &&
      !reader.leaving &&
      !this.#allPaused &&
      !this.#paused.has(reader.shard) &&
      this.#parts.system.clock.monotonicMs() < reader.leaseEndMs
    );
  }

  #finish(reader: ShardReader): void {
    reader.handled();
    if (reader.closed) this.#remember(reader);
    else if (reader.leaving) this.#wakeRounds?.();
  }

  // Sitting

  /** At one endpoint after the other until the end. */
  async #run(): Promise<void> {
    const { endpoints, system } = this.#parts;
    for (let failures = 0; !this.#ended;) {
      try {
        const endMs = system.clock.monotonicMs() + ACQUIRE_MS;
        const endpoint = await endpoints.acquire({ forWrites: true, endMs, signal: this.#giveUp.signal });
        await this.#sitAt(endpoint);
        failures = 0;
      } catch (thrown) {
        if (this.#ended) return;
        const error = toCausewayError(thrown);
        if (!error.retriable && error.code !== 'CANCELLED') {
          this.#end(error);
          return;
        }
        this.#options.onRetry?.(error);
        failures += 1;
        const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 10));
        await this.#sleep(backoffMs * (0.5 + system.random.float() / 2), this.#giveUp.signal);
      }
      if (this.#stopping) this.#end(undefined);
    }
  }

  /** Until another endpoint is the one to use, or the consumer is closed. */
  async #sitAt(endpoint: Endpoint): Promise<void> {
    const { endpoints } = this.#parts;
    const over = new AbortController();
    const end = (): void => over.abort();
    this.#giveUp.signal.addEventListener('abort', end, { once: true });
    let moving = false;
    const off = endpoints.onChange(() => {
      const best = endpoints.best(true);
      if (best === endpoint) return;
      // Gone: end at once. Only worse than another: in good order.
      if (endpoints.isUsable(endpoint, true)) moving = true;
      else end();
      this.#wakeRounds?.();
    });
    try {
      const sitting = await Sitting.begin(this.#parts, endpoint, this.#sittingOptions, over.signal);
      this.#sitting = sitting;
      while (!over.signal.aborted && !moving && !this.#stopping) {
        const waitMs = await this.#round(sitting);
        // After each: leases are longer, shards have come or gone.
        this.ready();
        await this.#sleep(waitMs, over.signal, true);
      }
      if (!over.signal.aborted) await this.#leave(sitting);
    } finally {
      off();
      this.#giveUp.signal.removeEventListener('abort', end);
      end();
      this.#sitting = undefined;
      for (const reader of [...this.#readers.values()]) this.#drop(reader);
      this.#tellShards();
    }
  }

  /** Renews what we have, looks who is there, gives up what others should have and takes what is ours. How long to wait for the next, ms. */
  async #round(sitting: Sitting): Promise<number> {
    const { state, shards } = sitting;
    const leaseEndMs = this.#parts.system.clock.monotonicMs() + this.#leaseMs;
    const untilMs = this.#regionNowMs(sitting) + this.#leaseMs;
    if (!(await state.renew(untilMs))) for (const reader of [...this.#readers.values()]) this.#drop(reader);
    const snapshot = await state.snapshot();
    for (const reader of [...this.#readers.values()]) {
      if (snapshot.leases.get(reader.shard)?.member === this.member) reader.leaseEndMs = leaseEndMs;
      else this.#drop(reader);
    }
    const { claim, release } = assign({
      self: this.member,
      members: new Set([...snapshot.members, this.member]),
      shards,
      holders: new Map(Array.from(snapshot.leases, ([shard, { member }]) => [shard, member])),
    });
    const left = await this.#giveUpShards(sitting, release);

    const taken = await state.claim(claim, snapshot);
    // What is ours from an earlier sitting, or from a claim whose answer was lost.
    for (const [shard, { member, version }] of snapshot.leases) {
      if (member === this.member && !this.#readers.has(shard) && !left.has(shard)) taken.set(shard, version);
    }
    if (taken.size > 0) await this.#begin(sitting, taken, leaseEndMs);
    if (left.size > 0 || taken.size > 0) this.#tellShards();
    // Whoever waits for something looks more often.
    const waiting = taken.size < claim.length || [...this.#readers.values()].some(({ leaving }) => leaving);
    return waiting || this.#readers.size === 0 ? this.#leaseMs / 10 : this.#leaseMs / 4;
  }

  /** Those that are idle go at once, the others when they are. Which have gone. */
  async #giveUpShards(sitting: Sitting, release: readonly string[]): Promise<ReadonlySet<string>> {
    for (const reader of this.#readers.values()) reader.leaving = release.includes(reader.shard);
    const going = [...this.#readers.values()].filter(({ leaving, isIdle }) => leaving && isIdle);
    if (going.length === 0) return new Set();
    await this.#commit(sitting, going);
    for (const reader of going) this.#drop(reader);
    await sitting.state.release(new Map(going.map(({ shard, lease }) => [shard, lease])));
    return new Set(going.map(({ shard }) => shard));
  }

  /** Begins to read shards whose leases we have. */
  async #begin(sitting: Sitting, leases: ReadonlyMap<string, Version>, leaseEndMs: number): Promise<void> {
    const { collections, from = 'beginning' } = this.#options;
    const stored = await sitting.state.cursors();
    const starts = new Map<string, Progress | Date>();
    const unknown: string[] = [];
    for (const shard of leases.keys()) {
      const [one, other] = [stored.get(shard), this.#known.get(shard)];
      const progress = one === undefined || other === undefined ? (one ?? other) : joinProgress(one, other);
      if (progress !== undefined) starts.set(shard, progress);
      else if (from === 'beginning') starts.set(shard, { epoch: 0, vector: new Map() });
      else if (from instanceof Date) starts.set(shard, from);
      else unknown.push(shard);
    }
    if (unknown.length > 0) {
      const front = await readFront(sitting.parts, unknown, collections, sitting.callOptions);
      const now = new Map(
        unknown.map((shard) => [shard, { epoch: 0, vector: front.get(shard) ?? new Map<string, number>() }]),
      );
      // Before anything is read: what comes from here on is the group's, whatever becomes of this member.
      for (const [shard, progress] of await sitting.state.commit(now, this.#regionNowMs(sitting)))
        starts.set(shard, progress);
    }
    for (const [shard, from_] of starts) this.#read(sitting, shard, from_, leases.get(shard)!, leaseEndMs);
  }

  #read(sitting: Sitting, shard: string, from: Progress | Date, lease: Version, leaseEndMs: number): void {
    // Whoever asked may have waited for an answer while the sitting ended.
    if (this.#sitting !== sitting || sitting.callOptions.signal.aborted) return;
    const { collections, keyPrefix, form, bufferBytes = BUFFER_BYTES, onRetry } = this.#options;
    const subscribe = {
      collections,
      bufferBytes,
      ...(keyPrefix === undefined ? {} : { keyPrefix }),
      ...(form === undefined ? {} : { form }),
      ...(onRetry === undefined ? {} : { onRetry }),
    };
    const options = { shard, from, lease, leaseEndMs, parts: sitting.parts, subscribe };
    this.#readers.set(shard, new ShardReader(options, this));
  }

  /** In good order: commits, and gives up everything. */
  async #leave(sitting: Sitting): Promise<void> {
    // What onEvents has in hand; an iteration that has ended holds nothing.
    if (this.#stopping && this.#handling !== undefined) await this.#handling;
    const readers = [...this.#readers.values()];
    try {
      await this.#commit(sitting, readers);
      await sitting.state.release(new Map(readers.map(({ shard, lease }) => [shard, lease])));
      await sitting.state.leave();
    } catch (error) {
      // The leases end by themselves, and what was not committed is handed over again.
      this.#options.onRetry?.(toCausewayError(error));
    }
  }

  #drop(reader: ShardReader): void {
    reader.close();
    this.#remember(reader);
    this.#refused.delete(reader);
    if (this.#readers.get(reader.shard) === reader) this.#readers.delete(reader.shard);
  }

  #remember(reader: ShardReader): void {
    const { progress, shard } = reader;
    // Nothing is known: a start by time stays one.
    if (progress.epoch === 0 && progress.vector.size === 0) return;
    const known = this.#known.get(shard);
    this.#known.set(shard, known === undefined ? progress : joinProgress(known, progress));
  }

  #toldShards = '';

  #tellShards(): void {
    const { shards } = this;
    if (shards.join() === this.#toldShards) return;
    this.#toldShards = shards.join();
    this.#options.onShards?.(shards);
  }

  // Committing

  async #commitNowAndThen(): Promise<void> {
    const { autoCommitMs = 1000 } = this.#options;
    if (autoCommitMs === false) return;
    while (!this.#ended) {
      await this.#sleep(autoCommitMs, this.#giveUp.signal);
      const sitting = this.#sitting;
      if (sitting === undefined || this.#ended) continue;
      try {
        await this.#commit(sitting, [...this.#readers.values()]);
      } catch (error) {
        if (!sitting.callOptions.signal.aborted) this.#options.onRetry?.(toCausewayError(error));
      }
    }
  }

  /** One after the other: two at once would only meet each other's compare-and-set. */
  #commit(sitting: Sitting, readers: readonly ShardReader[]): Promise<void> {
    const committing = this.#committing.then(() => this.#commitNow(sitting, readers));
    this.#committing = committing.catch(() => undefined);
    return committing;
  }

  async #commitNow(sitting: Sitting, readers: readonly ShardReader[]): Promise<void> {
    const wanted = new Map<string, Progress>();
    for (const reader of readers) {
      const { committed, progress, shard } = reader;
      if (this.#refused.has(reader)) continue;
      // Nothing read and nothing known: a start by time stays one.
      if (committed === undefined ? progress.vector.size > 0 || progress.epoch > 0 : !covers(committed, progress))
        wanted.set(shard, progress);
    }
    if (wanted.size === 0) return;
    const stored = await sitting.state.commit(wanted, this.#regionNowMs(sitting));
    for (const reader of readers) {
      const now = stored.get(reader.shard);
      if (now === undefined) continue;
      reader.committed = now;
      // Somebody has begun the shard anew: go on from there.
      if (now.epoch > reader.epoch) this.#beginAnew(sitting, reader, now);
    }
  }

  #beginAnew(sitting: Sitting, reader: ShardReader, progress: Progress): void {
    if (this.#readers.get(reader.shard) !== reader) return;
    this.#drop(reader);
    this.#known.set(reader.shard, progress);
    this.#read(sitting, reader.shard, progress, reader.lease, reader.leaseEndMs);
  }

  // RESYNC

  async #resync(): Promise<void> {
    this.#resyncDue = false;
    const sitting = this.#sitting;
    const readers = [...this.#refused.keys()];
    const reason = this.#refused.get(readers[0]!);
    // Another sitting asks again with the same cursors, and is refused again.
    if (sitting === undefined || reason === undefined) return;
    try {
      const epochs = new Map(readers.map(({ shard, epoch }) => [shard, epoch]));
      const anew = await takeState(sitting, this.#options, epochs, reason);
      // Given up meanwhile: whoever has it now is refused too, and does this too.
      const ours = readers.filter((reader) => this.#readers.get(reader.shard) === reader);
      const wanted = new Map(ours.map(({ shard }) => [shard, anew.get(shard)!]));
      const stored = await sitting.state.commit(wanted, this.#regionNowMs(sitting)).catch((error: unknown) => {
        throw failureOf(toCausewayError(error));
      });
      for (const reader of ours) this.#beginAnew(sitting, reader, stored.get(reader.shard)!);
    } catch (error) {
      if (!(error instanceof RegionFailure)) throw error;
      this.#options.onRetry?.(error.error);
      await this.#sleep(BACKOFF_MS_MIN, this.#giveUp.signal);
    } finally {
      // Those for which it failed, and those that were refused meanwhile.
      this.#resyncDue = this.#refused.size > 0;
    }
  }

  // The rest

  #regionNowMs(sitting: Sitting): number {
    return this.#parts.system.clock.nowMs() + sitting.endpoint.clockOffsetMs;
  }

  #nowhere(): CausewayError {
    if (this.#ended) return this.#error ?? new CausewayError('CANCELLED', 'the consumer is closed');
    return new CausewayError('UNAVAILABLE', 'the consumer has no region now', { outcome: 'not-applied' });
  }

  #end(error: CausewayError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#giveUp.abort();
    for (const reader of [...this.#readers.values()]) this.#drop(reader);
    this.ready();
    this.#wakeRounds?.();
    if (error === undefined) this.#resolveDone();
    else this.#rejectDone(error);
    this.#onClosed();
  }

  /** Until then, until aborted, and if so wished until somebody wakes the rounds. */
  #sleep(ms: number, signal: AbortSignal, untilWoken = false): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        if (this.#wakeRounds === done) this.#wakeRounds = undefined;
        resolve();
      };
      const timer = this.#parts.system.timers.after(ms, done);
      signal.addEventListener('abort', done, { once: true });
      if (untilWoken) this.#wakeRounds = done;
    });
  }
}
