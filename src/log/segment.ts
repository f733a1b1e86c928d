// The embedded log: one sequence of segment files for all shards of a node.
// Owns: group commit, rolling to the next segment, what happens when the disk is full or fails, and serving reads from the tail cache.
// The files' bytes are in segment-format.ts, what is found at open in segment-recovery.ts, docs/decisions/ has the reasons.
//
// I1  An append is acknowledged after one writev and one fdatasync that cover it and everything before it.
// I6  open() says whether the tail is proven (LogRecovery); identity.json remembers that there was a log.
// I12 Bounds: the tail cache (tailCacheBytes), a commit (COMMIT_BYTES_MAX or one append), an entry (LOG_ENTRY_BYTES_MAX), the indexes (see
//     position-index.ts, batch-index.ts). Appends that wait are bounded by who appends (inFlightBytesMax of the node).
//
// Group commit without linger: a commit takes whatever has arrived when the one before has finished. When a write finds the disk
// full, it is cut back and the log is read-only until there is space. When fdatasync fails the process must end: the kernel
// may have marked the lost pages as written, so a second fdatasync that succeeds would prove nothing.

import { join } from 'node:path';
import { CausewayError, invariant } from '../errors/errors.ts';
import { COMMIT_BYTES, COMMIT_ENTRIES, Histogram, SYNC_SECONDS } from '../metrics/histogram.ts';
import type { OriginId, ShardId } from '../record/ids.ts';
import { shardParts } from '../record/ids.ts';
import { BatchPeeker } from '../record/peek.ts';
import type { System, TimerHandle } from '../system/system.ts';
import type { DataLock } from './data-lock.ts';
import { realFiles, syncData, truncate, writeAll, writeAt, type FileError, type LogFiles } from './files.ts';
import { saveIdentity, type LogIdentity } from './identity.ts';
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
import { createSegment, type Segment, type SegmentDirectory, type ZeroedFile } from './segment-directory.ts';
import { RECORD_HEADER_BYTES, writeRecord } from './segment-format.ts';
import { SegmentReader } from './segment-reader.ts';
import { recover, type Recovered } from './segment-recovery.ts';
import { SpareSegment } from './segment-spare.ts';
import { trackOf, type ShardTrack, type ShardTracks } from './shard-track.ts';
import { TailCache } from './tail-cache.ts';

const SEGMENT_BYTES = 64 * 1024 * 1024;
const SEGMENT_BYTES_MAX = 1024 * 1024 * 1024;
const TAIL_CACHE_BYTES = 32 * 1024 * 1024;
/** What arrives beyond it waits for the next commit, so that no ack waits for much more than this to be written. */
const COMMIT_BYTES_MAX = 8 * 1024 * 1024;
const PROBE_MS = 1000;
/** Enough that the log does not become ready for one small append and read-only with the next. */
const PROBE_BYTES = 256 * 1024;
const NO_SPACE: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT']);

export interface SegmentLogOptions {
  /** The node's data directory: identity.json, the lock and log/ are in it. Made if it is not there. */
  readonly directory: string;
  readonly clusterId: string;
  readonly system: System;
  /** The log cannot go on in this process: end it, now and without closing. Called at most once. */
  readonly onFatal: (error: CausewayError) => void;
  /** A segment that has reached it is followed by a new one. Default 64 MiB, at most 1 GiB. Smaller costs more files and rolls (a few ms each). */
  readonly segmentBytes?: number;
  /** Memory for the newest entries. Default 32 MiB. Less makes readers that lag read files. */
  readonly tailCacheBytes?: number;
  /** For tests. */
  readonly files?: LogFiles;
}

interface Pending {
  readonly track: ShardTrack;
  readonly expectOffset: number;
  readonly entries: readonly LogEntry[];
  readonly done: (outcome: AppendOutcome) => void;
  /** Set when it is put into a commit. */
  fenced: boolean;
}

interface CommitEntry {
  readonly track: ShardTrack;
  readonly entry: StoredEntry;
  /** Where `entry.bytes` are. */
  readonly memory: Buffer;
  readonly at: number;
  readonly position: number;
}

interface Commit {
  readonly appends: Pending[];
  readonly entries: CommitEntry[];
  readonly buffers: Buffer[];
  bytes: number;
}

/** Of its group commits, since the process started. */
export interface CommitFigures {
  readonly bytes: Histogram;
  readonly entries: Histogram;
  readonly syncSeconds: Histogram;
}

/** What exists between open() and close(). */
interface Opened {
  readonly lock: DataLock;
  readonly segments: Segment[];
  readonly reader: SegmentReader;
  readonly tracks: ShardTracks;
  active: Segment;
  fd: number;
  identity: LogIdentity;
  nextNumber: number;
}

export class SegmentLog implements Log {
  readonly isRemote = false;
  readonly promise: LogPromise = {
    engine: 'segment files',
    durable: true,
    detail: 'one fdatasync for each group of appends, before their acknowledgement',
  };
  readonly figures: CommitFigures = {
    bytes: new Histogram(COMMIT_BYTES),
    entries: new Histogram(COMMIT_ENTRIES),
    syncSeconds: new Histogram(SYNC_SECONDS),
  };
  readonly #options: SegmentLogOptions;
  readonly #files: LogFiles;
  readonly #segmentBytes: number;
  readonly #at: SegmentDirectory;
  readonly #cache: TailCache;
  readonly #spare: SpareSegment;
  readonly #peeker = new BatchPeeker();
  readonly #byShard = new Map<ShardId, ShardTrack>();
  readonly #listeners: ((state: LogState) => void)[] = [];
  #opened: Opened | undefined;
  #state: LogState = { kind: 'ready' };
  #queue: Pending[] = [];
  /** A commit, a roll or a probe is under way, or one is about to start. */
  #busy = false;
  #probing: TimerHandle | undefined;
  #closing: (() => void) | undefined;

  constructor(options: SegmentLogOptions) {
    const { directory, system } = options;
    this.#options = options;
    this.#files = options.files ?? realFiles;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    invariant(
      this.#segmentBytes <= SEGMENT_BYTES_MAX,
      `a segment of ${this.#segmentBytes} bytes, above ${SEGMENT_BYTES_MAX}`,
    );
    this.#cache = new TailCache(options.tailCacheBytes ?? TAIL_CACHE_BYTES);
    this.#at = {
      files: this.#files,
      directory: join(directory, 'log'),
      identityPath: join(directory, 'identity.json'),
      newSalt: () => system.random.uint32(),
    };
    this.#spare = new SpareSegment(this.#files, this.#at.directory, this.#segmentBytes);
  }

  /** Names this log and its history: a store that was made from another one, or from entries that were lost since, must not be used. */
  get identity(): string {
    const { log, epoch } = this.#use().identity;
    return `${log}/${epoch}`;
  }

  async open(shards: readonly ShardId[]): Promise<LogRecovery> {
    invariant(this.#opened === undefined, 'a segment log is opened once, until it is closed');
    const { directory } = this.#options;
    try {
      await this.#files.makeDirectory(this.#at.directory);
      const lock = await this.#files.lock(directory);
      try {
        return await this.#openLocked(lock, shards);
      } catch (error) {
        lock.release();
        throw error;
      }
    } catch (error) {
      throw openError(error, directory);
    }
  }

  async #openLocked(lock: DataLock, shards: readonly ShardId[]): Promise<LogRecovery> {
    const { clusterId, system } = this.#options;
    const recovered = await recover({
      ...this.#at,
      clusterId,
      peeker: this.#peeker,
      nowMs: system.clock.nowMs(),
      newLogId: () => Array.from({ length: 4 }, () => system.random.uint32().toString(16).padStart(8, '0')).join(''),
    });
    const { segments, tracks, tornBytes } = recovered;
    for (const shard of shards) {
      const { placementId, index } = shardParts(shard);
      trackOf(tracks, placementId, index);
    }
    this.#byShard.clear();
    for (const track of tracks.values()) this.#byShard.set(track.shard, track);

    const unproven = shards.filter((shard) => !this.#byShard.get(shard)!.proven);
    const { findings } = recovered.identity;
    const state = unproven.length === 0 ? 'whole' : findings.length > 0 ? 'damaged' : 'new';
    // The members were asked since for every shard: the old findings are history.
    const identity = { ...recovered.identity, closed: null, findings: unproven.length === 0 ? [] : findings };

    const reader = new SegmentReader(this.#files, segments);
    this.#opened = await this.#openActive(recovered, identity, { lock, segments, reader, tracks });
    this.#state = { kind: 'ready' };
    this.#closing = undefined;
    return { state, findings: identity.findings, unproven, tornBytes };
  }

  /** Opens the last segment for writing, or begins a new one when that one must stay as it is. */
  async #openActive(
    recovered: Recovered,
    identity: LogIdentity,
    parts: Pick<Opened, 'lock' | 'segments' | 'reader' | 'tracks'>,
  ): Promise<Opened> {
    const { segments } = recovered;
    let active = segments.at(-1);
    if (active === undefined || active.salvaged || active.epoch !== identity.epoch) {
      active = await this.#createNext(identity, recovered.highestNumber + 1, active, parts.tracks);
      segments.push(active);
    }
    const written: LogIdentity = { ...identity, lastSegment: active.number };
    // Also says that the log is open: what a clean shutdown said about its end is void from now on.
    await saveIdentity(this.#files, this.#at.identityPath, written);
    const fd = await this.#files.open(active.path, 'read-write');
    return { ...parts, active, fd, identity: written, nextNumber: active.number + 1 };
  }

  #createNext(
    identity: LogIdentity,
    number: number,
    before: Segment | undefined,
    tracks: ShardTracks,
    zeroed?: ZeroedFile,
  ): Promise<Segment> {
    const header = {
      salt: this.#at.newSalt(),
      log: identity.log,
      number,
      epoch: identity.epoch,
      previous: { number: before?.number ?? 0, length: before?.length ?? 0, salt: before?.salt ?? 0 },
      salvaged: false,
      shards: [...tracks.values()].map((track) => track.mark),
    };
    return createSegment(this.#at, header, before === undefined ? 0 : before.base + before.length, () => [], zeroed);
  }

  append(
    shard: ShardId,
    expectOffset: number,
    entries: readonly LogEntry[],
    done: (outcome: AppendOutcome) => void,
  ): void {
    invariant(entries.length > 0, 'an append has at least one entry');
    for (const { bytes } of entries) {
      invariant(
        bytes.length <= LOG_ENTRY_BYTES_MAX,
        `a log entry of ${bytes.length} bytes, above ${LOG_ENTRY_BYTES_MAX}`,
      );
    }
    this.#queue.push({ track: this.#track(shard), expectOffset, entries, done, fenced: false });
    if (this.#busy) return;
    this.#busy = true;
    // Not at once: what the caller appends to other shards in the same breath shares the commit.
    queueMicrotask(() => this.#next());
  }

  read(shard: ShardId, fromOffset: number, bytesMax: number, done: (result: ReadResult) => void): void {
    const track = this.#track(shard);
    if (fromOffset < 1) return done({ kind: 'trimmed', start: 1 });
    if (fromOffset > track.tail) return done({ kind: 'entries', entries: [] });
    const cachedFrom = track.cached.from;
    if (cachedFrom === undefined || fromOffset < cachedFrom) {
      // Of a closed log a reader that has not noticed yet gets nothing; its files belong to the next process.
      if (this.#opened === undefined) return done({ kind: 'entries', entries: [] });
      return this.#opened.reader.read(track, fromOffset, bytesMax, done);
    }
    done({ kind: 'entries', entries: track.cached.take(fromOffset, bytesMax) });
  }

  /** The directory's lock: nobody else appends here. */
  refresh(_shard: ShardId, done: () => void): void {
    done();
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

  state(): LogState {
    return this.#state;
  }

  onState(listener: (state: LogState) => void): void {
    this.#listeners.push(listener);
  }

  bytes(): number {
    const active = this.#opened?.active;
    return active === undefined ? 0 : active.base + active.length;
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined || this.#closing !== undefined) return;
    let failed = false;
    await new Promise<void>((resolve) => {
      this.#closing = () => {
        if (this.#opened === undefined) return;
        failed = this.#state.kind === 'failed';
        // From here on appends are refused: nothing may be written any more.
        this.#opened = undefined;
        this.#state = { kind: 'failed', reason: 'the log is closed' };
        resolve();
      };
      if (!this.#busy) this.#closing();
    });
    this.#probing?.cancel();
    this.#probing = undefined;
    await this.#spare.giveUp();
    await opened.reader.finished();
    await this.#files.close(opened.fd);
    if (!failed) {
      const { number, length } = opened.active;
      const closed: LogIdentity = { ...opened.identity, closed: { segment: number, length } };
      // Without it the next start is as after a crash, which is whole too: a full disk must not make a shutdown fail.
      await saveIdentity(this.#files, this.#at.identityPath, closed).catch(() => undefined);
    }
    opened.lock.release();
  }

  /** Starts whatever is due. #busy is set. */
  #next(): void {
    if (this.#queue.length === 0) {
      this.#busy = false;
      this.#closing?.();
      return;
    }
    if (this.#state.kind !== 'ready' || this.#opened === undefined) return this.#refuseAll();
    const { active } = this.#opened;
    const full = active.length >= this.#segmentBytes && active.length > active.headerBytes;
    // A file that must grow is left as soon as there is one that need not.
    if (full || (this.#spare.ready && active.length >= active.fileBytes)) {
      void this.#roll(this.#opened);
      return;
    }
    this.#write(this.#opened, this.#build(active));
  }

  #build(active: Segment): Commit {
    const commit: Commit = { appends: [], entries: [], buffers: [], bytes: 0 };
    let taken = 0;
    while (taken < this.#queue.length && commit.bytes < COMMIT_BYTES_MAX) {
      const append = this.#queue[taken++]!;
      commit.appends.push(append);
      append.fenced = append.expectOffset !== append.track.assigned + 1;
      if (append.fenced) continue;
      for (const entry of append.entries) this.#encode(commit, active, append.track, entry);
    }
    this.#queue = taken === this.#queue.length ? [] : this.#queue.slice(taken);
    return commit;
  }

  #encode(commit: Commit, active: Segment, track: ShardTrack, { kind, bytes }: LogEntry): void {
    const length = RECORD_HEADER_BYTES + bytes.length;
    const { memory, at } = this.#cache.allocate(length);
    const offset = ++track.assigned;
    const end = writeRecord(memory, at, active.salt, active.length, track.placement, track.index, offset, kind, bytes);
    const stored = { kind, bytes: memory.subarray(at + RECORD_HEADER_BYTES, end), offset };
    const position = active.base + active.length + commit.bytes;
    commit.entries.push({ track, entry: stored, memory, at: at + RECORD_HEADER_BYTES, position });
    commit.bytes += length;
    // Records that lie side by side in a chunk are one buffer of the write.
    const last = commit.buffers.at(-1);
    if (last?.buffer === memory.buffer && last.byteOffset + last.length === memory.byteOffset + at) {
      commit.buffers[commit.buffers.length - 1] = memory.subarray(last.byteOffset - memory.byteOffset, end);
    } else {
      commit.buffers.push(memory.subarray(at, end));
    }
  }

  #write(opened: Opened, commit: Commit): void {
    if (commit.bytes === 0) {
      // Fenced all: nothing to wait for.
      queueMicrotask(() => this.#finish(commit));
      return;
    }
    const { fd, active } = opened;
    const { clock } = this.#options.system;
    writeAll(this.#files, fd, commit.buffers, active.length, (error) => {
      if (error !== null) return this.#writeFailed(opened, commit, error);
      const beganMs = clock.monotonicMs();
      this.#files.fdatasync(fd, (syncError) => {
        this.figures.syncSeconds.add((clock.monotonicMs() - beganMs) / 1000);
        if (syncError !== null) return this.#fail(`fdatasync of ${active.path}`, syncError, commit);
        this.figures.bytes.add(commit.bytes);
        this.figures.entries.add(commit.entries.length);
        active.length += commit.bytes;
        active.fileBytes = Math.max(active.fileBytes, active.length);
        this.#spare.advance(active.length);
        this.#finish(commit);
      });
    });
  }

  #finish(commit: Commit): void {
    for (const { track, entry, memory, at, position } of commit.entries) {
      const { kind, bytes, offset } = entry;
      track.tail = offset;
      track.positions.add(offset, position);
      this.#cache.add(track.cached, entry, memory, at, bytes.length);
      if (kind === 'lease') track.proven = true;
      if (kind === 'batch') {
        const peek = this.#peeker.peek(bytes);
        if (peek !== undefined) track.batches.add(peek, offset);
      }
    }
    this.#cache.trim();
    const outcomes = commit.appends.map((append): AppendOutcome => {
      return append.fenced ? { kind: 'fenced', tail: append.track.tail } : { kind: 'durable' };
    });
    // The disk works on the next commit while the callbacks run. What they append waits for the one after.
    this.#next();
    commit.appends.forEach((append, i) => append.done(outcomes[i]!));
  }

  #writeFailed(opened: Opened, commit: Commit, error: FileError): void {
    const { active, fd } = opened;
    if (!NO_SPACE.has(error.code)) return this.#fail(`writing ${active.path}`, error, commit);
    for (const { track } of commit.entries) track.assigned = track.tail;
    this.#queue.unshift(...commit.appends);
    this.#cutBack(fd, active).then(
      () => this.#outOfSpace(error),
      (cutError: FileError) => this.#fail(`cutting ${active.path} back to ${active.length} bytes`, cutError),
    );
  }

  async #cutBack(fd: number, active: Segment): Promise<void> {
    await truncate(this.#files, fd, active.length);
    active.fileBytes = active.length;
    await syncData(this.#files, fd);
  }

  async #outOfSpace(error: FileError): Promise<void> {
    // The spare may have what is missing.
    if (await this.#spare.giveUp()) this.#next();
    else this.#becomeReadOnly(error);
  }

  /** #busy is set; the queue is refused. */
  #becomeReadOnly(error: FileError): void {
    const reason = `no space for the log in ${this.#at.directory} (${error.code}); free some, and writes go on by themselves`;
    this.#probing ??= this.#options.system.timers.every(PROBE_MS, () => void this.#probe());
    this.#setState({ kind: 'read-only', reason });
    this.#next();
  }

  /** Is there space again? Asked by writing, because free space is not always space that may be used (quotas, reserves). */
  async #probe(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined || this.#busy || this.#closing !== undefined) return;
    this.#busy = true;
    const { fd, active } = opened;
    let space = true;
    try {
      await writeAt(this.#files, fd, Buffer.alloc(PROBE_BYTES), active.length);
    } catch (error) {
      if (!NO_SPACE.has((error as FileError).code)) return this.#fail(`writing ${active.path}`, error as FileError);
      space = false;
    }
    try {
      await this.#cutBack(fd, active);
    } catch (error) {
      return this.#fail(`cutting ${active.path} back to ${active.length} bytes`, error as FileError);
    }
    if (space) {
      this.#probing?.cancel();
      this.#probing = undefined;
      this.#spare.resume();
      this.#setState({ kind: 'ready' });
    }
    this.#next();
  }

  async #roll(opened: Opened): Promise<void> {
    const { active: before } = opened;
    try {
      const zeroed = this.#spare.ready ? { path: await this.#spare.take(), bytes: this.#segmentBytes } : undefined;
      const active = await this.#createNext(opened.identity, opened.nextNumber, before, opened.tracks, zeroed);
      const fd = await this.#files.open(active.path, 'read-write');
      // Before the first record is in it: a segment that is missing later is then missed.
      const identity: LogIdentity = { ...opened.identity, lastSegment: active.number };
      try {
        await saveIdentity(this.#files, this.#at.identityPath, identity);
      } catch (error) {
        await this.#files.close(fd);
        throw error;
      }
      await this.#files.close(opened.fd);
      opened.fd = fd;
      opened.active = active;
      opened.identity = identity;
      opened.nextNumber = active.number + 1;
      opened.segments.push(active);
      this.#spare.resume();
    } catch (error) {
      if (NO_SPACE.has((error as FileError).code)) await this.#outOfSpace(error as FileError);
      else this.#fail(`beginning a segment after ${before.path}`, error as FileError);
      return;
    }
    this.#next();
  }

  #fail(what: string, cause: FileError, commit?: Commit): void {
    const message = `${what} failed: ${cause.message}`;
    this.#probing?.cancel();
    this.#setState({ kind: 'failed', reason: message });
    this.#options.onFatal(
      new CausewayError('READ_ONLY', message, {
        retriable: false,
        cause,
        hint: 'The disk or its file system fails. The node must end: what it had not acknowledged may or may not be on disk.',
      }),
    );
    // Only where the process lives on (tests). Whether these are on disk nobody can tell; the ones behind them are not.
    const outcome: AppendOutcome = { kind: 'unknown' };
    commit?.appends.forEach((append) => append.done(outcome));
    this.#refuseAll();
  }

  #refuseAll(): void {
    const state = this.#state;
    const message = state.kind === 'ready' ? 'the log is not open' : state.reason;
    const outcome: AppendOutcome = {
      kind: 'refused',
      reason: state.kind === 'read-only' ? 'read-only' : 'failed',
      message,
    };
    // Callbacks may append again: those are refused in the same way, in the next round.
    const refused = this.#queue;
    this.#queue = [];
    for (const append of refused) append.done(outcome);
    if (this.#queue.length > 0) queueMicrotask(() => this.#next());
    else {
      this.#busy = false;
      this.#closing?.();
    }
  }

  #setState(state: LogState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }

  #track(shard: ShardId): ShardTrack {
    const track = this.#byShard.get(shard);
    if (track !== undefined) return track;
    const { placementId, index } = shardParts(shard);
    const added = trackOf(this.#use().tracks, placementId, index);
    this.#byShard.set(shard, added);
    return added;
  }

  #use(): Opened {
    invariant(this.#opened !== undefined, 'a segment log is used while it is open');
    return this.#opened;
  }
}

const OPEN_ERRORS: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ENOTDIR: ['a directory', 'Name a directory, or remove the file that is in its place.'],
  EEXIST: ['a directory', 'Name a directory, or remove the file that is in its place.'],
  EACCES: ['a directory that this process may write to', 'Change its owner or mode, or run the node as its owner.'],
  EPERM: ['a directory that this process may write to', 'Change its owner or mode, or run the node as its owner.'],
  EROFS: [
    'a directory that can be written to',
    'Its file system is mounted read-only: mount it for writing, or name another.',
  ],
  ENOSPC: ['a directory with space', 'Free some space, or name a directory on another file system.'],
  EDQUOT: ['a directory with space', 'Raise the quota, or name a directory on another file system.'],
};

function openError(error: unknown, directory: string): unknown {
  if (error instanceof CausewayError) return error;
  const { code, path } = error as FileError;
  const known = OPEN_ERRORS[code ?? ''];
  const found = `${code ?? String(error)}${path === undefined ? '' : ` (${path})`}`;
  if (known !== undefined) {
    const [what, hint] = known;
    return new CausewayError('CONFIG_INVALID', `expected ${directory} to be ${what}, found ${found}`, {
      hint,
      cause: error,
      details: { directory },
    });
  }
  return new CausewayError('CORRUPT', `the log in ${directory} cannot be opened: ${found}`, {
    cause: error,
    details: { directory },
    hint: 'Look at the cause, and at the kernel log for errors of the disk.',
  });
}
