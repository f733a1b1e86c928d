// A simulated cluster: regions with their disks and clocks, nodes that come and go, and the network between them.
// The nodes are the production ones; what they stand on (log, store, ownership, wire, clock) is simulated.

import type { AppendOutcome, LogEntry, LogRecovery } from '../../src/log/log.ts';
import {
  MemoryDisk,
  MemoryLog,
  type AppendFault,
  type MemoryAppend,
  type MemoryDiskImage,
} from '../../src/log/memory.ts';
import { MemoryOwnership } from '../../src/ownership/memory.ts';
import { SingleOwnership } from '../../src/ownership/single.ts';
import { shardOf } from '../../src/record/hash.ts';
import { regionId, shardId, shardParts, type RegionId, type ShardId } from '../../src/record/ids.ts';
import { MERGE_TYPE_CODES, type CollectionRef, type MergeTypeName } from '../../src/record/op.ts';
import type { NodeLifecycle, NodePorts, NodeSettings, PlacementSettings } from '../../src/region/options.ts';
import type { Region } from '../../src/region/region.ts';
import { MemoryStore, MemoryStoreDisk } from '../../src/store/memory.ts';
import type { StepOutcome, StoreRow, StoreStep } from '../../src/store/store.ts';
import { History } from '../check/history.ts';
import { countAppend } from './branches.ts';
import { Network, type Conditions } from './network.ts';
import type { Plan } from './plan.ts';
import type { SeededRandom } from './random.ts';
import { Life, Scheduler } from './scheduler.ts';
import { SimClock, simSystem } from './system.ts';
import { Trace } from './trace.ts';

export type SimulatedNode = Region & NodeLifecycle;
export type NodeFactory = (settings: NodeSettings, ports: NodePorts) => SimulatedNode;

export const NAMESPACES = ['shop', 'narrow'] as const;
export const TYPES = Object.keys(MERGE_TYPE_CODES) as MergeTypeName[];
/** Keys that share a partition, for atomic writes; beside `k0`, `k1`, … of each collection. */
export const TAGGED_KEYS = ['{t}0', '{t}1', '{u}0', '{u}1'] as const;
/** How often a store that stands still looks whether it goes on. */
const STANDING_MS = 20;
const REGION_NAMES = ['ap', 'eu', 'sa', 'us', 'za'];

/** One process of a region, over its lives. */
export class SimNode {
  readonly region: SimRegion;
  readonly index: number;
  readonly name: string;
  readonly address: string;
  life: Life;
  node: SimulatedNode | undefined;
  log: MemoryLog | undefined;
  store: MemoryStore | undefined;
  /** The log and the store were opened, and have to be crashed with the process. */
  logOpen = false;
  storeOpen = false;
  state: 'down' | 'starting' | 'up' | 'stopping' = 'down';
  /** Of this life: a dead process hears of nothing. */
  ownership: MemoryOwnership | undefined;
  lives = 0;
  /** Each node has a store of its own beside the region's one log, unless the store is a server. */
  readonly storeDisk: MemoryStoreDisk;

  constructor(region: SimRegion, index: number) {
    this.region = region;
    this.index = index;
    this.name = `${region.id}-${index}`;
    this.address = addressOf(region.id, index);
    this.life = new Life(this.name);
    this.life.die();
    this.storeDisk = region.storeServer ?? new MemoryStoreDisk();
  }

  get up(): boolean {
    return this.state === 'up' && this.life.alive && !this.life.paused;
  }
}

export class SimRegion {
  readonly id: RegionId;
  readonly disk = new MemoryDisk();
  readonly clock: SimClock;
  readonly nodes: SimNode[] = [];
  /** All its nodes' store, if that is a server. */
  readonly storeServer: MemoryStoreDisk | undefined;
  readonly shards: readonly ShardId[];
  /** Until then the store answers nothing, by the scheduler's time. */
  storeStandsUntilMs = 0;
  /** Counts disks: the store of another disk's log proves nothing. */
  generation = 0;
  diskMs: number;
  appendFault: ((append: MemoryAppend) => AppendFault) | undefined;
  /** Called when a node begins to write to its store, or to make it durable. */
  onStore: ((node: SimNode, what: 'write' | 'checkpoint') => void) | undefined;
  backup: { readonly image: MemoryDiskImage; readonly tails: ReadonlyMap<ShardId, number> } | undefined;
  /** Acknowledged ops of it may be gone: its disk was lost or went back. */
  rewound = false;
  owner = 0;

  constructor(id: RegionId, clock: SimClock, shards: readonly ShardId[], plan: Pick<Plan, 'diskMs' | 'lateStore'>) {
    this.id = id;
    this.storeServer = plan.lateStore ? new MemoryStoreDisk() : undefined;
    this.clock = clock;
    this.shards = shards;
    this.diskMs = plan.diskMs;
  }

  get upNodes(): SimNode[] {
    return this.nodes.filter((node) => node.up);
  }

  get anyAlive(): boolean {
    return this.nodes.some((node) => node.life.alive);
  }
}

function addressOf(region: string, index: number): string {
  return `${region}#${index}`;
}

export interface ClusterEvents {
  /** A region's log has entries that the history has not seen. */
  nodeDown?(node: SimNode): void;
  rewound?(region: SimRegion): void;
}

export class Cluster {
  readonly plan: Plan;
  readonly scheduler = new Scheduler();
  readonly trace: Trace;
  readonly network: Network;
  readonly regions: SimRegion[] = [];
  readonly placements: readonly PlacementSettings[];
  readonly collections: readonly CollectionRef[];
  readonly history: History;
  readonly events: ClusterEvents[] = [];
  readonly #random: SeededRandom;
  readonly #factory: NodeFactory;
  readonly #dirty = new Set<SimRegion>();
  /** Per shard; everybody asks. */
  readonly #members = new Map<ShardId, readonly RegionId[]>();

  constructor(plan: Plan, random: SeededRandom, factory: NodeFactory) {
    this.plan = plan;
    this.#random = random.fork('cluster');
    this.#factory = factory;
    this.trace = new Trace(() => this.scheduler.now);
    this.network = new Network(this.scheduler, random.fork('network'), this.trace, {
      sendBufferBytes: plan.sendBufferBytes,
      stallMsMin: 400,
      stallMsMax: 4000,
      halfOpenMsMax: 3000,
    });
    const ids = REGION_NAMES.slice(0, plan.regions).map(regionId);
    const placements: PlacementSettings[] = [{ id: 1, name: 'everywhere', shards: plan.shards, regions: ids }];
    if (plan.narrowPlacement) placements.push({ id: 2, name: 'narrow', shards: 1, regions: ids.slice(0, -1) });
    this.placements = placements;
    this.collections = placements.flatMap((_, i) =>
      TYPES.map((type): CollectionRef => ({ namespace: NAMESPACES[i]!, name: type, id: 1, type })),
    );
    this.history = new History({ isMember: (region, shard) => this.members(shard).includes(region) });
    for (const id of ids) this.#addRegion(id);
    for (const from of ids) {
      for (const to of ids) {
        if (from !== to) this.network.change(from, to, this.calm());
      }
    }
  }

  /** What the plan says of the wire when nothing is wrong with it. */
  calm(): Conditions {
    return {
      delayMs: this.plan.delayMs,
      jitterMs: this.plan.jitterMs,
      bytesPerMs: 10_000,
      blocked: false,
      breakRate: 0,
      repeats: 0,
      flips: 0,
    };
  }

  #addRegion(id: RegionId): void {
    const shards = this.placements
      .filter((placement) => placement.regions.includes(id))
      .flatMap((placement) => Array.from({ length: placement.shards }, (_, i) => shardId(placement.id, i)));
    const region = new SimRegion(id, new SimClock(this.scheduler), shards, this.plan);
    for (let i = 0; i < this.plan.nodesPerRegion; i++) {
      region.nodes.push(new SimNode(region, i));
    }
    this.regions.push(region);
  }

  members(shard: ShardId): readonly RegionId[] {
    let members = this.#members.get(shard);
    if (members === undefined) {
      const { placementId } = shardParts(shard);
      members = this.placements.find(({ id }) => id === placementId)?.regions ?? [];
      this.#members.set(shard, members);
    }
    return members;
  }

  shardOf(namespace: string, collection: string, key: string): ShardId {
    const placement = this.placements[NAMESPACES.indexOf(namespace as (typeof NAMESPACES)[number])]!;
    return shardOf(namespace, collection, key, placement.id, placement.shards);
  }

  region(id: string): SimRegion {
    const region = this.regions.find((each) => each.id === id);
    if (region === undefined) throw new Error(`no region ${id}`);
    return region;
  }

  /** A client of this region asks this node; undefined: none answers. */
  nodeFor(region: SimRegion): SimNode | undefined {
    const owner = region.nodes[region.owner]!;
    return owner.up ? owner : region.upNodes[0];
  }

  settingsOf(node: SimNode): NodeSettings {
    const { plan } = this;
    return {
      region: node.region.id,
      node: node.name,
      version: '0.0.0-sim',
      clusterId: 'sim',
      settingsHash: 'sim',
      placements: this.placements,
      namespaces: this.placements.map(({ id }, i) => ({ name: NAMESPACES[i]!, placementId: id })),
      collections: this.collections,
      peers: this.regions
        .filter((other) => other !== node.region)
        .map((other) => ({ region: other.id, addresses: other.nodes.map(({ address }) => address) })),
      maxSkewMs: plan.maxSkewMs,
      leaseMs: plan.leaseMs,
      heartbeatMs: plan.heartbeatMs,
      // Messages are not bytes here, so there is nothing to compress.
      linkCompression: 'never',
      // Much more often than nodes do: what goes wrong between log and store must have the time to.
      storeFlushMs: 500,
      allowFreshStart: false,
      limits: plan.limits,
    };
  }

  start(node: SimNode): void {
    if (node.life.alive) return;
    const { scheduler, trace } = this;
    const { region } = node;
    const life = new Life(node.name);
    node.life = life;
    node.lives++;
    node.state = 'starting';
    const random = this.#random.fork(`${node.name} life ${node.lives} ${this.plan.seed}`);
    trace.add('start', node.name);
    const log = new TrackedLog(
      {
        disk: region.disk,
        complete: (fn) => {
          scheduler.after(
            region.diskMs * (0.5 + random.float()),
            () => {
              // Before, because the oracle looks when the node answers a client from within; after, for the rest.
              this.touched(region);
              fn();
              this.touched(region);
            },
            life,
          );
        },
        random: () => random.float(),
        fault: (append) => this.#faultOf(region, append),
      },
      scheduler,
      life,
    );
    node.log = log;
    node.logOpen = false;
    log.onOpened = () => {
      node.logOpen = true;
    };
    const { storeMs, lateStore } = this.plan;
    const answerLater = (ms: number, fn: () => void): void => {
      const answer = (): void => {
        if (region.storeStandsUntilMs > scheduler.now) answerLater(STANDING_MS, fn);
        else fn();
      };
      scheduler.after(ms, answer, life);
    };
    const store = new TrackedStore(
      {
        disk: node.storeDisk,
        logIdentity: `${region.id} ${region.generation}`,
        ...(storeMs === 0 ? {} : { complete: (fn: () => void) => answerLater(storeMs * random.float(), fn) }),
        ...(lateStore ? { onLost: (shard: ShardId, why: string) => node.node?.storeLost(shard, why) } : {}),
      },
      scheduler,
      life,
      lateStore,
    );
    node.store = store;
    node.storeOpen = false;
    store.onOpened = () => {
      node.storeOpen = true;
    };
    store.onWork = (what) => region.onStore?.(node, what);
    const transport = this.network.transport(node.address, region.id, life);
    node.ownership =
      region.nodes.length === 1 ? undefined : new MemoryOwnership(region.owner === node.index ? region.shards : []);
    const ownership = node.ownership ?? new SingleOwnership();
    const system = simSystem(scheduler, region.clock, life, random.fork('node'));
    node.node = this.#factory(this.settingsOf(node), { log, store, transport, ownership, system });
    const started = scheduler.track(node.node.start(), life);
    started.then(
      () => {
        if (life.alive && node.life === life && node.state === 'starting') {
          node.state = 'up';
          trace.add('up', node.name);
        }
      },
      (error: unknown) => {
        if (life.alive) this.fail(new Error(`${node.name} does not start: ${String(error)}`, { cause: error }));
      },
    );
  }

  failure: Error | undefined;

  /** Ends the run after this event. */
  fail(error: Error): void {
    this.failure ??= error;
  }

  #faultOf(region: SimRegion, append: MemoryAppend): AppendFault {
    const fault = region.appendFault?.(append) ?? 'none';
    if (fault !== 'none') this.trace.add('append', region.id, append.shard, append.expectOffset, fault);
    return fault;
  }

  /** The process dies: nothing of it is heard again. */
  crash(
    node: SimNode,
    options: { readonly keep: 'none' | 'all' | 'random'; readonly torn: boolean; readonly machine: boolean },
  ): void {
    if (!node.life.alive) return;
    for (const each of this.events) each.nodeDown?.(node);
    this.trace.add('crash', node.name, options.keep, options.machine ? 'machine' : 'process');
    node.life.die();
    node.state = 'down';
    // One that is stopping may have closed them already: then there is nothing more to lose.
    if (node.logOpen && node.log!.isOpen) node.log!.crash({ keep: options.keep, torn: options.torn });
    if (node.storeOpen && node.store!.isOpen)
      node.store!.crash(options.machine && !this.plan.lateStore ? 'machine' : 'process');
    this.#gone(node);
  }

  /** SIGTERM. */
  stop(node: SimNode, then: () => void): void {
    if (node.state !== 'up') return;
    node.state = 'stopping';
    this.trace.add('stop', node.name);
    const { life } = node;
    const stopping = (async () => {
      await node.node!.drain();
      await node.node!.stop();
    })();
    this.scheduler.track(stopping, life).then(
      () => {
        if (!life.alive) return;
        for (const each of this.events) each.nodeDown?.(node);
        this.trace.add('stopped', node.name);
        life.die();
        node.state = 'down';
        this.#gone(node);
        then();
      },
      (error: unknown) => {
        if (life.alive) this.fail(new Error(`${node.name} does not stop: ${String(error)}`, { cause: error }));
      },
    );
  }

  #gone(node: SimNode): void {
    node.logOpen = false;
    node.storeOpen = false;
    node.node = undefined;
    this.network.crashed(node.address);
    this.touched(node.region);
  }

  /** The other node of the region reads the logs, and owns everything `readMs` later, whether it has read them or not. */
  moveOwnerAhead(region: SimRegion, to: number, readMs: number, lateMs: number): void {
    const node = region.nodes[to]!;
    const { life } = node;
    if (!life.alive || node.node === undefined) return;
    this.trace.add('follow', region.id, to);
    for (const shard of region.shards) void this.scheduler.track(node.node.follow(shard), life);
    this.scheduler.after(readMs, () => {
      if (node.life === life) this.moveOwner(region, to, lateMs);
    });
  }

  /** The other node of the region owns everything from now on; the old one hears of it `lateMs` later. */
  moveOwner(region: SimRegion, to: number, lateMs: number): void {
    const before = region.owner;
    if (before === to) return;
    region.owner = to;
    this.trace.add('owner', region.id, to);
    const set = (index: number, owned: boolean): void => {
      const node = region.nodes[index]!;
      if (!node.life.alive) return;
      for (const shard of region.shards) node.ownership?.set(shard, owned);
    };
    // Both own it meanwhile: what the fence is for.
    this.scheduler.after(lateMs, () => {
      if (region.owner !== before) set(before, false);
    });
    set(to, true);
  }

  takeBackup(region: SimRegion): void {
    this.catchUp();
    region.backup = {
      image: region.disk.snapshot(),
      tails: new Map(region.shards.map((shard) => [shard, region.disk.shard(shard).tail])),
    };
    this.trace.add('backup', region.id);
  }

  /** No node of the region is alive. */
  restoreBackup(region: SimRegion): void {
    if (region.backup === undefined) return;
    this.catchUp();
    region.disk.restore(region.backup.image);
    this.#rewind(region, 'restored');
  }

  wipe(region: SimRegion, marker: boolean): void {
    this.catchUp();
    region.disk.wipe({ marker });
    for (const node of region.nodes) node.storeDisk.clear();
    this.#rewind(region, marker ? 'wiped, marker left' : 'wiped');
  }

  damage(region: SimRegion, shard: ShardId, entries: number): void {
    this.catchUp();
    const { tail } = region.disk.shard(shard);
    region.disk.damage(shard, Math.max(1, tail - entries + 1));
    this.#rewind(region, `damaged ${shard}`);
  }

  #rewind(region: SimRegion, how: string): void {
    region.generation++;
    region.rewound = true;
    this.trace.add('disk', region.id, how);
    for (const shard of region.shards) {
      const { entries } = region.disk.shard(shard);
      const bytes = entries.map((entry) => entry.bytes);
      this.history.rewind(region.id, shard, bytes);
    }
    this.touched(region);
    for (const each of this.events) each.rewound?.(region);
  }

  touched(region: SimRegion): void {
    this.#dirty.add(region);
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Shows the history what has become durable since the last time. `now`: a region whose node is speaking: one event may land several
   *  appends, and it tells of the first before the last is there. Throws a Violation. */
  catchUp(now?: SimRegion): void {
    if (now !== undefined) this.#dirty.add(now);
    for (const region of this.#dirty) {
      for (const shard of region.shards) {
        const at = region.disk.shard(shard);
        const log = this.history.log(region.id, shard);
        for (let offset = log.tail + 1; offset <= at.tail; offset++) {
          const entry: LogEntry = at.entries[offset - at.start]!;
          this.trace.mix(offset);
          this.history.durable(region.id, shard, offset, entry.kind, entry.bytes);
        }
      }
    }
    this.#dirty.clear();
  }
}

/** The engines' promises are among the few that a node waits for: the scheduler has to know of them. */
class TrackedLog extends MemoryLog {
  readonly #scheduler: Scheduler;
  readonly #life: Life;
  onOpened: (() => void) | undefined;

  constructor(options: ConstructorParameters<typeof MemoryLog>[0], scheduler: Scheduler, life: Life) {
    super(options);
    this.#scheduler = scheduler;
    this.#life = life;
  }

  override open(shards: readonly ShardId[]): Promise<LogRecovery> {
    this.onOpened?.();
    return this.#scheduler.track(super.open(shards), this.#life);
  }

  override append(
    shard: ShardId,
    expectOffset: number,
    entries: readonly LogEntry[],
    done: (outcome: AppendOutcome) => void,
  ): void {
    super.append(shard, expectOffset, entries, (outcome) => {
      countAppend(outcome);
      done(outcome);
    });
  }

  override close(): Promise<void> {
    return this.#scheduler.track(super.close(), this.#life);
  }
}

/** As LMDB is: reads are answered at once, writes take their time. Or, late, as Redis is. */
class TrackedStore extends MemoryStore {
  readonly #scheduler: Scheduler;
  readonly #life: Life;
  readonly #disk: MemoryStoreDisk;
  readonly #late: boolean;
  onOpened: (() => void) | undefined;
  onWork: ((what: 'write' | 'checkpoint') => void) | undefined;

  constructor(options: ConstructorParameters<typeof MemoryStore>[0], scheduler: Scheduler, life: Life, late: boolean) {
    super(options);
    this.#disk = options.disk;
    this.#scheduler = scheduler;
    this.#life = life;
    this.#late = late;
  }

  override get answersAtOnce(): boolean {
    return !this.#late;
  }

  override open(shards: readonly ShardId[]): Promise<void> {
    this.onOpened?.();
    return this.#scheduler.track(super.open(shards), this.#life);
  }

  override getMany(
    shard: ShardId,
    rowKeys: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[]) => void,
  ): void {
    if (this.#late) {
      super.getMany(shard, rowKeys, done);
      return;
    }
    const { rows } = this.#disk.shard(shard);
    done(rowKeys.map((rowKey) => rows.get(rowKey)));
  }

  override scan(
    shard: ShardId,
    from: string,
    to: string,
    limit: number,
    done: (rows: readonly StoreRow[]) => void,
  ): void {
    if (this.#late) super.scan(shard, from, to, limit, done);
    else done(this.#disk.shard(shard).scan(from, to, limit));
  }

  override refresh(shard: ShardId, done: () => void): void {
    if (this.#late) super.refresh(shard, done);
    else done();
  }

  override write(steps: readonly StoreStep[], done: (outcomes: readonly StepOutcome[]) => void): void {
    this.onWork?.('write');
    super.write(steps, done);
  }

  override checkpoint(): Promise<void> {
    this.onWork?.('checkpoint');
    return this.#scheduler.track(super.checkpoint(), this.#life);
  }

  override close(): Promise<void> {
    return this.#scheduler.track(super.close(), this.#life);
  }
}
