// Whole nodes in virtual time: the production node on the simulator's clock, timers and network, with a memory log and store whose
// faults the test commands. Time passes in run() only.

import type { Log } from '../../src/log/log.ts';
import { MemoryDisk, MemoryLog, type AppendFault, type MemoryAppend } from '../../src/log/memory.ts';
import { MemoryOwnership } from '../../src/ownership/memory.ts';
import { regionId, shardId, type OriginId, type RegionId, type ShardId } from '../../src/record/ids.ts';
import { MERGE_TYPE_CODES, type CollectionRef, type MergeTypeName } from '../../src/record/op.ts';
import { RegionNode } from '../../src/region/node.ts';
import { DEFAULT_LIMITS, type NodeLimits } from '../../src/region/options.ts';
import type {
  Consistency,
  Durability,
  ReadResult,
  SessionToken,
  WriteOp,
  WriteResult,
} from '../../src/region/region.ts';
import type { CausewayError } from '../../src/errors/errors.ts';
import { MemoryStore, MemoryStoreDisk } from '../../src/store/memory.ts';
import { Network } from '../../chaos/sim/network.ts';
import { SeededRandom } from '../../chaos/sim/random.ts';
import { Life, Scheduler } from '../../chaos/sim/scheduler.ts';
import { SimClock, simSystem } from '../../chaos/sim/system.ts';
import { Trace } from '../../chaos/sim/trace.ts';
import { textOf } from './shard-kit.ts';

export interface ClusterOptions {
  readonly regions?: readonly string[];
  readonly shards?: number;
  readonly limits?: Partial<NodeLimits>;
  readonly maxSkewMs?: number;
  /** The store answers later, as one on a server does. */
  readonly lateStore?: boolean;
}

/** One region: what survives its process, and its process. */
export class TestRegion {
  readonly id: RegionId;
  readonly cluster: TestCluster;
  readonly disk = new MemoryDisk();
  readonly storeDisk = new MemoryStoreDisk();
  readonly clock: SimClock;
  readonly notices: string[] = [];
  /** How long an append and a store's step take. 0: within the call, as the ports allow. */
  appendMs = 1;
  storeMs = 1;
  /** Appends wait for release() while this is set. */
  held: (() => void)[] | undefined;
  heldStore: (() => void)[] | undefined;
  fault: ((append: MemoryAppend) => AppendFault) | undefined;
  ownership!: MemoryOwnership;
  life!: Life;
  log!: MemoryLog;
  store!: MemoryStore;
  node!: RegionNode;
  #lives = 0;

  constructor(cluster: TestCluster, id: RegionId) {
    this.cluster = cluster;
    this.id = id;
    this.clock = new SimClock(cluster.scheduler);
  }

  start(): Promise<void> {
    const { scheduler, network } = this.cluster;
    const life = new Life(this.id);
    this.life = life;
    this.log = new MemoryLog({
      disk: this.disk,
      complete: (fn) => {
        if (this.held !== undefined) this.held.push(fn);
        else if (this.appendMs === 0) fn();
        else scheduler.after(this.appendMs, fn, life);
      },
      fault: (append) => this.fault?.(append) ?? 'none',
    });
    const complete = (fn: () => void): void => {
      if (this.heldStore !== undefined) this.heldStore.push(fn);
      else if (this.storeMs === 0) fn();
      else scheduler.after(this.storeMs, fn, life);
    };
    this.store =
      this.cluster.lateStore === true
        ? new MemoryStore({
            disk: this.storeDisk,
            complete,
            onLost: (shard, why) => this.node.storeLost(shard, why),
          })
        : new SyncReads(this.storeDisk, complete);
    this.ownership = new MemoryOwnership(this.cluster.shards);
    const random = new SeededRandom(7, `${this.id} ${this.#lives++}`);
    this.node = new RegionNode(this.cluster.settingsOf(this.id), {
      log: this.log as Log,
      store: this.store,
      transport: network.transport(this.id, this.id, life),
      ownership: this.ownership,
      system: simSystem(scheduler, this.clock, life, random),
      notice: (_level, message) => this.notices.push(message),
    });
    return scheduler.track(this.node.start(), life);
  }

  crash(keep: 'none' | 'all' = 'none'): void {
    this.life.die();
    this.log.crash({ keep });
    this.store.crash('process');
    this.cluster.network.crashed(this.id);
    this.held = undefined;
    this.heldStore = undefined;
  }

  hold(): void {
    this.held ??= [];
  }

  release(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const fn of held) fn();
  }

  releaseStore(): void {
    const held = this.heldStore ?? [];
    this.heldStore = undefined;
    for (const fn of held) fn();
  }

  write(ops: readonly WriteOp[] | WriteOp, options: WriteCallOptions = {}): Pending<readonly WriteResult[]> {
    const list = Array.isArray(ops) ? (ops as readonly WriteOp[]) : [ops as WriteOp];
    const pending = new Pending<readonly WriteResult[]>();
    this.node.write(
      {
        ops: list,
        durability: options.durability ?? { kind: 'local' },
        deadlineMs: options.deadlineMs ?? 5000,
        session: options.session,
        seenStamp: options.seenStamp,
        waits: options.waits,
        failed: options.failed,
      },
      (results) => pending.answer(results),
    );
    return pending;
  }

  read(
    type: MergeTypeName,
    key: string,
    consistency: Consistency = { kind: 'local' },
    deadlineMs = 1000,
  ): Pending<ReadResult | CausewayError> {
    const pending = new Pending<ReadResult | CausewayError>();
    this.node.read({ namespace: 'shop', collection: type, keys: [key], consistency, deadlineMs }, (result) =>
      pending.answer(result),
    );
    return pending;
  }

  /** What a local read says now. */
  text(type: MergeTypeName, key: string): string | undefined {
    const { value } = this.read(type, key);
    if (value === undefined || value instanceof Error) throw new Error(`no answer to a local read: ${String(value)}`);
    return textOf(value.views[0]);
  }

  liveOrigin(shard: ShardId = this.cluster.shards[0]!): OriginId {
    return this.node.liveOrigin(shard)!;
  }

  digests(): string[] {
    return this.node.digests(this.clock.nowMs()).map(({ shard, digest }) => `${shard} ${digest}`);
  }
}

export interface WriteCallOptions {
  readonly durability?: Durability;
  readonly deadlineMs?: number;
  readonly session?: SessionToken;
  readonly seenStamp?: number;
  readonly waits?: () => void;
  readonly failed?: (error: CausewayError) => void;
}

/** Counts its answers: there must be one. */
export class Pending<T> {
  readonly answers: T[] = [];

  answer(value: T): void {
    // A copy, so that a later change of what was handed over is seen.
    this.answers.push(Array.isArray(value) ? ([...value] as T) : value);
  }

  get value(): T | undefined {
    return this.answers[0];
  }
}

/** Of a write: `ok`, or the codes of what was refused. */
export function outcome(pending: Pending<readonly WriteResult[]>): string {
  if (pending.answers.length !== 1) return `${pending.answers.length} answers`;
  return [...new Set(pending.value!.map((result) => (result.ok ? 'ok' : result.error.code)))].join(',');
}

export function put(key: string, value: string, more: Partial<WriteOp> = {}): WriteOp {
  return {
    namespace: 'shop',
    collection: 'register-lww',
    key,
    intent: { kind: 'put', value: Buffer.from(value) },
    ...more,
  };
}

export class TestCluster {
  readonly scheduler = new Scheduler();
  readonly network: Network;
  readonly regions: TestRegion[];
  readonly shards: readonly ShardId[];
  readonly #options: ClusterOptions;

  constructor(options: ClusterOptions = {}) {
    this.#options = options;
    this.network = new Network(this.scheduler, new SeededRandom(1), new Trace(() => this.scheduler.now), {
      sendBufferBytes: 1 << 20,
      stallMsMin: 400,
      stallMsMax: 4000,
      halfOpenMsMax: 500,
    });
    this.shards = Array.from({ length: options.shards ?? 1 }, (_, i) => shardId(1, i));
    this.regions = (options.regions ?? ['eu']).map((name) => new TestRegion(this, regionId(name)));
  }

  /** Starts all regions and lets them become ready. */
  static async started(options: ClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    for (const region of cluster.regions) void region.start();
    await cluster.run(2000);
    return cluster;
  }

  get lateStore(): boolean | undefined {
    return this.#options.lateStore;
  }

  region(name: string): TestRegion {
    return this.regions.find(({ id }) => id === name)!;
  }

  settingsOf(id: RegionId): ConstructorParameters<typeof RegionNode>[0] {
    const ids = this.regions.map((region) => region.id);
    return {
      region: id,
      node: `${id}-0`,
      version: '0.0.0-test',
      clusterId: 'test',
      settingsHash: 'test',
      placements: [{ id: 1, name: 'all', shards: this.shards.length, regions: ids }],
      namespaces: [{ name: 'shop', placementId: 1 }],
      collections: (Object.keys(MERGE_TYPE_CODES) as MergeTypeName[]).map((type): CollectionRef => ({
        namespace: 'shop',
        name: type,
        id: 1,
        type,
      })),
      peers: ids.filter((other) => other !== id).map((region) => ({ region, addresses: [region] })),
      maxSkewMs: this.#options.maxSkewMs ?? 2000,
      leaseMs: 1000,
      heartbeatMs: 100,
      linkCompression: 'auto',
      storeFlushMs: 500,
      allowFreshStart: false,
      limits: { ...DEFAULT_LIMITS, ...this.#options.limits },
    };
  }

  cut(a: string, b: string, blocked = true): void {
    this.network.change(a, b, { blocked });
    this.network.change(b, a, { blocked });
  }

  async run(ms: number): Promise<void> {
    await this.scheduler.run(this.scheduler.now + ms);
  }

  /** Until it holds; fails after `ms`. */
  async until(holds: () => boolean, ms = 20_000): Promise<void> {
    const end = this.scheduler.now + ms;
    while (!holds()) {
      if (this.scheduler.now >= end) throw new Error(`it did not become true within ${ms} ms`);
      await this.run(10);
    }
  }
}

/** As the embedded store: reads are answered at once, writes take their time. */
class SyncReads extends MemoryStore {
  readonly #disk: MemoryStoreDisk;

  constructor(disk: MemoryStoreDisk, complete: (fn: () => void) => void) {
    super({ disk, complete });
    this.#disk = disk;
  }

  override get answersAtOnce(): boolean {
    return true;
  }

  override refresh(...[, done]: Parameters<MemoryStore['refresh']>): void {
    done();
  }

  override getMany(...[shard, rowKeys, done]: Parameters<MemoryStore['getMany']>): void {
    const { rows } = this.#disk.shard(shard);
    done(rowKeys.map((rowKey) => rows.get(rowKey)));
  }

  override scan(...[shard, from, to, limit, done]: Parameters<MemoryStore['scan']>): void {
    done(this.#disk.shard(shard).scan(from, to, limit));
  }
}
