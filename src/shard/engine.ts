// The engine of one shard at its owner: sequences local writes, judges remote batches, keeps vectors, promises, reports and the
// life of origins. A deterministic state machine: every input comes with its time and the key states it needs, every output is
// plain data; it does no I/O (DESIGN 4).
//
// The flow: admit() puts ops into the open batch · seal() encodes it and hands it out to be appended · inspect() and take() do
// the same for a peer's batch · landed() tells that the log made it durable, and only then do states, promises and answers leave.
//
// I2  one effect per dot: taken vectors are contiguous (decide.ts).
// I4  an open batch has one past: take() refuses while one is open; the shell seals first.
// I5  stamps and promises stay below the bound of a lease that stands in the log.
// I6  openIncarnation() is the only way to get an origin, and its id is random.
// HAZARD: what admit() answers is speculative. The shell must hold it back until the batch landed.

import { msOfStamp, stampOfMs, STAMPS_PER_MS, type Hlc } from '../clock/hlc.ts';
import { isTooFarAhead } from '../clock/skew.ts';
import { CausewayError } from '../errors/errors.ts';
import { mergeOf, type AnyState } from '../merge/merge.ts';
import type { RegisterTable } from '../merge/register-table.ts';
import type { Displaced, Intent, LivePart, OpContext, View } from '../merge/types.ts';
import { prepareHead, PUT } from '../merge/register-lww.ts';
import {
  decodeBatch,
  NewerFormat,
  OrderedDeps,
  readBatchHeader,
  sealBatch,
  type Batch,
  type BatchHeader,
} from '../record/batch.ts';
import { MalformedBytes } from '../record/bytes.ts';
import { decodeControl, encodeControl, type ControlOp } from '../record/control.ts';
import {
  compareVersions,
  originId,
  originRegion,
  type Dot,
  type OriginId,
  type RegionId,
  type ShardId,
  type StateKey,
  type Version,
} from '../record/ids.ts';
import { decodeLease, encodeLease } from '../record/lease.ts';
import type { LocatedOps } from '../record/located-ops.ts';
import { stateKey, stateKeyPrefix, type CollectionRef, type Idempotency, type MergeTypeName } from '../record/op.ts';
import { OpsWriter } from '../record/ops-writer.ts';
import type { ShardBeat, Watermark } from './beat.ts';
import { decideDeps, decideHeader, type Decision, type DecisionContext } from './decide.ts';
import { Digest } from './digest.ts';
import { GUARDS } from './guards.ts';
import { IdempotencyCut } from './idempotency-cut.ts';
import { IdempotencyTable } from './idempotency.ts';
import { latest, placesOf, type KeyStates, type Slot, type Speculation } from './key-slot.ts';
import type { ShardMeta } from './meta.ts';
import { OriginTable, type Origin } from './origins.ts';
import { RegisterSpeculations, type RegisterOps } from './register-ops.ts';
import { Reports } from './reports.ts';

export interface EngineSettings {
  readonly region: RegionId;
  readonly shard: ShardId;
  /** All of the shard's placement, ourselves included. */
  readonly members: readonly RegionId[];
  readonly maxSkewMs: number;
  readonly leaseMs: number;
  readonly idempotencyEntriesMax: number;
}

export type EngineCondition =
  { readonly kind: 'absent' } | { readonly kind: 'exists' } | { readonly kind: 'version'; readonly version: Version };

export interface EngineOp {
  readonly collection: CollectionRef;
  readonly key: string;
  readonly intent: Intent;
  readonly condition?: EngineCondition | undefined;
  readonly idempotency?: Idempotency | undefined;
  readonly issuedAtMs?: number | undefined;
  readonly trace?: Uint8Array | undefined;
}

export type OpResult =
  | { readonly kind: 'sequenced'; readonly version: Version }
  | { readonly kind: 'duplicate'; readonly version: Version }
  | { readonly kind: 'refused'; readonly error: CausewayError };

/** Of ops that are sequenced together. */
export type AllResult =
  | { readonly kind: 'all'; readonly results: readonly OpResult[] }
  /** Nothing happened, because of this op. */
  | { readonly kind: 'none'; readonly at: number; readonly error: CausewayError };

/** What the shell appends to the shard's log, at `expectOffset`. */
export interface Append {
  readonly expectOffset: number;
  readonly entries: readonly { readonly kind: 'batch' | 'lease'; readonly bytes: Uint8Array }[];
}

/** A key whose durable state is another one now. */
export interface StateChange {
  /** Where that state is; undefined: in the table of registers, which knows by itself what has changed. */
  readonly slot: Slot | undefined;
  readonly key: StateKey;
  readonly type: MergeTypeName;
  /** The stamp at which the state has something to collect. */
  readonly collectableAt: number | undefined;
}

export interface ConflictVerdict {
  readonly collection: CollectionRef;
  readonly key: string;
  readonly field: string | undefined;
  readonly loser: Version;
  readonly loserValue: Uint8Array | undefined;
  readonly loserExpiresAtMs: number | undefined;
  readonly winner: Version;
  /** The winner left nothing: it deleted the key, or removed the field. */
  readonly winnerDeletes: boolean;
}

/** A verdict and its place in the shard's log, which is the same whenever the log is read again. */
export interface LandedConflict extends ConflictVerdict {
  /** Of the winner's batch. */
  readonly offset: number;
  /** Among the verdicts of that batch, from 0. */
  readonly index: number;
}

export interface Landed {
  /** Of registers only those that have something to collect. */
  readonly changes: readonly StateChange[];
  /** The places of the registers that have changed. */
  readonly registers: readonly number[];
  readonly conflicts: readonly LandedConflict[];
  /** Headers of the batches that landed, in log order. */
  readonly batches: readonly { readonly header: BatchHeader; readonly offset: number; readonly own: boolean }[];
}

export type Inspection =
  | { readonly kind: 'ready'; readonly batch: Batch; readonly bytes: Uint8Array }
  | { readonly kind: 'not-now'; readonly decision: Decision; readonly header: BatchHeader }
  /** Not even a header: nobody can tell whose it is. */
  | { readonly kind: 'garbage'; readonly message: string }
  /** Whole, and of a format that only a newer node can read: asking for it again would bring the same. */
  | { readonly kind: 'newer'; readonly message: string };

/** What a batch in flight makes of a key, and once it has landed what is told of it. */
class Effect implements Speculation, StateChange {
  readonly slot: Slot;
  state: AnyState | undefined;
  collectableAt: number | undefined = undefined;
  /** Those of the batch that it belongs to. */
  readonly of: readonly Effect[];

  constructor(slot: Slot, state: AnyState | undefined, of: readonly Effect[]) {
    this.slot = slot;
    this.state = state;
    this.of = of;
  }

  get key(): StateKey {
    return this.slot.key;
  }

  get type(): MergeTypeName {
    return this.slot.type;
  }
}

interface InFlight {
  readonly lastOffset: number;
  /** undefined: a lease alone. */
  readonly header: BatchHeader | undefined;
  readonly deps: OrderedDeps;
  readonly own: boolean;
  readonly registers: RegisterOps | undefined;
  /** Of keys of all other types. */
  readonly effects: readonly Effect[];
  readonly conflicts: readonly ConflictVerdict[];
  readonly controls: readonly ControlOp[];
  readonly leaseBound: number;
}

type TakenBatch = Omit<InFlight, 'lastOffset' | 'leaseBound'>;

interface OpenBatch {
  readonly firstStamp: number;
  readonly deps: Map<OriginId, number> | undefined;
  registers: RegisterOps | undefined;
  readonly effects: Effect[];
  readonly controls: ControlOp[];
}

const NO_PARTS: readonly LivePart[] = [];
const NO_BYTES = new Uint8Array(0);
const NO_EFFECTS: readonly Effect[] = [];
const NOTHING_LANDED: Landed = { changes: [], registers: [], conflicts: [], batches: [] };
const SEEN_ALL = (): boolean => true;

export class ShardEngine {
  readonly settings: EngineSettings;
  readonly clock: Hlc;
  readonly origins = new OriginTable();
  readonly reports: Reports;
  #idempotency: IdempotencyTable;
  /** While what is remembered is being read from a cut on. */
  #idempotencyCut: IdempotencyCut | undefined;
  #digest = new Digest();
  #keys = 0;

  #own: Origin | undefined;
  #open: OpenBatch | undefined;
  /** Those of the open batch. */
  readonly #ops = new OpsWriter();
  readonly #speculations = new RegisterSpeculations();
  readonly #inFlight: InFlight[] = [];
  #takenOffset = 0;
  #offset = 0;
  /** Of the newest lease handed to the log, and of the newest durable one. */
  #leaseTaken = 0;
  #lease = 0;
  /** The highest stamp or bound that the log showed at start: a new incarnation begins above, ours and that of a member that asks us. */
  #bound = 0;
  #promised = 0;
  #collectedUpTo = 0;
  #leased = false;

  constructor(settings: EngineSettings, clock: Hlc) {
    this.settings = settings;
    this.clock = clock;
    this.reports = new Reports(settings.members.filter((member) => member !== settings.region));
    this.#idempotency = new IdempotencyTable(settings.idempotencyEntriesMax);
  }

  get ownOrigin(): OriginId | undefined {
    return this.#own?.id;
  }

  /** The last durable offset, and the last that was handed to the log. */
  get offset(): number {
    return this.#offset;
  }

  get takenOffset(): number {
    return this.#takenOffset;
  }

  get keys(): number {
    return this.#keys;
  }

  get openOps(): number {
    return this.#ops.count;
  }

  /** The stamp of the next op of the open batch; Infinity when none is open. */
  get openNextStamp(): number {
    return this.#open === undefined ? Infinity : this.#open.firstStamp + this.#ops.count;
  }

  get openBytes(): number {
    return this.#ops.length;
  }

  /** Does a lease stand in the log? Whoever appended it had asked the members before, if it had to. */
  get leased(): boolean {
    return this.#leased;
  }

  /** The highest stamp or bound that the log showed before an origin of ours was opened: about when its last entry was made. */
  get recoveredBound(): number {
    return this.#bound;
  }

  /** Of ops with higher stamps than this nothing has been collected since the start. */
  get collectedUpTo(): number {
    return this.#collectedUpTo;
  }

  /** The highest stamp of an op that has landed. */
  get landedStamp(): number {
    let stamp = 0;
    for (const origin of this.origins.all()) stamp = Math.max(stamp, origin.stamp);
    return stamp;
  }

  get idempotencySize(): number {
    return this.#idempotency.size;
  }

  digestAsOf(asOfMs: number): string {
    return this.#digest.asOf(asOfMs);
  }

  // ── Recovery: the log's own entries, in order, before anything else ─────────────────────────────────────────────

  /**
   * Starts from what the store proved. Entries up to meta.offset are then only scanned for idempotency, those that `remembered` does not have yet; `cut`: they
   * begin later than at meta.idempotencyFrom, and the ops before are forgotten.
   */
  restore(meta: ShardMeta, remembered?: IdempotencyTable, cut = false): void {
    for (const origin of meta.origins) this.origins.restore(origin);
    this.#digest = Digest.restore(meta.digest);
    this.#keys = meta.keys;
    this.#leased = meta.leased;
    // Also above what was taken from others: what we stamp next has seen it.
    this.#bound = meta.origins.reduce((bound, origin) => Math.max(bound, origin.takenStamp), meta.bound);
    this.#takenOffset = meta.offset;
    this.#offset = meta.offset;
    this.#idempotency =
      remembered ?? new IdempotencyTable(this.settings.idempotencyEntriesMax, meta.idempotencyHorizon);
    this.#idempotencyCut = cut ? new IdempotencyCut(meta.origins) : undefined;
  }

  /** An entry at or below the store's cursor: its states are in the store, its keys must be known again. */
  rememberEntry(offset: number, kind: 'batch' | 'lease' | 'barrier', bytes: Uint8Array): void {
    this.#idempotency.rememberEntry(offset, kind, bytes);
    if (this.#idempotencyCut === undefined) return;
    if (kind === 'batch') {
      const { origin, firstStamp } = readBatchHeader(bytes);
      this.#idempotencyCut.see(origin, firstStamp);
    }
    if (offset < this.#offset) return;
    if (GUARDS.rereadHorizon) this.#idempotency.forgetUpTo(this.#idempotencyCut.horizonStamp);
    this.#idempotencyCut = undefined;
  }

  /** An entry above the store's cursor: applied as it was the first time. Throws MalformedBytes: the log is not what this version wrote. */
  replay(offset: number, kind: 'batch' | 'lease' | 'barrier', bytes: Uint8Array, states: KeyStates): Landed {
    if (offset !== this.#takenOffset + 1) throw new Error(`replay of offset ${offset} after ${this.#takenOffset}`);
    if (kind === 'barrier') {
      this.#takenOffset = offset;
      this.#offset = offset;
      return NOTHING_LANDED;
    }
    if (kind === 'lease') {
      const lease = decodeLease(bytes);
      this.#leased = true;
      this.#bound = Math.max(this.#bound, lease.bound);
      // It may have promised without ever writing: others wait for its end too.
      this.origins.ensure(lease.origin);
      this.#takenOffset = offset;
      this.#offset = offset;
      return NOTHING_LANDED;
    }
    const header = readBatchHeader(bytes);
    const before = this.origins.get(header.origin)?.takenDeps;
    const batch = decodeBatch(bytes, header, before ?? OrderedDeps.empty);
    this.#bound = Math.max(this.#bound, header.lastStamp);
    this.#takeBatch(batch, false, states);
    return this.landed(offset);
  }

  // ── An origin of our own ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * I6: begins a new incarnation, above everything that this log and the members (`above`) know of our region. Its lease is the
   * append that comes out. Older origins of our region are frozen by its first ops.
   */
  openIncarnation(incarnation: number, above: number, nowMs: number): Append {
    if (GUARDS.stampLease) this.clock.advanceTo(Math.max(this.#bound, above));
    const id = originId(this.settings.region, GUARDS.newIncarnation ? incarnation : 1);
    this.#own = this.origins.ensure(id);
    this.#own.hold = undefined;
    const append = this.#appendOf([this.#leaseEntry(nowMs)], undefined);
    this.#freezeOlder(nowMs);
    return append;
  }

  #freezeOlder(nowMs: number): void {
    for (const origin of this.origins.all()) {
      if (origin.region !== this.settings.region || origin.id === this.#own?.id || origin.frozenTaken) continue;
      this.#admitControl({ kind: 'freeze', origin: origin.id }, nowMs);
    }
  }

  #leaseEntry(nowMs: number): { kind: 'lease'; bytes: Uint8Array } {
    // Normally `leaseMs` past our clock. When stamps run ahead of it (a peer's clock is fast), just above them: a lease must never
    // add to a lead that others already have to tolerate.
    this.#leaseTaken = Math.max(
      this.#leaseTaken,
      stampOfMs(nowMs + this.settings.leaseMs),
      this.#lastStamp() + 50 * STAMPS_PER_MS,
    );
    return { kind: 'lease', bytes: encodeLease({ origin: this.#own!.id, bound: this.#leaseTaken }) };
  }

  #lastStamp(): number {
    return this.#open === undefined
      ? this.clock.last
      : Math.max(this.clock.last, this.#open.firstStamp + this.#ops.count);
  }

  // ── Local writes ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Sequences one op into the open batch. The answer is speculative until the batch has landed. */
  admit(op: EngineOp, states: KeyStates, nowMs: number): OpResult {
    if (this.#own === undefined) return refused(notReady());
    if (op.idempotency !== undefined && GUARDS.idempotencyTable) {
      const recognised = this.#idempotency.look(op.idempotency, op.issuedAtMs);
      if (recognised.kind === 'duplicate') return { kind: 'duplicate', version: recognised.first };
      if (recognised.kind === 'forgotten') return refused(windowPassed(op, recognised.horizonMs));
    }
    return this.#admitNew(op, this.#own, states, nowMs);
  }

  /** Of an op that nobody has tried before, as far as can be told. */
  #admitNew(op: EngineOp, own: Origin, states: KeyStates, nowMs: number): OpResult {
    if (op.condition !== undefined) {
      const state = this.latestOf(op.collection, op.key, states);
      const error = unmet(op.condition, mergeOf(op.collection.type).view(state, nowMs), op);
      if (error !== undefined) return refused(error);
    }
    // Peeked, not taken: a refused op must leave no empty batch open, whose first stamp would hold our promises down.
    const position = this.openOps;
    const version: Version = {
      origin: own.id,
      seq: own.takenSeq + position + 1,
      stamp: (this.#open?.firstStamp ?? this.#firstStamp(nowMs)) + position,
    };
    try {
      if (op.collection.type === 'register-lww') this.#admitRegister(op, version, states, nowMs);
      else this.#admitSlot(op, version, states, nowMs);
    } catch (error) {
      if (error instanceof CausewayError) return refused(error);
      throw error;
    }
    // Known at once, so that a retry within the same batch is one too; its offset is that of the append to come (at most one
    // lease stands before the batch).
    if (op.idempotency !== undefined) this.#idempotency.record(op.idempotency, version, this.#takenOffset + 1);
    return { kind: 'sequenced', version };
  }

  /** A register's payload does not depend on what is there, and our own stamp is above everything that we have seen: it always wins. */
  #admitRegister(op: EngineOp, version: Version, states: KeyStates, nowMs: number): void {
    const head = prepareHead(op.intent);
    const open = this.#openBatch(nowMs);
    const at = this.#ops.count;
    const hash = this.#ops.write(op, head, op.intent.kind === 'put' ? op.intent.value : NO_BYTES);
    const { located } = this.#ops;
    const { registers } = states;
    const collection = registers.collection(stateKeyPrefix(op.collection));
    const place = states.register(collection, hash, located.bytes, located.keyAt(at), located.keyLength(at));
    open.registers ??= this.#beginRegisters(states, located, version, at);
    if (this.#speculations.beats(registers, place, version.stamp, version.origin)) open.registers.take(place);
    else open.registers.skip();
  }

  /** From the first register of the batch on; the ops before it are of other types. */
  #beginRegisters(states: KeyStates, located: LocatedOps, version: Version, at: number): RegisterOps {
    const { origin, seq, stamp } = version;
    const begun = this.#speculations.begin(states.registers, located, { origin, seq: seq - at, stamp: stamp - at });
    for (let i = 0; i < at; i++) begun.skip();
    return begun;
  }

  #admitSlot(op: EngineOp, version: Version, states: KeyStates, nowMs: number): void {
    const merge = mergeOf(op.collection.type);
    const slot = states.slot(op.collection, op.key);
    const state = latest(slot);
    const payload = merge.prepare(state, op.intent, { version, nowMs });
    const after = merge.apply(state, payload, { version, seen: SEEN_ALL }).state;
    const open = this.#openBatch(nowMs);
    this.#ops.write(op, payload, NO_BYTES);
    open.registers?.skip();
    speculate(open.effects, slot, after);
  }

  /** What the next op of the key is prepared on: it may not be durable, and is not shown to readers. */
  latestOf(collection: CollectionRef, key: string, states: KeyStates): AnyState | undefined {
    if (collection.type !== 'register-lww') return latest(states.slot(collection, key));
    return this.#speculations.latest(states.registers, states.registerAt(stateKey(collection, key)));
  }

  /**
   * Sequences all ops into the open batch, each on what those before it have made, or none: when one is refused nothing has happened.
   * A retry is recognised as a whole.
   */
  admitAll(ops: readonly EngineOp[], states: KeyStates, nowMs: number): AllResult {
    const tried = this.#tryAll(ops, states, nowMs);
    if (tried.kind === 'none') return tried;
    // A retry is answered from the table. What is new is not looked up again: recording the first ops may push the table's horizon past
    // the time at which the later ones were issued, and they would be refused after the first had been taken.
    const admit = (op: EngineOp): OpResult =>
      tried.retry ? this.admit(op, states, nowMs) : this.#admitNew(op, this.#own!, states, nowMs);
    return { kind: 'all', results: ops.map(admit) };
  }

  /** What admit() would refuse if it were called for one after the other. `retry`: all were applied before. Changes nothing. */
  #tryAll(
    ops: readonly EngineOp[],
    states: KeyStates,
    nowMs: number,
  ): Extract<AllResult, { kind: 'none' }> | { readonly kind: 'all'; readonly retry: boolean } {
    const own = this.#own;
    if (own === undefined) return none(0, notReady());
    // By key: a slot that nothing holds on to may be another object at the next look.
    const after = new Map<StateKey, AnyState | undefined>();
    const names = new Set<string>();
    let duplicates = 0;
    const stamp = this.#open?.firstStamp ?? this.#firstStamp(nowMs);
    for (let at = 0; at < ops.length; at++) {
      const op = ops[at]!;
      const { idempotency } = op;
      if (idempotency !== undefined && GUARDS.idempotencyTable) {
        const recognised = this.#idempotency.look(idempotency, op.issuedAtMs);
        if (recognised.kind === 'forgotten') return none(at, windowPassed(op, recognised.horizonMs));
        if (recognised.kind === 'duplicate') duplicates++;
        const name =
          idempotency.kind === 'producer' ? `${idempotency.producer} ${idempotency.seq}` : `key ${idempotency.key}`;
        if (names.has(name)) return none(at, sameNames());
        names.add(name);
      }
      if (duplicates > 0) {
        // Whoever was applied then was applied with all others, or it is not the same write.
        if (duplicates <= at) return none(at, partlyApplied());
        continue;
      }
      const merge = mergeOf(op.collection.type);
      const key = stateKey(op.collection, op.key);
      const state = after.has(key) ? after.get(key) : this.latestOf(op.collection, op.key, states);
      const error = op.condition === undefined ? undefined : unmet(op.condition, merge.view(state, nowMs), op);
      if (error !== undefined) return none(at, error);
      const position = this.openOps + at;
      const version: Version = { origin: own.id, seq: own.takenSeq + position + 1, stamp: stamp + position };
      try {
        const payload = merge.prepare(state, op.intent, { version, nowMs });
        after.set(key, merge.apply(state, payload, { version, seen: SEEN_ALL }).state);
      } catch (cause) {
        if (cause instanceof CausewayError) return none(at, cause);
        throw cause;
      }
    }
    return { kind: 'all', retry: duplicates > 0 };
  }

  #firstStamp(nowMs: number): number {
    return Math.max(this.clock.peek(nowMs), this.#own!.takenStamp + 1);
  }

  #openBatch(nowMs: number): OpenBatch {
    if (this.#open === undefined) {
      const firstStamp = this.#firstStamp(nowMs);
      this.clock.advanceTo(firstStamp);
      this.#open = {
        firstStamp,
        deps: GUARDS.batchSeal ? this.origins.depsVector() : undefined,
        registers: undefined,
        effects: [],
        controls: [],
      };
    }
    return this.#open;
  }

  #admitControl(control: ControlOp, nowMs: number): void {
    const open = this.#openBatch(nowMs);
    this.#ops.add({ collection: undefined, key: '', payload: encodeControl(control) });
    open.registers?.skip();
    open.controls.push(control);
    this.#takeControl(control, open.firstStamp);
  }

  /** Encodes the open batch; the shell appends what comes out. undefined: nothing is open. */
  seal(nowMs: number): Append | undefined {
    const open = this.#open;
    const own = this.#own;
    if (open === undefined || own === undefined) return undefined;
    this.#open = undefined;
    const lastStamp = open.firstStamp + this.#ops.count - 1;
    this.clock.advanceTo(lastStamp);
    const entries: { kind: 'batch' | 'lease'; bytes: Uint8Array }[] = [];
    if (lastStamp > this.#leaseTaken) entries.push(this.#leaseEntry(nowMs));
    const first = own.takenSeq === 0;
    const deps = own.takenDeps.next(open.deps ?? this.origins.depsVector(), own.id);
    const { bytes } = sealBatch(
      {
        shard: this.settings.shard,
        origin: own.id,
        firstSeq: own.takenSeq + 1,
        firstStamp: open.firstStamp,
        deps,
        depsBefore: first ? undefined : own.takenDeps,
        previousChecksum: own.takenChecksum,
      },
      this.#ops,
    );
    entries.push({ kind: 'batch', bytes });
    const header = readBatchHeader(bytes);
    this.origins.take(header, deps);
    return this.#appendOf(entries, {
      header,
      deps,
      registers: open.registers,
      effects: open.effects,
      conflicts: [],
      controls: open.controls,
      own: true,
    });
  }

  #appendOf(entries: readonly { kind: 'batch' | 'lease'; bytes: Uint8Array }[], batch: TakenBatch | undefined): Append {
    const expectOffset = this.#takenOffset + 1;
    this.#takenOffset += entries.length;
    this.#inFlight.push({
      lastOffset: this.#takenOffset,
      header: batch?.header,
      deps: batch?.deps ?? OrderedDeps.empty,
      own: batch?.own ?? true,
      registers: batch?.registers,
      effects: batch?.effects ?? NO_EFFECTS,
      conflicts: batch?.conflicts ?? [],
      controls: batch?.controls ?? [],
      leaseBound: entries.some((entry) => entry.kind === 'lease') ? this.#leaseTaken : 0,
    });
    return { expectOffset, entries };
  }

  // ── Batches of others ───────────────────────────────────────────────────────────────────────────────────────────

  /** Judges a peer's batch. `ready`: load the keys of its ops, then take() it. Holds and stops are remembered on its origin. */
  inspect(bytes: Uint8Array, nowMs: number): Inspection {
    let header: BatchHeader;
    try {
      header = readBatchHeader(bytes);
    } catch (error) {
      if (error instanceof MalformedBytes) return { kind: 'garbage', message: error.message };
      if (error instanceof NewerFormat) return { kind: 'newer', message: error.message };
      throw error;
    }
    const context = this.#decisionContext(nowMs);
    const first = decideHeader(header, context);
    if (first.kind !== 'apply') return this.#notNow(first, header, nowMs);
    let batch: Batch;
    try {
      batch = decodeBatch(bytes, header, this.origins.get(header.origin)?.takenDeps ?? OrderedDeps.empty);
      this.#checkOps(batch);
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error;
      return this.#notNow({ kind: 'quarantine', message: error.message }, header, nowMs);
    }
    // Its author has it in its log behind all its deps, so somebody durably holds those (see acceptedUpTo).
    const author = { region: originRegion(header.origin), stamp: header.firstStamp };
    for (let i = 0; i < batch.deps.origins.length; i++)
      this.origins.prove(batch.deps.origins[i]!, batch.deps.seqs[i]!, author);
    const second = decideDeps(batch, context);
    if (second.kind === 'wait') this.#tellOfUnmet(header, second.missing, nowMs);
    if (second.kind !== 'apply') return this.#notNow(second, header, nowMs);
    return { kind: 'ready', batch, bytes };
  }

  /** What waits for ops that may be lost ends with its own origin only: so that this one is closed too, others must hear of it. */
  #tellOfUnmet(header: BatchHeader, missing: readonly { origin: OriginId; need: number }[], nowMs: number): void {
    if (missing.some(({ origin, need }) => need > this.origins.acceptedUpTo(origin, nowMs))) {
      this.origins.ensure(header.origin);
    }
  }

  #decisionContext(nowMs: number): DecisionContext {
    const { members } = this.settings;
    return {
      shard: this.settings.shard,
      ownOrigin: this.#own?.id,
      origins: this.origins,
      nowMs,
      maxSkewMs: this.settings.maxSkewMs,
      isMember: (region) => members.includes(region as RegionId),
    };
  }

  /** Dry-runs every payload: nothing of an invalid batch is ever taken, so one bad op cannot leave half a batch behind. */
  #checkOps(batch: Batch): void {
    const { located } = batch;
    for (let i = 0; i < located.count; i++) {
      const collection = located.collection(i);
      // By far the most: a view on the payload would cost more than to look at its first byte.
      if (
        collection?.type === 'register-lww' &&
        located.bytes[located.payloadAt(i)] === PUT &&
        located.payloadLength(i) > 0
      )
        continue;
      if (collection === undefined) decodeControl(located.payload(i));
      else mergeOf(collection.type).check(located.payload(i));
    }
  }

  #notNow(decision: Decision, header: BatchHeader, nowMs: number): Inspection {
    if (decision.kind === 'hold' || decision.kind === 'fork' || decision.kind === 'quarantine') {
      const origin = this.origins.ensure(header.origin);
      const kind = decision.kind === 'hold' ? 'clock' : decision.kind;
      const message =
        decision.kind === 'hold'
          ? `op ${header.firstSeq} of ${header.origin} is stamped ${Math.round(msOfStamp(decision.stamp) - nowMs)} ms ahead of our clock (maxSkewMs is ${this.settings.maxSkewMs})`
          : decision.message;
      if (origin.hold?.kind !== kind) origin.hold = { kind, sinceMs: nowMs, message, stamp: header.lastStamp };
    }
    return { kind: 'not-now', decision, header };
  }

  /** Takes an inspected batch: applies it speculatively and hands it out to be appended. The open batch must be sealed (I4). */
  take(inspected: Extract<Inspection, { kind: 'ready' }>, states: KeyStates): Append {
    if (this.#open !== undefined && GUARDS.batchSeal) {
      throw new Error('I4: a remote batch may not be taken while a batch is open');
    }
    const { batch, bytes } = inspected;
    const origin = this.origins.ensure(batch.origin);
    if (origin.hold?.kind === 'clock') origin.hold = undefined;
    const item = this.#applyBatch(batch, states);
    this.origins.take(batch, batch.deps);
    // I5: what we stamp from now on beats what we have seen.
    this.clock.advanceTo(batch.lastStamp);
    const append = this.#appendOf([{ kind: 'batch', bytes }], item);
    this.#idempotency.rememberBatch(batch, batch.located, append.expectOffset);
    return append;
  }

  #takeBatch(batch: Batch, own: boolean, states: KeyStates): void {
    const item = this.#applyBatch(batch, states);
    this.origins.take(batch, batch.deps);
    this.#appendOf([{ kind: 'batch', bytes: NO_BYTES }], { ...item, own });
    this.#idempotency.rememberBatch(batch, batch.located, this.#takenOffset);
  }

  #applyBatch(batch: Batch, states: KeyStates): TakenBatch {
    const effects: Effect[] = [];
    const conflicts: ConflictVerdict[] = [];
    const controls: ControlOp[] = [];
    const context = new BatchContext(batch, this.origins);
    const { located } = batch;
    const places = placesOf(located, states);
    const first = { origin: batch.origin, seq: batch.firstSeq, stamp: batch.firstStamp };
    const registers = places.some((place) => place >= 0)
      ? this.#speculations.begin(states.registers, located, first)
      : undefined;
    for (let i = 0; i < located.count; i++) {
      context.at(i);
      const place = places[i]!;
      if (place >= 0) {
        this.#takeRegister(registers!, place, i, context, conflicts);
        continue;
      }
      registers?.skip();
      const collection = located.collection(i);
      if (collection === undefined) {
        const control = decodeControl(located.payload(i));
        this.#takeControl(control, batch.firstStamp);
        controls.push(control);
        continue;
      }
      const op = located.op(i);
      const slot = states.slot(collection, op.key);
      const applied = mergeOf(collection.type).apply(latest(slot), op.payload, context);
      speculate(effects, slot, applied.state);
      if (applied.displaced === undefined) continue;
      for (const lost of applied.displaced) this.#judge(lost, context, collection, op.key, op.payload, conflicts);
    }
    return { header: batch, deps: batch.deps, registers, effects, conflicts, controls, own: false };
  }

  #takeRegister(
    registers: RegisterOps,
    place: number,
    i: number,
    context: BatchContext,
    conflicts: ConflictVerdict[],
  ): void {
    const { table, ops } = registers;
    const { origin, stamp } = context;
    if (!this.#speculations.beats(table, place, stamp, origin)) {
      registers.skip();
      return;
    }
    const loser = this.#speculations.latestOrigin(table, place);
    // Hardly any loser is of this region and unseen: only then is it worth an object.
    if (loser !== undefined && this.#isOurs(loser)) {
      const state = this.#speculations.latest(table, place)!;
      if (!context.seen(state)) {
        const value = state.content === undefined ? undefined : Buffer.from(state.content, 'latin1');
        const lost: Displaced = { loser: state, value, expiresAtMs: state.expiresAtMs };
        this.#judge(lost, context, ops.collection(i)!, ops.key(i), ops.payload(i), conflicts);
      }
    }
    registers.take(place);
  }

  #isOurs(origin: OriginId): boolean {
    return origin === this.#own?.id || originRegion(origin) === this.settings.region;
  }

  /** DESIGN 6: a loser is judged once, in its origin's region, and is a conflict iff what displaced it had not seen it. */
  #judge(
    lost: Displaced,
    context: OpContext,
    collection: CollectionRef,
    key: string,
    payload: Uint8Array,
    conflicts: ConflictVerdict[],
  ): void {
    const { loser, field, value, expiresAtMs } = lost;
    if (!this.#isOurs(loser.origin) || context.seen(loser)) return;
    const winner = mergeOf(collection.type).describe(payload);
    conflicts.push({
      collection,
      key,
      field,
      loser: { origin: loser.origin, seq: loser.seq, stamp: loser.stamp },
      loserValue: value,
      loserExpiresAtMs: expiresAtMs,
      winner: { origin: context.version.origin, seq: context.version.seq, stamp: context.version.stamp },
      winnerDeletes:
        winner.kind === 'delete' ||
        (winner.kind === 'map-update' && field !== undefined && winner.remove.includes(field)),
    });
  }

  /** `stamp`: the first of the op's batch. */
  #takeControl(control: ControlOp, stamp: number): void {
    switch (control.kind) {
      case 'freeze':
        this.origins.freezeTaken(control.origin, stamp);
        break;
      case 'close':
        this.origins.closeTaken(control.origin, control.endSeq, control.endStamp);
        break;
      case 'fold':
        this.origins.fold(control.origin);
        break;
      case 'skip':
        break;
    }
  }

  // ── Durable ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The log is durable up to `offset`: what was speculative there becomes the state. */
  landed(offset: number): Landed {
    const changes: StateChange[] = [];
    const registers: number[] = [];
    const conflicts: LandedConflict[] = [];
    const batches: { header: BatchHeader; offset: number; own: boolean }[] = [];
    while (this.#inFlight.length > 0 && this.#inFlight[0]!.lastOffset <= offset) {
      const item = this.#inFlight.shift()!;
      this.#offset = item.lastOffset;
      if (item.leaseBound > this.#lease) {
        this.#lease = item.leaseBound;
        this.#leased = true;
      }
      if (item.header === undefined) continue;
      this.origins.land(item.header, item.deps);
      for (const control of item.controls) this.#landControl(control);
      if (item.registers !== undefined) this.#landRegisters(item.registers, registers, changes);
      for (const effect of item.effects) {
        const { slot } = effect;
        effect.collectableAt = this.#change(slot, effect.state);
        changes.push(effect);
        if (slot.newest === effect) slot.newest = undefined;
      }
      item.conflicts.forEach((verdict, index) => conflicts.push({ ...verdict, offset: item.lastOffset, index }));
      batches.push({ header: item.header, offset: item.lastOffset, own: item.own });
    }
    if (batches.length > 0) this.reports.advance(this.origins.durable);
    return { changes, registers, conflicts, batches };
  }

  #landRegisters(ops: RegisterOps, landed: number[], changes: StateChange[]): void {
    const { table } = ops;
    this.#keys += ops.land(this.#digest, landed, (place) => changes.push(registerChange(table, place)));
    this.#speculations.end(ops);
  }

  #landControl(control: ControlOp): void {
    if (control.kind === 'freeze') this.origins.freeze(control.origin);
    if (control.kind === 'close') this.origins.close(control.origin, control.endSeq, control.endStamp);
    if (control.kind === 'fold') this.origins.ensure(control.origin).foldedDurable = true;
  }

  /** The key's durable state is `after`; returns the stamp at which that has something to collect. */
  #change(slot: Slot, after: AnyState | undefined): number | undefined {
    const merge = mergeOf(slot.type);
    const { state: before } = slot;
    if (!slot.hashed) slot.hashKey(slot.key);
    this.#digest.remove(slot, () => (before === undefined ? NO_PARTS : merge.liveParts(before)));
    const wasLive = slot.live;
    this.#digest.add(slot, after === undefined ? NO_PARTS : merge.liveParts(after));
    slot.state = after;
    this.#keys += Number(slot.live) - Number(wasLive);
    return after === undefined ? undefined : merge.collectableAt(after);
  }

  // ── Promises, reports, collection, closing ──────────────────────────────────────────────────────────────────────

  /** Our promise as of now: below every stamp that is not durable yet, and below the durable lease (I5). */
  promise(nowMs: number): Watermark | undefined {
    const own = this.#own;
    if (own === undefined) return undefined;
    let stamp = Math.max(this.clock.last, stampOfMs(nowMs));
    if (this.#open !== undefined) stamp = Math.min(stamp, this.#open.firstStamp - 1);
    for (const item of this.#inFlight) {
      if (item.own && item.header !== undefined) stamp = Math.min(stamp, item.header.firstStamp - 1);
    }
    if (GUARDS.stampLease) stamp = Math.min(stamp, this.#lease);
    stamp = Math.max(stamp, this.#promised);
    if (stamp === 0) return undefined;
    this.#promised = stamp;
    this.clock.advanceTo(stamp);
    return { origin: own.id, seq: own.seq, stamp };
  }

  /** `passesOn`: with what others have said of themselves, beside what this owner says. */
  beat(nowMs: number, passesOn = true): ShardBeat {
    const own = this.promise(nowMs);
    const watermarks: Watermark[] = [];
    const reports = passesOn ? this.reports.newest() : [];
    const frozen: Watermark[] = [];
    const reached: OriginId[] = [];
    const counted: { origin: OriginId; stamp: number }[] =
      own === undefined ? [] : [{ origin: own.origin, stamp: own.stamp }];
    for (const origin of this.origins.all()) {
      if (origin.id === own?.origin || origin.foldedDurable) continue;
      if (passesOn && origin.latest !== undefined && origin.counted !== Infinity) watermarks.push(origin.latest);
      if (origin.frozen && origin.end === undefined)
        frozen.push({ origin: origin.id, seq: origin.seq, stamp: origin.stamp });
      if (origin.counted === Infinity) reached.push(origin.id);
      else counted.push({ origin: origin.id, stamp: origin.counted });
    }
    if (own !== undefined) {
      watermarks.push(own);
      reports.push({
        member: this.settings.region,
        origin: own.origin,
        seq: own.seq,
        stamp: own.stamp,
        counted,
        frozen,
        reached,
      });
    }
    return { shard: this.settings.shard, watermarks, reports };
  }

  hear(beat: ShardBeat, nowMs: number): void {
    const { members } = this.settings;
    for (const watermark of beat.watermarks) {
      if (watermark.origin === this.#own?.id) continue;
      // A promise from a clock that we do not trust is no progress that we may show (I5, I14).
      if (GUARDS.clockGuard && isTooFarAhead(watermark.stamp, nowMs, this.settings.maxSkewMs)) continue;
      if (!members.includes(originRegion(watermark.origin))) continue;
      if (this.origins.credible(watermark.origin, watermark.stamp, nowMs)) this.origins.promise(watermark);
    }
    for (const report of beat.reports) {
      if (report.member === this.settings.region) continue;
      // Nor is a report: the newest counts, and one of a year ahead would be the newest for a year.
      const ahead = GUARDS.clockGuard && isTooFarAhead(report.stamp, nowMs, this.settings.maxSkewMs);
      const believed = !ahead && this.origins.credible(report.origin, report.stamp, nowMs);
      if (believed) this.reports.hear(report, this.origins.durable);
      const member = { region: report.member, stamp: believed ? report.stamp : 0 };
      for (const { origin, seq } of report.frozen) this.origins.prove(origin, seq, member);
      // An origin that a member has heard of and we have not: until it is passed here too, nothing is.
      for (const { origin } of report.counted) if (members.includes(originRegion(origin))) this.origins.ensure(origin);
    }
  }

  /** Nothing with a stamp at or below this can still come, anywhere. */
  stableFloor(nowMs: number): number {
    const others = (origin: OriginId): number => (GUARDS.tombstoneReports ? this.reports.passed(origin) : Infinity);
    return this.origins.floor(this.promise(nowMs), others);
  }

  /** Collects the given keys at `floor`. A key with a change on its way is left for later. */
  collect(keys: readonly { key: StateKey; type: MergeTypeName }[], floor: number, states: KeyStates): StateChange[] {
    const changes: StateChange[] = [];
    for (const { key, type } of keys) {
      if (type === 'register-lww') {
        this.#collectRegister(key, floor, states, changes);
        continue;
      }
      const slot = states.slotAt(key, type);
      if (slot.state === undefined) continue;
      const merge = mergeOf(type);
      if (slot.newest === undefined) this.#collectedUpTo = Math.max(this.#collectedUpTo, floor);
      const collectableAt =
        slot.newest === undefined
          ? this.#change(slot, merge.collect(slot.state, floor))
          : merge.collectableAt(slot.state);
      changes.push({ slot, key, type, collectableAt });
    }
    return changes;
  }

  #collectRegister(key: StateKey, floor: number, states: KeyStates, changes: StateChange[]): void {
    const { registers } = states;
    const place = states.registerAt(key);
    const collectableAt = registers.collectableAt(place);
    if (collectableAt === undefined) return;
    const collected = registers.newest(place) === 0 && collectableAt <= floor;
    if (collected) {
      this.#collectedUpTo = Math.max(this.#collectedUpTo, floor);
      this.#keys += registers.clear(place, this.#digest);
    }
    changes.push({
      slot: undefined,
      key,
      type: 'register-lww',
      collectableAt: collected ? undefined : collectableAt,
    });
  }

  /**
   * Now and then: renews the lease and moves the closing of our older origins on. True when ops were put into the open batch; an
   * append, when the lease alone is renewed.
   */
  tick(nowMs: number): { readonly append: Append | undefined; readonly opened: boolean } {
    if (this.#own === undefined) return { append: undefined, opened: false };
    const before = this.openOps;
    this.#freezeOlder(nowMs);
    this.#closeFrozen(nowMs);
    const opened = this.openOps > before;
    let append: Append | undefined;
    if (this.#leaseTaken < stampOfMs(nowMs + this.settings.leaseMs / 2) && GUARDS.stampLease) {
      append = this.#appendOf([this.#leaseEntry(nowMs)], undefined);
    }
    return { append, opened };
  }

  #closeFrozen(nowMs: number): void {
    for (const origin of this.origins.all()) {
      if (origin.region !== this.settings.region || origin.id === this.#own!.id || origin.folded) continue;
      if (origin.counted === Infinity && this.reports.hasReached(origin.id)) {
        this.#admitControl({ kind: 'fold', origin: origin.id }, nowMs);
        continue;
      }
      if (!origin.frozen || origin.end !== undefined) continue;
      const reports = this.reports.everyCounted();
      if (reports === undefined) continue;
      let end: { seq: number; stamp: number } | undefined = { seq: origin.seq, stamp: origin.stamp };
      for (const report of reports) {
        const theirs = report.frozen.find((entry) => entry.origin === origin.id);
        if (theirs === undefined) {
          end = undefined;
          break;
        }
        if (theirs.seq > end.seq && GUARDS.closingMaximum) end = theirs;
      }
      if (end !== undefined) {
        this.#admitControl({ kind: 'close', origin: origin.id, endSeq: end.seq, endStamp: end.stamp }, nowMs);
      }
    }
  }

  /** Does a promise or a report speak of ops that are not taken here? Then something was lost on the way and must be asked for. */
  isBehind(nowMs: number): boolean {
    for (const origin of this.origins.all()) {
      // What is held is not lost; when a hold for the clock passes, the shell asks.
      if (origin.hold !== undefined) continue;
      const upTo = Math.min(
        this.origins.acceptedUpTo(origin.id, nowMs),
        Math.max(origin.proven, origin.latest?.seq ?? 0, origin.end?.seq ?? 0),
      );
      if (upTo !== Infinity && origin.takenSeq < upTo) return true;
    }
    return false;
  }

  /**
   * What a region that cannot trust its log starts above: the highest stamp seen or promised of its origins here, also as far as we have
   * forgotten it. Promises are heard into memory, and a restart loses them. But a floor (what is collected, what is shown as stable) is the
   * lowest of all members' promises, ours among them, and ours stood below a lease in this log: whatever floor was ever reached with our
   * help before this start lies at or below the last bound that the log showed.
   */
  boundOf(region: RegionId, nowMs: number): number {
    // I5: a bound from a time when our clock was far ahead is not handed on. No member has counted a promise that far ahead.
    let bound = Math.min(this.#bound, stampOfMs(nowMs + this.settings.maxSkewMs));
    for (const origin of this.origins.all()) {
      if (origin.region !== region) continue;
      bound = Math.max(
        bound,
        origin.takenStamp,
        origin.latest?.stamp ?? 0,
        origin.counted === Infinity ? 0 : origin.counted,
      );
    }
    return bound;
  }

  /** A region is about to begin `origin`: where it may, and nothing of its earlier origins counts above that here any more. */
  begin(origin: OriginId, nowMs: number): number {
    const bound = this.boundOf(originRegion(origin), nowMs);
    this.origins.begin(origin, bound, nowMs);
    return bound;
  }

  /** What a restart starts from, as of what has landed; only to be taken while nothing above it is in the rows beside it. */
  meta(): ShardMeta {
    return {
      offset: this.#offset,
      origins: [...this.origins.all()],
      digest: this.#digest.snapshot(),
      keys: this.#keys,
      bound: Math.max(this.#bound, this.#lease),
      leased: this.#leased,
      idempotencyFrom: this.#idempotency.firstOffset ?? this.#offset + 1,
      idempotencyHorizon: this.#idempotency.horizonStamp,
    };
  }
}

/** What the ops of a batch had seen; it is asked about one after the other. */
class BatchContext implements OpContext {
  readonly #batch: Batch;
  readonly #deps = new Map<OriginId, number>();
  readonly #origins: OriginTable;
  #i = 0;

  constructor(batch: Batch, origins: OriginTable) {
    this.#batch = batch;
    this.#origins = origins;
    for (let i = 0; i < batch.deps.origins.length; i++) this.#deps.set(batch.deps.origins[i]!, batch.deps.seqs[i]!);
  }

  at(i: number): void {
    this.#i = i;
  }

  get origin(): OriginId {
    return this.#batch.origin;
  }

  get stamp(): number {
    return this.#batch.firstStamp + this.#i;
  }

  get version(): Version {
    return { origin: this.#batch.origin, seq: this.#batch.firstSeq + this.#i, stamp: this.stamp };
  }

  seen(dot: Dot): boolean {
    if (dot.origin === this.#batch.origin) return dot.seq < this.#batch.firstSeq + this.#i;
    const dep = this.#deps.get(dot.origin);
    // A folded origin is left out of deps: whoever leaves it out has seen all of it.
    if (dep === undefined) return this.#origins.get(dot.origin)?.folded === true;
    return dep >= dot.seq;
  }
}

function registerChange(table: RegisterTable, place: number): StateChange {
  return {
    slot: undefined,
    key: table.keyOf(place),
    type: 'register-lww',
    collectableAt: table.collectableAt(place),
  };
}

function speculate(effects: Effect[], slot: Slot, after: AnyState | undefined): void {
  const newest = slot.newest as Effect | undefined;
  if (newest !== undefined && newest.of === effects) {
    newest.state = after;
    return;
  }
  const effect = new Effect(slot, after, effects);
  effects.push(effect);
  slot.newest = effect;
}

function refused(error: CausewayError): OpResult {
  return { kind: 'refused', error };
}

function none(at: number, error: CausewayError): Extract<AllResult, { kind: 'none' }> {
  return { kind: 'none', at, error };
}

function notReady(): CausewayError {
  return new CausewayError(
    'NOT_READY',
    'this shard has no live origin yet: the node is still starting or asks its members',
    {
      hint: 'try again shortly, or another region',
    },
  );
}

function sameNames(): CausewayError {
  return new CausewayError('INVALID_ARGUMENT', 'two ops of an atomic write have the same idempotency key', {
    hint: 'give each op a key of its own',
  });
}

function partlyApplied(): CausewayError {
  return new CausewayError(
    'PRECONDITION_FAILED',
    'some ops of this atomic write were applied before and others were not: it is not the write that was tried then',
    { hint: 'retry an atomic write with the same ops and the same idempotency keys, or give all of them new keys' },
  );
}

function windowPassed(op: EngineOp, horizonMs: number): CausewayError {
  return new CausewayError(
    'IDEMPOTENCY_WINDOW_PASSED',
    `whether this op (${op.collection.name}/${op.key}) was applied before cannot be told any more: it was first tried before ${new Date(horizonMs).toISOString()}, and results are kept only since then`,
    { hint: 'read the key to see whether it was applied, then decide' },
  );
}

function unmet(condition: EngineCondition, view: View | undefined, op: EngineOp): CausewayError | undefined {
  const name = `${op.collection.namespace}/${op.collection.name}/${op.key}`;
  if (condition.kind === 'absent') {
    if (view === undefined) return undefined;
    return new CausewayError('PRECONDITION_FAILED', `${name} was expected to be absent and exists`);
  }
  if (condition.kind === 'exists') {
    if (view !== undefined) return undefined;
    return new CausewayError('PRECONDITION_FAILED', `${name} was expected to exist and is absent`);
  }
  if (view !== undefined && view.type !== 'register-lww') {
    return new CausewayError(
      'WRONG_OPERATION',
      `${name} is a ${view.type}; only register-lww can be compared by version`,
    );
  }
  if (view === undefined) {
    return new CausewayError(
      'PRECONDITION_FAILED',
      `${name} was expected at ${versionText(condition.version)} and is absent`,
    );
  }
  if (compareVersions(view.version, condition.version) === 0 && view.version.seq === condition.version.seq)
    return undefined;
  return new CausewayError(
    'PRECONDITION_FAILED',
    `${name} was expected at ${versionText(condition.version)} and is at ${versionText(view.version)}`,
    { hint: 'read it again and decide on what is there now' },
  );
}

function versionText(version: Version): string {
  return `${version.stamp}@${version.origin}#${version.seq}`;
}
