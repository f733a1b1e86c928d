// A node: the shards that it owns, the links to peers, the store behind the log, and what the API calls. It receives its ports and
// constructs none (compose.ts and the simulator do).
//
// Owns: the node's clock, the life of its shard runners (recover, ask the members, open, end), status. What clients ask for stands in
// writes.ts, readings.ts, collection-changes.ts and restores.ts.

import { AgreedTime } from '../clock/agreed-time.ts';
import { Hlc, msOfStamp } from '../clock/hlc.ts';
import { judgeOwnClock } from '../clock/skew.ts';
import { definitionKey } from '../collections/definition.ts';
import type { CollectionRegistry } from '../collections/registry.ts';
import { ConflictJournal } from '../conflicts/journal.ts';
import type { ShardJournal } from '../conflicts/shard-journal.ts';
import { CausewayError } from '../errors/errors.ts';
import { Feed, type FeedShard } from '../feed/feed.ts';
import type { Log } from '../log/log.ts';
import { mergeOf } from '../merge/merge.ts';
import type { View } from '../merge/types.ts';
import { peekShard } from '../record/batch.ts';
import {
  originRegion,
  shardId,
  shardParts,
  SYSTEM_NAMESPACE,
  type Dot,
  type OriginId,
  type RegionId,
  type ShardId,
} from '../record/ids.ts';
import { shardOf } from '../record/hash.ts';
import { afterPrefix, compareKeys } from '../record/key-order.ts';
import { DEFINITIONS, stateKey, type CollectionRef, type Op } from '../record/op.ts';
import type { ReadonlyVector } from '../record/vector.ts';
import type { Answers, ClockSample, LinkState, Received, ReplicationHost } from '../replication/host.ts';
import { Links } from '../replication/links.ts';
import type { BegunShard, WelcomeShard } from '../replication/messages.ts';
import type { ShardBeat } from '../shard/beat.ts';
import type { EngineOp, Landed } from '../shard/engine.ts';
import type { TimerHandle } from '../system/system.ts';
import { CANARIES } from '../tracing/canaries.ts';
import type { AppendFailure } from './append-queue.ts';
import { Canaries } from './canary.ts';
import { CollectionChanges } from './collection-changes.ts';
import { figuresOf, type NodeFigures } from './figures.ts';
import { Intake } from './intake.ts';
import { Beginnings } from './beginnings.ts';
import { ASK_WHOLE_MS } from './membership-check.ts';
import type { NodeLifecycle, NodePorts, NodeSettings, PlacementSettings } from './options.ts';
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
  FeedSink,
  FeedSubscription,
  HistoryRequest,
  KeyHistory,
  MovedShard,
  ReadRequest,
  ReadResult,
  Region,
  RegionOverview,
  RegionStatus,
  Restored,
  RestoreRequest,
  ScanRequest,
  ScanResult,
  ShardDigest,
  SharedState,
  SubscribeRequest,
  TailRequest,
  WriteRequest,
  WriteResult,
} from './region.ts';
import { readHistory } from './key-history.ts';
import { DropSweep, type SweptShard } from './drop-sweep.ts';
import { Readings } from './readings.ts';
import { Restores } from './restores.ts';
import { ShardFollowers, type ReadAhead } from './shard-follower.ts';
import { ShardRunner, type RunnerEvents } from './shard-runner.ts';
import { StableRead } from './stable-read.ts';
import type { KeyOf } from './state-cache.ts';
import { StableScan } from './stable-scan.ts';
import { SealRounds } from './seal-rounds.ts';
import { alarmsOf, peerStatus, shardStatus, stalenessOf } from './status.ts';
import { StoreWriter } from './store-writer.ts';
import { Tallies } from './tallies.ts';
import { DEADLINE_MS_MAX } from './waiting-calls.ts';
import { sweptShard, type SweptNode } from './swept-shard.ts';
import { WriteCall } from './write-call.ts';
import { Writes } from './writes.ts';

const TICK_MS = 50;
/** What other regions have said of themselves is passed on so often: it is for those who do not hear them, and two thirds of a beat. */
const PASS_ON_MS = 500;
const COLLECT_EVERY_MS = 1000;
/** A node that has been up for so long was not ended by its store: the next start may trust it, however this one ends. */
const CHECKPOINT_FIRST_MS = 3000;
const CHECKPOINT_EVERY_MS = 30_000;
const RESTART_RUNNER_MS = 100;
const DRAIN_POLL_MS = 5;
const CLASH_FORGOTTEN_MS = 60_000;
/** That are told of. */
const HOT_KEYS = 10;
/** A log that has not answered by then is left as it is: what is in it is found at the next start. */
const DRAIN_LOG_MS_MAX = 10_000;
/** A shard that moves to another node: writes that wait for other regions, and then the log. */
const RELEASE_MS_MAX = 2000;

export class RegionNode implements Region, ReplicationHost, NodeLifecycle {
  readonly id: RegionId;
  readonly region: RegionId;
  readonly node: string;
  readonly clusterId: string;
  readonly settingsHash: string;
  readonly instance: string;
  readonly log: Log;
  readonly clock = new Hlc();
  readonly settings: NodeSettings;
  readonly #ports: NodePorts;
  readonly #placements = new Map<number, PlacementSettings>();
  readonly #namespaces = new Map<string, PlacementSettings>();
  readonly #changes: CollectionChanges;
  readonly #collections: CollectionRegistry;
  /** Every shard that this region holds, owned by this node or not. */
  readonly #members = new Map<ShardId, readonly RegionId[]>();
  readonly #runners = new Map<ShardId, ShardRunner>();
  /** Shards that are given up in order: no writes, and then nothing at all. */
  readonly #leaving = new Map<ShardId, 'writes' | 'all'>();
  /** Of shards that other nodes own, and this one is to have. */
  readonly #followers: ShardFollowers;
  readonly #rounds: SealRounds;
  readonly #beginnings: Beginnings;
  readonly #links: Links;
  readonly #feed: Feed;
  readonly #writer: StoreWriter;
  readonly #readings: Readings;
  readonly #writes: Writes;
  readonly #linkStates = new Map<RegionId, LinkState>();
  readonly #agreed: AgreedTime;
  readonly #clockSamples = new Map<RegionId, ClockSample>();
  readonly #tallies: Tallies;
  readonly #journal: ConflictJournal;
  readonly #restores: Restores;
  readonly #canaries: Canaries | undefined;
  readonly #sweep: DropSweep;
  readonly #readyListeners: ((ready: boolean) => void)[] = [];
  readonly #timers: TimerHandle[] = [];
  readonly #counters = {
    accepted: 0,
    refused: 0,
    duplicatesAnswered: 0,
    appliedRemote: 0,
    duplicateBatches: 0,
    conflicts: 0,
    bytesReceived: 0,
    commits: 0,
  };
  readonly #startedAtMs: number;
  #passedOnAtMs = Number.NEGATIVE_INFINITY;
  #phase: 'starting' | 'running' | 'draining' | 'stopped' = 'starting';
  #clockUnsynced: { readonly sinceMs: number; readonly message: string } | undefined;
  /** Until the next start: what was set aside is for a person to look at. */
  #damaged: { readonly sinceMs: number; readonly message: string } | undefined;
  #storeAway: { readonly sinceMs: number; readonly message: string } | undefined;
  #readOnly: { readonly sinceMs: number; readonly message: string } | undefined;
  #identityClash: { readonly sinceMs: number; readonly region: RegionId; readonly message: string } | undefined;
  #fatal: CausewayError | undefined;
  #wasReady = false;
  /** At the end of a drain: nothing is appended any more. */
  #quiet = false;

  constructor(settings: NodeSettings, ports: NodePorts) {
    this.settings = settings;
    this.#ports = ports;
    this.id = settings.region;
    this.region = settings.region;
    this.node = settings.node;
    this.clusterId = settings.clusterId;
    this.settingsHash = settings.settingsHash;
    this.instance = ports.system.random.uint48().toString(16);
    this.log = ports.log;
    this.#startedAtMs = ports.system.clock.nowMs();
    this.#agreed = new AgreedTime(settings.maxSkewMs);
    this.#tallies = new Tallies(() => ports.system.clock.monotonicMs());
    for (const placement of settings.placements) {
      this.#placements.set(placement.id, placement);
      if (!placement.regions.includes(settings.region)) continue;
      for (let index = 0; index < placement.shards; index++) {
        this.#members.set(shardId(placement.id, index), placement.regions);
      }
    }
    for (const namespace of settings.namespaces) {
      const placement = this.#placements.get(namespace.placementId);
      if (placement !== undefined) this.#namespaces.set(namespace.name, placement);
    }
    this.#readings = new Readings({
      region: this.region,
      store: ports.store,
      runners: this.#runners,
      notReady: () => this.#notReady(),
      nowMs: () => this.#nowMs(),
      monotonicMs: () => this.#monotonicMs(),
    });
    this.#beginnings = new Beginnings({
      region: this.region,
      maxSkewMs: settings.maxSkewMs,
      allowFreshStart: settings.allowFreshStart,
      clock: this.clock,
      log: ports.log,
      system: ports.system,
      runners: this.#runners,
      clockOffsets: () => this.#clockOffsets(),
      isStarted: () => this.#phase !== 'starting',
      begin: (from, begin) => this.#links.begin(from, begin),
      opened: () => {
        this.#links.onOwnership();
        this.#checkReady();
      },
      notice: (level, message) => this.#notice(level, message),
    });
    this.#changes = new CollectionChanges(settings.collections, {
      region: this.region,
      ownerOf: (namespace, name) => this.#definer(namespace, name),
      shardOf: (namespace, name) => this.shardOfDefinition(namespace, name),
      holderOf: (namespace, name) => {
        const runner = this.#definer(namespace, name, false);
        return runner instanceof CausewayError ? undefined : runner;
      },
      write: (runner, op, deadlineMs, done) => this.#define(runner, op, deadlineMs, done),
      wait: (read) => this.#readings.wait(read),
      soon: (fn) => ports.system.timers.soon(fn),
      nowMs: () => this.#nowMs(),
      monotonicMs: () => this.#monotonicMs(),
      notice: (level, message) => this.#notice(level, message),
      known: () => this.#checkReady(),
    });
    this.#collections = this.#changes.registry;
    this.#writes = new Writes({
      region: this.region,
      limits: settings.limits,
      maxSkewMs: settings.maxSkewMs,
      clock: this.clock,
      log: ports.log,
      runners: this.#runners,
      collections: this.#collections,
      namespaces: this.#namespaces,
      phase: () => this.#phase,
      clockUnsynced: () => this.#clockUnsynced,
      storeBacklog: () => this.#writer.backlog,
      runnerOf: (placement, namespace, collection, key) => this.#runnerOf(placement, namespace, collection, key),
      movedAway: (shard) => this.#movedAway(shard),
      draining: () => this.#draining(),
      notReady: () => this.#notReady(),
      unknownCollection: (namespace, name) => this.#unknownCollection(namespace, name),
      wantAcks: () => this.#links.wantAcks(),
      written: (ops) => this.#tallies.written.written(ops),
      refused: (ops) => {
        this.#counters.refused += ops;
      },
      nowMs: () => this.#nowMs(),
      monotonicMs: () => this.#monotonicMs(),
    });
    this.#links = new Links(this, {
      peers: settings.peers,
      windowBytes: settings.limits.linkWindowBytes,
      heartbeatMs: settings.heartbeatMs,
      compression: settings.linkCompression,
      transport: ports.transport,
      system: ports.system,
      tracing: ports.tracing,
    });
    this.#feed = new Feed(ports.log, ports.system, (collection) => this.#collections.passedOver(collection));
    this.#events.intake.storeWrote(settings.limits.storeBacklogMax);
    this.#writer = new StoreWriter(
      ports.store,
      ports.system,
      { flushMs: settings.storeFlushMs, backlogMax: settings.limits.storeBacklogMax },
      () => this.#runners.values(),
      {
        wrote: () => this.#events.intake.storeWrote(settings.limits.storeBacklogMax - this.#writer.backlog),
        failed: (message) =>
          this.#notice('error', `the store cannot write: ${message}; it is behind the log until it can`),
      },
    );
    const { log, store, system } = ports;
    this.#followers = new ShardFollowers({ log, store, timers: system.timers }, settings.limits.idempotencyEntriesMax);
    this.#rounds = new SealRounds(ports.system, ports.log, () => this.#takeWaiting());
    if (ports.tracing !== undefined && (settings.canaryMs ?? 0) > 0) {
      this.#canaries = new Canaries({
        region: this.region,
        peers: settings.peers.map(({ region }) => region),
        system: ports.system,
        tracing: ports.tracing,
        write: (key, value, trace, other) => this.#writeCanary(key, value, trace, other),
      });
    }
    this.#sweep = new DropSweep({
      region: this.region,
      maxSkewMs: settings.maxSkewMs,
      system: ports.system,
      drops: () =>
        this.#changes.settledDrops().map((drop) => {
          return { ...drop, members: this.#namespaces.get(drop.collection.namespace)?.regions ?? [] };
        }),
      shardsOf: ({ namespace }) => this.#sweptShards(namespace),
    });
    const { conflictsMax, conflictsBytesMax, conflictsKeepMs } = settings.limits;
    this.#journal = new ConflictJournal(
      { entriesMax: conflictsMax, bytesMax: conflictsBytesMax, keepMs: conflictsKeepMs },
      () => this.#journals(),
    );
    this.#restores = new Restores({
      region: this.region,
      journal: this.#journal,
      runners: this.#runners,
      collection: (namespace, name) => this.collection(namespace, name),
      write: (request, done) => this.#writes.write(request, done),
      nowMs: () => this.#nowMs(),
      monotonicMs: () => this.#monotonicMs(),
    });
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Resolves when the log is open and replayed; `ready()` may still wait for the members. */
  async start(): Promise<void> {
    const { log, store, ownership, system } = this.#ports;
    const shards = [...this.#members.keys()];
    const recovery = await log.open(shards);
    for (const finding of recovery.findings) this.#notice('warn', finding);
    this.#beginnings.recovered(recovery, shards);
    await store.open(shards);
    if (recovery.state === 'damaged') {
      this.#damaged = {
        sinceMs: this.#nowMs(),
        message: `the log was damaged when this node started: ${recovery.findings.join('; ')}`,
      };
    }
    log.onState((state) => {
      this.#readOnly = state.kind === 'ready' ? undefined : { sinceMs: this.#nowMs(), message: state.reason };
      this.#notice(
        state.kind === 'ready' ? 'info' : 'error',
        `the log is ${state.kind}${state.kind === 'ready' ? '' : `: ${state.reason}`}`,
      );
      if (state.kind === 'ready') for (const shard of this.#runners.keys()) this.#beginnings.tryOpen(shard);
    });
    ownership.onChange((shard, owned) => {
      if (owned) this.#startRunner(shard);
      else this.#endRunner(shard);
      this.#links.onOwnership();
    });
    await Promise.all(
      shards
        .filter((shard) => ownership.owns(shard))
        .map(
          (shard) =>
            new Promise<void>((resolve, reject) => {
              this.#startRunner(shard, (error) => (error === undefined ? resolve() : reject(error)));
            }),
        ),
    );
    if (this.#phase !== 'starting') return;
    this.#phase = 'running';
    this.#timers.push(system.timers.every(TICK_MS, () => this.#tick()));
    this.#timers.push(system.timers.every(COLLECT_EVERY_MS, () => this.#collect()));
    this.#sweep.start();
    const canaries = this.#canaries;
    if (canaries !== undefined) this.#timers.push(system.timers.every(this.settings.canaryMs!, () => canaries.send()));
    this.#timers.push(system.timers.after(CHECKPOINT_FIRST_MS, () => void this.#checkpoint()));
    this.#timers.push(system.timers.every(CHECKPOINT_EVERY_MS, () => void this.#checkpoint()));
    this.#links.start();
    for (const shard of this.#runners.keys()) this.#beginnings.tryOpen(shard);
    this.#checkReady();
  }

  /** Refuses new writes and subscriptions, waits for what is under way, and leaves a store that a restart can trust. */
  async drain(): Promise<void> {
    if (this.#phase === 'stopped') return;
    this.#phase = 'draining';
    this.#writes.check(this.#monotonicMs());
    this.#checkReady();
    this.#feed.fail(
      new CausewayError('DRAINING', `node ${this.node} of ${this.region} is shutting down`, {
        hint: 'go on with the cursor at another node',
      }),
    );
    // First the writes that were accepted: some wait to be acknowledged by peers. Then nothing more is let in, else it would never end.
    await this.#until(DEADLINE_MS_MAX, (runner) => runner.answered);
    this.#quiet = true;
    await this.#until(DRAIN_LOG_MS_MAX, (runner) => runner.idle);
    await new Promise<void>((resolve) => {
      this.#writer.drain(resolve);
    });
    await this.#checkpoint();
  }

  /** Never rejects: without a checkpoint the next start reads more of the log, and nothing is lost. */
  async #checkpoint(): Promise<void> {
    if (this.#isStopped()) return;
    try {
      await this.#ports.store.checkpoint();
    } catch (error) {
      this.#notice(
        'warn',
        `the store could not be checkpointed: ${String(error)}; the next start reads the log instead`,
      );
    }
  }

  /** Resolves when it holds for every runner that is not over, when the time is up, or when the node stops. */
  #until(ms: number, holds: (runner: ShardRunner) => boolean): Promise<void> {
    const atMs = this.#monotonicMs() + ms;
    return new Promise((resolve) => {
      const poll = (): void => {
        const waits = [...this.#runners.values()].some((runner) => !runner.stopped && !holds(runner));
        if (!waits || this.#isStopped() || this.#monotonicMs() >= atMs) resolve();
        else this.#ports.system.timers.after(DRAIN_POLL_MS, poll);
      };
      poll();
    });
  }

  #isStopped(): boolean {
    return this.#phase === 'stopped';
  }

  async stop(): Promise<void> {
    if (this.#phase === 'stopped') return;
    this.#phase = 'stopped';
    for (const timer of this.#timers) timer.cancel();
    this.#sweep.stop();
    this.#links.stop();
    this.#writes.check(this.#monotonicMs());
    const over = new CausewayError('UNAVAILABLE', `node ${this.node} of ${this.region} has stopped`);
    this.#feed.fail(over);
    this.#journal.fail(over);
    this.#writer.stop();
    this.#followers.stop();
    for (const runner of this.#runners.values()) runner.stop();
    this.#checkReady();
    await this.#ports.log.close();
    await this.#ports.store.close();
  }

  #startRunner(shard: ShardId, done?: (error?: CausewayError) => void): void {
    const members = this.#members.get(shard);
    if (members === undefined || this.#phase === 'stopped') return;
    this.#leaving.delete(shard);
    const before = this.#runners.get(shard);
    before?.stop();
    const runner = new ShardRunner(shard, members, this.clock, this.settings, this.#ports, this.#events);
    if (before !== undefined) runner.inherit(before);
    this.#runners.set(shard, runner);
    const ahead = this.#followers.take(shard);
    this.#writer.afterStepOf(shard, () => this.#recover(shard, members, runner, ahead, done));
  }

  #recover(
    shard: ShardId,
    members: readonly RegionId[],
    runner: ShardRunner,
    ahead: ReadAhead | undefined,
    done?: (error?: CausewayError) => void,
  ): void {
    const recovered = (error?: CausewayError): void => {
      if (error !== undefined) {
        this.#fatal ??= error;
        this.#notice('error', error.message);
        done?.(error);
        return;
      }
      if (this.#runners.get(shard) !== runner || runner.stopped) {
        done?.();
        return;
      }
      this.#changes.read(runner);
      this.#beginnings.ask(shard, members, runner);
      done?.();
      this.#links.onOwnership();
      this.#beginnings.tryOpen(shard);
      // Subscriptions may have stood still for it, and causal reads.
      this.#feed.landed();
      this.#journal.grown(this.#agreedMs());
    };
    runner.recover(recovered, ahead);
  }

  /**
   * Before this node asks for a shard that another one serves: reads its log to about the end, and waits for its peers. Resolves when that is done, when it cannot be done, and when the
   * shard has become this node's meanwhile.
   */
  async follow(shard: ShardId): Promise<void> {
    if (this.#phase !== 'running' || !this.#members.has(shard) || this.#runners.has(shard)) return;
    await this.#followers.follow(shard);
    await this.#untilWelcomed(shard);
  }

  /** It is not to be this node's any more. */
  unfollow(shard: ShardId): void {
    this.#followers.take(shard);
  }

  /** A node that has just started is not linked to its peers yet, and would wait for them with the shard in its hands (membership-check.ts). */
  #untilWelcomed(shard: ShardId): Promise<void> {
    const members = this.#members.get(shard)!.filter((member) => member !== this.region);
    const untilMs = this.#monotonicMs() + ASK_WHOLE_MS;
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#beginnings.areWelcomed(shard, members) || this.#isStopped() || this.#monotonicMs() >= untilMs)
          resolve();
        else this.#ports.system.timers.after(DRAIN_POLL_MS, look);
      };
      look();
    });
  }

  #endRunner(shard: ShardId): void {
    this.#runners.get(shard)?.stop();
    this.#runners.delete(shard);
    this.#leaving.delete(shard);
    this.#beginnings.forget(shard);
    this.#feed.fail(
      new CausewayError('UNAVAILABLE', `shard ${shard} is no longer served by node ${this.node} of ${this.region}`, {
        hint: 'go on with the cursor at another node',
      }),
      shard,
    );
    this.#checkReady();
  }

  /**
   * Before the shard is given up in order: refuses what is new, as not written, so that it waits for the next owner; finishes what is under way, then takes nothing
   * from peers either. Resolves when nothing is under way, or after RELEASE_MS_MAX. What is left then ends when the shard is given up.
   */
  async release(shard: ShardId): Promise<void> {
    const runner = this.#runners.get(shard);
    if (runner === undefined || this.#isStopped()) return;
    this.#leaving.set(shard, 'writes');
    this.#writes.check(this.#monotonicMs());
    await this.#until(RELEASE_MS_MAX, (each) => each !== runner || runner.answered);
    if (this.#runners.get(shard) !== runner) return;
    this.#leaving.set(shard, 'all');
    await this.#until(RELEASE_MS_MAX, (each) => each !== runner || runner.idle);
  }

  #isLeaving(shard: ShardId): boolean {
    return this.#leaving.has(shard);
  }

  /** Why what waits for the shard waits here in vain. */
  #movedAway(shard: ShardId): CausewayError | undefined {
    if (this.#isLeaving(shard)) return this.#moving(shard);
    return this.#isElsewhere(shard) ? this.#elsewhere(shard) : undefined;
  }

  #moving(shard: ShardId): CausewayError {
    return new CausewayError('NOT_READY', `shard ${shard} of ${this.region} is moving to another node`, {
      hint: 'try again: the next owner has it in a moment',
    });
  }

  /** Ops of the shard that this node has put into the log since it started, its own and its peers'. */
  opsLanded(shard: ShardId): number {
    return this.#tallies.landings.get(shard)?.ops ?? 0;
  }

  /** The store's rows of the shard are not those that this node wrote: it is read again from where the store stands. */
  storeLost(shard: ShardId, why: string): void {
    this.#runners.get(shard)?.storeLost(why);
  }

  /** The shard's store does not answer: here it is served from memory, and elsewhere it could not even begin. */
  isStoreAway(shard: ShardId): boolean {
    return this.#runners.get(shard)?.storeAway === true;
  }

  readonly #events: RunnerEvents = {
    landed: (runner, landed) => this.#landed(runner, landed),
    judged: (_runner, verdicts, replayed) => {
      if (!replayed) {
        const { conflicts } = this.#tallies;
        this.#counters.conflicts += verdicts.length;
        for (const { collection } of verdicts) conflicts.set(collection.type, conflicts.get(collection.type)! + 1);
      }
      this.#journal.grown(this.#agreedMs());
    },
    agreedMs: () => this.#agreedMs(),
    defined: (runner) => this.#changes.read(runner),
    dirty: (runner) => this.#writer.dirty(runner),
    sealWanted: (runner) => this.#rounds.want(runner),
    paced: () => this.#rounds.paceMs > 0,
    intake: new Intake(
      () => this.#monotonicMs(),
      () => this.#wantTurns(),
    ),
    askAgain: (shard) => this.#links.wantAgain(shard),
    stopped: (runner, failure) => this.#runnerStopped(runner, failure),
    counted: (name, n) => {
      this.#counters[name] += n;
    },
    sealed: (bytes) => {
      this.#tallies.ownBytes += bytes;
    },
    rebuilding: () => {
      this.#tallies.storeRebuilds++;
    },
  };

  #takeWaiting(): void {
    const takers: ShardRunner[] = [];
    for (const runner of this.#runners.values()) {
      if (this.#quiet || this.#leaving.get(runner.shard) === 'all') runner.dropWaiting();
      else takers.push(runner);
    }
    this.#events.intake.round(takers);
    this.#wantTurns();
  }

  #wantTurns(): void {
    if (!this.#events.intake.hasRoom) return;
    for (const runner of this.#runners.values()) runner.wantTurn();
  }

  #runnerStopped(runner: ShardRunner, failure: AppendFailure): void {
    this.#notice('warn', `shard ${runner.shard}: ${failure.message}`);
    if (this.#runners.get(runner.shard) !== runner || this.#phase === 'stopped') return;
    if (failure.kind === 'refused' && failure.reason === 'failed') return;
    this.#checkReady();
    // What was speculative is thrown away and the shard is read again from its log. If it is still ours, we begin anew.
    this.#ports.system.timers.after(RESTART_RUNNER_MS, () => {
      if (this.#runners.get(runner.shard) !== runner || !this.#ports.ownership.owns(runner.shard)) return;
      this.#tallies.shardRestarts++;
      this.#startRunner(runner.shard);
    });
  }

  #landed(runner: ShardRunner, landed: Landed): void {
    const nowMs = this.#nowMs();
    let ops = 0;
    for (const { header, own } of landed.batches) {
      ops += header.count;
      if (own) {
        this.#counters.accepted += header.count;
        continue;
      }
      this.#counters.appliedRemote += header.count;
      this.#tallies.origin(originRegion(header.origin)).landed(header, nowMs);
    }
    this.#links.onDurable(runner.shard);
    if (landed.batches.length > 0) {
      this.#tallies.landed(runner.shard, landed.batches.at(-1)!.offset, ops, nowMs);
      this.#readings.landed(runner, landed);
      this.#feed.landed();
      this.#checkWaiting();
    }
    this.#journal.landed();
    if (!this.#wasReady) this.#checkReady();
  }

  #tick(): void {
    if (this.#quiet) return;
    const nowMs = this.#nowMs();
    for (const runner of this.#runners.values()) {
      // It would lease more stamps.
      if (this.#leaving.get(runner.shard) === 'all') continue;
      runner.tick(nowMs);
      if (runner.holdsPassed(nowMs)) this.#links.wantAgain(runner.shard);
    }
    this.#judgeStore(nowMs);
    if ([...this.#runners.values()].some((runner) => runner.awaitsRegions)) this.#links.wantAcks();
    this.#beginnings.tick();
    this.#checkWaiting();
    this.#judgeClock(nowMs);
    this.#checkReady();
  }

  /** Something moved, or time passed. */
  #checkWaiting(): void {
    const monotonicMs = this.#monotonicMs();
    this.#writes.check(monotonicMs);
    this.#readings.check(monotonicMs);
  }

  #collect(): void {
    if (this.#quiet) return;
    const nowMs = this.#nowMs();
    for (const runner of this.#runners.values()) runner.collect(nowMs);
    this.#journal.expire(this.#agreedMs());
  }

  #judgeStore(nowMs: number): void {
    const away = [...this.#runners.values()].filter((runner) => runner.storeAway);
    if (away.length === 0) {
      if (this.#storeAway !== undefined) this.#notice('info', 'the store answers again');
      this.#storeAway = undefined;
      return;
    }
    this.#readings.storeAway();
    const { engine } = this.#ports.store;
    const silentMs = Math.max(...away.map(({ storeSilentMs }) => storeSilentMs));
    const message = `the store (${engine}) does not answer: reads and writes of keys that are not in memory are refused (STORE_AWAY) in ${away.length} of ${this.#runners.size} shards`;
    if (this.#storeAway === undefined) this.#notice('error', message);
    this.#storeAway = { sinceMs: this.#storeAway?.sinceMs ?? nowMs - silentMs, message };
  }

  #judgeClock(nowMs: number): void {
    const offsets = this.#clockOffsets();
    this.#agreed.observe(nowMs, this.#monotonicMs(), offsets);
    const verdict = judgeOwnClock(offsets, this.settings.maxSkewMs);
    if (verdict.kind === 'ok') {
      if (this.#clockUnsynced !== undefined)
        this.#notice('info', 'the clock agrees with most peers again; writes are accepted');
      this.#clockUnsynced = undefined;
      return;
    }
    if (this.#clockUnsynced !== undefined) return;
    const offset = Math.round(verdict.offsetMs);
    const message = `this node's clock is ${Math.abs(offset)} ms ${offset > 0 ? 'behind' : 'ahead of'} most peers, more than maxSkewMs (${this.settings.maxSkewMs}): it accepts no writes until its clock is set right`;
    this.#clockUnsynced = { sinceMs: nowMs, message };
    this.#notice('error', message);
  }

  #clockOffsets(): Map<RegionId, number> {
    return new Map([...this.#clockSamples].map(([region, { offsetMs }]) => [region, offsetMs]));
  }

  #nowMs(): number {
    return this.#ports.system.clock.nowMs();
  }

  /** For what is forgotten for its age. */
  #agreedMs(): number | undefined {
    return this.#agreed.at(this.#monotonicMs());
  }

  /** For deadlines: the other clock may be set. */
  #monotonicMs(): number {
    return this.#ports.system.clock.monotonicMs();
  }

  #notice(level: 'info' | 'warn' | 'error', message: string): void {
    this.#ports.notice?.(level, message);
  }

  // ── What the API calls ──────────────────────────────────────────────────────────────────────────────────────────

  placementOf(namespace: string): { placementId: number; shards: number } | undefined {
    const placement = this.#namespaces.get(namespace);
    return placement === undefined ? undefined : { placementId: placement.id, shards: placement.shards };
  }

  collection(namespace: string, name: string): CollectionRef | undefined {
    return this.#collections.get(namespace, name);
  }

  collections(): readonly CollectionInfo[] {
    return this.#changes.list();
  }

  createCollection(spec: CreateSpec, options: ChangeOptions, done: CollectionChanged): void {
    this.#changes.create(spec, options, done);
  }

  alterCollection(spec: AlterSpec, options: ChangeOptions, done: CollectionChanged): void {
    this.#changes.alter(spec, options, done);
  }

  dropCollection(spec: DropSpec, options: ChangeOptions & { readonly force: boolean }, done: CollectionChanged): void {
    this.#changes.drop(spec, options, done);
  }

  /** Definitions lie with the data that they are about: no name of a namespace leaves its placement (I10). */
  #definer(namespace: string, name: string, forWrites = true): ShardRunner | CausewayError {
    const refusal = forWrites ? this.#writes.refusal(0) : undefined;
    if (refusal !== undefined) return refusal;
    const placement = this.#namespaces.get(namespace);
    if (placement === undefined) return this.#unknownCollection(namespace, name);
    const key = definitionKey(namespace, name);
    if (forWrites) return this.#runnerOf(placement, DEFINITIONS.namespace, DEFINITIONS.name, key);
    const shard = shardOf(DEFINITIONS.namespace, DEFINITIONS.name, key, placement.id, placement.shards);
    return this.#readable(placement, namespace, shard);
  }

  #define(runner: ShardRunner, op: EngineOp, deadlineMs: number, done: (result: WriteResult) => void): void {
    const { collection, key, intent } = op;
    const ops = [{ namespace: collection.namespace, collection: collection.name, key, intent }];
    const request = { ops, durability: { kind: 'local' }, deadlineMs } as const;
    const call = new WriteCall(request, this.#monotonicMs() + deadlineMs, ([result]) => done(result!));
    call.addPart();
    runner.define(call, op);
    call.allHandedOut();
  }

  #writeCanary(key: string, value: Uint8Array, trace: Uint8Array, other: RegionId): boolean {
    const placement = this.settings.placements.find(
      ({ regions }) => regions.includes(this.region) && regions.includes(other),
    );
    if (placement === undefined || this.#writes.refusal(0) !== undefined) return false;
    const runner = this.#runners.get(shardOf(CANARIES.namespace, CANARIES.name, key, placement.id, placement.shards));
    if (runner?.open !== true || this.#isLeaving(runner.shard)) return false;
    const intent = { kind: 'put', value } as const;
    const ops = [{ namespace: CANARIES.namespace, collection: CANARIES.name, key, intent }];
    const request = { ops, durability: { kind: 'local' }, deadlineMs: DEADLINE_MS_MAX } as const;
    const call = new WriteCall(request, this.#monotonicMs() + DEADLINE_MS_MAX, () => undefined);
    call.addPart();
    runner.write(call, [0], [{ collection: CANARIES, key, intent, trace }]);
    call.allHandedOut();
    return true;
  }

  #sweptShards(namespace: string): SweptShard[] {
    const { id, shards = 0 } = this.#namespaces.get(namespace) ?? {};
    const host: SweptNode = {
      nowMs: () => this.#nowMs(),
      monotonicMs: () => this.#monotonicMs(),
      hasRoom: () =>
        this.#writes.refusal(0) === undefined && this.#writer.backlog < this.settings.limits.storeBacklogMax / 2,
    };
    return Array.from({ length: shards }, (_, i) => this.#runners.get(shardId(id!, i)))
      .filter((runner) => runner?.open === true && !this.#isLeaving(runner.shard))
      .map((runner) => sweptShard(runner!, host));
  }

  write(request: WriteRequest, done: (results: readonly WriteResult[]) => void): void {
    this.#writes.write(request, done);
  }

  #draining(): CausewayError {
    return new CausewayError('DRAINING', `node ${this.node} of ${this.region} is shutting down`, {
      hint: 'write to another node or region',
    });
  }

  #runnerOf(
    placement: PlacementSettings,
    namespace: string,
    collection: string,
    key: string,
  ): ShardRunner | CausewayError {
    const runner = this.#owned(
      placement,
      namespace,
      shardOf(namespace, collection, key, placement.id, placement.shards),
    );
    if (runner instanceof CausewayError) return runner;
    if (this.#isLeaving(runner.shard)) return this.#moving(runner.shard);
    return runner.open ? runner : this.#notReady();
  }

  #owned(placement: PlacementSettings, namespace: string, shard: ShardId): ShardRunner | CausewayError {
    if (!placement.regions.includes(this.region)) {
      return new CausewayError(
        'UNAVAILABLE',
        `namespace ${namespace} is not held in ${this.region}; its regions are ${placement.regions.join(', ')}`,
        {
          retriable: false,
          outcome: 'not-applied',
        },
      );
    }
    const runner = this.#runners.get(shard);
    if (runner === undefined && this.#phase === 'starting') return this.#notReady();
    if (runner === undefined) {
      return this.#elsewhere(shard);
    }
    return runner;
  }

  /** The region holds it, and this node does not. */
  #isElsewhere(shard: ShardId): boolean {
    return this.#members.has(shard) && !this.#runners.has(shard);
  }

  #elsewhere(shard: ShardId): CausewayError {
    return new CausewayError('UNAVAILABLE', `shard ${shard} is owned by another node of ${this.region}`, {
      outcome: 'not-applied',
    });
  }

  #notReady(): CausewayError {
    const { state, reason } = this.#state();
    return new CausewayError('NOT_READY', `region ${this.region} is not ready (${state}): ${reason}`, {
      hint: 'try again shortly, or another region',
    });
  }

  #unknownCollection(namespace: string, name: string): CausewayError {
    // What is not known may be in what has not been read, or fetched, yet.
    const placement = this.#namespaces.get(namespace);
    if (placement?.regions.includes(this.region) === true && !this.#knowsCollectionsOf(placement))
      return this.#notReady();
    const known = this.#collections
      .served()
      .filter((collection) => collection.namespace === namespace)
      .map((collection) => collection.name);
    const message = this.#namespaces.has(namespace)
      ? `namespace ${namespace} has no collection ${name}; it has ${known.join(', ') || 'none'}`
      : `there is no namespace ${namespace}; there are ${[...this.#namespaces.keys()].join(', ')}`;
    return new CausewayError('UNKNOWN_COLLECTION', message, {
      hint: 'check the name, or create it: causeway collection create',
    });
  }

  #knowsCollectionsOf(placement: PlacementSettings): boolean {
    for (let index = 0; index < placement.shards; index++) {
      const shard = shardId(placement.id, index);
      const runner = this.#runners.get(shard);
      if (!this.#changes.knows(shard)) return false;
      // Another node of the region has it, and has told.
      if (runner === undefined) continue;
      if (runner.catchingUp || this.#beginnings.isUnproven(shard)) return false;
    }
    return true;
  }

  /** Where the definitions of this name are; undefined: there is no such namespace. */
  shardOfDefinition(namespace: string, name: string): ShardId | undefined {
    return this.shardFor(DEFINITIONS.namespace, DEFINITIONS.name, definitionKey(namespace, name));
  }

  /** The definitions of collections in this shard have been read, or told by the node that owns it. */
  knowsDefinitionsOf(shard: ShardId): boolean {
    return this.#changes.knows(shard);
  }

  /** By the node that owns the shard: all that are in it. What this node owns by now it knows better. */
  learnDefinitions(shard: ShardId, definitions: readonly CollectionInfo[]): void {
    if (!this.#runners.has(shard)) this.#changes.learn(shard, definitions);
  }

  /** For the other nodes of the region. */
  sharedState(unlessRevision: string): SharedState {
    const shards = [...this.#runners.values()]
      .filter(
        (runner) => runner.recovered && !runner.stopped && !runner.catchingUp && this.#changes.knows(runner.shard),
      )
      .map(({ shard }) => shard);
    // Of this process, and of these shards.
    const of = shards.toSorted().map((shard) => `${shard}@${this.#collections.versionOf(shard)}`);
    const { revision, definitions } = this.#changes.told(`${this.instance} ${of.join(' ')}`, new Set(shards));
    const placements = new Set(shards.map((shard) => shardParts(shard).placementId));
    return {
      revision,
      definitions: revision === unlessRevision ? undefined : definitions,
      shards,
      stalenessMs: new Map([...placements].map((id) => [id, this.#stalenessOf(this.#placements.get(id)!)])),
    };
  }

  /** Where a key of a namespace lives; those of `_system` live with what they are about. */
  #placementOf(namespace: string, key: string): PlacementSettings | undefined {
    return this.#namespaces.get(
      namespace === SYSTEM_NAMESPACE ? key.slice(0, Math.max(0, key.indexOf('/'))) : namespace,
    );
  }

  /** Every shard that this region holds. */
  allShards(): readonly ShardId[] {
    return [...this.#members.keys()];
  }

  /** The shard of a key; undefined: there is no such namespace. */
  shardFor(namespace: string, collection: string, key: string): ShardId | undefined {
    const placement = this.#placementOf(namespace, key);
    return placement && shardOf(namespace, collection, key, placement.id, placement.shards);
  }

  /** The shards that a namespace may have keys in, as far as this region holds them. */
  shardsOf(namespace: string): readonly ShardId[] {
    const placement = this.#namespaces.get(namespace);
    if (placement === undefined) return namespace === SYSTEM_NAMESPACE ? [...this.#members.keys()] : [];
    return Array.from({ length: placement.shards }, (_, index) => shardId(placement.id, index));
  }

  read(request: ReadRequest, done: (result: ReadResult | CausewayError) => void): void {
    if (this.#phase === 'stopped' || this.#phase === 'starting') {
      done(this.#notReady());
      return;
    }
    const collection = this.collection(request.namespace, request.collection);
    if (collection === undefined) {
      done(this.#unknownCollection(request.namespace, request.collection));
      return;
    }
    this.#tallies.read.read(request, request.keys);
    const keysOf = ({ shard }: ShardRunner): KeyOf[] =>
      request.keys
        .filter((key) => this.shardFor(request.namespace, request.collection, key) === shard)
        .map((key) => ({ key: stateKey(collection, key), type: collection.type }));
    this.#readings.answer({
      consistency: request.consistency,
      deadlineMs: request.deadlineMs,
      runners: () => this.#runnersOfRead(request),
      answer: (runners, as, answered) => this.#readings.read(runners, request, collection, as, answered),
      needsStore: (runner) => !runner.cache.has(keysOf(runner)),
      cut: (runners) => {
        const keys = request.keys.map((key, i) => ({ key, stateKey: stateKey(collection, key), runner: runners[i]! }));
        return new StableRead(collection.type, keys, this.region);
      },
      done,
    });
  }

  scan(request: ScanRequest, done: (result: ScanResult | CausewayError) => void): void {
    if (this.#phase === 'stopped' || this.#phase === 'starting') {
      done(this.#notReady());
      return;
    }
    const collection = this.collection(request.namespace, request.collection);
    if (collection === undefined) {
      done(this.#unknownCollection(request.namespace, request.collection));
      return;
    }
    const after = request.after === undefined ? undefined : `${request.after}\u0000`;
    const range = {
      collection,
      from: after === undefined || compareKeys(after, request.prefix) < 0 ? request.prefix : after,
      to: afterPrefix(request.prefix),
    };
    this.#readings.answer({
      consistency: request.consistency,
      deadlineMs: request.deadlineMs,
      runners: () => this.#runnersOfScan(request),
      answer: (runners, as, answered) => this.#readings.scan(runners, request, range, as, answered),
      needsStore: () => true,
      cut: (runners) => new StableScan(range, runners, this.region),
      done,
    });
  }

  /** One per key. */
  #runnersOfRead(request: Pick<ReadRequest, 'namespace' | 'collection' | 'keys'>): ShardRunner[] | CausewayError {
    const { namespace, collection, keys } = request;
    const runners: ShardRunner[] = [];
    for (const key of keys) {
      const placement = this.#placementOf(namespace, key);
      if (placement === undefined) return this.#unknownCollection(namespace, collection);
      const shard = shardOf(namespace, collection, key, placement.id, placement.shards);
      const runner = this.#readable(placement, namespace, shard);
      if (runner instanceof CausewayError) return runner;
      runners.push(runner);
    }
    return runners;
  }

  /** Every shard of the namespace. */
  #runnersOfScan({ namespace, shards }: ScanRequest): ShardRunner[] | CausewayError {
    const runners: ShardRunner[] = [];
    for (const shard of this.shardsOf(namespace)) {
      const { placementId, index } = shardParts(shard);
      if (shards?.has(index) === false) continue;
      const runner = this.#readable(this.#placements.get(placementId)!, namespace, shard);
      if (runner instanceof CausewayError) return runner;
      runners.push(runner);
    }
    return runners;
  }

  /** Reads go on where writes do not (a full disk, a clock that is off), but never before a shard holds what it must (I11). */
  #readable(placement: PlacementSettings, namespace: string, shard: ShardId): ShardRunner | CausewayError {
    const runner = this.#owned(placement, namespace, shard);
    if (runner instanceof CausewayError) return runner;
    if (!runner.recovered || runner.catchingUp || this.#beginnings.isUnproven(shard)) return this.#notReady();
    return runner;
  }

  subscribe(request: SubscribeRequest, sink: FeedSink): FeedSubscription {
    const refused = (error: CausewayError): FeedSubscription => {
      sink.failed(error);
      return { resume: () => undefined, cancel: () => undefined };
    };
    const shards = this.shardsOf(request.namespace);
    if (shards.length === 0) return refused(this.#unknownCollection(request.namespace, request.collections[0] ?? '*'));
    for (const name of request.collections) {
      if (this.collection(request.namespace, name) === undefined)
        return refused(this.#unknownCollection(request.namespace, name));
    }
    if (this.#phase !== 'running') return refused(this.#notReady());
    const sources: FeedShard[] = [];
    for (const shard of shards) {
      if (request.shards?.has(shardParts(shard).index) === false) continue;
      const runner = this.#runners.get(shard);
      if (runner === undefined || !runner.recovered || runner.stopped) {
        return refused(
          new CausewayError('UNAVAILABLE', `shard ${shard} is not served by node ${this.node} of ${this.region} now`, {
            outcome: 'not-applied',
          }),
        );
      }
      sources.push(this.#feedShard(runner.shard));
    }
    return this.#feed.subscribe(request, sources, sink);
  }

  history(request: HistoryRequest, done: (history: KeyHistory | CausewayError) => void): void {
    const { namespace, key, limit, before } = request;
    if (this.#phase === 'stopped' || this.#phase === 'starting') {
      done(this.#notReady());
      return;
    }
    const collection = this.collection(namespace, request.collection);
    if (collection === undefined) {
      done(this.#unknownCollection(namespace, request.collection));
      return;
    }
    const found = this.#runnersOfRead({ namespace, collection: request.collection, keys: [key] });
    if (found instanceof CausewayError) {
      done(found);
      return;
    }
    const runner = found[0]!;
    const { shard, cache } = runner;
    const { log, system } = this.#ports;
    const { timers } = system;
    const nowMs = this.#nowMs();
    const { region, settings } = this;
    const landings = this.#tallies.landings.get(shard);
    const of = {
      log,
      timers,
      runner,
      region,
      collection,
      key,
      limit,
      before,
      landings,
      leaseMs: settings.leaseMs,
      nowMs,
    };
    readHistory(of, (page) => {
      if (page instanceof CausewayError) {
        done(page);
        return;
      }
      const state = stateKey(collection, key);
      const keys = [{ key: state, type: collection.type }];
      const read = (answered: (history: KeyHistory | CausewayError) => void): void =>
        cache.load(keys, () => {
          if (runner.stopped) {
            answered(this.#notReady());
            return;
          }
          const view = mergeOf(collection.type).view(cache.get(state, collection.type), nowMs);
          answered({ ...page, shard, collection, view, logStart: log.start(shard), nowMs });
        });
      this.#readings.ask<KeyHistory | CausewayError>([runner], () => !cache.has(keys), read, done);
    });
  }

  /** By name, not by runner: a runner that begins anew goes on with the same log. */
  #feedShard(shard: ShardId): FeedShard {
    const runner = (): ShardRunner | undefined => this.#runners.get(shard);
    return {
      shard,
      landedOffset: () => runner()?.engine.offset ?? 0,
      durable: () => runner()?.engine.origins.durable ?? new Map(),
      endOf: (origin) => {
        const known = runner()?.engine.origins.get(origin);
        return known?.closed === true ? known.end?.seq : undefined;
      },
      views: (ops, offset, done) => this.#viewsOf(shard, ops, offset, done),
    };
  }

  #viewsOf(
    shard: ShardId,
    ops: readonly Op[],
    offset: number,
    done: (views: readonly (View | undefined)[] | undefined) => void,
  ): void {
    const runner = this.#runners.get(shard);
    // One that is being read again from its log has less than its readers have seen.
    if (runner?.recovered !== true || runner.engine.offset < offset) {
      done(undefined);
      return;
    }
    const { cache } = runner;
    const keys = ops.map((op) => ({ key: stateKey(op.collection!, op.key), type: op.collection!.type }));
    cache.load(keys, () => {
      if (runner.stopped) {
        done(undefined);
        return;
      }
      const nowMs = this.#nowMs();
      done(keys.map(({ key, type }) => mergeOf(type).view(cache.get(key, type), nowMs)));
    });
  }

  digests(asOfMs: number): readonly ShardDigest[] {
    return [...this.#runners.values()]
      .filter((runner) => runner.recovered && !runner.stopped)
      .map(({ shard, engine }) => ({
        shard,
        digest: engine.digestAsOf(asOfMs),
        keys: engine.keys,
        asOfMs,
        vector: new Map(engine.origins.durable),
      }));
  }

  allDigests(asOfMs: number, done: (digests: readonly ShardDigest[] | CausewayError) => void): void {
    done(this.digests(asOfMs));
  }

  stalenessMs(namespace: string): number | undefined {
    const placement = this.#namespaces.get(namespace);
    return placement && this.#stalenessOf(placement);
  }

  #stalenessOf(placement: PlacementSettings): number | undefined {
    const runners = [...this.#runners.values()].filter(({ shard }) => shardParts(shard).placementId === placement.id);
    return stalenessOf(placement.regions, this.region, runners, this.#nowMs());
  }

  /** Of the shards that are served now: one that begins anew is not complete until its log has been read. */
  #journals(): ShardJournal[] {
    return Array.from(this.#runners.values(), (runner) => runner.journal);
  }

  conflicts(query: ConflictQuery, done: (page: ConflictPage | CausewayError) => void): void {
    this.#journal.list(query, done);
  }

  conflictsOf(shard: ShardId, loser: Dot, done: (conflicts: readonly Conflict[] | CausewayError) => void): void {
    if (this.#isElsewhere(shard)) done(this.#elsewhere(shard));
    else this.#journal.find(shard, loser, done);
  }

  watchConflicts(request: TailRequest, sink: ConflictSink): ConflictSubscription {
    return this.#journal.tail(request, sink);
  }

  restoreConflict(request: RestoreRequest, done: (restored: Restored | CausewayError) => void): void {
    if (this.#isElsewhere(request.shard)) {
      done(this.#elsewhere(request.shard));
      return;
    }
    this.#restores.restore(request, done);
  }

  ready(): boolean {
    const { state } = this.#state();
    return state === 'ready' || state === 'read-only' || state === 'clock-unsynced';
  }

  onReady(listener: (ready: boolean) => void): void {
    this.#readyListeners.push(listener);
  }

  #checkReady(): void {
    this.#beginnings.checkFetched();
    const ready = this.ready();
    if (ready === this.#wasReady) return;
    this.#wasReady = ready;
    this.#notice(
      'info',
      ready ? `region ${this.region} is ready` : `region ${this.region} is not ready: ${this.#state().reason}`,
    );
    for (const listener of this.#readyListeners) listener(ready);
  }

  #state(): { state: RegionStatus['state']; reason: string } {
    if (this.#phase === 'stopped') return { state: 'stopped', reason: 'the node has stopped' };
    if (this.#phase === 'draining') return { state: 'draining', reason: 'the node is shutting down' };
    if (this.#fatal !== undefined) return { state: 'starting', reason: this.#fatal.message };
    if (this.#phase === 'starting') return { state: 'starting', reason: 'the log is being read' };
    const asking = this.#beginnings.asking();
    if (asking !== undefined && this.log.state().kind === 'ready') return { state: 'asking-members', ...asking };
    const behind = [...this.#runners.values()].filter((runner) => runner.catchingUp);
    if (behind.length > 0)
      return { state: 'catching-up', reason: `${behind.length} shards fetch what their members hold` };
    const logState = this.log.state();
    if (logState.kind !== 'ready') return { state: 'read-only', reason: logState.reason };
    if (this.#clockUnsynced !== undefined) return { state: 'clock-unsynced', reason: this.#clockUnsynced.message };
    if ([...this.#runners.values()].some((runner) => runner.stopped || !runner.recovered)) {
      return { state: 'starting', reason: 'a shard is read again from its log' };
    }
    for (const shard of this.#runners.keys()) {
      if (!this.#changes.knows(shard))
        return { state: 'starting', reason: 'the definitions of collections are being read' };
    }
    return { state: 'ready', reason: '' };
  }

  status(): RegionStatus {
    const nowMs = this.#nowMs();
    const { state, reason } = this.#state();
    const runners = [...this.#runners.values()];
    const { log, store } = this.#ports;
    const links = this.#links.states();
    return {
      region: this.region,
      node: this.node,
      version: this.settings.version,
      startedAtMs: this.#startedAtMs,
      nowMs,
      state,
      stateReason: reason,
      log: { ...log.promise, state: log.state(), bytes: log.bytes() },
      store: { engine: store.engine, bytes: store.bytes() },
      peers: this.settings.peers.map(({ region }) =>
        peerStatus(
          region,
          runners,
          nowMs,
          this.#linkStates.get(region),
          this.#clockSamples.get(region),
          this.#tallies.origins.get(region)?.lags,
        ),
      ),
      shards: runners.map((runner) => shardStatus(runner)),
      collections: this.#collections.served(),
      keys: runners.reduce((keys, runner) => keys + runner.engine.keys, 0),
      counters: {
        ...this.#counters,
        bytesReceived: links.dialled.reduce((bytes, link) => bytes + link.bytesReceived, 0),
      },
      alarms: [
        ...alarmsOf(runners, [
          { alarm: this.#clockUnsynced, code: 'clock-unsynced' },
          { alarm: this.#beginnings.behindPeers, code: 'log-damaged' },
          { alarm: this.#recentClash(nowMs), code: 'identity-clash' },
          { alarm: this.#damaged, code: 'log-damaged' },
          { alarm: this.#readOnly, code: 'read-only' },
          { alarm: this.#storeAway, code: 'store-away' },
        ]),
        ...this.#changes.alarms(),
      ],
      clock: {
        maxSkewMs: this.settings.maxSkewMs,
        aheadMs: Math.max(0, msOfStamp(this.clock.last) - nowMs),
      },
      hotKeys: { written: this.#tallies.written.top(HOT_KEYS), read: this.#tallies.read.top(HOT_KEYS) },
    };
  }

  moveShard(
    _shard: ShardId,
    _node: string | undefined,
    _deadlineMs: number,
    done: (moved: MovedShard | CausewayError) => void,
  ): void {
    done(
      new CausewayError('PRECONDITION_FAILED', `${this.region} has one node, which owns all shards`, {
        hint: 'a region of several nodes is one with engine: distributed',
      }),
    );
  }

  shardOwners(): readonly undefined[] {
    return [];
  }

  overview(done: (overview: RegionOverview) => void): void {
    done({ others: [], owners: [] });
  }

  figures(): NodeFigures {
    return figuresOf({
      status: this.status(),
      runners: [...this.#runners.values()],
      links: this.#links.states(),
      tallies: this.#tallies,
      limits: this.settings.limits,
      storeBacklogKeys: this.#writer.backlog,
      subscriptions: this.#feed.size,
      canaries: this.#canaries,
      sweep: this.#sweep,
    });
  }

  /** The clash is told again with each dial of the second process; when nothing is heard of it for a while it is over. */
  #recentClash(nowMs: number): { readonly sinceMs: number; readonly message: string } | undefined {
    const clash = this.#identityClash;
    return clash !== undefined && nowMs - clash.sinceMs < CLASH_FORGOTTEN_MS ? clash : undefined;
  }

  // ── What the links call ─────────────────────────────────────────────────────────────────────────────────────────

  shards(): readonly ShardId[] {
    return [...this.#runners.values()]
      .filter((runner) => runner.recovered && !runner.stopped)
      .map((runner) => runner.shard);
  }

  members(shard: ShardId): readonly RegionId[] {
    return this.#members.get(shard) ?? [];
  }

  isRegion(name: string): boolean {
    return name === this.region || this.settings.peers.some((peer) => peer.region === name);
  }

  vector(shard: ShardId): ReadonlyVector {
    return this.#runners.get(shard)?.engine.origins.durable ?? new Map();
  }

  taken(shard: ShardId): ReadonlyVector {
    return this.#runners.get(shard)?.engine.origins.taken ?? new Map();
  }

  boundOf(shard: ShardId, region: RegionId): number {
    return this.#runners.get(shard)?.engine.boundOf(region, this.#nowMs()) ?? 0;
  }

  liveOrigin(shard: ShardId): OriginId | undefined {
    return this.#runners.get(shard)?.engine.ownOrigin;
  }

  receive(from: RegionId, batch: Uint8Array, answers: Answers): Received {
    const shard = peekShard(batch);
    const runner = shard === undefined ? undefined : this.#runners.get(shard);
    // I10, the receiving side: what we do not hold, we do not take.
    if (runner === undefined || !runner.members.includes(from) || this.#quiet) return 'dropped';
    if (this.#leaving.get(runner.shard) === 'all') return 'dropped';
    const received = runner.receive(from, batch, answers);
    if (received === 'dropped') this.#tallies.origin(from).refusedBatches++;
    return received;
  }

  beats(): readonly ShardBeat[] {
    const nowMs = this.#nowMs();
    const monotonicMs = this.#monotonicMs();
    const passesOn = monotonicMs - this.#passedOnAtMs >= PASS_ON_MS;
    if (passesOn) this.#passedOnAtMs = monotonicMs;
    return [...this.#runners.values()]
      .filter((runner) => runner.recovered && !runner.stopped)
      .map((runner) => runner.beat(nowMs, passesOn));
  }

  onBeats(from: RegionId, beats: readonly ShardBeat[]): void {
    const nowMs = this.#nowMs();
    for (const beat of beats) {
      const runner = this.#runners.get(beat.shard);
      if (runner?.recovered === true && runner.members.includes(from)) runner.hear(beat, nowMs);
    }
    this.#checkWaiting();
  }

  onClockSample(from: RegionId, sample: ClockSample): void {
    this.#clockSamples.set(from, sample);
    this.#agreed.heard(from);
  }

  onAck(from: RegionId, shard: ShardId, durable: ReadonlyVector): void {
    this.#runners.get(shard)?.acknowledged(from, durable);
  }

  onWelcome(from: RegionId, shards: readonly WelcomeShard[], bindingAnswers: boolean): void {
    this.#beginnings.heardWelcome(from, shards, bindingAnswers);
    this.#checkReady();
  }

  begin(shard: ShardId, origin: OriginId): number {
    return this.#runners.get(shard)?.engine.begin(origin, this.#nowMs()) ?? 0;
  }

  onBegun(from: RegionId, shards: readonly BegunShard[]): void {
    this.#beginnings.heardBegun(from, shards);
  }

  onIdentityClash(region: RegionId, message: string): void {
    if (this.#identityClash?.message !== message) this.#notice('error', message);
    this.#identityClash = { sinceMs: this.#nowMs(), region, message };
  }

  onLinkState(peer: RegionId, state: LinkState): void {
    const before = this.#linkStates.get(peer)?.kind;
    this.#linkStates.set(peer, state);
    if (state.kind !== 'up') {
      this.#clockSamples.delete(peer);
      this.#agreed.forget(peer);
    }
    if (before === state.kind) return;
    if (before === 'up') this.#tallies.linkDrops.set(peer, (this.#tallies.linkDrops.get(peer) ?? 0) + 1);
    if (state.kind === 'up') this.#notice('info', `linked to ${peer}`);
    if (state.kind === 'down') this.#notice('warn', `the link to ${peer} is down: ${state.reason}`);
    // A peer that is still starting says so; that is no reason to wake anybody.
    const level = state.kind === 'refused' && state.reason === 'not-ready' ? 'info' : 'error';
    if (state.kind === 'refused') this.#notice(level, `${peer} refuses us (${state.reason}): ${state.message}`);
  }
}
