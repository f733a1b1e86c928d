// Several regions that write, exchange ops and whole states, and collect, in any order that the engine allows:
// causal delivery, each dot once, collection only up to a floor that every region has passed.
// Executions are plain data, so that fast-check can shrink them; what a step cannot do at its moment it leaves out.

import fc from 'fast-check';
import { EPOCH_MS, Hlc, stampOfMs } from '../../src/clock/hlc.ts';
import { encoded, mergeOf, type AnyState } from '../../src/merge/merge.ts';
import { EXPIRY_GRACE_MS, type Displaced, type Intent, type OpContext } from '../../src/merge/types.ts';
import { originId, regionId, type Dot, type OriginId, type Version } from '../../src/record/ids.ts';
import type { MergeTypeName } from '../../src/record/op.ts';
import { covers, dominates, joinInto, type VersionVector } from '../../src/record/vector.ts';
import { dotName, type SpecOp } from '../spec/history.ts';

export const START_MS = EPOCH_MS + 200_000_000_000;
const REGIONS = ['ap', 'eu', 'us'].map(regionId);

export interface WorldOp extends SpecOp {
  readonly payload: Uint8Array;
  readonly deps: VersionVector;
}

export interface Replica {
  readonly name: string;
  origin: OriginId;
  readonly hlc: Hlc;
  state: AnyState | undefined;
  readonly vector: VersionVector;
  /** In the order of arrival. */
  readonly history: WorldOp[];
  /** What its merges reported, with the op that displaced it. */
  readonly displaced: { readonly by: WorldOp; readonly lost: Displaced }[];
}

export type Step =
  | { readonly do: 'write'; readonly at: number; readonly intent: Intent; readonly observed?: readonly number[] }
  | { readonly do: 'deliver'; readonly to: number; readonly pick: number; readonly count: number }
  | { readonly do: 'sync'; readonly from: number; readonly to: number }
  | { readonly do: 'collect'; readonly at: number; readonly pick: number }
  | { readonly do: 'store'; readonly at: number }
  | { readonly do: 'restart'; readonly at: number }
  | { readonly do: 'time'; readonly ms: number };

export class World {
  readonly merge;
  readonly replicas: Replica[];
  readonly ops: WorldOp[] = [];
  nowMs = START_MS;
  #incarnations = 0;

  constructor(type: MergeTypeName) {
    this.merge = mergeOf(type);
    this.replicas = REGIONS.map((name) => ({
      name,
      origin: originId(name, ++this.#incarnations),
      hlc: new Hlc(),
      state: undefined,
      vector: new Map(),
      history: [],
      displaced: [],
    }));
  }

  /** Returns the regions in which it may have changed what is shown. */
  run(step: Step): readonly Replica[] {
    switch (step.do) {
      case 'write': {
        const replica = this.#replica(step.at);
        this.write(replica, this.#withObserved(step.intent, step.observed));
        return [replica];
      }
      case 'deliver': {
        const replica = this.#replica(step.to);
        this.deliver(replica, step.pick, step.count);
        return [replica];
      }
      case 'sync': {
        const replica = this.#replica(step.to);
        this.sync(this.#replica(step.from), replica);
        return [replica];
      }
      case 'collect': {
        const replica = this.#replica(step.at);
        this.collect(replica, step.pick);
        return [replica];
      }
      case 'store': {
        const replica = this.#replica(step.at);
        if (replica.state !== undefined) replica.state = this.merge.decode(encoded(this.merge.name, replica.state));
        return [replica];
      }
      case 'restart': {
        const replica = this.#replica(step.at);
        replica.origin = originId(regionId(replica.name), ++this.#incarnations);
        return [replica];
      }
      case 'time':
        this.nowMs += step.ms;
        return this.replicas;
    }
  }

  write(replica: Replica, intent: Intent): WorldOp {
    const seq = (replica.vector.get(replica.origin) ?? 0) + 1;
    const version: Version = { origin: replica.origin, seq, stamp: replica.hlc.now(this.nowMs) };
    const payload = this.merge.prepare(replica.state, intent, { version, nowMs: this.nowMs });
    const seen = new Set(replica.history.map((op) => dotName(op.version)));
    const op = { version, intent, payload, seen, deps: new Map(replica.vector) };
    this.ops.push(op);
    this.apply(replica, op);
    return op;
  }

  /** Applies up to `count` ops that can be applied now; each arrives twice, and its second copy is dropped by its dot. */
  deliver(to: Replica, pick: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const ready = this.ops.filter((op) => this.isReady(to, op));
      if (ready.length === 0) return;
      const op = ready[(pick + i) % ready.length]!;
      this.apply(to, op);
      this.apply(to, op);
    }
  }

  isReady(replica: Replica, { version, deps }: WorldOp): boolean {
    const next = (replica.vector.get(version.origin) ?? 0) + 1;
    return version.seq === next && dominates(replica.vector, deps);
  }

  apply(replica: Replica, op: WorldOp): void {
    if (covers(replica.vector, op.version.origin, op.version.seq)) return;
    const before = replica.state === undefined ? undefined : encoded(this.merge.name, replica.state);
    const context: OpContext = { version: op.version, seen: (dot) => op.seen.has(dotName(dot)) };
    const { state, displaced } = this.merge.apply(replica.state, op.payload, context);
    // States are immutable: the engine keeps the one before beside the one after.
    if (before !== undefined && !Buffer.from(encoded(this.merge.name, replica.state!)).equals(before)) {
      throw new Error('apply changed the state that it was given');
    }
    replica.state = state;
    replica.vector.set(op.version.origin, op.version.seq);
    replica.history.push(op);
    replica.hlc.advanceTo(op.version.stamp);
    for (const lost of displaced ?? []) replica.displaced.push({ by: op, lost: plainLost(lost) });
  }

  sync(from: Replica, to: Replica): void {
    to.state = this.merge.mergeStates(to.state, to.vector, from.state, from.vector);
    for (const op of from.history) {
      if (!covers(to.vector, op.version.origin, op.version.seq)) to.history.push(op);
    }
    joinInto(to.vector, from.vector);
    to.hlc.advanceTo(from.hlc.last);
  }

  /** A stamp that every region has passed: it has all ops up to it, and its next op is above it. */
  safeFloor(): number {
    let floor = Infinity;
    for (const replica of this.replicas) {
      replica.hlc.advanceTo(stampOfMs(this.nowMs));
      floor = Math.min(floor, replica.hlc.last);
    }
    for (const { version } of this.ops) {
      const everywhere = this.replicas.every(({ vector }) => covers(vector, version.origin, version.seq));
      if (!everywhere) floor = Math.min(floor, version.stamp - 1);
    }
    return floor;
  }

  /** Collects at the safe floor, or at the stamp of an op below it, so that only a part goes. */
  collect(replica: Replica, pick: number): void {
    if (replica.state === undefined) return;
    const highest = this.safeFloor();
    const floors = [highest, ...this.ops.map((op) => op.version.stamp).filter((stamp) => stamp <= highest)];
    replica.state = this.merge.collect(replica.state, floors[pick % floors.length]!);
  }

  /** Everything to everyone. */
  settle(): void {
    for (const replica of this.replicas) this.deliver(replica, replica.name.charCodeAt(0), this.ops.length);
  }

  #replica(index: number): Replica {
    return this.replicas[index % this.replicas.length]!;
  }

  /** Dots that a client may have read anywhere, also in a region that is ahead of the one it writes to. */
  #withObserved(intent: Intent, observed: readonly number[] | undefined): Intent {
    if (observed === undefined || (intent.kind !== 'put' && intent.kind !== 'delete')) return intent;
    const dots: Dot[] = this.ops.length === 0 ? [] : observed.map((i) => this.ops[i % this.ops.length]!.version);
    return { ...intent, observed: dots };
  }
}

/** Anything in a form that `toBe` compares: maps and keys sorted, bytes as hex. */
export function normal(value: unknown): string {
  return JSON.stringify(plain(value));
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return [...(value as Map<string, unknown>)].sort(byKey).map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value)
        .sort(byKey)
        .map(([key, part]) => [key, plain(part)]),
    );
  }
  return value;
}

/** As data: what is told of a loser may be made only when it is asked for. */
function plainLost({ loser, field, value }: Displaced): Displaced {
  const { origin, seq, stamp } = loser;
  return { loser: { origin, seq, stamp }, ...(field === undefined ? {} : { field }), value };
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** What the digest sums up at `nowMs`, sorted. */
export function liveSet(world: World, state: AnyState | undefined): string[] {
  if (state === undefined) return [];
  return world.merge
    .liveParts(state)
    .filter((part) => part.expiresAtMs > world.nowMs)
    .map((part) => Buffer.from(part.bytes).toString('hex'))
    .sort();
}

const replicas = fc.nat({ max: REGIONS.length - 1 });
const value = fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes));
const expiresAtMs = fc.constantFrom(1, 5_000, 90_000).map((ms) => START_MS + ms);
const element = fc.constantFrom('', 'a', 'b', '\u00ff').map((text) => Buffer.from(text, 'latin1'));
const elements = fc.array(element, { minLength: 1, maxLength: 3 });
const field = fc.constantFrom('', 'x', 'y', '\u{1F600}');

const put = fc.record({ kind: fc.constant('put' as const), value, expiresAtMs }, { requiredKeys: ['kind', 'value'] });
const erase = fc.constant({ kind: 'delete' } as const);
const by = fc.oneof({ weight: 5, arbitrary: fc.bigInt(-3n, 5n) }, fc.bigInt(-(2n ** 61n), 2n ** 61n));
const mapUpdate = fc
  .tuple(
    fc.uniqueArray(field, { minLength: 1, maxLength: 3 }),
    fc.array(fc.record({ value, expiresAtMs }, { requiredKeys: ['value'] }), { maxLength: 3 }),
  )
  .map(([fields, puts]) => ({
    kind: 'map-update' as const,
    put: puts.slice(0, fields.length).map((each, i) => ({ field: fields[i]!, ...each })),
    remove: fields.slice(puts.length),
  }));

export const INTENTS: { readonly [T in MergeTypeName]: fc.Arbitrary<Intent> } = {
  'register-lww': fc.oneof({ weight: 3, arbitrary: put }, erase),
  'register-mv': fc.oneof({ weight: 3, arbitrary: put }, erase),
  'counter-pn': fc.oneof({ weight: 3, arbitrary: fc.record({ kind: fc.constant('increment' as const), by }) }, erase),
  'set-aw': fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record(
        { kind: fc.constant('set-add' as const), elements, expiresAtMs },
        { requiredKeys: ['kind', 'elements'] },
      ),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('set-remove' as const), elements }) },
    erase,
  ),
  'map-lww': fc.oneof({ weight: 3, arbitrary: mapUpdate }, erase),
};

export interface StepKinds {
  /** Whole states are merged. */
  readonly sync?: boolean;
  readonly collect?: boolean;
}

export function executions(type: MergeTypeName, kinds: StepKinds = {}): fc.Arbitrary<Step[]> {
  const pick = fc.nat({ max: 1000 });
  const observed = fc.array(pick, { maxLength: 3 });
  const write = { do: fc.constant('write' as const), at: replicas, intent: INTENTS[type] };
  const steps: fc.WeightedArbitrary<Step>[] = [
    { weight: 8, arbitrary: fc.record(write) },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('deliver' as const),
        to: replicas,
        pick,
        count: fc.integer({ min: 1, max: 6 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('store' as const), at: replicas }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), at: replicas }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('time' as const),
        ms: fc.constantFrom(1, 3_000, EXPIRY_GRACE_MS + 5_000),
      }),
    },
  ];
  if (type === 'register-mv') steps.push({ weight: 3, arbitrary: fc.record({ ...write, observed }) });
  if (kinds.sync === true) {
    steps.push({ weight: 2, arbitrary: fc.record({ do: fc.constant('sync' as const), from: replicas, to: replicas }) });
  }
  if (kinds.collect === true) {
    steps.push({ weight: 3, arbitrary: fc.record({ do: fc.constant('collect' as const), at: replicas, pick }) });
  }
  // At its default size fast-check would stop at ten steps, too few for a loss, a collection and what comes after.
  return fc.array(fc.oneof(...steps), { maxLength: 40, size: 'max' });
}
