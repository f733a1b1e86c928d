// The log on NATS JetStream: a stream for each shard, whose messages hold entries that were appended together (jetstream-frame.ts).
// Owns: the fence, group commit, what became of a publish, and noticing that a stream is not the one that it was.
//
// The fence. A publish names the sequence that the stream must end with, and that sequence is always one that is *known* to be stored: a message
// that this node was told is stored, or has read. So it names the very message that it follows, not a place that another owner's message may have
// taken. Hence one message of a shard is on its way at a time; what is appended meanwhile goes into the next one together
// (docs/decisions/0022-jetstream.md has what was rejected).
//
// An outcome that nobody knows (no answer in time, the connection broke) is told as `unknown`. Whoever appends sends the same bytes again: the stream
// then refuses them by their sequence if the first try was stored, we read what is there, and he compares.
//
// I1  `durable` follows JetStream's acknowledgement. Whether that follows fsync, or three servers, is learnt at open() and told (`promise`).
// I6  A stream that vanished, was made again, lost its end or its beginning makes the log `failed`: the process ends, and the next start finds
//     what is there (unproven, or CORRUPT with what to do).
// I12 Bounds: a message (MESSAGE_BYTES_MAX or one append), the cache (cacheBytes), the indexes (position-index.ts, batch-index.ts). Appends that wait are
//     bounded by who appends (inFlightBytesMax of the node); a read fetches READ_AHEAD messages at once.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { headers as newHeaders } from 'nats';
import { CausewayError, invariant } from '../errors/errors.ts';
import { connectNats, type NatsConnection, type NatsOptions } from '../nats/connection.ts';
import { serverVersion, syncsOf, wantsUpgrade } from '../nats/promise.ts';
import { apiAnswer, Requests, type ApiAnswer } from '../nats/requests.ts';
import type { OriginId, RegionId, ShardId } from '../record/ids.ts';
import { BatchPeeker } from '../record/peek.ts';
import type { System, TimerHandle } from '../system/system.ts';
import { realFiles } from './files.ts';
import {
  decodeFrame,
  decodeIndex,
  encodeFrame,
  encodeIndex,
  entryBytes,
  INDEX_HEADER,
  indexOf,
  MESSAGE_OVERHEAD_BYTES,
  type Frame,
  type FrameIndex,
} from './jetstream-frame.ts';
import { recallStreams, rememberStreams, type RememberedStreams } from './jetstream-memory.ts';
import { incarnationOf, isGone, Streams, type OpenedStream, type StreamInfo } from './jetstream-stream.ts';
import { JetStreamTrack, type PendingAppend } from './jetstream-track.ts';
import { TailCache } from './tail-cache.ts';
import {
  LOG_ENTRY_BYTES_MAX,
  type AppendOutcome,
  type Log,
  type LogEntry,
  type LogPromise,
  type LogRecovery,
  type LogState,
  type ReadResult,
  type StoredEntry,
} from './log.ts';

const CACHE_BYTES = 32 * 1024 * 1024;
/** What is put together into one message. A larger one holds up what comes behind it. */
const MESSAGE_BYTES_MAX = 1024 * 1024;
/** Of what others have appended so many messages are fetched, and kept in memory; of more only the headers. */
const CATCH_UP_FETCHES = 64;
const FOLLOW_MESSAGES = 500;
/** Messages that are fetched at once for a read. */
const READ_AHEAD = 16;
const READ_MS_MAX = 1000;
const PUBLISH_MS_MAX = 3000;
/** For JetStream to answer and the streams to be there: a cluster that has just started chooses its leaders first. */
const OPEN_MS_MAX = 30_000;
/** At a start, while the headers of a stream are read: how long nothing may come, and how many messages are asked for ahead. */
const SCAN_SILENCE_MS_MAX = 20_000;
const SCAN_AHEAD = 5000;
const AGAIN_MS = 200;
const CHECK_MS = 1000;
/** Without any answer for longer than this nothing more is taken. A cluster that has lost a leader takes up to ten seconds to choose another one. */
const PATIENCE_MS = 1500;
/** A new leader may tell of the past for a moment; what it says twice is so. */
const DOUBTS_MAX = 2;
/** A full stream takes appends again when so much is free. */
const FREE_BYTES = 1024 * 1024;
const REMEMBER_EVERY_CHECKS = 10;
const MEMORY_FILE = 'jetstream.json';

const WRONG_LAST_SEQUENCE = 10_071;
const STORE_FAILED = 10_077;
const INSUFFICIENT_RESOURCES = 10_023;

export interface JetStreamLogOptions {
  readonly nats: NatsOptions;
  readonly clusterId: string;
  readonly region: RegionId;
  /** Of each stream. 3 in production: 1 loses what its one server loses. */
  readonly replicas: number;
  /** Of each shard's stream; JetStream reserves it. At the bound the log is read-only. */
  readonly streamBytesMax: number;
  readonly domain?: string;
  /** Where each server tells of itself (`http://host:8222`): how the node learns whether an acknowledgement follows fsync. */
  readonly monitors?: readonly string[];
  /** Refuses to open when an acknowledgement would not mean what I1 says. */
  readonly requireDurable: boolean;
  /** The node's data directory, for what it remembers of the streams; undefined: it remembers nothing. */
  readonly directory?: string;
  readonly system: System;
  /** The log cannot go on in this process: end it. Called at most once. */
  readonly onFatal: (error: CausewayError) => void;
  /** The largest entry there will be. Default: LOG_ENTRY_BYTES_MAX. The servers' max_payload must hold it. */
  readonly entryBytesMax?: number;
  readonly cacheBytes?: number;
  /** Another node's shard is followed whenever so many of its messages are not known here. Default 500: the headers of as many are to be read when
   *  this node takes it over. */
  readonly followMessages?: number;
  /** How long JetStream has to acknowledge. Default 3000. */
  readonly publishMsMax?: number;
  /** How long appends wait for servers that do not answer, until the log is read-only. Default 1500. */
  readonly patienceMs?: number;
  /** How long to wait at open() for servers that are not there yet. Default 30,000. */
  readonly openMsMax?: number;
}

/** What exists between open() and close(). */
interface Opened {
  readonly connection: NatsConnection;
  readonly requests: Requests;
  readonly streams: Streams;
}

export class JetStreamLog implements Log {
  readonly isRemote = true;
  readonly #options: JetStreamLogOptions;
  readonly #system: System;
  readonly #entryBytesMax: number;
  readonly #peeker = new BatchPeeker();
  readonly #cache: TailCache;
  readonly #tracks = new Map<ShardId, JetStreamTrack>();
  readonly #listeners: ((state: LogState) => void)[] = [];
  #opened: Opened | undefined;
  #promise: LogPromise = { engine: 'jetstream', durable: false, detail: 'not asked yet' };
  #state: LogState = { kind: 'ready' };
  #connected = false;
  /** There is no answer: since a moment, or for longer than patience lasts. */
  #silence: { reason: string; over: boolean; readonly patience: TimerHandle } | undefined;
  #full: string | undefined;
  #failed: string | undefined;
  #checking: TimerHandle | undefined;
  #checks = 0;
  #remembered: RememberedStreams = new Map();
  /** Went back since they were remembered: what is remembered of them stays until a lease proves them again. */
  readonly #wentBack = new Set<JetStreamTrack>();
  #closing: (() => void) | undefined;
  #closed = false;

  constructor(options: JetStreamLogOptions) {
    this.#options = options;
    this.#system = options.system;
    this.#entryBytesMax = options.entryBytesMax ?? LOG_ENTRY_BYTES_MAX;
    this.#cache = new TailCache(options.cacheBytes ?? CACHE_BYTES);
  }

  get promise(): LogPromise {
    return this.#promise;
  }

  /** Names these streams and their history: a store that was made from others must not be used. */
  get identity(): string {
    const streams = [...this.#tracks.values()].map(({ stream }) => `${stream.name} ${stream.incarnation}`).sort();
    return `jetstream/${createHash('sha256').update(streams.join('\n')).digest('hex').slice(0, 32)}`;
  }

  // ── Open ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async open(shards: readonly ShardId[]): Promise<LogRecovery> {
    invariant(this.#opened === undefined && !this.#closed, 'a JetStream log is opened once');
    const untilMs = this.#system.clock.monotonicMs() + (this.#options.openMsMax ?? OPEN_MS_MAX);
    const connection = await this.#connect(untilMs);
    try {
      return await this.#openWith(connection, shards, untilMs);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  async #connect(untilMs: number): Promise<NatsConnection> {
    for (;;) {
      try {
        return await connectNats(this.#options.nats);
      } catch (error) {
        const passes = error instanceof CausewayError && error.code === 'UNAVAILABLE';
        if (!passes || this.#system.clock.monotonicMs() > untilMs) throw error;
        await this.#pause(AGAIN_MS);
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#system.timers.after(ms, resolve));
  }

  async #openWith(connection: NatsConnection, shards: readonly ShardId[], untilMs: number): Promise<LogRecovery> {
    const { clusterId, region, replicas, streamBytesMax: bytesMax, domain, directory } = this.#options;
    const version = serverVersion(connection);
    this.#checkPayload(connection);
    const requests = new Requests(connection, this.#system.timers);
    const streams = new Streams(requests, {
      clusterId,
      region,
      replicas,
      bytesMax,
      ...(domain === undefined ? {} : { domain }),
    });
    const opened = await Promise.all(shards.map((shard) => this.#openStream(streams, shard, untilMs)));
    await this.#learn(version, connection, opened);
    if (directory !== undefined) this.#remembered = await recallStreams(realFiles, join(directory, MEMORY_FILE));
    const findings: string[] = [];
    for (const [i, shard] of shards.entries()) {
      const track = new JetStreamTrack(shard, opened[i]!);
      await this.#scanAll(connection, track);
      const finding = this.#compareWithMemory(track);
      if (finding !== undefined) findings.push(finding);
      this.#tracks.set(shard, track);
    }
    this.#opened = { connection, requests, streams };
    this.#connected = true;
    void this.#follow(connection);
    this.#checking = this.#system.timers.every(CHECK_MS, () => void this.#check());

    const unproven = shards.filter((shard) => !this.#isProven(this.#track(shard)));
    const state = unproven.length === 0 ? 'whole' : findings.length > 0 ? 'damaged' : 'new';
    return { state, findings: unproven.length === 0 ? [] : findings, unproven, tornBytes: 0 };
  }

  #checkPayload(connection: NatsConnection): void {
    const needed = this.#entryBytesMax + MESSAGE_OVERHEAD_BYTES;
    const found = connection.info?.max_payload ?? 0;
    if (found >= needed) return;
    throw new CausewayError(
      'CONFIG_INVALID',
      `expected NATS to take messages of ${needed} bytes, found max_payload ${found}`,
      {
        hint: `Set max_payload to at least ${needed} in the configuration of the NATS servers, or make limits.batchBytesMax smaller.`,
      },
    );
  }

  async #openStream(streams: Streams, shard: ShardId, untilMs: number): Promise<OpenedStream> {
    for (;;) {
      const opened = await streams.open(shard, () => this.#system.random.uint48());
      if (!('notNow' in opened)) return opened;
      if (this.#system.clock.monotonicMs() > untilMs) {
        if (opened.notNow !== undefined) throw opened.notNow;
        throw new CausewayError('UNAVAILABLE', `JetStream does not answer about stream ${streams.nameOf(shard)}`, {
          hint: 'Is JetStream on, and has its cluster a leader? `nats server report jetstream` tells.',
        });
      }
      await this.#pause(AGAIN_MS);
    }
  }

  /** What an acknowledgement means here. */
  async #learn(version: string, connection: NatsConnection, opened: readonly OpenedStream[]): Promise<void> {
    const { replicas, monitors = [], requireDurable } = this.#options;
    const syncs = await syncsOf(monitors, this.#system.timers);
    const hosts = new Set(opened.flatMap(({ info }) => serversOf(info, connection.info?.server_name ?? '')));
    const unknown = [...hosts].filter((host) => !syncs.has(host));
    const always = unknown.length === 0 && [...hosts].every((host) => syncs.get(host)!.always);
    const durable = replicas >= 3 || always;
    const seconds = Math.max(0, ...[...hosts].map((host) => syncs.get(host)?.intervalSeconds ?? 0));
    const sync = always
      ? 'fsync before each ack'
      : unknown.length > 0
        ? `sync interval not known of ${unknown.join(', ')}`
        : `fsync every ${seconds} s, after the ack`;
    const old = wantsUpgrade(version) ? '; upgrade to 2.12.12, 2.14.3 or newer' : '';
    this.#promise = {
      engine: 'jetstream',
      durable,
      detail: `NATS ${version}, ${replicas === 1 ? '1 replica' : `${replicas} replicas`}, ${sync}${old}`,
    };
    if (durable || !requireDurable) return;
    throw new CausewayError('CONFIG_INVALID', `an acknowledged write would not be durable: ${this.#promise.detail}`, {
      hint: 'Use 3 replicas, or `sync_interval: always` in jetstream {} of the servers, and name their monitoring addresses so that it can be seen.',
    });
  }

  async #scanAll(connection: NatsConnection, track: JetStreamTrack): Promise<void> {
    const { info, name } = track.stream;
    const { first_seq: first, last_seq: last, messages, num_deleted: deleted = 0 } = info.state;
    if (last === 0) return;
    if (first !== 1 || messages !== last || deleted > 0) {
      throw corrupt(name, `expected messages 1 to ${last}, found ${messages} from ${first} on`);
    }
    await this.#scan(connection, track, last);
    track.assigned = track.tail;
  }

  /** Reads the headers of all messages behind those that are known: where entries stand, and whose batches. Throws CausewayError: CORRUPT, UNAVAILABLE. */
  async #scan(connection: NatsConnection, track: JetStreamTrack, last: number): Promise<void> {
    const { name } = track.stream;
    const from = { headers_only: true, opt_start_seq: track.lastSequence + 1 };
    const consumer = await connection.jetstream().consumers.get(name, from);
    const stream = await consumer.consume({ max_messages: SCAN_AHEAD });
    const { clock, timers } = this.#system;
    let heardAtMs = clock.monotonicMs();
    let silent = false;
    const patience = timers.every(CHECK_MS, () => {
      if (clock.monotonicMs() - heardAtMs < SCAN_SILENCE_MS_MAX) return;
      silent = true;
      stream.stop();
    });
    try {
      for await (const message of stream) {
        heardAtMs = clock.monotonicMs();
        const index = decodeIndex(message.headers?.get(INDEX_HEADER) ?? '');
        const expected = track.lastSequence + 1;
        if (index === undefined || message.seq !== expected || index.firstOffset !== track.tail + 1) {
          throw corrupt(
            name,
            `expected message ${expected} with entry ${track.tail + 1}, found message ${message.seq} with ${index === undefined ? 'none' : `entry ${index.firstOffset}`}`,
          );
        }
        track.add(message.seq, index, Number(message.headers?.get('Nats-Msg-Size') ?? 0));
        if (message.seq >= last) break;
      }
    } finally {
      patience.cancel();
      stream.stop();
      await consumer.delete().catch(() => false);
    }
    if (silent) {
      throw new CausewayError(
        'UNAVAILABLE',
        `JetStream stopped sending stream ${name} behind message ${track.lastSequence} of ${last}`,
      );
    }
    if (track.lastSequence < last) throw corrupt(name, `expected ${last} messages, got ${track.lastSequence}`);
  }

  #compareWithMemory(track: JetStreamTrack): string | undefined {
    const { name, incarnation } = track.stream;
    const known = this.#remembered.get(name);
    if (known === undefined) return undefined;
    if (known.incarnation !== incarnation) {
      return `stream ${name} was deleted and made again: expected incarnation ${known.incarnation.toString(16)}, found ${incarnation.toString(16)}`;
    }
    if (known.lastSequence <= track.lastSequence) return undefined;
    this.#wentBack.add(track);
    return `stream ${name} went back: expected message ${known.lastSequence} or a later one at its end, found ${track.lastSequence}`;
  }

  #isProven(track: JetStreamTrack): boolean {
    return track.proven && !this.#wentBack.has(track);
  }

  // ── Append ──────────────────────────────────────────────────────────────────────────────────────────────────────

  append(
    shard: ShardId,
    expectOffset: number,
    entries: readonly LogEntry[],
    done: (outcome: AppendOutcome) => void,
  ): void {
    invariant(entries.length > 0, 'an append has at least one entry');
    for (const { bytes } of entries) {
      invariant(
        bytes.length <= this.#entryBytesMax,
        `a log entry of ${bytes.length} bytes, above ${this.#entryBytesMax}`,
      );
    }
    const track = this.#track(shard);
    const fits = expectOffset === track.assigned + 1;
    if (fits) track.assigned += entries.length;
    track.queue.push({ expectOffset, entries, done, fits });
    // Not at once: what the caller appends in the same breath shares the message.
    if (!track.busy) queueMicrotask(() => this.#next(track));
  }

  #next(track: JetStreamTrack): void {
    if (track.busy) return;
    if (track.queue.length > 0 && (this.#opened === undefined || this.#state.kind !== 'ready')) {
      this.#refuse(track, []);
      return;
    }
    if (this.#opened !== undefined && track.refreshes.length > 0) {
      if (!this.#connected) return;
      track.busy = true;
      void this.#refreshNow(track);
      return;
    }
    if (this.#opened === undefined || track.queue.length === 0) {
      this.#closeIfIdle();
      return;
    }
    // Until it is back, or patience ends.
    if (!this.#connected) return;
    track.busy = true;
    if (track.queue[0]!.fits) this.#publish(track, this.#opened, takeGroup(track));
    else void this.#fenceOff(track, [track.queue.shift()!]);
  }

  #publish(track: JetStreamTrack, { requests }: Opened, group: readonly PendingAppend[]): void {
    const { stream, lastSequence } = track;
    const entries = group.length === 1 ? group[0]!.entries : group.flatMap((append) => append.entries);
    const frame = encodeFrame(stream.incarnation, track.tail + 1, entries);
    const index = indexOf(frame.entries, this.#peeker);
    const headers = newHeaders();
    headers.set('Nats-Expected-Stream', stream.name);
    headers.set('Nats-Expected-Last-Sequence', `${lastSequence}`);
    headers.set(INDEX_HEADER, encodeIndex(index));
    const timeoutMs = this.#options.publishMsMax ?? PUBLISH_MS_MAX;
    requests.send(stream.subject, frame.payload, { headers, timeoutMs }, (raw) =>
      this.#published(track, group, frame, index, apiAnswer<{ readonly seq: number }>(stream.subject, raw)),
    );
  }

  #published(
    track: JetStreamTrack,
    group: readonly PendingAppend[],
    frame: Frame,
    index: FrameIndex,
    answer: ApiAnswer<{ readonly seq: number }>,
  ): void {
    const { stream, lastSequence } = track;
    if (answer.kind === 'ok') {
      if (answer.value.seq !== lastSequence + 1) {
        this.#fail(`stream ${stream.name} stored message ${answer.value.seq} where ${lastSequence + 1} was to be`);
        this.#finish(track, group, { kind: 'unknown' });
        return;
      }
      this.#stored(track, answer.value.seq, frame, index);
      this.#landed(track, group);
      return;
    }
    if (answer.kind === 'error') {
      switch (answer.code) {
        case WRONG_LAST_SEQUENCE:
          void this.#fenceOff(track, group);
          return;
        case STORE_FAILED:
        case INSUFFICIENT_RESOURCES:
          this.#full = `stream ${stream.name}: ${answer.message}`;
          this.#setState();
          this.#refuse(track, group);
          return;
      }
    }
    // Nobody listens: no leader, or no stream. The look at it tells which.
    if (answer.kind === 'no-responders') void this.#checkTrack(track);
    this.#finish(track, group, { kind: 'unknown' });
  }

  #stored(track: JetStreamTrack, sequence: number, frame: Frame, index: FrameIndex): void {
    if (index.hasLease) this.#wentBack.delete(track);
    track.add(sequence, index, frame.payload.length);
    this.#keep(track, frame.entries);
  }

  #landed(track: JetStreamTrack, group: readonly PendingAppend[]): void {
    this.#answered();
    track.busy = false;
    for (const { done } of group) done({ kind: 'durable' });
    this.#next(track);
  }

  /** Something else stands there than what these were to follow. */
  async #fenceOff(track: JetStreamTrack, group: readonly PendingAppend[]): Promise<void> {
    const caughtUp = await this.#catchUp(track);
    this.#finish(track, group, caughtUp ? { kind: 'fenced', tail: track.tail } : { kind: 'unknown' });
  }

  /** Nothing of the group is known to be stored; what waits behind it is not stored. */
  #finish(track: JetStreamTrack, group: readonly PendingAppend[], outcome: AppendOutcome): void {
    const behind = track.queue;
    track.queue = [];
    track.assigned = track.tail;
    track.busy = false;
    for (const { done } of group) done(outcome);
    for (const { done } of behind) done(outcome.kind === 'unknown' ? { kind: 'fenced', tail: track.tail } : outcome);
    this.#next(track);
  }

  #refuse(track: JetStreamTrack, group: readonly PendingAppend[]): void {
    const state = this.#state;
    // A stream may be found full, and have room again, before this is told.
    const reason = state.kind === 'failed' ? 'failed' : 'read-only';
    const message = state.kind === 'ready' ? 'the stream had no room' : state.reason;
    this.#finish(track, group, { kind: 'refused', reason, message });
  }

  /** Reads what others have appended. False: it cannot be told now. */
  async #catchUp(track: JetStreamTrack): Promise<boolean> {
    const opened = this.#opened;
    if (opened === undefined) return false;
    const { seen } = track;
    const answer = await opened.streams.info(track.stream.name);
    if (answer.kind !== 'ok') {
      if (answer.kind === 'error') this.#judge(track, answer, seen);
      return false;
    }
    this.#judge(track, answer, seen);
    const last = answer.value.state.last_seq;
    if (last - track.lastSequence > CATCH_UP_FETCHES) {
      try {
        await this.#scan(opened.connection, track, last);
      } catch (error) {
        if (error instanceof CausewayError && error.code === 'CORRUPT') this.#fail(error.message);
        return false;
      } finally {
        track.cached.forget();
      }
    }
    while (track.lastSequence < last) {
      const from = track.lastSequence + 1;
      const count = Math.min(READ_AHEAD, last - track.lastSequence);
      const fetches = Array.from({ length: count }, (_, i) => this.#fetch(opened, track, from + i));
      for (const message of await Promise.all(fetches)) if (!this.#caughtUpWith(track, message)) return false;
    }
    return true;
  }

  /** The message behind the last one that is known. False: it cannot be told now, or is not what it must be. */
  #caughtUpWith(track: JetStreamTrack, message: readonly StoredEntry[] | string | undefined): boolean {
    if (message === undefined) return false;
    const sequence = track.lastSequence + 1;
    if (typeof message === 'string' || message[0]!.offset !== track.tail + 1) {
      this.#fail(
        `message ${sequence} of stream ${track.stream.name}: ${typeof message === 'string' ? message : `expected entry ${track.tail + 1}, found ${message[0]!.offset}`}`,
      );
      return false;
    }
    const index = indexOf(message, this.#peeker);
    const bytes = message.reduce((sum, entry) => sum + entryBytes(entry), 0);
    track.add(sequence, index, bytes);
    this.#keep(track, message);
    return true;
  }

  #keep(track: JetStreamTrack, entries: readonly StoredEntry[]): void {
    for (const entry of entries) this.#cache.copy(track.cached, entry);
    this.#cache.trim();
  }

  refresh(shard: ShardId, done: () => void): void {
    const track = this.#track(shard);
    track.refreshes.push(done);
    if (!track.busy) queueMicrotask(() => this.#next(track));
  }

  async #refreshNow(track: JetStreamTrack): Promise<void> {
    const before = track.tail;
    const waiting = track.refreshes;
    track.refreshes = [];
    const caughtUp = await this.#catchUp(track);
    if (caughtUp) for (const done of waiting) done();
    else track.refreshes.unshift(...waiting);
    // What was appended meanwhile was to follow what is not the end any more.
    if (track.tail !== before) {
      this.#finish(track, [], { kind: 'fenced', tail: track.tail });
      return;
    }
    track.busy = false;
    if (caughtUp) this.#next(track);
    else this.#system.timers.after(AGAIN_MS, () => this.#next(track));
  }

  // ── Read ────────────────────────────────────────────────────────────────────────────────────────────────────────

  read(shard: ShardId, fromOffset: number, bytesMax: number, done: (result: ReadResult) => void): void {
    const track = this.#track(shard);
    if (fromOffset < 1) return done({ kind: 'trimmed', start: 1 });
    if (fromOffset > track.tail) return done({ kind: 'entries', entries: [] });
    const cachedFrom = track.cached.from;
    if (cachedFrom !== undefined && fromOffset >= cachedFrom) {
      done({ kind: 'entries', entries: track.cached.take(fromOffset, bytesMax) });
      return;
    }
    void this.#answerRead(track, fromOffset, bytesMax, done);
  }

  async #answerRead(
    track: JetStreamTrack,
    fromOffset: number,
    bytesMax: number,
    done: (result: ReadResult) => void,
  ): Promise<void> {
    const result = await this.#readStream(track, fromOffset, bytesMax);
    done(result);
  }

  async #readStream(track: JetStreamTrack, fromOffset: number, bytesMax: number): Promise<ReadResult> {
    const entries: StoredEntry[] = [];
    let bytes = 0;
    let next = track.sequences.find(fromOffset) ?? 1;
    const ahead = Math.min(READ_AHEAD, Math.max(1, Math.ceil(bytesMax / (track.bytes / track.lastSequence))));
    while (next <= track.lastSequence) {
      const opened = this.#opened;
      // Of a closed log a reader that has not noticed yet gets what there is.
      if (opened === undefined) return { kind: 'entries', entries };
      const count = Math.min(ahead, track.lastSequence - next + 1);
      const messages = await Promise.all(Array.from({ length: count }, (_, i) => this.#fetch(opened, track, next + i)));
      for (const message of messages) {
        if (message === undefined) {
          // Not reachable now. A reader waits, as it waits for a disk.
          await this.#pause(AGAIN_MS);
          break;
        }
        if (typeof message === 'string') {
          return { kind: 'corrupt', message: `message ${next} of stream ${track.stream.name}: ${message}` };
        }
        for (const entry of message) {
          if (entry.offset < fromOffset) continue;
          bytes += entry.bytes.length;
          if (entries.length > 0 && bytes > bytesMax) {
            track.sequences.resumeAt(entry.offset, next);
            return { kind: 'entries', entries };
          }
          entries.push(entry);
        }
        next++;
        track.sequences.resumeAt(message.at(-1)!.offset + 1, next);
      }
      if (bytes >= bytesMax && entries.length > 0) break;
    }
    return { kind: 'entries', entries };
  }

  /** One message by its sequence: its entries, a sentence when it is damaged or gone, undefined when it cannot be told now. */
  async #fetch(
    { requests, streams }: Opened,
    track: JetStreamTrack,
    sequence: number,
  ): Promise<readonly StoredEntry[] | string | undefined> {
    const { name, incarnation } = track.stream;
    const payload = JSON.stringify({ seq: sequence });
    const answer = await requests.askRaw(streams.directGet(name), payload, { timeoutMs: READ_MS_MAX });
    if (answer.kind !== 'ok') return undefined;
    const { headers, data } = answer.value;
    if (headers?.get('Nats-Sequence') === `${sequence}`) return decodeFrame(data, incarnation);
    // Any replica may answer, also one that is behind. The leader knows.
    const asked = await streams.message(name, sequence);
    if (asked.kind === 'ok') return decodeFrame(asked.value, incarnation);
    return asked.kind === 'error' && asked.status === 404 ? 'it is gone' : undefined;
  }

  tail(shard: ShardId): number {
    return this.#track(shard).tail;
  }

  start(_shard: ShardId): number {
    return 1;
  }

  find(shard: ShardId, origin: OriginId, seq: number): number | undefined {
    return this.#track(shard).batches.find(origin, seq);
  }

  origins(shard: ShardId): readonly OriginId[] {
    return this.#track(shard).batches.origins();
  }

  bytes(): number {
    let bytes = 0;
    for (const track of this.#tracks.values()) bytes += track.bytes;
    return bytes;
  }

  #track(shard: ShardId): JetStreamTrack {
    const track = this.#tracks.get(shard);
    invariant(track !== undefined, `shard ${shard} is one that the log was opened with`);
    return track;
  }

  // ── How the servers are ─────────────────────────────────────────────────────────────────────────────────────────

  state(): LogState {
    return this.#state;
  }

  onState(listener: (state: LogState) => void): void {
    this.#listeners.push(listener);
  }

  #setState(): void {
    if (this.#closed) return;
    const reason = this.#failed ?? (this.#silence?.over === true ? this.#silence.reason : this.#full);
    const kind = this.#failed !== undefined ? 'failed' : reason !== undefined ? 'read-only' : 'ready';
    const before = this.#state;
    if (before.kind === kind && (before.kind === 'ready' || before.reason === reason)) return;
    this.#state = kind === 'ready' ? { kind } : { kind, reason: reason! };
    if (before.kind !== kind) for (const listener of this.#listeners) listener(this.#state);
    for (const track of this.#tracks.values()) if (!track.busy) this.#next(track);
  }

  #silent(reason: string): void {
    if (this.#silence === undefined) {
      const silence = {
        reason,
        over: false,
        patience: this.#system.timers.after(this.#options.patienceMs ?? PATIENCE_MS, () => {
          silence.over = true;
          this.#setState();
        }),
      };
      this.#silence = silence;
    }
    this.#silence.reason = reason;
    this.#setState();
  }

  #answered(): void {
    if (this.#silence === undefined) return;
    this.#silence.patience.cancel();
    this.#silence = undefined;
    this.#setState();
  }

  async #follow(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (this.#opened?.connection !== connection) return;
      if (type === 'disconnect') {
        this.#connected = false;
        // An answer that is still on its way is not heard any more; one by one they would only be found out by time.
        this.#opened.requests.abandon('the connection broke');
        this.#silent(`no connection to NATS at ${this.#options.nats.servers.join(', ')}`);
        this.#closeIfIdle();
      } else if (type === 'reconnect') {
        this.#connected = true;
        this.#opened.requests.resume();
        await this.#check();
        for (const track of this.#tracks.values()) this.#next(track);
      }
    }
  }

  /** Looks at all streams: are they there, are they the same, is there room? */
  async #check(): Promise<void> {
    if (!this.#connected || this.#failed !== undefined) return;
    const answers = await Promise.all([...this.#tracks.values()].map((track) => this.#checkTrack(track)));
    if (this.#opened === undefined) return;
    if (answers.every((answer) => answer !== undefined)) {
      this.#answered();
      const { streamBytesMax } = this.#options;
      const room = answers.every(({ state, config }) => {
        const most = Number(config['max_bytes'] ?? streamBytesMax);
        return state.bytes + Math.min(FREE_BYTES, most / 8) < most;
      });
      if (room && this.#full !== undefined) {
        this.#full = undefined;
        this.#setState();
      }
    }
    if (this.#checks++ % REMEMBER_EVERY_CHECKS === 0) await this.#remember();
  }

  async #checkTrack(track: JetStreamTrack): Promise<StreamInfo | undefined> {
    const opened = this.#opened;
    if (opened === undefined) return undefined;
    const { seen } = track;
    const answer = await opened.streams.info(track.stream.name);
    if (this.#opened === undefined) return undefined;
    this.#judge(track, answer, seen);
    if (answer.kind === 'ok') {
      const { last_seq: last } = answer.value.state;
      track.seen = Math.max(track.seen, last);
      // Another node's shard: who takes it over some day shall not have to read much. Each message is read once more for it, so only now and then.
      const followed = this.#options.followMessages ?? FOLLOW_MESSAGES;
      if (last - track.lastSequence >= followed && track.idle) this.refresh(track.shard, () => undefined);
      return answer.value;
    }
    this.#silent(
      `JetStream does not answer about stream ${track.stream.name}${answer.kind === 'no-responders' ? '' : `: ${answer.message}`}`,
    );
    return undefined;
  }

  /** Is it the stream that we know, with everything that was there when we asked? */
  #judge(track: JetStreamTrack, answer: Awaited<ReturnType<Streams['info']>>, seen: number): void {
    const what = this.#strange(track, answer, seen);
    if (what === undefined) {
      if (answer.kind === 'ok') track.doubts = 0;
      return;
    }
    if (++track.doubts >= DOUBTS_MAX) this.#fail(`stream ${track.stream.name} ${what}`);
    else this.#system.timers.after(AGAIN_MS, () => void this.#checkTrack(track));
  }

  #strange(track: JetStreamTrack, answer: Awaited<ReturnType<Streams['info']>>, seen: number): string | undefined {
    if (isGone(answer)) return 'is gone';
    if (answer.kind !== 'ok') return undefined;
    const { value } = answer;
    const { last_seq: last, first_seq: first, messages, num_deleted: deleted = 0 } = value.state;
    if (incarnationOf(value) !== track.stream.incarnation) return 'was deleted and made again';
    if (last < seen) return `went back: expected message ${seen} or a later one, found ${last} as its last`;
    if (last > 0 && (first !== 1 || deleted > 0 || messages < last)) {
      return `has lost messages: expected 1 to ${last}, found ${messages} from ${first} on`;
    }
    return undefined;
  }

  #fail(what: string): void {
    if (this.#failed !== undefined || this.#closed) return;
    this.#failed = what;
    this.#setState();
    this.#options.onFatal(
      new CausewayError('CORRUPT', what, {
        hint: 'The node ends; its next start finds out what is there, and fetches what is missing from the other regions.',
      }),
    );
  }

  async #remember(): Promise<void> {
    const { directory } = this.#options;
    if (directory === undefined) return;
    const streams = new Map(this.#remembered);
    let changed = false;
    for (const track of this.#tracks.values()) {
      const { name, incarnation } = track.stream;
      const known = streams.get(name);
      if (this.#wentBack.has(track)) continue;
      if (known?.incarnation === incarnation && known.lastSequence === track.seen) continue;
      // Until it is proven, what was there before is what the next start must hear of.
      if (known !== undefined && known.incarnation !== incarnation && !track.proven) continue;
      streams.set(name, { incarnation, lastSequence: track.seen });
      changed = true;
    }
    if (!changed) return;
    this.#remembered = streams;
    // Without it the next start knows less, and asks the members all the same.
    await rememberStreams(realFiles, join(directory, MEMORY_FILE), streams).catch(() => undefined);
  }

  // ── Close ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined || this.#closing !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#closing = resolve;
      this.#closeIfIdle();
    });
    this.#checking?.cancel();
    this.#silence?.patience.cancel();
    await this.#remember();
    await opened.connection.close();
  }

  #closeIfIdle(): void {
    if (this.#closing === undefined || this.#closed) return;
    const tracks = [...this.#tracks.values()];
    if (this.#connected && this.#state.kind === 'ready' && !tracks.every(({ idle }) => idle)) return;
    this.#closed = true;
    const { requests } = this.#opened!;
    this.#opened = undefined;
    this.#state = { kind: 'failed', reason: 'the log is closed' };
    requests.abandon('the log is closed');
    for (const track of tracks) this.#next(track);
    this.#closing();
  }
}

/** What goes into the next message: at least one append, and those behind it that fit into it. */
function takeGroup(track: JetStreamTrack): PendingAppend[] {
  let bytes = 0;
  let count = 0;
  for (const { entries, fits } of track.queue) {
    if (!fits) break;
    for (const entry of entries) bytes += entryBytes(entry);
    if (count > 0 && bytes > MESSAGE_BYTES_MAX) break;
    count++;
  }
  return track.queue.splice(0, count);
}

/** The servers that hold a stream. */
function serversOf({ cluster }: StreamInfo, connected: string): string[] {
  if (cluster?.leader === undefined) return [connected];
  return [cluster.leader, ...(cluster.replicas ?? []).map(({ name }) => name)];
}

function corrupt(name: string, what: string): CausewayError {
  return new CausewayError('CORRUPT', `stream ${name} is not whole: ${what}`, {
    hint: `Somebody has deleted messages, or a server has lost them. Back the stream up, delete it, and start again: the region then fetches from its peers what they hold.`,
  });
}
