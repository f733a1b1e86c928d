// A Region in memory, small enough to be seen through: one origin, no log, no peers. It can be told to fail, to stall, to be
// away; replicateFrom() brings another one's events, so that cursors and failover can be tried.
// Its merging is a sketch: what the merge types do is tested elsewhere.

import { CausewayError } from '../../src/errors/errors.ts';
import { shardOf as placedAt } from '../../src/record/hash.ts';
import type { Intent, OpDescription, View } from '../../src/merge/types.ts';
import {
  originId,
  regionId,
  shardId,
  shardParts,
  type Dot,
  type OriginId,
  type RegionId,
  type ShardId,
  type Version,
} from '../../src/record/ids.ts';
import { runTimeId, type CollectionRef, type MergeTypeName } from '../../src/record/op.ts';
import type {
  AlterSpec,
  ChangeOptions,
  CollectionChanged,
  CollectionInfo,
  Conflict,
  ConflictPage,
  ConflictQuery,
  ConflictSink,
  ConflictSubscription,
  CreateSpec,
  DropSpec,
  FeedCursor,
  FeedEvent,
  FeedSink,
  FeedSubscription,
  HistoryRequest,
  KeyHistory,
  ReadRequest,
  ReadResult,
  Region,
  MovedShard,
  NodeAddress,
  RegionOverview,
  RegionStatus,
  RestoreRequest,
  Restored,
  ScanRequest,
  ScanResult,
  ShardDigest,
  SharedState,
  SubscribeRequest,
  TailRequest,
  WriteOp,
  WriteRequest,
  WriteResult,
} from '../../src/region/region.ts';
import type { System } from '../../src/system/system.ts';

const SHARDS = 4;
const EPOCH_MS = Date.UTC(2020, 0, 1);

export interface FakeRegionOptions {
  readonly name: string;
  readonly system: System;
  readonly namespace?: string;
  readonly collections?: Readonly<Record<string, MergeTypeName>>;
}

interface Entry {
  view: View | undefined;
}

interface Subscriber {
  readonly request: SubscribeRequest;
  readonly sink: FeedSink;
  /** Next index into the log, per shard. */
  readonly at: Map<ShardId, number>;
  waiting: boolean;
  cancelled: boolean;
}

const COLLECTIONS: Readonly<Record<string, MergeTypeName>> = {
  profiles: 'register-lww',
  drafts: 'register-mv',
  delays: 'counter-pn',
  routes: 'set-aw',
  flights: 'map-lww',
};

/** What a stable scan says that it is as of. */
export const SCAN_CUT = 17;

export class FakeRegion implements Region {
  readonly id: RegionId;
  readonly origin: OriginId;
  readonly #system: System;
  readonly #collections = new Map<string, CollectionRef>();
  readonly #namespace: string;
  readonly #entries = new Map<string, Entry>();
  readonly #log = new Map<ShardId, FeedEvent[]>();
  readonly #vectors = new Map<ShardId, Map<OriginId, number>>();
  readonly #results = new Map<string, WriteResult & { ok: true }>();
  readonly #subscribers = new Set<Subscriber>();
  readonly #readyListeners: ((ready: boolean) => void)[] = [];
  readonly #stalled: (() => void)[] = [];
  #stamp = 0;
  #ready = true;
  #stalling = false;

  /** What a write of this op fails with. Asked before anything else. */
  refuse: (op: WriteOp) => CausewayError | undefined = () => undefined;
  /** What a read fails with. */
  refuseRead: (request: ReadRequest) => CausewayError | undefined = () => undefined;
  /** Applied, but answered with this. */
  loseAnswer: (op: WriteOp) => CausewayError | undefined = () => undefined;
  /** Every write that came, in order. */
  readonly writes: WriteRequest[] = [];
  readonly reads: ReadRequest[] = [];
  readonly scans: ScanRequest[] = [];
  /** Ops that took effect, in order. */
  readonly applied: WriteOp[] = [];
  conflictList: Conflict[] = [];
  readonly restores: RestoreRequest[] = [];

  constructor(options: FakeRegionOptions) {
    this.id = regionId(options.name);
    this.origin = originId(this.id, options.system.random.uint48());
    this.#system = options.system;
    this.#namespace = options.namespace ?? 'app';
    for (const [name, type] of Object.entries(options.collections ?? COLLECTIONS)) {
      this.#collections.set(name, { namespace: this.#namespace, name, id: 1, type });
    }
    for (let i = 0; i < SHARDS; i++) {
      this.#log.set(shardId(1, i), []);
      this.#vectors.set(shardId(1, i), new Map());
    }
  }

  setReady(ready: boolean): void {
    this.#ready = ready;
    for (const listener of this.#readyListeners) listener(ready);
  }

  /** From now on writes and reads are answered only by release(). */
  stall(): void {
    this.#stalling = true;
  }

  release(): void {
    this.#stalling = false;
    for (const answer of this.#stalled.splice(0)) answer();
  }

  get stalled(): number {
    return this.#stalled.length;
  }

  /** Events handed to sinks so far. */
  deliveredTo = 0;

  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** Takes what the other has and this one lacks. */
  replicateFrom(other: FakeRegion): void {
    for (const [shard, events] of other.#log) {
      const vector = this.#vector(shard);
      for (const event of events) {
        if ((vector.get(event.version.origin) ?? 0) >= event.version.seq) continue;
        this.#stamp = Math.max(this.#stamp, event.version.stamp);
        this.#append(shard, event);
      }
    }
    this.#feed();
  }

  /** Its nodes, by shard; empty: it has one. */
  owners: readonly (NodeAddress | undefined)[] = [];

  shardOwners(): readonly (NodeAddress | undefined)[] {
    return this.owners;
  }

  #passesOn({ namespace, collection, key }: WriteOp): boolean {
    const { index } = shardParts(placedAt(namespace, collection, key, 1, SHARDS));
    return this.owners.length > 0 && this.owners[index]?.node !== this.status().node;
  }

  placementOf(namespace: string): { placementId: number; shards: number } | undefined {
    return namespace === this.#namespace ? { placementId: 1, shards: SHARDS } : undefined;
  }

  collection(namespace: string, name: string): CollectionRef | undefined {
    return namespace === this.#namespace ? this.#collections.get(name) : undefined;
  }

  /** What was asked to be created, altered and dropped, in order. */
  readonly collectionChanges: { readonly kind: string; readonly spec: object; readonly options: object }[] = [];
  refuseChange: CausewayError | undefined;

  collections(): readonly CollectionInfo[] {
    const byName = [...this.#collections.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return byName.map(({ namespace, name, id, type }) => ({
      ref: { namespace, name, id },
      type,
      state: 'served',
      source: id === 1 ? 'config' : 'run-time',
      description: '',
      defaultExpiryMs: 0,
      created: id === 1 ? undefined : { origin: this.origin, seq: 1, stamp: 1 },
      createdBy: id === 1 ? [] : [this.id],
      dropped: undefined,
      settled: true,
    }));
  }

  createCollection(spec: CreateSpec, options: ChangeOptions, done: CollectionChanged): void {
    const { namespace, name, type } = spec;
    this.#change('create', spec, options, done, () => {
      this.#collections.set(name, { namespace, name, id: runTimeId(1, type), type });
    });
  }

  alterCollection(spec: AlterSpec, options: ChangeOptions, done: CollectionChanged): void {
    this.#change('alter', spec, options, done, () => undefined);
  }

  dropCollection(spec: DropSpec, options: ChangeOptions & { readonly force: boolean }, done: CollectionChanged): void {
    this.#change('drop', spec, options, done, () => this.#collections.delete(spec.name));
  }

  #change(kind: string, spec: DropSpec, options: ChangeOptions, done: CollectionChanged, change: () => void): void {
    this.collectionChanges.push({ kind, spec, options });
    if (this.refuseChange !== undefined) {
      done(this.refuseChange);
      return;
    }
    const before = this.collections();
    change();
    const about = kind === 'drop' ? before : this.collections();
    done({ collections: about.filter(({ ref }) => ref.name === spec.name), changed: true });
  }

  write(request: WriteRequest, done: (results: readonly WriteResult[]) => void): void {
    this.writes.push(request);
    let refusal: CausewayError | undefined;
    // A sketch of all or none: an op that refuse() names takes the others along.
    const all = request.atomic === true ? request.ops.map((op) => this.refuse(op)).find(Boolean) : undefined;
    if (all !== undefined) {
      this.#answer(() => done(request.ops.map(() => ({ ok: false, error: all }))));
      return;
    }
    const results = request.ops.map((op): WriteResult => {
      // As a region does it: what comes behind a refusal that may be retried is refused as well.
      const error = refusal ?? this.refuse(op) ?? this.#notReady();
      if (error?.retriable === true) refusal = error;
      const result: WriteResult = error === undefined ? this.#apply(op, request) : { ok: false, error };
      if (!result.ok || request.valueBytesMax === undefined) return result;
      return { ...result, after: { view: this.#entries.get(`${op.collection}/${op.key}`)?.view } };
    });
    if (refusal !== undefined) request.failed?.(refusal);
    if (request.ops.some((op) => this.#passesOn(op))) request.passedOn?.();
    if (this.#stalling && request.session !== undefined) request.waits?.();
    this.#answer(() => done(results));
    this.#feed();
  }

  read(request: ReadRequest, done: (result: ReadResult | CausewayError) => void): void {
    this.reads.push(request);
    const error = this.refuseRead(request) ?? this.#notReady();
    this.#answer(() => {
      if (error !== undefined) {
        done(error);
        return;
      }
      const session = new Map<ShardId, ReadonlyMap<OriginId, number>>();
      let behind = false;
      for (const key of request.keys) {
        const shard = shardOf(key);
        const stamps = this.#stamps(shard);
        session.set(shard, stamps);
        if (request.consistency.kind !== 'causal') continue;
        for (const [origin, stamp] of request.consistency.session.get(shard) ?? []) {
          if ((stamps.get(origin) ?? 0) < stamp) behind = true;
        }
      }
      if (behind && request.consistency.kind === 'causal' && !request.consistency.allowStale) {
        done(new CausewayError('SESSION_BEHIND', 'this region has not applied what the session has seen'));
        return;
      }
      const views = request.keys.map((key) => this.#entries.get(`${request.collection}/${key}`)?.view);
      done({ views, session, stale: behind });
    });
  }

  scan(request: ScanRequest, done: (result: ScanResult | CausewayError) => void): void {
    this.scans.push(request);
    const error = this.#notReady();
    this.#answer(() => {
      if (error !== undefined) {
        done(error);
        return;
      }
      const prefix = `${request.collection}/`;
      const all = [...this.#entries]
        .map(([name, { view }]) => ({ key: name.slice(prefix.length), view, name }))
        .filter(({ name, key }) => name.startsWith(prefix) && key.startsWith(request.prefix))
        .filter(({ key }) => request.shards?.has(shardParts(shardOf(key)).index) !== false)
        .filter(
          ({ key }) => request.after === undefined || Buffer.compare(Buffer.from(key), Buffer.from(request.after)) > 0,
        )
        .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
      const entries = all.slice(0, request.limit).map(({ key, view }) => ({ key, view: view! }));
      const session = new Map([...this.#log.keys()].map((shard) => [shard, this.#stamps(shard)]));
      const asOfStamp = request.consistency.kind === 'stable' ? SCAN_CUT : undefined;
      const next = all.length > request.limit ? entries.at(-1)!.key : undefined;
      done({ entries, next, session, stale: false, asOfStamp });
    });
  }

  subscribe(request: SubscribeRequest, sink: FeedSink): FeedSubscription {
    const subscriber: Subscriber = { request, sink, at: new Map(), waiting: false, cancelled: false };
    for (const [shard, events] of this.#log) subscriber.at.set(shard, this.#startAt(request, shard, events));
    this.#subscribers.add(subscriber);
    this.#feedOne(subscriber);
    return {
      resume: () => {
        subscriber.waiting = false;
        this.#feedOne(subscriber);
      },
      cancel: () => {
        subscriber.cancelled = true;
        this.#subscribers.delete(subscriber);
      },
    };
  }

  staleness: number | undefined = 0;
  told: RegionOverview = { others: [], owners: [] };

  stalenessMs(namespace: string): number | undefined {
    return namespace === this.#namespace ? this.staleness : undefined;
  }

  failSubscribers(error: CausewayError): void {
    for (const subscriber of this.#subscribers) subscriber.sink.failed(error);
  }

  digests(asOfMs: number): readonly ShardDigest[] {
    return Array.from(this.#vectors, ([shard, vector]) => ({
      shard,
      digest: '0123456789abcdef',
      keys: this.#log.get(shard)?.length ?? 0,
      asOfMs,
      vector,
    }));
  }

  allDigests(asOfMs: number, done: (digests: readonly ShardDigest[]) => void): void {
    done(this.digests(asOfMs));
  }

  sharedState(): SharedState {
    return { revision: 'r', definitions: [], shards: [...this.#vectors.keys()], stalenessMs: new Map() };
  }

  moveShard(
    shard: ShardId,
    node: string | undefined,
    _deadlineMs: number,
    done: (moved: MovedShard | CausewayError) => void,
  ): void {
    if (this.told.owners.length === 0) done(new CausewayError('PRECONDITION_FAILED', 'it has one node'));
    else
      done({ shard, owner: { node: node ?? 'home', address: 'x:1' }, pinned: node, loadPerS: undefined, moved: true });
  }

  overview(done: (overview: RegionOverview) => void): void {
    done(this.told);
  }

  status(): RegionStatus {
    const nowMs = this.#system.clock.nowMs();
    return {
      region: this.id,
      node: `${this.id}-1`,
      version: '0.1.0',
      startedAtMs: nowMs - 1000,
      nowMs,
      state: this.#ready ? 'ready' : 'catching-up',
      stateReason: this.#ready ? '' : 'told so by a test',
      log: { engine: 'memory', durable: false, detail: 'memory', state: { kind: 'ready' }, bytes: 1 },
      store: { engine: 'memory', bytes: 2 },
      peers: [
        {
          region: regionId('far-away'),
          link: { kind: 'down', reason: 'connection refused', retryInMs: 250 },
          lagMs: 12.5,
          opLagMsP50: undefined,
          opLagMsP99: undefined,
          clock: { offsetMs: -3, rttMs: 80 },
          unacknowledgedOps: 7,
        },
      ],
      shards: Array.from(this.#vectors, ([shard, vector]) => ({
        shard,
        origins: Array.from(vector, ([origin, seq]) => ({
          origin,
          seq,
          watermark: Infinity,
          state: 'open' as const,
          held: undefined,
        })),
        ownOrigin: this.origin,
        parkedBatches: 0,
        tombstones: 0,
      })),
      collections: [...this.#collections.values()],
      keys: this.#entries.size,
      counters: {
        accepted: this.applied.length,
        refused: 0,
        duplicatesAnswered: 0,
        appliedRemote: 0,
        duplicateBatches: 0,
        conflicts: 0,
        bytesReceived: 0,
        commits: 0,
      },
      alarms: [{ sinceMs: 5, code: 'clock-hold', message: 'a test' }],
      clock: { maxSkewMs: 2000, aheadMs: 0 },
      hotKeys: {
        written: [{ namespace: this.#namespace, collection: 'profiles', key: 'anna', perS: 12.5, share: 0.5 }],
        read: [],
      },
    };
  }

  /** All of it in one page; it has no log but its events. */
  history({ namespace, collection, key }: HistoryRequest, done: (history: KeyHistory | CausewayError) => void): void {
    const found = this.#collections.get(collection)!;
    const nowMs = this.#system.clock.nowMs();
    for (const [shard, events] of this.#log) {
      const changes = events.flatMap((event, i) =>
        event.key === key && event.collection.name === collection && namespace === this.#namespace
          ? [{ ...event, offset: i + 1, landedAfterMs: nowMs, landedBeforeMs: nowMs, acknowledgedBy: [] }]
          : [],
      );
      if (changes.length === 0) continue;
      done({
        shard,
        collection: found,
        changes: changes.toReversed(),
        next: undefined,
        view: undefined,
        logStart: 1,
        nowMs,
      });
      return;
    }
    done({
      shard: shardId(1, 0),
      collection: found,
      changes: [],
      next: undefined,
      view: undefined,
      logStart: 1,
      nowMs,
    });
  }

  /** Of conflictList, newest first whatever is asked for; a page token is a place in it. */
  conflicts(query: ConflictQuery, done: (page: ConflictPage | CausewayError) => void): void {
    const { namespace, limit, after } = query;
    const wanted = this.conflictList
      .filter(({ collection }) => namespace === '' || collection.namespace === namespace)
      .toReversed()
      .filter(({ offset }) => after === undefined || offset < after.offset);
    const conflicts = wanted.slice(0, limit);
    const next = wanted.length > limit ? conflicts.at(-1) : undefined;
    done({
      conflicts,
      next,
      total: this.conflictList.length,
      dropped: 0,
      droppedUntilMs: 0,
      shards: [...this.#vectors.keys()],
    });
  }

  conflictsOf(_shard: ShardId, loser: Dot, done: (conflicts: readonly Conflict[] | CausewayError) => void): void {
    done(this.conflictList.filter((conflict) => conflict.loser.seq === loser.seq));
  }

  /** The list as it is now, and then silence. */
  watchConflicts(_request: TailRequest, sink: ConflictSink): ConflictSubscription {
    const last = this.conflictList.at(-1);
    if (last !== undefined) {
      const { offset, index, loser } = last;
      sink.conflicts(this.conflictList, new Map([[last.shard, { offset, index, loserStamp: loser.stamp }]]), false);
    }
    return { resume: () => undefined, cancel: () => undefined };
  }

  restoreConflict(request: RestoreRequest, done: (restored: Restored | CausewayError) => void): void {
    this.restores.push(request);
    const conflicts = this.conflictList.filter(({ loser }) => loser.seq === request.loser.seq);
    if (conflicts.length === 0) done(new CausewayError('KEY_NOT_FOUND', 'no such loser'));
    else done({ conflicts, version: { origin: this.origin, seq: 9, stamp: 9 } });
  }

  ready(): boolean {
    return this.#ready;
  }

  onReady(listener: (ready: boolean) => void): void {
    this.#readyListeners.push(listener);
  }

  #notReady(): CausewayError | undefined {
    return this.#ready ? undefined : new CausewayError('NOT_READY', 'told so by a test');
  }

  #answer(answer: () => void): void {
    if (this.#stalling) this.#stalled.push(answer);
    else answer();
  }

  #vector(shard: ShardId): Map<OriginId, number> {
    const vector = this.#vectors.get(shard);
    if (vector === undefined) throw new Error(`no shard ${shard}`);
    return vector;
  }

  /** The newest stamp of each origin. */
  #stamps(shard: ShardId): Map<OriginId, number> {
    const stamps = new Map<OriginId, number>();
    for (const { version } of this.#log.get(shard) ?? []) stamps.set(version.origin, version.stamp);
    return stamps;
  }

  #apply(op: WriteOp, request: WriteRequest): WriteResult {
    const collection = this.#collections.get(op.collection);
    if (collection === undefined) return { ok: false, error: new CausewayError('UNKNOWN_COLLECTION', op.collection) };
    const { idempotency } = op;
    const name =
      idempotency === undefined
        ? undefined
        : idempotency.kind === 'producer'
          ? `p${idempotency.producer}/${idempotency.seq}`
          : `k${idempotency.key}`;
    const first = name === undefined ? undefined : this.#results.get(name);
    if (first !== undefined) return { ...first, duplicate: true };
    if (!TAKES[collection.type].includes(op.intent.kind)) {
      return {
        ok: false,
        error: new CausewayError('WRONG_OPERATION', `${collection.type} takes no ${op.intent.kind}`),
      };
    }
    const view = this.#entries.get(`${op.collection}/${op.key}`)?.view;
    const { condition } = op;
    const holds =
      condition === undefined ||
      (condition.kind === 'absent' && view === undefined) ||
      (condition.kind === 'exists' && view !== undefined) ||
      (condition.kind === 'version' && view?.type === 'register-lww' && sameVersion(view.version, condition.version));
    if (!holds) return { ok: false, error: new CausewayError('PRECONDITION_FAILED', 'the condition does not hold') };

    const shard = shardOf(op.key);
    for (const stamps of request.session?.values() ?? []) {
      for (const stamp of stamps.values()) this.#stamp = Math.max(this.#stamp, stamp);
    }
    this.#stamp = Math.max(this.#stamp, request.seenStamp ?? 0);
    this.#stamp = Math.max(this.#stamp + 1, (this.#system.clock.nowMs() - EPOCH_MS) * 4096);
    const version = { origin: this.origin, seq: (this.#vector(shard).get(this.origin) ?? 0) + 1, stamp: this.#stamp };
    this.applied.push(op);
    this.#append(shard, {
      shard,
      version,
      collection,
      key: op.key,
      op: describe(op.intent),
      trace: op.trace,
      view: undefined,
    });
    const result = { ok: true, shard, version, duplicate: false } as const;
    if (name !== undefined) this.#results.set(name, result);
    const lost = this.loseAnswer(op);
    return lost === undefined ? result : { ok: false, error: lost };
  }

  #append(shard: ShardId, event: FeedEvent): void {
    const name = `${event.collection.name}/${event.key}`;
    const view = next(this.#entries.get(name)?.view, event);
    if (view === undefined) this.#entries.delete(name);
    else this.#entries.set(name, { view });
    this.#log.get(shard)?.push({ ...event, view });
    this.#vector(shard).set(event.version.origin, event.version.seq);
  }

  #startAt(request: SubscribeRequest, shard: ShardId, events: readonly FeedEvent[]): number {
    const { start } = request;
    switch (start.kind) {
      case 'beginning':
        return 0;
      case 'now':
        return events.length;
      case 'time': {
        const at = events.findIndex(({ version }) => Math.floor(version.stamp / 4096) + EPOCH_MS >= start.unixMs);
        return at === -1 ? events.length : at;
      }
      case 'cursor':
        return firstNotCovered(start.cursor, shard, events);
    }
  }

  #feed(): void {
    for (const subscriber of this.#subscribers) this.#feedOne(subscriber);
  }

  #feedOne(subscriber: Subscriber): void {
    const { request, sink } = subscriber;
    for (const [shard, log] of this.#log) {
      if (request.shards?.has(shardParts(shard).index) === false) continue;
      for (;;) {
        if (subscriber.waiting || subscriber.cancelled) return;
        const at = subscriber.at.get(shard) ?? 0;
        if (at >= log.length) break;
        const some = log.slice(at, at + 100);
        subscriber.at.set(shard, at + some.length);
        const cursor = new Map<OriginId, number>();
        for (const { version } of some) cursor.set(version.origin, version.seq);
        const covered = request.start.kind === 'cursor' ? request.start.cursor.get(shard) : undefined;
        const events = some.filter(
          ({ key, collection, version }) =>
            key.startsWith(request.keyPrefix) &&
            (request.collections.length === 0 || request.collections.includes(collection.name)) &&
            version.seq > (covered?.get(version.origin) ?? 0),
        );
        this.deliveredTo += events.length;
        if (!sink.events(events, shard, cursor)) subscriber.waiting = true;
      }
    }
  }
}

const TAKES: Readonly<Record<MergeTypeName, readonly Intent['kind'][]>> = {
  'register-lww': ['put', 'delete'],
  'register-mv': ['put', 'delete'],
  'counter-pn': ['increment', 'delete'],
  'set-aw': ['set-add', 'set-remove', 'delete'],
  'map-lww': ['map-update', 'delete'],
};

export function shardOf(key: string): ShardId {
  let hash = 0;
  for (let i = 0; i < key.length; i++) hash = (hash * 31 + key.charCodeAt(i)) % 1_000_003;
  return shardId(1, hash % SHARDS);
}

function sameVersion(a: Version, b: Version): boolean {
  return a.origin === b.origin && a.seq === b.seq && a.stamp === b.stamp;
}

function firstNotCovered(cursor: FeedCursor, shard: ShardId, events: readonly FeedEvent[]): number {
  const vector = cursor.get(shard);
  const at = events.findIndex(({ version }) => version.seq > (vector?.get(version.origin) ?? 0));
  return at === -1 ? events.length : at;
}

function describe(intent: Intent): OpDescription {
  return intent.kind === 'delete' ? { kind: 'delete' } : intent;
}

function next(view: View | undefined, event: FeedEvent): View | undefined {
  const { op, version, collection } = event;
  switch (op.kind) {
    case 'delete':
      return undefined;
    case 'put':
      if (collection.type === 'register-mv') return { type: 'register-mv', siblings: [{ value: op.value, version }] };
      return { type: 'register-lww', value: op.value, version, expiresAtMs: op.expiresAtMs };
    case 'increment':
      return { type: 'counter-pn', value: (view?.type === 'counter-pn' ? view.value : 0n) + op.by };
    case 'set-add':
    case 'set-remove': {
      const elements = new Map(
        (view?.type === 'set-aw' ? view.elements : []).map((bytes) => [Buffer.from(bytes).toString('hex'), bytes]),
      );
      for (const element of op.elements) {
        if (op.kind === 'set-add') elements.set(Buffer.from(element).toString('hex'), element);
        else elements.delete(Buffer.from(element).toString('hex'));
      }
      const sorted = [...elements].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes);
      return sorted.length === 0 ? undefined : { type: 'set-aw', elements: sorted };
    }
    case 'map-update': {
      const fields = new Map((view?.type === 'map-lww' ? view.fields : []).map((field) => [field.field, field]));
      for (const { field, value } of op.put) fields.set(field, { field, value, version });
      for (const field of op.remove) fields.delete(field);
      const sorted = [...fields.values()].toSorted((a, b) => (a.field < b.field ? -1 : 1));
      return sorted.length === 0 ? undefined : { type: 'map-lww', fields: sorted };
    }
  }
}
