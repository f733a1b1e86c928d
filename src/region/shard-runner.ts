// The shell around one shard's engine: feeds it from the log, the store, clients and links, and carries out what it decides.
// Everything that is asynchronous about a shard is here; everything that is clever about it is in src/shard.
//
// A store that answers later (`ports.store.answersAtOnce` is false): the keys of writes, of peers' batches and of replayed entries are brought into memory
// before the engine is asked, and what comes behind something that waits for its keys waits too (key-queue.ts). While it is away (late-store.ts) no client
// waits for it: what needs it is refused as not written, what has its keys in memory goes on, past batches of peers, which wait.
//
// The order that makes it true: what the engine hands out is appended in order; what the log calls durable is landed in order; only
// then do states change, answers leave, and the feed and the links hear of it.

import { CausewayError } from '../errors/errors.ts';
import { msOfStamp, type Hlc } from '../clock/hlc.ts';
import { ShardJournal } from '../conflicts/shard-journal.ts';
import type { LogEntry, StoredEntry } from '../log/log.ts';
import { mergeOf } from '../merge/merge.ts';
import { findOps, readBatchHeader } from '../record/batch.ts';
import { originIncarnation, type OriginId, type RegionId, type ShardId, type StateKey } from '../record/ids.ts';
import type { LocatedOps } from '../record/located-ops.ts';
import { DEFINITIONS, mergeTypeOfCode, stateKey, type CollectionRef, type MergeTypeName } from '../record/op.ts';
import { dominates, type ReadonlyVector } from '../record/vector.ts';
import type { Answers, Received } from '../replication/host.ts';
import type { WelcomeShard } from '../replication/messages.ts';
import type { ShardBeat } from '../shard/beat.ts';
import {
  ShardEngine,
  type Append,
  type EngineOp,
  type Inspection,
  type Landed,
  type LandedConflict,
} from '../shard/engine.ts';
import { GUARDS } from '../shard/guards.ts';
import { bringKeysNear } from '../shard/key-slot.ts';
import { OPEN_BATCH_MS_MAX, type IdempotencyTable } from '../shard/idempotency.ts';
import { decodeMeta, encodeMeta, type ShardMeta } from '../shard/meta.ts';
import type { StoreRow, StoreStep } from '../store/store.ts';
import type { ShardTraces } from '../tracing/shard-traces.ts';
import type { AppendFailure } from './append-queue.ts';
import { AppendQueue } from './append-queue.ts';
import { WaitingBatches, type Intake } from './intake.ts';
import { KeyQueue, type Over } from './key-queue.ts';
import { LateStore, storeAway, type StoreOfShard } from './late-store.ts';
import type { ReadAhead } from './shard-follower.ts';
import { isOfLog } from './store-proof.ts';
import { withTheOthers } from './atomic.ts';
import type { NodePorts, NodeSettings } from './options.ts';
import { Parking } from './parking.ts';
import { DUE_ROW, keyOfDueRow, keysOfLocated, keysOfOps, META_ROW, StateCache, type KeyOf } from './state-cache.ts';
import type { WriteCall } from './write-call.ts';

/** What a runner tells its node. */
export interface RunnerEvents {
  /** The durable, landed front moved. */
  landed(runner: ShardRunner, landed: Landed): void;
  /** Verdicts that stand in the journal now. `replayed`: they were given before, as far as this process can know. */
  judged(runner: ShardRunner, verdicts: readonly LandedConflict[], replayed: boolean): void;
  /** What time it is by most peers, for what is forgotten for its age; undefined: not known. */
  agreedMs(): number | undefined;
  /** Definitions of collections are others now; before whoever changed them is answered. */
  defined(runner: ShardRunner): void;
  /** Rows wait for the store. */
  dirty(runner: ShardRunner): void;
  /** The open batch waits to be sealed: sealNow() is called in the node's next round. */
  sealWanted(runner: ShardRunner): void;
  /** Rounds wait for each other: what can be left to the next one should be. */
  paced(): boolean;
  /** Of all shards of the node. */
  readonly intake: Intake;
  /** Something is missing: let the links ask again. */
  askAgain(shard: ShardId): void;
  /** The runner is over: deposed, or the log refuses. The node decides whether to begin again. */
  stopped(runner: ShardRunner, failure: AppendFailure): void;
  counted(name: 'refused' | 'duplicatesAnswered' | 'duplicateBatches' | 'commits', n: number): void;
  /** A batch of ours is on its way to the log; so many bytes of ops are in it. */
  sealed(bytes: number): void;
  /** The store proves nothing of the shard: it is made anew from the whole log. */
  rebuilding(): void;
}

/** One write request's ops of this shard. */
interface Part {
  readonly call: WriteCall;
  readonly indexes: number[];
  /** Offset that must be durable; undefined while the ops stand in the open batch. */
  offset: number | undefined;
  /** Per origin the last of its ops, for acknowledgements by other regions. A retry's first op counts like a new one: what is
   *  promised is that it survives, whenever it was written. */
  readonly dots: Map<OriginId, number>;
  /** The call knows what became of it; what still comes changes nothing. */
  told: boolean;
}

const READ_BYTES = 4 * 1024 * 1024;
/** Of peers' batches whose keys are on their way from the store (key-queue.ts). */
const KEY_QUEUE_BYTES_MAX = 16 * 1024 * 1024;
const COLLECT_KEYS_MAX = 1000;
/** Beside its key and value. */
const WAITING_OP_BYTES = 200;
/** Looking at a row costs about a microsecond: so counting takes a hundredth of the time at most. */
const COUNT_AGAIN_MS_PER_ROW = 0.1;
/** Appended at once of what peers sent: a commit costs the same for many batches as for one, and each append of it a little more. */
const GATHERED_BYTES_MAX = 64 * 1024;
/** Parked, frozen or missing for longer than this: ask again. Each time in vain doubles it. */
const ASK_AGAIN_AFTER_MS = 500;
const ASK_AGAIN_MS_MAX = 4000;

export class ShardRunner {
  readonly shard: ShardId;
  readonly members: readonly RegionId[];
  readonly engine: ShardEngine;
  readonly cache: StateCache;
  readonly journal: ShardJournal;
  readonly #settings: NodeSettings;
  readonly #ports: NodePorts;
  readonly #events: RunnerEvents;
  readonly #queue: AppendQueue;
  readonly #reads: StoreOfShard;
  /** Of a store that answers later; both undefined with one that answers at once. */
  readonly #late: LateStore | undefined;
  readonly #keys: KeyQueue | undefined;
  /** What waited for its keys runs: its writes wait no more. */
  #itsTurn = false;
  readonly #parking: Parking;
  /** undefined: tracing is off. */
  readonly #traces: ShardTraces | undefined;
  /** Sequenced and not durable, oldest first; those of the open batch are last. */
  #parts: Part[] = [];
  /** Durable here, waiting for other regions. */
  #awaiting: Part[] = [];
  readonly #peerDurable = new Map<RegionId, Map<OriginId, number>>();
  #sealSoon = false;
  #ownInFlight = 0;
  readonly #ownOffsets: number[] = [];
  /** A batch came that only a newer version can read: for the alarm. */
  #newer: { readonly sinceMs: number; readonly message: string } | undefined;
  #stopped = false;
  #recovered = false;
  #recovering: (() => void) | undefined;
  #storeCursor = 0;
  /** Of the log behind the store's cursor, about: what is on its way is counted as stored. */
  #unstoredBytes = 0;
  #storeWriting = false;
  #collecting = false;
  #floor = 0;
  /** Since when something is known to be missing and nothing was taken, by the monotonic clock. */
  #behindSinceMs: number | undefined;
  #askAfterMs = ASK_AGAIN_AFTER_MS;
  /** Between seal and take of a remote batch nobody is answered: who is may write again at once, and open a batch (I4). */
  #taking = false;
  readonly #landedWhileTaking: Part[] = [];
  #inFlightBytes = 0;
  readonly #inFlightSizes: { offset: number; bytes: number }[] = [];
  #remoteInFlightBytes = 0;
  readonly #waiting: WaitingBatches;
  /** Several batches are being taken: `#gathered` is appended when it is large enough, and behind the last of them. */
  #gathering = false;
  #gathered: { readonly expectOffset: number; readonly entries: LogEntry[]; bytes: number } | undefined;
  readonly #remoteInFlightSizes: { offset: number; bytes: number }[] = [];
  #tombstonesDue = 0;
  /** By the monotonic clock; Infinity while a count is under way. */
  #countAgainAtMs = 0;
  /** Offsets of batches on their way that define collections. */
  #definedOffsets: number[] = [];
  /** The open batch does. */
  #defining = false;
  /** What the members hold that a new or damaged log lacks; reads and writes wait for it (I11). */
  #target: Map<OriginId, number> | undefined;
  /** Who told so: by member, what it held then. */
  readonly #told = new Map<RegionId, ReadonlyVector>();

  constructor(
    shard: ShardId,
    members: readonly RegionId[],
    clock: Hlc,
    settings: NodeSettings,
    ports: NodePorts,
    events: RunnerEvents,
  ) {
    this.shard = shard;
    this.members = members;
    this.#settings = settings;
    this.#ports = ports;
    this.#events = events;
    this.engine = new ShardEngine(
      {
        region: settings.region,
        shard,
        members,
        maxSkewMs: settings.maxSkewMs,
        leaseMs: settings.leaseMs,
        idempotencyEntriesMax: settings.limits.idempotencyEntriesMax,
      },
      clock,
    );
    this.#late = ports.store.answersAtOnce ? undefined : new LateStore(ports.store);
    this.#reads = this.#late ?? ports.store;
    this.cache = new StateCache(shard, this.#reads, shareOf(settings.limits.stateCacheBytesMax, settings));
    this.#keys = this.#late && new KeyQueue(this.cache, KEY_QUEUE_BYTES_MAX, () => this.wantTurn());
    this.journal = new ShardJournal(shard, this.#reads, this.engine);
    this.#parking = new Parking(settings.limits.parkedBytesMax);
    this.#waiting = new WaitingBatches(settings.limits.linkWindowBytes, events.intake.waitingBytes);
    this.#traces = ports.tracing?.shard(shard);
    this.#queue = new AppendQueue(ports.log, shard, ports.system.timers, {
      durable: (offset) => this.#durable(offset),
      failed: (failure) => this.#failed(failure),
    });
  }

  get recovered(): boolean {
    return this.#recovered;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Takes writes: it has a live origin and is not behind what its members told it at the start. */
  get open(): boolean {
    return this.#recovered && !this.#stopped && this.engine.ownOrigin !== undefined && this.#target === undefined;
  }

  /** Between seal and take of a remote batch. */
  get taking(): boolean {
    return this.#taking;
  }

  get catchingUp(): boolean {
    return this.#target !== undefined;
  }

  get newerFormat(): { readonly sinceMs: number; readonly message: string } | undefined {
    return this.#newer;
  }

  get parkedBatches(): number {
    return this.#parking.count;
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes + this.engine.openBytes + (this.#keys?.bytes ?? 0);
  }

  /** The store does not answer: what is not in memory can be neither read nor written. */
  get storeAway(): boolean {
    return this.#late?.away === true;
  }

  /** For how long it has answered nothing that it was asked. */
  get storeSilentMs(): number {
    return this.#late?.silentMs ?? 0;
  }

  get unstoredBytes(): number {
    return this.#unstoredBytes;
  }

  get tombstones(): number {
    return this.#tombstonesDue;
  }

  /** What a peer has acknowledged since this runner, or the one that it goes on for, began; undefined: it has said nothing. */
  durableAt(peer: RegionId): ReadonlyVector | undefined {
    return this.#peerDurable.get(peer);
  }

  /** Nobody waits for an answer. */
  get answered(): boolean {
    return this.#parts.length === 0 && this.#awaiting.length === 0 && (this.#keys?.length ?? 0) === 0;
  }

  /** Somebody waits for other regions. */
  get awaitsRegions(): boolean {
    return this.#awaiting.length > 0;
  }

  get idle(): boolean {
    return this.#queue.length === 0 && this.engine.openOps === 0 && this.answered;
  }

  #nowMs(): number {
    return this.#ports.system.clock.nowMs();
  }

  // ── Start ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Reads the store's proof and the log behind it. `done` gets an error when the log cannot be read; it is called too when the runner ends meanwhile. What of it was
   *  read `ahead` is the runner's from now on. */
  recover(told: (error?: CausewayError) => void, ahead?: ReadAhead): void {
    const { store, log } = this.#ports;
    const reads = this.#reads;
    const done = (error?: CausewayError): void => {
      if (this.#recovering === undefined) return;
      this.#recovering = undefined;
      told(error);
    };
    this.#recovering = done;
    const begin = (): void => {
      if (this.#stopped) return;
      this.#storeCursor = store.cursor(this.shard);
      if (this.#storeCursor === 0) {
        if (log.tail(this.shard) > 0) this.#events.rebuilding();
        this.#replayFrom(1, done);
        return;
      }
      this.#reads.getMany(this.shard, [META_ROW], ([row]) => {
        if (this.#stopped) return;
        const meta = row === undefined ? undefined : decodeMeta(row);
        // A store ahead of the log, or without its meta, proves nothing: the log is the truth (I11).
        if (meta === undefined || meta.offset !== this.#storeCursor || this.#storeCursor > log.tail(this.shard)) {
          reads.reset(this.shard, begin);
          return;
        }
        this.#completed(ahead, meta, (table) => {
          if (this.#stopped) return;
          if (table !== undefined) {
            this.#restore(meta, table, done, begin);
            return;
          }
          const seqs = new Map(meta.origins.map(({ id, seq }) => [id, seq]));
          isOfLog(log, this.shard, meta.offset, seqs, (same) => {
            if (this.#stopped) return;
            if (same) this.#restore(meta, undefined, done, begin);
            else reads.reset(this.shard, begin);
          });
        });
      });
    };
    // What another owner has left, if there was one.
    reads.refresh(this.shard, () => log.refresh(this.shard, begin));
  }

  #completed(ahead: ReadAhead | undefined, meta: ShardMeta, done: (table: IdempotencyTable | undefined) => void): void {
    if (ahead === undefined) done(undefined);
    else ahead.complete(meta, done);
  }

  /** From a store that is proven; `anew` begins without it. `remembered`: the ops up to there. */
  #restore(
    meta: ShardMeta,
    remembered: IdempotencyTable | undefined,
    done: (error?: CausewayError) => void,
    anew: () => void,
  ): void {
    this.journal.load((error) => {
      if (this.#stopped) return;
      if (error !== undefined) {
        this.journal.reset();
        this.#reads.reset(this.shard, anew);
        return;
      }
      const behind = meta.offset + 1;
      const whole = remembered === undefined ? Math.max(1, Math.min(meta.idempotencyFrom, behind)) : behind;
      const from = Math.max(whole, behind - this.#rereadMax());
      this.engine.restore(meta, remembered, from > whole);
      this.#replayFrom(from, done);
    });
  }

  #rereadMax(): number {
    return Math.max(1, Math.floor(shareOf(this.#settings.limits.rereadEntriesMax, this.#settings)));
  }

  #replayFrom(offset: number, done: (error?: CausewayError) => void): void {
    if (this.#stopped) return;
    const { log, system } = this.#ports;
    if (offset > log.tail(this.shard)) {
      this.#recovered = true;
      this.journal.complete();
      this.#checkTarget();
      done();
      return;
    }
    log.read(this.shard, offset, READ_BYTES, (result) => {
      if (this.#stopped) return;
      if (result.kind !== 'entries' || result.entries.length === 0) {
        const what = result.kind === 'corrupt' ? result.message : `the log of ${this.shard} has no entry ${offset}`;
        done(
          new CausewayError('CORRUPT', what, {
            hint: 'restore the data directory, or remove it and let the region rebuild from its peers',
          }),
        );
        return;
      }
      this.#replayAll(result.entries, (error) => {
        if (this.#stopped) return;
        if (error !== undefined) done(error);
        // Through the timers, so that a long log neither starves the node nor deepens the stack.
        else system.timers.soon(() => this.#replayFrom(result.entries.at(-1)!.offset + 1, done));
      });
    });
  }

  #replayAll(entries: readonly StoredEntry[], done: (error?: CausewayError) => void): void {
    const broken = (cause: unknown): CausewayError => {
      const what = `entry ${entries[0]!.offset} and on of ${this.shard} cannot be replayed: ${String(cause)}`;
      return new CausewayError('CORRUPT', what, { cause });
    };
    const replay = (): CausewayError | undefined => {
      try {
        for (const entry of entries) this.#replay(entry);
        return undefined;
      } catch (cause) {
        return broken(cause);
      }
    };
    if (this.#keys === undefined) {
      done(replay());
      return;
    }
    const keys: KeyOf[] = [];
    try {
      for (const { kind, bytes, offset } of entries) {
        if (kind === 'batch' && offset > this.#storeCursor) keys.push(...keysOfLocated(locatedOf(bytes)));
      }
    } catch (cause) {
      done(broken(cause));
      return;
    }
    // In the turn in which they are loaded, and the first ones stay until the last one has been used.
    this.cache.load(keys, () => done(this.#stopped ? undefined : replay()));
  }

  #replay(entry: StoredEntry): void {
    if (entry.offset <= this.#storeCursor) {
      this.engine.rememberEntry(entry.offset, entry.kind, entry.bytes);
      return;
    }
    const landed = this.engine.replay(entry.offset, entry.kind, entry.bytes, this.cache);
    this.cache.apply(landed.changes);
    // The log says about when: a lease stands in it every second or so.
    const atMs = Math.min(this.#nowMs(), msOfStamp(this.engine.recoveredBound));
    if (landed.conflicts.length > 0) this.#judged(landed.conflicts, atMs, true);
    if (changesOf(landed)) this.#events.dirty(this);
  }

  /** Before anything else may happen to the shard: verdicts go into the store with the states that they are about, or not at all. */
  #judged(verdicts: readonly LandedConflict[], atMs: number, replayed: boolean): void {
    for (const verdict of verdicts) this.journal.add(verdict, atMs);
    this.#events.judged(this, verdicts, replayed);
  }

  /** I6: from now on this node sequences, above everything that the log and (`above`) the members know of us. */
  openIncarnation(origin: OriginId, above: number): void {
    if (this.#stopped || this.engine.ownOrigin !== undefined) return;
    this.#append(this.engine.openIncarnation(originIncarnation(origin), above, this.#nowMs()));
    this.#scheduleSeal();
  }

  /** A member told what it holds: until we hold as much, a log that was new or damaged is behind. */
  mustReach(from: RegionId, { vector }: WelcomeShard): void {
    this.#hearOf(from, vector);
    for (const [origin, seq] of vector) {
      if ((this.engine.origins.durable.get(origin) ?? 0) >= seq) continue;
      this.#target ??= new Map();
      this.#target.set(origin, Math.max(seq, this.#target.get(origin) ?? 0));
    }
  }

  #hearOf(from: RegionId, vector: ReadonlyVector): void {
    this.#told.set(from, vector);
    // A welcome bears no stamp.
    for (const [origin, seq] of vector) this.engine.origins.prove(origin, seq, { region: from, stamp: 0 });
  }

  /** Goes on where another runner of the same shard and node has ended: what members have told it is still so. */
  inherit(before: ShardRunner): void {
    this.#target = before.#target;
    if (this.#target !== undefined) for (const [from, vector] of before.#told) this.#hearOf(from, vector);
    for (const [peer, durable] of before.#peerDurable) this.#peerDurable.set(peer, durable);
  }

  #checkTarget(): void {
    if (this.#target === undefined) return;
    const { origins } = this.engine;
    for (const [origin, seq] of this.#target) {
      // What lay beyond the end of a closed origin was lost after we were told of it: it will not come.
      if ((origins.durable.get(origin) ?? 0) < seq && origins.get(origin)?.counted !== Infinity) return;
    }
    this.#target = undefined;
  }

  // ── Writes ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Sequences the ops; the call is answered when they are where its durability wants them. `sequenced`: called when the engine has decided on them. */
  write(call: WriteCall, indexes: readonly number[], ops: readonly EngineOp[], sequenced?: () => void): void {
    if (this.#stopped) {
      refuseAll(call, indexes, new CausewayError('FENCED', `shard ${this.shard} has just moved to another owner`));
      return;
    }
    const { storeAway: away } = this;
    // While the store is away only batches of peers are in the queue, and a write of ours may go before them.
    const free = this.#keys === undefined || this.#itsTurn || this.#keys.length === 0 || away;
    if (this.#keys === undefined || this.#itsTurn || (free && this.cache.hasOps(ops))) {
      this.#writeNow(call, indexes, ops);
      sequenced?.();
      return;
    }
    if (away) {
      refuseAll(call, indexes, storeAway(this.shard));
      return;
    }
    this.#keys.push(keysOfOps(ops), {
      bytes: ops.reduce((bytes, op) => bytes + bytesOf(op), 0),
      deadlineAtMs: call.deadlineAtMs,
      run: () => {
        this.#writeNow(call, indexes, ops);
        sequenced?.();
      },
      over: (why) => refuseAll(call, indexes, overError(this.shard, why)),
    });
  }

  /** Calls `decide` with these keys in memory, behind the writes that came before; what it writes is sequenced in the same turn. `gone`: the runner
   *  has ended, the store is away, or the time is up. */
  decideOn(
    keys: readonly KeyOf[],
    deadlineAtMs: number,
    decide: () => void,
    gone: (error: CausewayError) => void,
  ): void {
    if (this.#keys === undefined) {
      this.cache.load(keys, decide);
      return;
    }
    if (this.#stopped) {
      gone(movedBefore(this.shard));
      return;
    }
    const run = (): void => {
      this.#itsTurn = true;
      try {
        decide();
      } finally {
        this.#itsTurn = false;
      }
    };
    if (!this.storeAway) {
      this.#keys.push(keys, { bytes: 0, deadlineAtMs, run, over: (why) => gone(overError(this.shard, why)) });
    } else if (this.cache.has(keys)) run();
    else gone(storeAway(this.shard));
  }

  #writeNow(call: WriteCall, indexes: readonly number[], ops: readonly EngineOp[]): void {
    const nowMs = this.#nowMs();
    const { batchOpsMax, batchBytesMax } = this.#settings.limits;
    // The clock is past what the session has seen; a batch that was opened before may not be.
    const { openNextStamp } = this.engine;
    if (openNextStamp <= call.above || msOfStamp(openNextStamp) < nowMs - OPEN_BATCH_MS_MAX) this.#seal();
    if (call.request.atomic === true) {
      this.#writeAll(call, indexes, ops, nowMs);
      return;
    }
    let part = newPart(call);
    bringKeysNear(this.cache.registers, ops);
    for (let i = 0; i < ops.length; i++) {
      if (this.engine.openOps >= batchOpsMax || this.engine.openBytes >= batchBytesMax) {
        // What is on its way to the log and what is not must not share an answer.
        this.#addPart(part);
        part = newPart(call);
        this.#seal();
      }
      const result = this.engine.admit(ops[i]!, this.cache, nowMs);
      call.set(indexes[i]!, this.shard, result);
      if (result.kind === 'refused') {
        this.#events.counted('refused', 1);
        continue;
      }
      part.indexes.push(indexes[i]!);
      if (result.kind === 'duplicate') this.#events.counted('duplicatesAnswered', 1);
      const { origin, seq } = result.version;
      part.dots.set(origin, Math.max(seq, part.dots.get(origin) ?? 0));
      if (call.wantsValues) this.#setValue(call, indexes[i]!, ops[i]!, nowMs);
    }
    this.#addPart(part);
    call.partDone();
    this.#scheduleSeal();
  }

  /** Writes a definition of a collection. */
  define(call: WriteCall, op: EngineOp): void {
    this.write(call, [0], [op], () => {
      this.#defining = this.engine.openOps > 0;
      if (!this.#defining) this.#definedOffsets.push(this.engine.takenOffset);
    });
  }

  /** All of the ops or none, and in one batch: an entry of the log is there as a whole or not at all, here and everywhere. */
  #writeAll(call: WriteCall, indexes: readonly number[], ops: readonly EngineOp[], nowMs: number): void {
    const { batchOpsMax, batchBytesMax } = this.#settings.limits;
    // It has at most batchBytesMax itself, and may stand behind half as much again.
    if (this.engine.openOps + ops.length > batchOpsMax || this.engine.openBytes > batchBytesMax / 2) this.#seal();
    const answer = this.engine.admitAll(ops, this.cache, nowMs);
    if (answer.kind === 'none') {
      this.#events.counted('refused', ops.length);
      const others = withTheOthers(answer.error, indexes[answer.at]!);
      indexes.forEach((index, i) => call.refuse(index, i === answer.at ? answer.error : others));
      call.partDone();
      return;
    }
    const part = newPart(call);
    answer.results.forEach((result, i) => {
      call.set(indexes[i]!, this.shard, result);
      if (result.kind === 'refused') throw new Error(`an op that was tried before is refused: ${result.error.message}`);
      part.indexes.push(indexes[i]!);
      if (result.kind === 'duplicate') this.#events.counted('duplicatesAnswered', 1);
      const { origin, seq } = result.version;
      part.dots.set(origin, Math.max(seq, part.dots.get(origin) ?? 0));
    });
    // Behind all of them: what a caller is told is what the whole has made.
    part.indexes.forEach((index, i) => {
      if (call.wantsValues) this.#setValue(call, index, ops[i]!, nowMs);
    });
    this.#addPart(part);
    call.partDone();
    this.#scheduleSeal();
  }

  /** As sequenced; the call tells it when that is durable. */
  #setValue(call: WriteCall, index: number, { collection, key }: EngineOp, nowMs: number): void {
    const state = this.engine.latestOf(collection, key, this.cache);
    call.setValue(index, mergeOf(collection.type).view(state, nowMs));
  }

  #addPart(part: Part): void {
    if (part.indexes.length === 0) return;
    part.call.addPart();
    if (this.engine.openOps === 0) {
      // Answers to retries alone: first results may still be on their way to the log.
      if (this.#queue.length === 0) {
        this.#landedPart(part);
        return;
      }
      part.offset = this.engine.takenOffset;
    }
    this.#parts.push(part);
    if (!GUARDS.durableOnly) this.#tell(part);
  }

  #tell(part: Part): void {
    if (part.told) return;
    part.told = true;
    part.call.partDone();
  }

  #tellExpired(part: Part, durableIn: number | undefined): void {
    if (part.told) return;
    part.told = true;
    part.call.partExpired(part.indexes, durableIn);
  }

  /** Group commit without linger: in the next round when nothing of ours is under way, else when that has landed. */
  #scheduleSeal(): void {
    if (this.#sealSoon || this.#ownInFlight > 0) return;
    if (this.engine.openOps === 0 && !this.#hasTurn) return;
    this.#sealSoon = true;
    this.#events.sealWanted(this);
  }

  sealNow(): void {
    this.#sealSoon = false;
    if (!this.#stopped) this.#seal();
  }

  #seal(): void {
    const bytes = this.engine.openBytes;
    const append = this.engine.seal(this.#nowMs());
    if (append === undefined) return;
    const offset = append.expectOffset + append.entries.length - 1;
    for (let i = this.#parts.length - 1; i >= 0 && this.#parts[i]!.offset === undefined; i--)
      this.#parts[i]!.offset = offset;
    if (this.#defining) {
      this.#defining = false;
      this.#definedOffsets.push(offset);
    }
    this.#ownInFlight++;
    this.#ownOffsets.push(offset);
    this.#inFlightBytes += bytes;
    this.#inFlightSizes.push({ offset, bytes });
    this.#events.counted('commits', 1);
    this.#events.sealed(bytes);
    this.#traces?.sealed(append.entries.at(-1)!.bytes, offset);
    this.#append(append);
  }

  #append({ expectOffset, entries }: Append): void {
    if (!this.#gathering) {
      this.#queue.append(expectOffset, entries);
      return;
    }
    this.#gathered ??= { expectOffset, entries: [], bytes: 0 };
    for (const entry of entries) {
      this.#gathered.entries.push(entry);
      this.#gathered.bytes += entry.bytes.length;
    }
    if (this.#gathered.bytes >= GATHERED_BYTES_MAX) this.#appendGathered();
  }

  #appendGathered(): void {
    const gathered = this.#gathered;
    this.#gathered = undefined;
    if (gathered !== undefined && !this.#stopped) this.#queue.append(gathered.expectOffset, gathered.entries);
  }

  // ── Batches from peers ──────────────────────────────────────────────────────────────────────────────────────────

  receive(from: RegionId, bytes: Uint8Array, answers: Answers): Received {
    if (this.#stopped || !this.#recovered) return 'dropped';
    if (this.#ports.log.state().kind !== 'ready') return 'dropped';
    const cutsShort = this.engine.openOps > 0 && this.#events.paced();
    const itsTurn =
      !cutsShort && !this.#waiting.has(from) && this.#events.intake.hasRoom && this.#keys?.isFull !== true;
    if (!itsTurn) {
      // Of a store that is slow it waits for long, and a view on the frame would keep all of that in memory.
      const kept = this.#keys?.isFull === true ? Buffer.from(bytes) : bytes;
      if (!this.#waiting.push(from, kept, answers)) return 'dropped';
      this.#traces?.waits(bytes);
      this.#scheduleSeal();
      return 'waiting';
    }
    const received = this.#receiveOne(bytes);
    if (received === 'taken') this.#unpark();
    return received;
  }

  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  takeWaiting(bytesMax: number, from: (peer: RegionId) => boolean): number {
    if (this.#stopped || this.#ports.log.state().kind !== 'ready') {
      this.#waiting.drop();
      return 0;
    }
    // Its seal waits for the commit before.
    if (this.engine.openOps > 0) return 0;
    this.#gathering = true;
    let taken = false;
    const { intake } = this.#events;
    const mayTake = (peer: RegionId): boolean => this.#keys?.isFull !== true && intake.storeHasRoom && from(peer);
    const bytes = this.#waiting.take(bytesMax, mayTake, (batch) => {
      taken = this.#receiveOne(batch) === 'taken' || taken;
    });
    if (taken && !this.#stopped) this.#unpark();
    this.#gathering = false;
    this.#appendGathered();
    return bytes;
  }

  /** There is room for what waits. */
  wantTurn(): void {
    if (this.#hasTurn) this.#scheduleSeal();
  }

  get #hasTurn(): boolean {
    return !this.#waiting.isEmpty && this.#keys?.isFull !== true;
  }

  /** Nothing more is taken; what waits comes to the next owner. */
  dropWaiting(): void {
    this.#waiting.drop();
  }

  #receiveOne(bytes: Uint8Array): Received {
    // Behind those of its stream that wait for their keys.
    if (this.#keys !== undefined && this.#keys.length > 0) {
      this.#takeWithKeys(bytes, undefined);
      return 'parked';
    }
    return this.#receiveNow(bytes);
  }

  /** Once its keys are in memory, and what came before it has run. */
  #takeWithKeys(bytes: Uint8Array, located: LocatedOps | undefined): void {
    let keys: KeyOf[] = [];
    try {
      keys = keysOfLocated(located ?? locatedOf(bytes));
    } catch {
      // It is looked at when its turn comes.
    }
    // A copy: what came is a view on the whole frame, and would keep all of it in memory while it waits.
    const copy = Buffer.from(bytes);
    this.#traces?.waits(copy);
    this.#keys!.push(keys, {
      bytes: copy.length,
      run: () => {
        if (this.#receiveNow(copy) === 'taken') this.#unpark();
      },
      // It comes again with the next runner.
      over: () => undefined,
    });
  }

  #receiveNow(bytes: Uint8Array): Received {
    const nowMs = this.#nowMs();
    const inspected = this.engine.inspect(bytes, nowMs);
    if (inspected.kind === 'ready') {
      if (!this.#hasKeys(inspected)) {
        this.#takeWithKeys(inspected.bytes, inspected.batch.located);
        return 'parked';
      }
      this.#take(inspected);
      return 'taken';
    }
    if (inspected.kind === 'garbage') {
      this.#events.askAgain(this.shard);
      return 'dropped';
    }
    if (inspected.kind === 'newer') {
      this.#newer = { sinceMs: this.#newer?.sinceMs ?? nowMs, message: inspected.message };
      return 'dropped';
    }
    const { decision, header } = inspected;
    switch (decision.kind) {
      case 'duplicate':
        this.#events.counted('duplicateBatches', 1);
        return 'duplicate';
      case 'gap':
      case 'wait': {
        // A copy: what came is a view on the whole frame, and would keep all of it in memory while it waits.
        const parked = this.#parking.park({ header, bytes: Buffer.from(bytes) });
        // What comes twice over two paths is no reason to ask for everything a third time.
        // Nor is one that follows another that waits: nothing is missing between the two.
        const missing = parked === 'parked' && decision.kind === 'gap' && !this.#parking.hasBefore(header);
        if (parked === 'full' || missing) this.#events.askAgain(this.shard);
        if (parked === 'parked') this.#traces?.waits(bytes);
        return parked === 'full' ? 'dropped' : 'parked';
      }
      default:
        return 'dropped';
    }
  }

  #hasKeys({ batch }: Extract<Inspection, { kind: 'ready' }>): boolean {
    return this.#keys === undefined || this.cache.hasLocated(batch.located);
  }

  #take(inspected: Extract<Inspection, { kind: 'ready' }>): void {
    this.#taking = true;
    if (GUARDS.batchSeal) this.#seal();
    const append = this.engine.take(inspected, this.cache);
    if (inspected.batch.located.collections.includes(DEFINITIONS)) this.#definedOffsets.push(this.engine.takenOffset);
    this.#traces?.taken(inspected.batch, inspected.bytes, this.engine.takenOffset);
    // Counted first: a log may call back before append() returns, and what is counted behind that would be counted for good.
    this.#events.intake.taken(inspected.bytes.length, inspected.batch.count);
    this.#remoteInFlightBytes += inspected.bytes.length;
    this.#remoteInFlightSizes.push({ offset: this.engine.takenOffset, bytes: inspected.bytes.length });
    this.#append(append);
    this.#taking = false;
    for (const part of this.#landedWhileTaking.splice(0)) this.#landedPart(part);
    this.#behindSinceMs = undefined;
    this.#askAfterMs = ASK_AGAIN_AFTER_MS;
  }

  #unpark(): void {
    for (let progress = true; progress;) {
      progress = false;
      for (const head of this.#parking.heads()) {
        const inspected = this.engine.inspect(head.bytes, this.#nowMs());
        if (inspected.kind === 'ready') {
          this.#parking.remove(head);
          if (this.#hasKeys(inspected)) this.#take(inspected);
          else this.#takeWithKeys(inspected.bytes, inspected.batch.located);
          progress = true;
        } else if (inspected.kind !== 'not-now' || !staysParked(inspected.decision.kind)) {
          this.#parking.remove(head);
          progress = true;
        }
      }
    }
  }

  // ── Durable ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #durable(offset: number): void {
    if (this.#stopped) return;
    const durableMs = this.#traces?.nowMs();
    const landed = this.engine.landed(offset);
    this.cache.apply(landed.changes);
    if (this.#definedOffsets.length > 0 && this.#definedOffsets[0]! <= offset) {
      this.#definedOffsets = this.#definedOffsets.filter((each) => each > offset);
      this.#events.defined(this);
    }
    while (this.#ownOffsets.length > 0 && this.#ownOffsets[0]! <= offset) {
      this.#ownOffsets.shift();
      this.#ownInFlight--;
    }
    while (this.#inFlightSizes.length > 0 && this.#inFlightSizes[0]!.offset <= offset) {
      const { bytes } = this.#inFlightSizes.shift()!;
      this.#inFlightBytes -= bytes;
      this.#unstoredBytes += bytes;
    }
    while (this.#remoteInFlightSizes.length > 0 && this.#remoteInFlightSizes[0]!.offset <= offset) {
      const { bytes } = this.#remoteInFlightSizes.shift()!;
      this.#remoteInFlightBytes -= bytes;
      this.#events.intake.landed(bytes);
      this.#unstoredBytes += bytes;
    }
    this.#checkTarget();
    if (landed.conflicts.length > 0) this.#judged(landed.conflicts, this.#events.agreedMs() ?? this.#nowMs(), false);
    let done = 0;
    while (done < this.#parts.length && this.#parts[done]!.offset !== undefined && this.#parts[done]!.offset! <= offset)
      done++;
    const parts = done === 0 ? [] : this.#parts.splice(0, done);
    this.#scheduleSeal();
    for (const part of parts) this.#landedPart(part);
    if (changesOf(landed) || landed.batches.length > 0) this.#events.dirty(this);
    this.#events.landed(this, landed);
    if (durableMs !== undefined) this.#traces!.landed(landed, durableMs);
  }

  #landedPart(part: Part): void {
    if (this.#taking) {
      this.#landedWhileTaking.push(part);
      return;
    }
    if (part.told) return;
    if (part.call.durability.kind === 'regions' && this.#heldBy(part) < part.call.durability.n) {
      if (this.#stopped) this.#tellExpired(part, this.#heldBy(part));
      else this.#awaiting.push(part);
      return;
    }
    this.#tell(part);
  }

  /** How many other regions have acknowledged all of it. */
  #heldBy(part: Part): number {
    let regions = 0;
    for (const durable of this.#peerDurable.values()) if (dominates(durable, part.dots)) regions++;
    return regions;
  }

  acknowledged(peer: RegionId, durable: ReadonlyVector): void {
    let known = this.#peerDurable.get(peer);
    if (known === undefined) {
      known = new Map();
      this.#peerDurable.set(peer, known);
    }
    for (const [origin, seq] of durable) known.set(origin, Math.max(seq, known.get(origin) ?? 0));
    if (this.#awaiting.length === 0) return;
    this.#awaiting = this.#awaiting.filter((part) => {
      if (part.call.durability.kind === 'regions' && this.#heldBy(part) < part.call.durability.n) return true;
      this.#tell(part);
      return false;
    });
  }

  // ── The store, behind the log ───────────────────────────────────────────────────────────────────────────────────

  /** What the store lacks, as one step, whose rows are all there when takeRows() has said so; undefined when there is nothing or a step is still under way. */
  takeStep(): StoreStep | undefined {
    if (this.#stopped || this.#storeWriting || !this.#recovered) return undefined;
    const toCursor = this.engine.offset;
    const rows = this.cache.beginTaking();
    const journalRows = this.journal.takeRows();
    if (GUARDS.journalRows) for (const [rowKey, value] of journalRows) rows.push(rowKey, value);
    if (rows.length === 0 && !this.cache.isTaking && toCursor === this.#storeCursor) return undefined;
    rows.push(META_ROW, encodeMeta(this.engine.meta()));
    this.#storeWriting = true;
    this.#unstoredBytes = 0;
    return { shard: this.shard, fromCursor: this.#storeCursor, toCursor, rows };
  }

  /** Puts up to so many more rows into the step that takeStep() has begun. */
  takeRows(rowsMax: number): { readonly taken: number; readonly isWhole: boolean } {
    const taken = this.cache.takeMore(rowsMax);
    return { taken, isWhole: !this.cache.isTaking };
  }

  stepWritten(toCursor: number): void {
    this.#storeWriting = false;
    this.#storeCursor = toCursor;
    this.cache.written();
    this.journal.written();
  }

  /** The store could not write: its rows come again with the next step. */
  stepFailed(): void {
    this.#storeWriting = false;
    this.cache.putBack();
    this.journal.putBack();
  }

  stepRefused(message: string): void {
    this.#storeWriting = false;
    this.#failed({ kind: 'deposed', message });
  }

  // ── Time ────────────────────────────────────────────────────────────────────────────────────────────────────────

  tick(nowMs: number): void {
    if (this.#stopped) return;
    this.#askStore();
    if (!this.#recovered) return;
    if (this.#ports.log.state().kind === 'ready') {
      const { append, opened } = this.engine.tick(nowMs);
      if (append !== undefined) this.#append(append);
      if (opened) this.#scheduleSeal();
    }
    const monotonicMs = this.#ports.system.clock.monotonicMs();
    this.#keys?.expire(monotonicMs);
    for (const part of this.#parts) {
      if (monotonicMs >= part.call.deadlineAtMs) this.#tellExpired(part, undefined);
    }
    this.#awaiting = this.#awaiting.filter((part) => {
      if (monotonicMs < part.call.deadlineAtMs) return true;
      this.#tellExpired(part, this.#heldBy(part));
      return false;
    });
    this.#noticeBehind(monotonicMs);
  }

  #askStore(): void {
    const due = this.#late?.tick(this.#ports.system.clock.monotonicMs()) === true;
    if (due && this.#recovered) this.#late!.probe(this.shard, META_ROW);
    if (this.storeAway) this.#keys!.refuse();
  }

  /** Something that others hold has not come for a while, and nothing else has either: it was lost on the way. */
  #noticeBehind(monotonicMs: number): void {
    // A log that takes nothing has nothing to ask for.
    if (this.#ports.log.state().kind !== 'ready') return;
    if (!this.#waiting.isEmpty || (this.#parking.count === 0 && !this.engine.isBehind(this.#nowMs()))) {
      this.#behindSinceMs = undefined;
      this.#askAfterMs = ASK_AGAIN_AFTER_MS;
      return;
    }
    this.#behindSinceMs ??= monotonicMs;
    if (monotonicMs - this.#behindSinceMs < this.#askAfterMs) return;
    this.#behindSinceMs = monotonicMs;
    this.#askAfterMs = Math.min(this.#askAfterMs * 2, ASK_AGAIN_MS_MAX);
    this.#unpark();
    this.#events.askAgain(this.shard);
  }

  /** Collects what nobody can lose to any more. */
  collect(nowMs: number): void {
    if (this.#stopped || !this.#recovered || this.#collecting) return;
    const floor = this.stableFloor(nowMs);
    if (floor <= 0 || floor === Infinity) return;
    this.#collecting = true;
    this.#collectFrom(DUE_ROW, DUE_ROW + (floor + 1).toString(16).padStart(14, '0'), floor);
  }

  /** Nothing with a stamp at or below this can still come. What was once so stays so, also when an origin is heard of that has yet to
   *  say where it begins: it begins above. */
  stableFloor(nowMs: number): number {
    this.#floor = Math.max(this.#floor, this.engine.stableFloor(nowMs));
    return this.#floor;
  }

  /** COLLECT_KEYS_MAX at a time, with room for others in between. */
  #collectFrom(from: string, to: string, floor: number): void {
    this.#reads.scan(this.shard, from, to, COLLECT_KEYS_MAX, (rows) => {
      this.#collecting = rows.length === COLLECT_KEYS_MAX && !this.#stopped;
      if (this.#stopped) return;
      this.#collectRows(rows, floor);
      if (!this.#collecting) return;
      const next = `${rows.at(-1)!.rowKey}\u0000`;
      this.#ports.system.timers.soon(() => {
        if (!this.#stopped) this.#collectFrom(next, to, floor);
      });
    });
  }

  #collectRows(rows: readonly StoreRow[], floor: number): void {
    if (rows.length === 0) return;
    const dues = new Map<StateKey, { readonly type: MergeTypeName; readonly rowKeys: string[] }>();
    for (const { rowKey, value } of rows) {
      const type = mergeTypeOfCode(value[0]!);
      if (type === undefined) {
        this.cache.dropDue(rowKey);
        continue;
      }
      const key = keyOfDueRow(rowKey);
      const due = dues.get(key);
      if (due === undefined) dues.set(key, { type, rowKeys: [rowKey] });
      else due.rowKeys.push(rowKey);
    }
    for (const [key, { type, rowKeys }] of dues) {
      // One by one: loading the next may push out of the cache what has changed and is not yet known to be dirty.
      this.cache.load([{ key, type }], () => {
        if (this.#stopped) return;
        // In the same step of the store as what is collected: a key without its due row would never be looked at again.
        for (const rowKey of rowKeys) this.cache.dropDue(rowKey);
        this.cache.apply(this.engine.collect([{ key, type }], floor, this.cache));
        this.#events.dirty(this);
      });
    }
    this.#events.dirty(this);
  }

  /** For status: due rows that wait. A page at a time, with room for others in between; of many the count is good for a while. */
  countTombstones(): void {
    // A store that is asked before refresh() is done never answers.
    if (!this.#recovered || this.#stopped || this.#ports.system.clock.monotonicMs() < this.#countAgainAtMs) return;
    this.#countAgainAtMs = Infinity;
    this.#countFrom(DUE_ROW, 0);
  }

  #countFrom(from: string, before: number): void {
    this.#reads.scan(this.shard, from, DUE_ROW + 'g', COLLECT_KEYS_MAX, (rows) => {
      const counted = before + rows.length;
      if (rows.length === COLLECT_KEYS_MAX) {
        this.#ports.system.timers.soon(() => {
          if (!this.#stopped) this.#countFrom(`${rows.at(-1)!.rowKey}\u0000`, counted);
        });
        return;
      }
      this.#tombstonesDue = counted;
      this.#countAgainAtMs = this.#ports.system.clock.monotonicMs() + counted * COUNT_AGAIN_MS_PER_ROW;
    });
  }

  beat(nowMs: number, passesOn: boolean): ShardBeat {
    return this.engine.beat(nowMs, passesOn);
  }

  hear(beat: ShardBeat, nowMs: number): void {
    this.engine.hear(beat, nowMs);
  }

  /** Opens up again after a hold for the clock has passed. */
  holdsPassed(nowMs: number): boolean {
    let passed = false;
    for (const origin of this.engine.origins.all()) {
      if (origin.hold?.kind !== 'clock') continue;
      if (msOfStamp(origin.hold.stamp) <= nowMs + this.#settings.maxSkewMs) {
        origin.hold = undefined;
        passed = true;
      }
    }
    return passed;
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What is in memory may not be what is in the store: this runner ends, and the next one begins from where the store stands. */
  storeLost(why: string): void {
    this.#failed({ kind: 'deposed', message: why });
  }

  #failed(failure: AppendFailure): void {
    if (this.#stopped) return;
    this.stop(failure);
    this.#events.stopped(this, failure);
  }

  /** Ends the runner; what was under way is answered as what is known of it. */
  stop(failure?: AppendFailure): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#queue.close();
    this.#waiting.drop();
    this.#events.intake.landed(this.#remoteInFlightBytes);
    this.#remoteInFlightBytes = 0;
    this.#keys?.stop();
    if (this.#late !== undefined) {
      this.journal.close();
      this.#late.close();
    }
    const parts = this.#parts;
    const awaiting = this.#awaiting;
    this.#parts = [];
    this.#awaiting = [];
    for (const part of parts) {
      if (part.told) continue;
      part.told = true;
      part.call.partFailed(part.indexes, failureError(this.shard, failure, part.offset !== undefined));
    }
    for (const part of awaiting) this.#tellExpired(part, this.#heldBy(part));
    this.#recovering?.();
  }

  /** Where a client's key lives; only for what is durable and landed. */
  stateOf(collection: CollectionRef, key: string): ReturnType<StateCache['get']> {
    return this.cache.get(stateKey(collection, key), collection.type);
  }
}

function refuseAll(call: WriteCall, indexes: readonly number[], error: CausewayError): void {
  for (const index of indexes) call.refuse(index, error);
  call.partDone();
}

function locatedOf(batch: Uint8Array): LocatedOps {
  return findOps(batch, readBatchHeader(batch));
}

/** Of an op that waits, about: the largest is its value. */
function bytesOf({ key, intent }: EngineOp): number {
  return WAITING_OP_BYTES + key.length + ('value' in intent ? intent.value.length : 0);
}

function movedBefore(shard: ShardId): CausewayError {
  return new CausewayError('FENCED', `shard ${shard} has moved to another owner before the write was logged`);
}

function overError(shard: ShardId, why: Over): CausewayError {
  switch (why) {
    case 'expired':
      return storeSilent(shard);
    case 'away':
      return storeAway(shard);
    case 'stopped':
      return movedBefore(shard);
  }
}

function storeSilent(shard: ShardId): CausewayError {
  return new CausewayError('DEADLINE_EXCEEDED', `the store of shard ${shard} did not answer by the deadline`, {
    outcome: 'not-applied',
  });
}

function changesOf({ changes, registers }: Landed): boolean {
  return changes.length > 0 || registers.length > 0;
}

/** One shard's, of what all of them have. */
function shareOf(all: number, { placements }: NodeSettings): number {
  return all / placements.reduce((n, { shards }) => n + shards, 0);
}

function newPart(call: WriteCall): Part {
  return { call, indexes: [], offset: undefined, dots: new Map(), told: false };
}

function staysParked(kind: string): boolean {
  return kind === 'gap' || kind === 'wait';
}

function failureError(shard: ShardId, failure: AppendFailure | undefined, appended: boolean): CausewayError {
  if (failure?.kind === 'refused' && failure.reason === 'read-only' && !(appended && failure.unknown)) {
    return new CausewayError('READ_ONLY', `the log takes no writes: ${failure.message}`, {
      hint: 'free space in the data directory, or write to another region',
    });
  }
  if (!appended) return movedBefore(shard);
  return new CausewayError(
    'INDETERMINATE',
    `the node lost shard ${shard} while the write was being logged; it may or may not be durable`,
    {
      hint: 'send it again to this region with the same idempotency key',
    },
  );
}
