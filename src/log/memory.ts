// The log in memory: for tests and for the simulator, with the faults of real logs at the caller's command.
//
// A MemoryDisk is the platter (or the broker): it survives a crash of the MemoryLog that writes to it. Several MemoryLogs may
// be open on one disk at once, as two owners of which one is deposed; the offsets fence them. Nothing here reads a clock or
// rolls dice: `complete` decides when an append arrives, `random` and `fault` decide what goes wrong. With the defaults an
// append is durable, and its callback called, before append() returns.
//
//   const disk = new MemoryDisk();
//   const log = new MemoryLog({ disk, complete: (fn) => timers.after(delayMs(), fn), random: random.float });
//
// Faults (each is one that a real log has; docs/INVARIANTS.md says what must hold under them):
//   fault: (append) => …       asked once for each append when it arrives at the disk:
//     'none'                   written and acknowledged
//     'lost-ack'               written; the caller is told `unknown`
//     'lost'                   not written; the caller is told `unknown`
//     'late'                   the caller is told `unknown` now; it waits on the disk until disk.landLate(), also across crashes, and is
//                              then written if its offset still fits (a stale publish that was held up in the network)
//   log.crash({ keep, torn })  the process dies: no callback is called any more. Of what was in flight `keep` says what is on the
//                              disk: 'none' (default), 'all', or 'random': per shard, in order, up to a random entry. `torn`: half
//                              a record is left at the end; the next open() cuts it off and reports tornBytes.
//   log.fail(reason)           an fdatasync failed: in flight becomes `unknown`, the log refuses everything from then on
//   disk.setReadOnly(reason)   no space: appends are refused until disk.setReadOnly(undefined); all open logs tell their listeners
//   disk.wipe({ marker })      the log's files are gone. The marker beside it remains (next open: `damaged`) or not (`new`)
//   disk.damage(shard, from)   the entries from that offset on are unreadable; next open: `damaged`, with the prefix
//   disk.snapshot() / .restore(image)   an older copy is put back. Nothing in it can tell: the next open says `whole`, as with files
//   disk.trim(shard, start)    entries before that offset are gone, as after a checkpoint
//
// After a crash, close() or fail(): open a new MemoryLog (or the same one again) on the disk.

import { invariant } from '../errors/errors.ts';
import type { OriginId, ShardId } from '../record/ids.ts';
import { BatchPeeker } from '../record/peek.ts';
import { BatchIndex } from './batch-index.ts';
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

/** What a record costs beside its payload in the segment files; bytes() then means about the same in both. */
const RECORD_HEADER_BYTES = 32;
const TORN_BYTES = 17;

export interface MemoryAppend {
  readonly shard: ShardId;
  readonly expectOffset: number;
  readonly entries: readonly LogEntry[];
  /** The very entry that it is to stand behind; undefined at the start of the shard. An offset alone is no fence while several
   *  appends are under way: another owner's entries may have taken exactly the places of those that were lost before this one. */
  readonly follows: Uint8Array | undefined;
}

export type AppendFault = 'none' | 'lost-ack' | 'lost' | 'late';

/** A copy of a disk's durable content. */
export interface MemoryDiskImage {
  readonly shards: ReadonlyMap<ShardId, { readonly start: number; readonly entries: readonly StoredEntry[] }>;
  readonly proven: ReadonlySet<ShardId>;
  readonly marker: boolean;
  readonly findings: readonly string[];
}

class DiskShard {
  /** Offset of entries[0]. */
  start = 1;
  entries: StoredEntry[] = [];
  index = new BatchIndex();

  get tail(): number {
    return this.start + this.entries.length - 1;
  }
}

/** The platter: what survives a crash. */
export class MemoryDisk {
  readonly #shards = new Map<ShardId, DiskShard>();
  readonly #logs = new Set<MemoryLog>();
  readonly #peeker = new BatchPeeker();
  /** Shards to which a lease was appended since the disk was new or damaged. */
  #proven = new Set<ShardId>();
  /** A log was created here once. */
  #marker = false;
  #findings: string[] = [];
  #tornBytes = 0;
  #late: MemoryAppend[] = [];
  #readOnly: string | undefined;
  #bytes = 0;

  // Faults

  setReadOnly(reason: string | undefined): void {
    if (this.#readOnly === reason) return;
    this.#readOnly = reason;
    for (const log of this.#logs) log.diskStateChanged();
  }

  wipe(options: { readonly marker: boolean }): void {
    this.#expectNoLog('wiped');
    this.#shards.clear();
    this.#proven.clear();
    this.#bytes = 0;
    this.#tornBytes = 0;
    this.#findings = options.marker && this.#marker ? ['the log was here once, and its files are gone'] : [];
    this.#marker = options.marker && this.#marker;
  }

  damage(shard: ShardId, fromOffset: number): void {
    this.#expectNoLog('damaged');
    const at = this.shard(shard);
    const tail = at.tail;
    if (fromOffset <= tail) at.entries.length = Math.max(0, fromOffset - at.start);
    this.#findings.push(`shard ${shard}: offsets ${fromOffset} to ${tail} cannot be read`);
    this.#proven.clear();
    this.#reindex();
  }

  trim(shard: ShardId, start: number): void {
    const at = this.shard(shard);
    const gone = Math.min(Math.max(0, start - at.start), at.entries.length);
    at.entries.splice(0, gone);
    at.start += gone;
    this.#reindex();
  }

  snapshot(): MemoryDiskImage {
    return {
      shards: new Map([...this.#shards].map(([id, at]) => [id, { start: at.start, entries: [...at.entries] }])),
      proven: new Set(this.#proven),
      marker: this.#marker,
      findings: [...this.#findings],
    };
  }

  restore(image: MemoryDiskImage): void {
    this.#expectNoLog('restored');
    this.#shards.clear();
    for (const [id, { start, entries }] of image.shards) {
      const at = this.shard(id);
      at.start = start;
      at.entries = [...entries];
    }
    this.#proven = new Set(image.proven);
    this.#marker = image.marker;
    this.#findings = [...image.findings];
    this.#tornBytes = 0;
    this.#reindex();
  }

  /** How many appends with the fault `late` have not landed. */
  get lateCount(): number {
    return this.#late.length;
  }

  /** Lets the oldest `count` late appends arrive (default: all); those whose offset no longer fits vanish. How many were written. */
  landLate(count = this.#late.length): number {
    let written = 0;
    for (const append of this.#late.splice(0, count)) {
      if (this.#readOnly === undefined && this.land(append) === undefined) written++;
    }
    return written;
  }

  // For MemoryLog

  attach(log: MemoryLog, shards: readonly ShardId[]): LogRecovery {
    this.#logs.add(log);
    const fresh = !this.#marker;
    this.#marker = true;
    const tornBytes = this.#tornBytes;
    this.#tornBytes = 0;
    for (const shard of shards) this.shard(shard);
    const unproven = shards.filter((shard) => !this.#proven.has(shard));
    if (unproven.length === 0) {
      // The members were asked since for every shard: the old findings are history.
      this.#findings = [];
      return { state: 'whole', findings: [], tornBytes, unproven };
    }
    const damaged = !fresh && this.#findings.length > 0;
    return { state: damaged ? 'damaged' : 'new', findings: damaged ? [...this.#findings] : [], tornBytes, unproven };
  }

  detach(log: MemoryLog): void {
    this.#logs.delete(log);
  }

  get readOnly(): string | undefined {
    return this.#readOnly;
  }

  get bytes(): number {
    return this.#bytes;
  }

  shard(id: ShardId): DiskShard {
    let at = this.#shards.get(id);
    if (at === undefined) {
      at = new DiskShard();
      this.#shards.set(id, at);
    }
    return at;
  }

  /** Writes if the fence allows; else the tail that refused it. */
  land(append: MemoryAppend, entries = append.entries.length): { readonly tail: number } | undefined {
    const at = this.shard(append.shard);
    if (at.tail !== append.expectOffset - 1 || at.entries.at(-1)?.bytes !== append.follows) return { tail: at.tail };
    for (const entry of append.entries.slice(0, entries)) this.#add(append.shard, at, entry);
    return undefined;
  }

  keepLate(append: MemoryAppend): void {
    this.#late.push(append);
  }

  tear(): void {
    this.#tornBytes += TORN_BYTES;
  }

  #add(shard: ShardId, at: DiskShard, entry: LogEntry): void {
    const offset = at.tail + 1;
    at.entries.push({ kind: entry.kind, bytes: entry.bytes, offset });
    this.#bytes += entry.bytes.length + RECORD_HEADER_BYTES;
    if (entry.kind === 'lease') this.#proven.add(shard);
    if (entry.kind !== 'batch') return;
    const peek = this.#peeker.peek(entry.bytes);
    if (peek !== undefined) at.index.add(peek, offset);
  }

  #reindex(): void {
    this.#bytes = 0;
    for (const at of this.#shards.values()) {
      at.index = new BatchIndex();
      for (const entry of at.entries) {
        this.#bytes += entry.bytes.length + RECORD_HEADER_BYTES;
        const peek = entry.kind === 'batch' ? this.#peeker.peek(entry.bytes) : undefined;
        if (peek !== undefined) at.index.add(peek, entry.offset);
      }
    }
  }

  #expectNoLog(what: string): void {
    invariant(this.#logs.size === 0, `a memory disk is ${what} while no log is open on it`);
  }
}

export interface MemoryLogOptions {
  readonly disk: MemoryDisk;
  /** Calls `fn` when an append shall arrive at the disk. Default: at once. A shard's appends arrive in order whatever this does:
   *  one whose turn comes early waits for those before it. */
  readonly complete?: (fn: () => void) => void;
  /** Calls `fn` when a read shall be answered. Default: at once. */
  readonly completeRead?: (fn: () => void) => void;
  /** Uniform in [0, 1): for crash({ keep: 'random' }). */
  readonly random?: () => number;
  readonly fault?: (append: MemoryAppend) => AppendFault;
}

export interface CrashOptions {
  readonly keep?: 'none' | 'all' | 'random';
  readonly torn?: boolean;
}

interface PendingAppend extends MemoryAppend {
  readonly done: (outcome: AppendOutcome) => void;
  /** When it was made, its offset was the next one. */
  readonly fits: boolean;
  arrived: boolean;
}

interface ShardQueue {
  readonly pending: PendingAppend[];
  draining: boolean;
}

const immediately = (fn: () => void): void => fn();

export class MemoryLog implements Log {
  readonly isRemote = false;
  readonly promise: LogPromise = {
    engine: 'memory',
    durable: false,
    detail: 'nothing survives the end of the process; for tests and simulation',
  };
  readonly #disk: MemoryDisk;
  readonly #complete: (fn: () => void) => void;
  readonly #completeRead: (fn: () => void) => void;
  readonly #random: (() => number) | undefined;
  readonly #fault: ((append: MemoryAppend) => AppendFault) | undefined;
  readonly #listeners: ((state: LogState) => void)[] = [];
  #queues = new Map<ShardId, ShardQueue>();
  #open = false;
  /** Counts opens and crashes: what an earlier life has scheduled finds that it is over. */
  #life = 0;
  #failed: string | undefined;
  #closing: (() => void) | undefined;

  constructor(options: MemoryLogOptions) {
    this.#disk = options.disk;
    this.#complete = options.complete ?? immediately;
    this.#completeRead = options.completeRead ?? immediately;
    this.#random = options.random;
    this.#fault = options.fault;
  }

  open(shards: readonly ShardId[]): Promise<LogRecovery> {
    invariant(!this.#open, 'a memory log is opened once, until it is closed or crashes');
    this.#open = true;
    this.#life++;
    this.#failed = undefined;
    this.#queues = new Map();
    return Promise.resolve(this.#disk.attach(this, shards));
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
    const queue = this.#queue(shard);
    // Copied, as a disk does: a caller that changes its buffer afterwards must not change history.
    const copies = entries.map(({ kind, bytes }): LogEntry => ({ kind, bytes: Buffer.from(bytes) }));
    const append: PendingAppend = {
      shard,
      expectOffset,
      entries: copies,
      ...this.#before(shard, queue, expectOffset),
      done,
      arrived: false,
    };
    queue.pending.push(append);
    const life = this.#life;
    this.#complete(() => {
      if (life !== this.#life) return;
      append.arrived = true;
      this.#drain(queue);
    });
  }

  /** What the caller knows to stand before this offset: its own append that is still under way, or what is durable there. */
  #before(
    shard: ShardId,
    queue: ShardQueue,
    offset: number,
  ): { readonly follows: Uint8Array | undefined; readonly fits: boolean } {
    // Whatever was sent for the place before ours is what we follow, and if it is refused so are we: an entry of another owner that
    // has taken its place is not the one that we were made for. Among several, one that fitted when it was made comes first.
    const ahead = queue.pending.filter((other) => other.expectOffset + other.entries.length === offset);
    const before = ahead.findLast(({ fits }) => fits) ?? ahead.at(-1);
    if (before !== undefined) return { follows: before.entries.at(-1)!.bytes, fits: before.fits };
    const at = this.#disk.shard(shard);
    return { follows: at.entries[offset - 1 - at.start]?.bytes, fits: offset === at.tail + 1 };
  }

  read(shard: ShardId, fromOffset: number, bytesMax: number, done: (result: ReadResult) => void): void {
    const life = this.#life;
    this.#completeRead(() => {
      if (life === this.#life) done(this.#readNow(shard, fromOffset, bytesMax));
    });
  }

  #readNow(shard: ShardId, fromOffset: number, bytesMax: number): ReadResult {
    const at = this.#disk.shard(shard);
    if (fromOffset < at.start) return { kind: 'trimmed', start: at.start };
    const entries: StoredEntry[] = [];
    let bytes = 0;
    for (let i = fromOffset - at.start; i < at.entries.length; i++) {
      const entry = at.entries[i]!;
      bytes += entry.bytes.length;
      if (entries.length > 0 && bytes > bytesMax) break;
      entries.push(entry);
    }
    return { kind: 'entries', entries };
  }

  /** All logs of a disk see the same. */
  refresh(_shard: ShardId, done: () => void): void {
    done();
  }

  tail(shard: ShardId): number {
    return this.#disk.shard(shard).tail;
  }

  start(shard: ShardId): number {
    return this.#disk.shard(shard).start;
  }

  find(shard: ShardId, origin: OriginId, seq: number): number | undefined {
    return this.#disk.shard(shard).index.find(origin, seq);
  }

  origins(shard: ShardId): readonly OriginId[] {
    return this.#disk.shard(shard).index.origins();
  }

  state(): LogState {
    if (this.#failed !== undefined) return { kind: 'failed', reason: this.#failed };
    const readOnly = this.#disk.readOnly;
    return readOnly === undefined ? { kind: 'ready' } : { kind: 'read-only', reason: readOnly };
  }

  onState(listener: (state: LogState) => void): void {
    this.#listeners.push(listener);
  }

  bytes(): number {
    return this.#disk.bytes;
  }

  close(): Promise<void> {
    if (!this.#open) return Promise.resolve();
    return new Promise((resolve) => {
      this.#closing = resolve;
      this.#closeIfIdle();
    });
  }

  // Faults

  /** Between open() and close() or crash(). */
  get isOpen(): boolean {
    return this.#open;
  }

  crash(options: CrashOptions = {}): void {
    invariant(this.#open, 'only an open memory log crashes');
    const keep = options.keep ?? 'none';
    if (keep !== 'none') for (const { pending } of this.#queues.values()) this.#keepInFlight(pending, keep);
    if (options.torn === true) this.#disk.tear();
    this.#end();
  }

  fail(reason: string): void {
    this.#failed = reason;
    for (const { pending } of this.#queues.values()) {
      for (const append of pending.splice(0)) append.done({ kind: 'unknown' });
    }
    this.diskStateChanged();
  }

  /** Called by the disk. */
  diskStateChanged(): void {
    const state = this.state();
    for (const listener of this.#listeners) listener(state);
  }

  /** How many appends are in flight, over all shards. */
  get inFlight(): number {
    let count = 0;
    for (const { pending } of this.#queues.values()) count += pending.length;
    return count;
  }

  #keepInFlight(pending: readonly PendingAppend[], keep: 'all' | 'random'): void {
    const total = pending.reduce((sum, append) => sum + append.entries.length, 0);
    let left = total;
    if (keep === 'random') {
      invariant(this.#random !== undefined, "crash({ keep: 'random' }) needs the option `random`");
      left = Math.floor(this.#random() * (total + 1));
    }
    for (const append of pending) {
      if (left === 0 || this.#disk.readOnly !== undefined) return;
      const entries = Math.min(left, append.entries.length);
      if (this.#disk.land(append, entries) !== undefined) return;
      left -= entries;
    }
  }

  #end(): void {
    this.#open = false;
    this.#life++;
    this.#queues = new Map();
    this.#disk.detach(this);
    const closing = this.#closing;
    this.#closing = undefined;
    closing?.();
  }

  #queue(shard: ShardId): ShardQueue {
    let queue = this.#queues.get(shard);
    if (queue === undefined) {
      queue = { pending: [], draining: false };
      this.#queues.set(shard, queue);
    }
    return queue;
  }

  /** Lets arrived appends land, in order. A callback that appends comes back here; the outer call goes on with its work. */
  #drain(queue: ShardQueue): void {
    if (queue.draining) return;
    queue.draining = true;
    const life = this.#life;
    while (queue.pending[0]?.arrived === true) {
      const append = queue.pending.shift()!;
      append.done(this.#land(append));
      if (life !== this.#life) return;
    }
    queue.draining = false;
    this.#closeIfIdle();
  }

  #land(append: PendingAppend): AppendOutcome {
    const state = this.state();
    if (!this.#open) return { kind: 'refused', reason: 'failed', message: 'the log is closed' };
    if (state.kind !== 'ready') return { kind: 'refused', reason: state.kind, message: state.reason };
    // The entries are shared with the disk from here on; `done` and `arrived` are not.
    const { shard, expectOffset, entries, follows } = append;
    const fault = this.#fault?.({ shard, expectOffset, entries, follows }) ?? 'none';
    if (fault === 'lost') return { kind: 'unknown' };
    if (fault === 'late') {
      this.#disk.keepLate({ shard, expectOffset, entries, follows });
      return { kind: 'unknown' };
    }
    const refused = this.#disk.land(append);
    // A refusal that is lost on its way leaves the caller as ignorant as a lost acknowledgement.
    if (fault === 'lost-ack') return { kind: 'unknown' };
    return refused === undefined ? { kind: 'durable' } : { kind: 'fenced', tail: refused.tail };
  }

  #closeIfIdle(): void {
    if (this.#closing !== undefined && this.inFlight === 0) this.#end();
  }
}
