// A region of two nodes in virtual time: both on the same memory log and store, as on JetStream and Redis, and each a SharedRegion. What the nodes ask of each
// other takes a millisecond there and one back. Shards change hands when a test says so.

import { SeededRandom } from '../../chaos/sim/random.ts';
import { Life } from '../../chaos/sim/scheduler.ts';
import { simSystem } from '../../chaos/sim/system.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import { MemoryLog } from '../../src/log/memory.ts';
import { MemoryOwnership } from '../../src/ownership/memory.ts';
import type { ShardId } from '../../src/record/ids.ts';
import { RegionNode } from '../../src/region/node.ts';
import type { NodeLimits } from '../../src/region/options.ts';
import { SharedRegion } from '../../src/region/shared-region.ts';
import type { WriteRequest, WriteResult } from '../../src/region/region.ts';
import type { SharedOwnership, Siblings } from '../../src/region/siblings.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import type { System } from '../../src/system/system.ts';
import { TestCluster, type TestRegion } from './node-kit.ts';

/** Of one node: its own shards, and what it knows of the others'. */
class SharedMemoryOwnership extends MemoryOwnership implements SharedOwnership {
  readonly owners = new Map<ShardId, string>();
  readonly pins = new Map<ShardId, string>();
  readonly peers: () => readonly string[];
  onPin: (shard: ShardId, node: string | undefined) => Promise<void> = () => Promise.resolve();
  readonly #moved: ((shard: ShardId) => void)[] = [];

  constructor(peers: () => readonly string[]) {
    super();
    this.peers = peers;
  }

  ownerOf(shard: ShardId): { readonly node: string; readonly address: string } | undefined {
    const node = this.owners.get(shard);
    return node === undefined ? undefined : { node, address: node };
  }

  others(): readonly { readonly node: string; readonly address: string; readonly living: boolean }[] {
    return this.peers().map((node) => ({ node, address: node, living: true }));
  }

  pinnedTo(shard: ShardId): string | undefined {
    return this.pins.get(shard);
  }

  loadOf(): number | undefined {
    return undefined;
  }

  wantedOwner(shard: ShardId): string | undefined {
    return this.pins.get(shard) ?? this.owners.get(shard);
  }

  move(shard: ShardId, node: string | undefined): Promise<void> {
    if (node === undefined) this.pins.delete(shard);
    else this.pins.set(shard, node);
    return this.onPin(shard, node);
  }

  onMoved(listener: (shard: ShardId) => void): void {
    this.#moved.push(listener);
  }

  hear(shard: ShardId, node: string | undefined): void {
    if (node === undefined) this.owners.delete(shard);
    else this.owners.set(shard, node);
    for (const listener of this.#moved) listener(shard);
  }
}

/** How much is read of it. */
class CountingLog extends MemoryLog {
  readonly #count: (entries: number) => void;

  constructor(options: ConstructorParameters<typeof MemoryLog>[0], count: (entries: number) => void) {
    super(options);
    this.#count = count;
  }

  override read(...[shard, from, bytesMax, done]: Parameters<MemoryLog['read']>): void {
    super.read(shard, from, bytesMax, (result) => {
      if (result.kind === 'entries') this.#count(result.entries.length);
      done(result);
    });
  }
}

export class SharedNode {
  readonly name: string;
  readonly node: RegionNode;
  readonly region: SharedRegion;
  readonly ownership: SharedMemoryOwnership;

  constructor(name: string, node: RegionNode, ownership: SharedMemoryOwnership, siblings: Siblings, system: System) {
    this.name = name;
    this.node = node;
    this.ownership = ownership;
    this.region = new SharedRegion(node, ownership, siblings, system);
  }
}

export class SharedCluster {
  readonly cluster: TestCluster;
  readonly eu: TestRegion;
  readonly nodes: SharedNode[] = [];
  /** Nodes that cannot be reached. */
  readonly away = new Set<string>();
  /** From one node to another. */
  wayMs = 1;
  /** By node: entries of logs that were read. */
  readonly read = new Map<string, number>();
  /** What nodes have asked each other: `method name`. */
  readonly asked: string[] = [];

  constructor(shards: number, limits: Partial<NodeLimits> = {}) {
    this.cluster = new TestCluster({ shards, limits });
    this.eu = this.cluster.region('eu');
  }

  /** `eu-0` has the shards of even index, `eu-1` the others. */
  static async started(shards = 4, limits: Partial<NodeLimits> = {}): Promise<SharedCluster> {
    const shared = new SharedCluster(shards, limits);
    shared.add('eu-0');
    shared.add('eu-1');
    shared.cluster.shards.forEach((shard, i) => shared.give(shard, `eu-${i % 2}`));
    for (const { node } of shared.nodes) void shared.cluster.scheduler.track(node.start(), new Life('test'));
    for (const { region } of shared.nodes) region.start();
    await shared.cluster.run(2000);
    return shared;
  }

  #count(name: string, entries: number): void {
    this.read.set(name, (this.read.get(name) ?? 0) + entries);
  }

  add(name: string): SharedNode {
    const { cluster, eu } = this;
    const life = new Life(name);
    const ownership = new SharedMemoryOwnership(() =>
      this.nodes.map((other) => other.name).filter((other) => other !== name),
    );
    const system = simSystem(cluster.scheduler, eu.clock, life, new SeededRandom(7, name));
    const complete = (fn: () => void): void => void cluster.scheduler.after(1, fn, life);
    const node: RegionNode = new RegionNode(
      { ...cluster.settingsOf(eu.id), node: name },
      {
        log: new CountingLog({ disk: eu.disk, complete }, (entries) => this.#count(name, entries)),
        store: new MemoryStore({
          disk: eu.storeDisk,
          complete,
          onLost: (shard, why) => node.storeLost(shard, why),
        }),
        transport: cluster.network.transport(name, eu.id, life),
        ownership,
        system,
      },
    );
    const made = new SharedNode(name, node, ownership, this.#siblings(), system);
    this.nodes.push(made);
    return made;
  }

  /** Everybody hears of it at once. */
  give(shard: ShardId, name: string | undefined): void {
    for (const { ownership, name: own } of this.nodes) if (own !== name) ownership.set(shard, false);
    for (const { ownership } of this.nodes) ownership.hear(shard, name);
    this.nodes.find((node) => node.name === name)?.ownership.set(shard, true);
  }

  /** In order, as NATS KV has it: drained, released, and taken over some time later. */
  async handOver(shard: ShardId, name: string, gapMs = 20): Promise<void> {
    const { scheduler } = this.cluster;
    const wait = (): Promise<void> => new Promise((resolve) => void scheduler.after(gapMs, resolve, new Life('gap')));
    await scheduler.track(this.owner(shard).node.release(shard), new Life('release'));
    this.give(shard, undefined);
    await wait();
    this.give(shard, name);
  }

  owner(shard: ShardId): SharedNode {
    return this.nodes.find(({ ownership }) => ownership.owns(shard))!;
  }

  /** The methods of a node, a way away: the last argument of each is its callback, or a sink. */
  #siblings(): Siblings {
    const after = (fn: () => void): void => void this.cluster.scheduler.after(this.wayMs, fn, new Life('way'));
    const gone = (name: string): CausewayError =>
      new CausewayError('UNAVAILABLE', `${name} cannot be reached`, { outcome: 'not-applied' });
    const at = (name: string): RegionNode => this.nodes.find((node) => node.name === name)!.node;
    type Results = (results: readonly WriteResult[]) => void;
    const refused = ({ ops }: WriteRequest, error: CausewayError): WriteResult[] =>
      ops.map(() => ({ ok: false, error }));
    type Method = Exclude<keyof Siblings, 'write' | 'stream' | 'subscribe' | 'watchConflicts'>;
    /** What the node answers in the call. */
    const atOnce: Partial<Record<Method, (node: RegionNode, ...args: never[]) => unknown>> = {
      status: (node) => node.status(),
      digests: (node, asOfMs: number) => node.digests(asOfMs),
      sharedState: (node, unless: string) => node.sharedState(unless),
      collections: (node, namespace: string, name: string) =>
        node.collections().filter(({ ref }) => ref.namespace === namespace && ref.name === name),
    };
    const unary =
      (method: Method) =>
      (name: string, ...rest: unknown[]): void => {
        const done = rest.pop() as (result: unknown) => void;
        if (method !== 'sharedState') this.asked.push(`${method} ${name}`);
        after(() => {
          const now = atOnce[method] as ((node: RegionNode, ...args: unknown[]) => unknown) | undefined;
          const answered = (result: unknown): void => after(() => done(result));
          if (this.away.has(name)) answered(gone(name));
          else if (now !== undefined) answered(now(at(name), ...rest));
          else (at(name) as unknown as Record<string, (...args: unknown[]) => void>)[method]!(...rest, answered);
        });
      };
    /** `there` is what the other node does with it: it answers itself, or lets the region's node do so. */
    const write = (
      name: string,
      request: WriteRequest,
      done: Results,
      there: (node: RegionNode, done: Results) => void,
    ): void => {
      this.asked.push(`write ${name}`);
      after(() => {
        if (this.away.has(name)) after(() => done(refused(request, gone(name))));
        else there(at(name), (results) => after(() => done(results)));
      });
    };
    return {
      write: (name, request, done) => write(name, request, done, (node, answered) => node.write(request, answered)),
      // As api/write-stream.ts: what is behind a failure is refused there, untried.
      stream: (name) => {
        let refusedEpoch = -1;
        return {
          write: (epoch, request, done) =>
            write(name, request, done, (node, answered) => {
              if (epoch <= refusedEpoch) {
                const about = { retriable: true, outcome: 'not-applied' } as const;
                answered(refused(request, new CausewayError('NOT_READY', 'one before it failed', about)));
                return;
              }
              const failed = (): void => void (refusedEpoch = Math.max(refusedEpoch, epoch));
              node.write({ ...request, failed }, answered);
            }),
        };
      },
      status: unary('status') as Siblings['status'],
      sharedState: unary('sharedState') as Siblings['sharedState'],
      collections: unary('collections') as Siblings['collections'],
      createCollection: unary('createCollection') as Siblings['createCollection'],
      alterCollection: unary('alterCollection') as Siblings['alterCollection'],
      dropCollection: unary('dropCollection') as Siblings['dropCollection'],
      read: unary('read') as Siblings['read'],
      scan: unary('scan') as Siblings['scan'],
      digests: unary('digests') as Siblings['digests'],
      conflicts: unary('conflicts') as Siblings['conflicts'],
      conflictsOf: unary('conflictsOf') as Siblings['conflictsOf'],
      restoreConflict: unary('restoreConflict') as Siblings['restoreConflict'],
      history: unary('history') as Siblings['history'],
      subscribe: (name, request, sink) => at(name).subscribe(request, sink),
      watchConflicts: (name, request, sink) => at(name).watchConflicts(request, sink),
    };
  }
}
