// Shard engines driven by hand: each with its own log, key states and clock, and nothing that happens by itself. What an engine
// hands out lies in `log` at once and lands when the test says so; batches and beats go where the test sends them.

import { Hlc } from '../../src/clock/hlc.ts';
import type { StoredEntry } from '../../src/log/log.ts';
import type { AnyState } from '../../src/merge/merge.ts';
import { encoded, mergeOf } from '../../src/merge/merge.ts';
import type { Intent, View } from '../../src/merge/types.ts';
import { peekShard, readBatchHeader } from '../../src/record/batch.ts';
import { regionId, shardId, type OriginId, type RegionId, type StateKey, type Version } from '../../src/record/ids.ts';
import {
  splitStateKey,
  stateKey,
  type CollectionRef,
  type Idempotency,
  type MergeTypeName,
} from '../../src/record/op.ts';
import {
  ShardEngine,
  type Append,
  type ConflictVerdict,
  type EngineCondition,
  type Inspection,
  type Landed,
  type OpResult,
} from '../../src/shard/engine.ts';
import { RegisterTable } from '../../src/merge/register-table.ts';
import { registerLww } from '../../src/merge/register-lww.ts';
import { Slot, type KeyStates } from '../../src/shard/key-slot.ts';
import { decodeMeta, encodeMeta, type ShardMeta } from '../../src/shard/meta.ts';

export const SHARD = shardId(1, 0);
export const EU = regionId('eu');
export const US = regionId('us');
export const AP = regionId('ap');
export const START_MS = Date.UTC(2026, 0, 1);

export function collection(type: MergeTypeName): CollectionRef {
  return COLLECTIONS[type];
}

const COLLECTIONS: Readonly<Record<MergeTypeName, CollectionRef>> = {
  'register-lww': { namespace: 'shop', name: 'lww', id: 1, type: 'register-lww' },
  'register-mv': { namespace: 'shop', name: 'mv', id: 1, type: 'register-mv' },
  'counter-pn': { namespace: 'shop', name: 'counter', id: 1, type: 'counter-pn' },
  'set-aw': { namespace: 'shop', name: 'set', id: 1, type: 'set-aw' },
  'map-lww': { namespace: 'shop', name: 'map', id: 1, type: 'map-lww' },
};

export function put(text: string, expiresAtMs?: number): Intent {
  const value = Buffer.from(text);
  return expiresAtMs === undefined ? { kind: 'put', value } : { kind: 'put', value, expiresAtMs };
}

export function textOf(view: View | undefined): string | undefined {
  if (view === undefined) return undefined;
  switch (view.type) {
    case 'register-lww':
      return Buffer.from(view.value).toString();
    case 'register-mv':
      return view.siblings
        .map(({ value }) => Buffer.from(value).toString())
        .toSorted()
        .join('|');
    case 'counter-pn':
      return String(view.value);
    case 'set-aw':
      return view.elements.map((element) => Buffer.from(element).toString()).join(',');
    case 'map-lww':
      return view.fields.map(({ field, value }) => `${field}=${Buffer.from(value).toString()}`).join(',');
  }
}

/** Every key is here: no eviction, nothing to load. */
export class TestStates implements KeyStates {
  readonly slots = new Map<StateKey, Slot>();
  registers = new RegisterTable();

  slot(ref: CollectionRef, key: string): Slot {
    return this.slotAt(stateKey(ref, key), ref.type);
  }

  register(of: number, hash: number, bytes: Buffer, at: number, length: number): number {
    const place = this.registers.find(of, hash, bytes, at, length);
    return place >= 0 ? place : this.registers.insert(of, hash, bytes, at, length);
  }

  registerAt(key: StateKey): number {
    const { prefix, key: name } = splitStateKey(key);
    const of = this.registers.collection(prefix);
    const place = this.registers.findKey(of, name);
    return place >= 0 ? place : this.registers.insertKey(of, name);
  }

  /** As of what has landed. */
  state(ref: CollectionRef, key: string): AnyState | undefined {
    if (ref.type !== 'register-lww') return this.slot(ref, key).state;
    return this.registers.state(this.registerAt(stateKey(ref, key)));
  }

  slotAt(key: StateKey, type: MergeTypeName): Slot {
    let slot = this.slots.get(key);
    if (slot === undefined) {
      const { prefix, key: name } = splitStateKey(key);
      slot = new Slot(prefix, name, type, undefined);
      this.slots.set(key, slot);
    }
    return slot;
  }

  /** Encoded and decoded, as by way of a store. */
  copy(): TestStates {
    const copy = new TestStates();
    for (const [key, { type, state }] of this.slots) {
      const merge = mergeOf(type);
      const again: AnyState | undefined = state === undefined ? undefined : merge.decode(encoded(type, state));
      const { prefix, key: name } = splitStateKey(key);
      copy.slots.set(key, new Slot(prefix, name, type, again));
    }
    for (const place of this.registers.places()) {
      const state = this.registers.state(place);
      if (state === undefined) continue;
      const again = registerLww.decode(encoded('register-lww', state));
      copy.registers.load(copy.registerAt(this.registers.keyOf(place)), again);
    }
    return copy;
  }
}

export interface HostOptions {
  readonly members?: readonly RegionId[];
  readonly nowMs?: number;
  readonly maxSkewMs?: number;
  readonly leaseMs?: number;
  readonly idempotencyEntriesMax?: number;
  /** Lands what is appended at once. */
  readonly lands?: boolean;
}

export interface WriteOptions {
  readonly condition?: EngineCondition;
  readonly idempotency?: Idempotency;
  readonly issuedAtMs?: number;
}

/** A durable log, and the store's proof at each of its offsets. */
export interface Snapshot {
  readonly meta: Buffer;
  readonly states: TestStates;
}

export class ShardHost {
  readonly region: RegionId;
  readonly engine: ShardEngine;
  readonly clock = new Hlc();
  readonly log: StoredEntry[] = [];
  readonly verdicts: ConflictVerdict[] = [];
  states = new TestStates();
  nowMs: number;
  lands: boolean;
  readonly #options: HostOptions;

  constructor(region: RegionId, options: HostOptions = {}) {
    this.region = region;
    this.#options = options;
    this.nowMs = options.nowMs ?? START_MS;
    this.lands = options.lands ?? true;
    this.engine = new ShardEngine(
      {
        region,
        shard: SHARD,
        members: options.members ?? [EU, US, AP],
        maxSkewMs: options.maxSkewMs ?? 2000,
        leaseMs: options.leaseMs ?? 1000,
        idempotencyEntriesMax: options.idempotencyEntriesMax ?? 1000,
      },
      this.clock,
    );
  }

  get own(): OriginId {
    return this.engine.ownOrigin!;
  }

  /** Opens an origin and lets its first batch, if there is one, land. */
  open(incarnation: number, above = 0): this {
    this.append(this.engine.openIncarnation(incarnation, above, this.nowMs));
    this.seal();
    return this;
  }

  append(append: Append | undefined): void {
    if (append === undefined) return;
    if (append.expectOffset !== this.log.length + 1) {
      throw new Error(`append at ${append.expectOffset}, the log ends at ${this.log.length}`);
    }
    for (const { kind, bytes } of append.entries) this.log.push({ kind, bytes, offset: this.log.length + 1 });
    if (this.lands) this.land();
  }

  /** Everything up to `offset` (default: all of the log) is durable. */
  land(offset = this.log.length): Landed {
    const landed = this.engine.landed(offset);
    this.verdicts.push(...landed.conflicts);
    return landed;
  }

  admit(type: MergeTypeName, key: string, intent: Intent, options: WriteOptions = {}): OpResult {
    const ref = collection(type);
    return this.engine.admit({ collection: ref, key, intent, ...options }, this.states, this.nowMs);
  }

  seal(): void {
    this.append(this.engine.seal(this.nowMs));
  }

  /** One op, one batch. */
  write(type: MergeTypeName, key: string, intent: Intent, options: WriteOptions = {}): OpResult {
    const result = this.admit(type, key, intent, options);
    this.seal();
    return result;
  }

  version(type: MergeTypeName, key: string, intent: Intent, options: WriteOptions = {}): Version {
    const result = this.write(type, key, intent, options);
    if (result.kind === 'refused') throw result.error;
    return result.version;
  }

  /** As a link would bring it. */
  receive(bytes: Uint8Array): Inspection {
    const inspection = this.engine.inspect(bytes, this.nowMs);
    if (inspection.kind !== 'ready') return inspection;
    this.seal();
    this.append(this.engine.take(inspection, this.states));
    return inspection;
  }

  /** Of a batch that was not taken: why. */
  refusalOf(bytes: Uint8Array): string {
    const inspection = this.receive(bytes);
    if (inspection.kind === 'not-now') return inspection.decision.kind;
    return inspection.kind === 'ready' ? 'taken' : inspection.kind;
  }

  tick(): void {
    const { append } = this.engine.tick(this.nowMs);
    this.append(append);
    this.seal();
  }

  view(type: MergeTypeName, key: string): string | undefined {
    return textOf(mergeOf(type).view(this.states.state(collection(type), key), this.nowMs));
  }

  digest(asOfMs = this.nowMs): string {
    return this.engine.digestAsOf(asOfMs);
  }

  vector(): Record<string, number> {
    return Object.fromEntries([...this.engine.origins.durable].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Batches of the log that are durable, in its order. */
  batches(): Uint8Array[] {
    return this.log
      .filter(({ kind, offset }) => kind === 'batch' && offset <= this.engine.offset)
      .map(({ bytes }) => bytes);
  }

  snapshot(): Snapshot {
    return { meta: encodeMeta(this.engine.meta()), states: this.states.copy() };
  }

  /** A new process on the same log: from its first entry, or from what the store has proven. */
  restart(from?: Snapshot, log: readonly StoredEntry[] = this.log): ShardHost {
    const host = new ShardHost(this.region, { ...this.#options, nowMs: this.nowMs });
    let first = 1;
    let cursor = 0;
    if (from !== undefined) {
      const meta: ShardMeta = decodeMeta(from.meta)!;
      host.states = from.states.copy();
      host.engine.restore(meta);
      cursor = meta.offset;
      first = Math.max(1, Math.min(meta.idempotencyFrom, meta.offset + 1));
    }
    for (const entry of log) {
      host.log.push(entry);
      if (entry.offset < first) continue;
      if (entry.offset <= cursor) host.engine.rememberEntry(entry.offset, entry.kind, entry.bytes);
      else host.verdicts.push(...host.engine.replay(entry.offset, entry.kind, entry.bytes, host.states).conflicts);
    }
    return host;
  }
}

/** Sends everything durable at `from` to `to`, in the order of its log; what comes too early is tried again. */
export function ship(from: ShardHost, to: ShardHost): void {
  let left = from.batches().filter((bytes) => peekShard(bytes) === SHARD);
  for (let progress = true; progress && left.length > 0;) {
    progress = false;
    left = left.filter((bytes) => {
      const header = readBatchHeader(bytes);
      if (header.origin === to.engine.ownOrigin) return false;
      const refusal = to.refusalOf(bytes);
      progress ||= refusal === 'taken';
      return refusal === 'gap' || refusal === 'wait' || refusal === 'frozen';
    });
  }
}

export function beat(from: ShardHost, to: ShardHost): void {
  to.engine.hear(from.engine.beat(from.nowMs), to.nowMs);
}

/** Batches and beats between all of them, `rounds` times, with time passing and ticks in between. */
export function gossip(hosts: readonly ShardHost[], rounds = 1, stepMs = 100): void {
  for (let round = 0; round < rounds; round++) {
    for (const from of hosts) for (const to of hosts) if (from !== to) ship(from, to);
    for (const from of hosts) for (const to of hosts) if (from !== to) beat(from, to);
    for (const host of hosts) {
      host.nowMs += stepMs;
      host.tick();
    }
  }
}

export function lastBatch(host: ShardHost): Uint8Array {
  return host.log.filter(({ kind }) => kind === 'batch').at(-1)!.bytes;
}
