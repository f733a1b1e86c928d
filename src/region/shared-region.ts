// A region of several nodes, seen from one of them: what concerns a shard goes to the node that owns it, and comes back as if it had been done here.
// Owns: taking requests apart by owner, and putting the answers together again. What may be read and written is the owner's to say.
//
// - One hop: a request that another node has passed on is answered by the node itself, without this (api/env.ts), so that two nodes whose maps
//   differ do not send it round for ever.
// - What was asked while its shard changes hands is asked again of whoever has it then, for a while (shared-writes.ts keeps the order of writes).
//
// Bounds: as many requests wait for another node as their senders may have under way (api/write-stream.ts, api/env.ts).

import { CausewayError, toCausewayError } from '../errors/errors.ts';
import { viewBytes } from '../merge/view-bytes.ts';
import type { Dot, ShardId } from '../record/ids.ts';
import { shardParts } from '../record/ids.ts';
import { compareKeys } from '../record/key-order.ts';
import type { System } from '../system/system.ts';
import type { RegionNode } from './node.ts';
import { FollowedNodes } from './followed-nodes.ts';
import { gather, HERE, Owners, type Owner } from './owners.ts';
import type {
  AlterSpec,
  ChangeOptions,
  CollectionChange,
  CollectionChanged,
  CollectionInfo,
  Conflict,
  ConflictPage,
  ConflictQuery,
  ConflictSink,
  ConflictSubscription,
  CreateSpec,
  DropSpec,
  FeedSink,
  FeedSubscription,
  HistoryRequest,
  KeyHistory,
  MovedShard,
  NodeAddress,
  OtherNode,
  ReadRequest,
  ReadResult,
  Region,
  RegionOverview,
  Restored,
  RestoreRequest,
  ScanRequest,
  ScanResult,
  ShardDigest,
  ShardOwner,
  SubscribeRequest,
  TailRequest,
  WriteRequest,
  WriteResult,
} from './region.ts';
import { askOneCut } from './shared-cut.ts';
import { mergePages, SharedTail, type JournalPart } from './shared-journal.ts';
import { SharedWrites } from './shared-writes.ts';
import type { SharedOwnership, Siblings } from './siblings.ts';
import { DEADLINE_MS_MAX } from './waiting-calls.ts';

const AGAIN_MS = 50;
/** As writes wait for the next owner of a shard. */
const MOVE_MS_MAX = 5000;

export class SharedRegion implements Region {
  readonly id: Region['id'];
  readonly placementOf: Region['placementOf'];
  readonly collection: Region['collection'];
  readonly collections: Region['collections'];
  readonly sharedState: Region['sharedState'];
  readonly stalenessMs: Region['stalenessMs'];
  readonly digests: Region['digests'];
  readonly status: Region['status'];
  readonly #node: RegionNode;
  readonly #siblings: Siblings;
  readonly #system: System;
  readonly #ownership: SharedOwnership;
  readonly #owners: Owners;
  readonly #followed: FollowedNodes;
  readonly #tails = new Map<SharedTail, ReadonlyMap<Owner, ReadonlySet<ShardId>>>();
  readonly #writes: SharedWrites;
  readonly #readyListeners: ((ready: boolean) => void)[] = [];
  #wasReady = false;
  /** Every shard has had an owner, and its definitions of collections are known. */
  #settled = false;
  /** A read has waited in vain for the next owner of a shard. */
  #readsStuck = false;

  constructor(node: RegionNode, ownership: SharedOwnership, siblings: Siblings, system: System) {
    this.#node = node;
    this.#siblings = siblings;
    this.#system = system;
    this.#ownership = ownership;
    this.#owners = new Owners(node.id, node.node, ownership);
    this.#followed = new FollowedNodes(node, this.#owners, siblings, system, () => this.#checkReady());
    this.#writes = new SharedWrites(node, this.#owners, siblings, system);
    ownership.onMoved((shard) => this.#moved(shard));
    ownership.onChange((shard) => this.#changed(shard));
    this.id = node.id;
    this.placementOf = (namespace) => node.placementOf(namespace);
    this.collection = (namespace, name) => node.collection(namespace, name);
    this.collections = () => node.collections();
    this.stalenessMs = (namespace) => this.#followed.stalenessMs(namespace);
    this.sharedState = (unlessRevision) => node.sharedState(unlessRevision);
    this.digests = (asOfMs) => node.digests(asOfMs);
    this.status = () => node.status();
    node.onReady(() => this.#checkReady());
  }

  /** Begins to follow the other nodes; until they have told what collections there are the region is not ready. */
  start(): void {
    this.#followed.start();
  }

  stop(): void {
    this.#followed.stop();
  }

  /** Of the whole region: this node, and an owner of every shard, whose definitions of collections are known. Once it was so, those that change hands are told
   *  one by one. */
  ready(): boolean {
    this.#settled ||= this.#node
      .allShards()
      .every((shard) => this.#owners.of(shard) !== undefined && this.#node.knowsDefinitionsOf(shard));
    return this.#settled && this.#node.ready();
  }

  onReady(listener: (ready: boolean) => void): void {
    this.#readyListeners.push(listener);
  }

  /** The others' part of it changes without the node: looked at several times a second. */
  #checkReady(): void {
    const ready = this.ready();
    if (ready === this.#wasReady) return;
    this.#wasReady = ready;
    for (const listener of this.#readyListeners) listener(ready);
  }

  // ── Writes ──────────────────────────────────────────────────────────────────────────────────────────────────────

  write(request: WriteRequest, done: (results: readonly WriteResult[]) => void): void {
    this.#writes.write(request, done);
  }

  // ── Reads ───────────────────────────────────────────────────────────────────────────────────────────────────────

  read(request: ReadRequest, done: (result: ReadResult | CausewayError) => void): void {
    this.#whileMoving(
      request.deadlineMs,
      (deadlineMs, answered) => this.#read({ ...request, deadlineMs }, answered),
      done,
    );
  }

  /** Asks again while it is a shard's move that stands in the way; what is asked changes nothing. */
  #whileMoving<T>(
    deadlineMs: number,
    ask: (deadlineMs: number, answered: (result: T | CausewayError) => void) => void,
    done: (result: T | CausewayError) => void,
  ): void {
    const { clock, timers } = this.#system;
    const beganMs = clock.monotonicMs();
    const attempt = (): void => {
      ask(beganMs + deadlineMs - clock.monotonicMs(), (result) => {
        const waitedMs = clock.monotonicMs() - beganMs + AGAIN_MS;
        const moving = result instanceof CausewayError && isMoving(result);
        if (moving && !this.#readsStuck && waitedMs < Math.min(deadlineMs, MOVE_MS_MAX)) {
          timers.after(AGAIN_MS, attempt);
          return;
        }
        // Whoever reads next goes elsewhere at once, until the map has changed.
        this.#readsStuck ||= moving && waitedMs >= MOVE_MS_MAX;
        done(result);
      });
    };
    attempt();
  }

  #read(request: ReadRequest, done: (result: ReadResult | CausewayError) => void): void {
    const parts = new Map<Owner, number[]>();
    for (let i = 0; i < request.keys.length; i++) {
      const shard = this.#node.shardFor(request.namespace, request.collection, request.keys[i]!);
      const owner = shard === undefined ? HERE : this.#owners.of(shard);
      if (owner === undefined) {
        done(this.#owners.noOwner(shard!));
        return;
      }
      const part = parts.get(owner);
      if (part === undefined) parts.set(owner, [i]);
      else part.push(i);
    }
    if (parts.size > (parts.has(HERE) ? 1 : 0)) request.passedOn?.();
    const [only] = parts.keys();
    if (parts.size <= 1) {
      if (only === undefined || only === HERE) this.#node.read(request, done);
      else this.#siblings.read(only, request, done);
      return;
    }
    const places = [...parts];
    const ask = (of: ReadRequest, answered: (results: readonly ReadResult[] | CausewayError) => void): void =>
      gather<ReadResult>(
        places.map(([owner, indexes]) => (result) => {
          const part = { ...of, keys: indexes.map((i) => of.keys[i]!) };
          if (owner === HERE) this.#node.read(part, result);
          else this.#siblings.read(owner, part, result);
        }),
        answered,
      );
    this.#levelled(request, ask, (results) => {
      if (results instanceof CausewayError) {
        done(results);
        return;
      }
      const views = Array.from<ReadResult['views'][number]>({ length: request.keys.length });
      places.forEach(([, indexes], part) => indexes.forEach((at, i) => (views[at] = results[part]!.views[i])));
      done({ views, ...together(results) });
    });
  }

  /** Of all owners; at level `stable` as of one cut. */
  #levelled<Q extends ReadRequest | ScanRequest, R extends ReadResult | ScanResult>(
    request: Q,
    ask: (request: Q, answered: (results: readonly R[] | CausewayError) => void) => void,
    done: (results: readonly R[] | CausewayError) => void,
  ): void {
    const { kind } = request.consistency;
    if (kind !== 'stable') {
      ask(request, done);
      return;
    }
    const atOne = (
      atStamp: number | undefined,
      deadlineMs: number,
      answered: (results: readonly R[] | CausewayError) => void,
    ): void => ask({ ...request, consistency: { kind, atStamp }, deadlineMs }, answered);
    askOneCut(this.#system, this.id, Math.min(request.deadlineMs, DEADLINE_MS_MAX), atOne, done);
  }

  scan(request: ScanRequest, done: (result: ScanResult | CausewayError) => void): void {
    this.#whileMoving(
      request.deadlineMs,
      (deadlineMs, answered) => this.#scan({ ...request, deadlineMs }, answered),
      done,
    );
  }

  #scan(request: ScanRequest, done: (result: ScanResult | CausewayError) => void): void {
    const parts = this.#partsOf(request.namespace, request.shards);
    if (parts instanceof CausewayError) {
      done(parts);
      return;
    }
    const [only] = parts.keys();
    if (parts.size <= 1) {
      if (only === undefined || only === HERE) this.#node.scan(request, done);
      else this.#siblings.scan(only, { ...request, shards: parts.get(only)! }, done);
      return;
    }
    const ask = (of: ScanRequest, answered: (results: readonly ScanResult[] | CausewayError) => void): void =>
      gather<ScanResult>(
        [...parts].map(([owner, shards]) => (result) => {
          const part = { ...of, shards };
          if (owner === HERE) this.#node.scan(part, result);
          else this.#siblings.scan(owner, part, result);
        }),
        answered,
      );
    this.#levelled(request, ask, (results) =>
      done(results instanceof CausewayError ? results : merged(results, request)),
    );
  }

  /** By owner, the shards of the namespace, by their index. */
  #partsOf(namespace: string, wanted: ReadonlySet<number> | undefined): Map<Owner, Set<number>> | CausewayError {
    const parts = new Map<Owner, Set<number>>();
    for (const shard of this.#node.shardsOf(namespace)) {
      const { index } = shardParts(shard);
      if (wanted?.has(index) === false) continue;
      const owner = this.#owners.of(shard);
      if (owner === undefined) return this.#owners.noOwner(shard);
      const part = parts.get(owner);
      if (part === undefined) parts.set(owner, new Set([index]));
      else part.add(index);
    }
    return parts;
  }

  // ── The feed ────────────────────────────────────────────────────────────────────────────────────────────────────

  subscribe(request: SubscribeRequest, sink: FeedSink): FeedSubscription {
    const parts = this.#partsOf(request.namespace, request.shards);
    if (parts instanceof CausewayError) {
      sink.failed(parts);
      return { resume: () => undefined, cancel: () => undefined };
    }
    if (parts.size === 0 || (parts.size === 1 && parts.has(HERE))) return this.#node.subscribe(request, sink);
    const subscriptions: FeedSubscription[] = [];
    let over = false;
    const cancel = (): void => {
      over = true;
      for (const subscription of subscriptions) subscription.cancel();
    };
    const shared: FeedSink = {
      events: (events, shard, cursor) => over || sink.events(events, shard, cursor),
      failed: (error) => {
        if (over) return;
        cancel();
        sink.failed(error);
      },
    };
    for (const [owner, shards] of parts) {
      if (over) break;
      const part = { ...request, shards };
      const subscription =
        owner === HERE ? this.#node.subscribe(part, shared) : this.#siblings.subscribe(owner, part, shared);
      if (over) subscription.cancel();
      else subscriptions.push(subscription);
    }
    return {
      resume: () => {
        for (const subscription of subscriptions) subscription.resume();
      },
      cancel,
    };
  }

  // ── What is asked about all shards, or one ──────────────────────────────────────────────────────────────────────

  /** Of every owner, for its own shards: what it says of others is left out by whoever puts the answers together. */
  #ofAll<T>(
    ask: (owner: Owner, answered: (result: T | CausewayError) => void) => void,
    done: (results: readonly (readonly [ReadonlySet<ShardId>, T])[] | CausewayError) => void,
    told: (result: T) => Iterable<ShardId>,
  ): void {
    const parts = this.#owners.partsOf(this.#node.allShards());
    if (parts instanceof CausewayError) {
      done(parts);
      return;
    }
    gather<readonly [ReadonlySet<ShardId>, T]>(
      [...parts].map(([owner, shards]) => (answered) => {
        ask(owner, (result) => {
          if (result instanceof CausewayError) {
            answered(this.#owners.failed(owner, shards, result));
            return;
          }
          const has = new Set(told(result));
          const lacks = [...shards].find((shard) => !has.has(shard));
          answered(lacks === undefined ? [shards, result] : this.#owners.untold(owner, lacks));
        });
      }),
      done,
    );
  }

  /** To its owner; `here`: to this node, which knows what to say of what is no shard of the region. */
  #toOwner<T>(
    shard: ShardId | undefined,
    here: (done: (result: T | CausewayError) => void) => void,
    there: (owner: Owner, done: (result: T | CausewayError) => void) => void,
    done: (result: T | CausewayError) => void,
  ): void {
    const known = shard !== undefined && this.#node.members(shard).length > 0;
    const owner = known ? this.#owners.of(shard) : HERE;
    if (owner === undefined) done(this.#owners.noOwner(shard!));
    else if (owner === HERE) here(done);
    else {
      there(owner, (result) =>
        done(result instanceof CausewayError ? this.#owners.failed(owner, [shard!], result) : result),
      );
    }
  }

  allDigests(asOfMs: number, done: (digests: readonly ShardDigest[] | CausewayError) => void): void {
    this.#ofAll<readonly ShardDigest[]>(
      (owner, answered) => {
        if (owner === HERE) answered(this.#node.digests(asOfMs));
        else this.#siblings.digests(owner, asOfMs, answered);
      },
      (results) => {
        if (results instanceof CausewayError) done(results);
        else
          done(results.flatMap(([shards, digests]) => digests.filter(({ shard }) => shards.has(shard))).sort(byShard));
      },
      (digests) => digests.map(({ shard }) => shard),
    );
  }

  shardOwners(namespace: string): readonly (NodeAddress | undefined)[] {
    return this.#node.shardsOf(namespace).map((shard) => this.#ownership.ownerOf(shard));
  }

  overview(done: (overview: RegionOverview) => void): void {
    const owners = this.#node.allShards().map((shard): ShardOwner => ({
      shard,
      owner: this.#ownership.ownerOf(shard),
      pinned: this.#ownership.pinnedTo(shard),
      loadPerS: this.#ownership.loadOf(shard),
    }));
    gather<OtherNode>(
      this.#ownership.others().map(({ node, address, living }) => (answered) => {
        if (!living) {
          answered({ node, address, status: undefined, problem: 'it has been silent for longer than its lease' });
          return;
        }
        this.#siblings.status(address, (status) => {
          const failed = status instanceof CausewayError;
          answered({ node, address, status: failed ? undefined : status, problem: failed ? status.message : '' });
        });
      }),
      // Nobody answers with an error.
      (others) => done({ others: others instanceof CausewayError ? [] : others, owners }),
    );
  }

  moveShard(
    shard: ShardId,
    node: string | undefined,
    deadlineMs: number,
    done: (owner: MovedShard | CausewayError) => void,
  ): void {
    const ownership = this.#ownership;
    const { clock, timers } = this.#system;
    if (this.#node.members(shard).length === 0) {
      done(noSuchShard(this.id, shard, this.#node.allShards()));
      return;
    }
    const living = [this.#node.node, ...ownership.others().flatMap((other) => (other.living ? other.node : []))];
    if (node !== undefined && !living.includes(node)) {
      done(noSuchNode(this.id, node, living));
      return;
    }
    const endMs = clock.monotonicMs() + Math.min(deadlineMs, DEADLINE_MS_MAX);
    const look = (): void => {
      const owner = ownership.ownerOf(shard);
      const pinned = ownership.pinnedTo(shard);
      const moved = pinned === node && owner !== undefined && owner.node === ownership.wantedOwner(shard);
      if (moved || clock.monotonicMs() >= endMs)
        done({ shard, owner, pinned, loadPerS: ownership.loadOf(shard), moved });
      else timers.after(AGAIN_MS, look);
    };
    const failed = (error: unknown): void => done(toCausewayError(error));
    void ownership.move(shard, node).then(look, failed);
  }

  // ── Collections of run time ─────────────────────────────────────────────────────────────────────────────────────

  createCollection(spec: CreateSpec, options: ChangeOptions, done: CollectionChanged): void {
    this.#change(
      spec,
      options,
      (left, answered) => this.#node.createCollection(spec, left, answered),
      (owner, left, answered) => this.#siblings.createCollection(owner, spec, left, answered),
      done,
    );
  }

  alterCollection(spec: AlterSpec, options: ChangeOptions, done: CollectionChanged): void {
    this.#change(
      spec,
      options,
      (left, answered) => this.#node.alterCollection(spec, left, answered),
      (owner, left, answered) => this.#siblings.alterCollection(owner, spec, left, answered),
      done,
    );
  }

  dropCollection(spec: DropSpec, options: ChangeOptions & { readonly force: boolean }, done: CollectionChanged): void {
    const { force } = options;
    this.#change(
      spec,
      options,
      (left, answered) => this.#node.dropCollection(spec, { ...left, force }, answered),
      (owner, left, answered) => this.#siblings.dropCollection(owner, spec, { ...left, force }, answered),
      done,
    );
  }

  /** By the owner of the definition. When it is answered this node serves it as well; with `wait` every node of the region that answers. */
  #change(
    { namespace, name }: { readonly namespace: string; readonly name: string },
    options: ChangeOptions,
    here: (options: ChangeOptions, answered: CollectionChanged) => void,
    there: (owner: Owner, options: ChangeOptions, answered: CollectionChanged) => void,
    done: CollectionChanged,
  ): void {
    const shard = this.#node.shardOfDefinition(namespace, name);
    const endMs = this.#system.clock.monotonicMs() + Math.min(options.deadlineMs, DEADLINE_MS_MAX);
    this.#toOwner<CollectionChange>(
      shard,
      (answered) => here(options, answered),
      (owner, answered) => there(owner, options, answered),
      (change) => {
        if (change instanceof CausewayError) {
          done(change);
          return;
        }
        const heard = (): void => {
          if (options.wait) this.#untilAllKnow(change, endMs, done);
          else done(change);
        };
        const owner = shard === undefined ? HERE : this.#owners.of(shard);
        if (owner === undefined || owner === HERE) heard();
        else this.#followed.refresh(owner, heard);
      },
    );
  }

  /** `settled` only when the other nodes that live have heard of it too; at the deadline all the same. */
  #untilAllKnow(change: CollectionChange, endMs: number, done: CollectionChanged): void {
    const [first] = change.collections;
    const others = this.#ownership.others().filter(({ living }) => living);
    if (first === undefined || others.length === 0) {
      done(change);
      return;
    }
    const { namespace, name } = first.ref;
    const look = (): void => {
      gather<boolean>(
        others.map(({ address }) => (answered) => {
          this.#siblings.collections(address, namespace, name, (known) =>
            answered(!(known instanceof CausewayError) && change.collections.every((one) => isAmong(one, known))),
          );
        }),
        (all) => {
          if (!(all instanceof CausewayError) && all.every(Boolean)) done(change);
          else if (this.#system.clock.monotonicMs() + AGAIN_MS < endMs) this.#system.timers.after(AGAIN_MS, look);
          else done({ ...change, collections: change.collections.map((one) => ({ ...one, settled: false })) });
        },
      );
    };
    look();
  }

  // ── One key, and the journal ────────────────────────────────────────────────────────────────────────────────────

  history(request: HistoryRequest, done: (history: KeyHistory | CausewayError) => void): void {
    this.#toOwner<KeyHistory>(
      this.#node.shardFor(request.namespace, request.collection, request.key),
      (answered) => this.#node.history(request, answered),
      (owner, answered) => this.#siblings.history(owner, request, answered),
      done,
    );
  }

  conflicts(query: ConflictQuery, done: (page: ConflictPage | CausewayError) => void): void {
    this.#ofAll<ConflictPage>(
      (owner, answered) => {
        if (owner === HERE) this.#node.conflicts(query, answered);
        else this.#siblings.conflicts(owner, query, answered);
      },
      (results) => {
        if (results instanceof CausewayError) done(results);
        else
          done(
            mergePages(
              results.map(([shards, page]): JournalPart => ({ shards, page })),
              query,
            ),
          );
      },
      ({ shards }) => shards,
    );
  }

  conflictsOf(shard: ShardId, loser: Dot, done: (conflicts: readonly Conflict[] | CausewayError) => void): void {
    this.#toOwner<readonly Conflict[]>(
      shard,
      (answered) => this.#node.conflictsOf(shard, loser, answered),
      (owner, answered) => this.#siblings.conflictsOf(owner, shard, loser, answered),
      done,
    );
  }

  restoreConflict(request: RestoreRequest, done: (restored: Restored | CausewayError) => void): void {
    this.#toOwner<Restored>(
      request.shard,
      (answered) => this.#node.restoreConflict(request, answered),
      (owner, answered) => this.#siblings.restoreConflict(owner, request, answered),
      done,
    );
  }

  watchConflicts(request: TailRequest, sink: ConflictSink): ConflictSubscription {
    const parts = this.#owners.partsOf(this.#node.allShards());
    if (parts instanceof CausewayError) {
      sink.failed(parts);
      return { resume: () => undefined, cancel: () => undefined };
    }
    const begins = [...parts].map(([owner, shards]) => ({
      shards,
      begin: (part: ConflictSink): ConflictSubscription => {
        if (owner === HERE) return this.#node.watchConflicts(request, part);
        const failed = (error: CausewayError): void => part.failed(this.#owners.failed(owner, shards, error));
        return this.#siblings.watchConflicts(owner, request, {
          conflicts: (conflicts, cursor, lost) => part.conflicts(conflicts, cursor, lost),
          failed,
        });
      },
    }));
    const tail = new SharedTail(begins, sink, (ended) => this.#tails.delete(ended));
    if (!tail.over) this.#tails.set(tail, parts);
    return tail;
  }

  #changed(shard: ShardId): void {
    this.#readsStuck = false;
    this.#writes.moved(shard);
  }

  /** A stream of conflicts has been told by the owners of when it began. */
  #moved(shard: ShardId): void {
    this.#changed(shard);
    const owner = this.#owners.of(shard);
    if (owner === undefined) return;
    for (const [tail, parts] of this.#tails) {
      if (parts.get(owner)?.has(shard) === true) continue;
      tail.fail(
        new CausewayError('UNAVAILABLE', `shard ${shard} of ${this.id} has moved to another node`, {
          hint: 'go on with the cursor',
        }),
      );
    }
  }
}

function noSuchShard(region: string, shard: string, all: readonly ShardId[]): CausewayError {
  return new CausewayError('INVALID_ARGUMENT', `${region} has no shard ${shard}; it has ${all[0]!} to ${all.at(-1)!}`, {
    details: { field: 'shard' },
    hint: 'causeway status --shards lists them',
  });
}

function noSuchNode(region: string, node: string, living: readonly string[]): CausewayError {
  return new CausewayError(
    'INVALID_ARGUMENT',
    `${region} has no node ${node} that lives; there are ${living.toSorted().join(', ')}`,
    {
      details: { field: 'node' },
      hint: 'causeway status shows them',
    },
  );
}

/** Another node may have the shard, or have it in a moment. */
function isMoving({ code, retriable }: CausewayError): boolean {
  return retriable && (code === 'NOT_READY' || code === 'UNAVAILABLE');
}

function isAmong(wanted: CollectionInfo, known: readonly CollectionInfo[]): boolean {
  return known.some(
    ({ ref, state, description, defaultExpiryMs }) =>
      ref.id === wanted.ref.id &&
      state === wanted.state &&
      description === wanted.description &&
      defaultExpiryMs === wanted.defaultExpiryMs,
  );
}

function byShard(a: ShardDigest, b: ShardDigest): number {
  const [one, two] = [shardParts(a.shard), shardParts(b.shard)];
  return one.placementId - two.placementId || one.index - two.index;
}

/** What answers of several nodes say of themselves, as one. */
function together(results: readonly Omit<ReadResult, 'views'>[]): Omit<ReadResult, 'views'> {
  const stamps = results.flatMap(({ asOfStamp }) => asOfStamp ?? []);
  const changed = results.flatMap(({ unchangedSince }) => unchangedSince ?? []);
  return {
    session: new Map(results.flatMap(({ session }) => [...session])),
    stale: results.some(({ stale }) => stale),
    asOfStamp: stamps.length === results.length ? Math.min(...stamps) : undefined,
    unchangedSince: changed.length === results.length ? Math.max(...changed) : undefined,
  };
}

/** One page of those of several nodes: what is whole is what lies before every end. */
function merged(results: readonly ScanResult[], { limit, bytesMax }: ScanRequest): ScanResult {
  let low: string | undefined;
  for (const { next } of results)
    if (next !== undefined && (low === undefined || compareKeys(next, low) < 0)) low = next;
  const all = results
    .flatMap(({ entries }) => entries)
    .filter(({ key }) => low === undefined || compareKeys(key, low) <= 0)
    .sort((a, b) => compareKeys(a.key, b.key));
  let bytes = 0;
  let count = 0;
  for (const { key, view } of all) {
    bytes += viewBytes(view) + key.length;
    if (count === limit || (bytes > bytesMax && count > 0)) break;
    count++;
  }
  const entries = all.slice(0, count);
  return { entries, next: count < all.length ? entries.at(-1)!.key : low, ...together(results) };
}
