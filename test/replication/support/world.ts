// Regions that consist of links, a log in memory and a host that keeps vectors, and a network between them that delays, fills up,
// closes and goes dark. What a stream carries is checked on the way: nobody sends beyond the credit, and nothing of a shard
// reaches a region outside its placement (I10).

import { encodeBatch, NO_CHECKSUM, OrderedDeps, readBatchHeader } from '../../../src/record/batch.ts';
import { originId, regionId, type OriginId, type RegionId, type ShardId } from '../../../src/record/ids.ts';
import type { CollectionRef } from '../../../src/record/op.ts';
import type { VersionVector } from '../../../src/record/vector.ts';
import { MemoryDisk, MemoryLog } from '../../../src/log/memory.ts';
import type { ClockSample, LinkState, Received, ReplicationHost } from '../../../src/replication/host.ts';
import { Links } from '../../../src/replication/links.ts';
import type { Down, Up, WelcomeShard } from '../../../src/replication/messages.ts';
import type { LinkHandlers, LinkStream, Transport } from '../../../src/replication/transport.ts';
import type { ShardBeat } from '../../../src/shard/beat.ts';
import type { VirtualTime } from './virtual.ts';

const collection: CollectionRef = { namespace: 'shop', name: 'carts', id: 1, type: 'register-lww' };

export function makeBatch(shard: ShardId, origin: OriginId, firstSeq: number, count = 1, valueBytes = 10): Buffer {
  return encodeBatch({
    shard,
    origin,
    firstSeq,
    firstStamp: 1000 + firstSeq,
    deps: OrderedDeps.empty,
    depsBefore: undefined,
    previousChecksum: NO_CHECKSUM,
    ops: Array.from({ length: count }, (_, i) => ({
      collection,
      key: `k${firstSeq + i}`,
      payload: Buffer.alloc(valueBytes, 1),
    })),
  });
}

export interface WorldOptions {
  /** Shard → members. */
  readonly placement: ReadonlyMap<ShardId, readonly RegionId[]>;
  readonly windowBytes?: number;
  readonly heartbeatMs?: number;
  readonly relayAfterMs?: number;
  readonly delayMs?: () => number;
  /** Bytes on a stream's way before send() says false. */
  readonly bufferBytes?: number;
  readonly logDelayMs?: () => number;
  /** Whether the host drops a batch that it could take. */
  readonly dropsBatch?: () => boolean;
  /** More addresses of each peer, at which nobody is. */
  readonly idleAddresses?: readonly string[];
}

export class World {
  readonly time: VirtualTime;
  readonly options: WorldOptions;
  readonly net: Net;
  readonly regions = new Map<RegionId, FakeRegion>();

  constructor(time: VirtualTime, options: WorldOptions) {
    this.time = time;
    this.options = options;
    this.net = new Net(time, options);
    const names = new Set([...options.placement.values()].flat());
    for (const name of [...names].toSorted()) this.regions.set(name, new FakeRegion(this, name));
  }

  region(name: string): FakeRegion {
    const region = this.regions.get(regionId(name));
    if (region === undefined) throw new Error(`no region ${name}`);
    return region;
  }

  start(): void {
    for (const region of this.regions.values()) region.start();
  }

  get all(): FakeRegion[] {
    return [...this.regions.values()];
  }

  /** Does every member hold everything of every shard? */
  converged(): boolean {
    for (const [shard, members] of this.options.placement) {
      const wanted: VersionVector = new Map();
      for (const member of members) {
        for (const [origin, seq] of this.region(member).host.vector(shard)) {
          if ((wanted.get(origin) ?? 0) < seq) wanted.set(origin, seq);
        }
      }
      for (const member of members) {
        const vector = this.region(member).host.vector(shard);
        for (const [origin, seq] of wanted) if (vector.get(origin) !== seq) return false;
      }
    }
    return true;
  }

  /** I2: per shard and origin, each region's log holds 1, 2, 3 … in order, each once. */
  checkLogs(): void {
    for (const region of this.all) {
      for (const [shard, members] of this.options.placement) {
        const next = new Map<OriginId, number>();
        for (const bytes of region.batchesOf(shard)) {
          if (!members.includes(region.name)) throw new Error(`I10: ${region.name} holds a batch of ${shard}`);
          const header = readBatchHeader(bytes);
          const expected = next.get(header.origin) ?? 1;
          if (header.firstSeq !== expected) {
            throw new Error(
              `${region.name} ${shard} ${header.origin}: seq ${header.firstSeq} where ${expected} was due`,
            );
          }
          next.set(header.origin, header.lastSeq + 1);
        }
      }
    }
  }
}

export class FakeRegion {
  readonly name: RegionId;
  readonly world: World;
  readonly disk = new MemoryDisk();
  #host: FakeHost | undefined;
  links: Links | undefined;
  lives = 0;

  constructor(world: World, name: RegionId) {
    this.world = world;
    this.name = name;
  }

  get host(): FakeHost {
    if (this.#host === undefined) throw new Error(`${this.name} was not started`);
    return this.#host;
  }

  /** On the network of the world, or on another transport with its own addresses. */
  start(
    transport: Transport = this.world.net.listen(this.name),
    addressOf: (region: RegionId) => string = (region) => region,
  ): void {
    this.lives++;
    this.#host = new FakeHost(this);
    this.host.recover();
    const { options, time } = this.world;
    this.links = new Links(this.host, {
      peers: [...this.world.regions.keys()]
        .filter((region) => region !== this.name)
        .map((region) => ({ region, addresses: [addressOf(region), ...(options.idleAddresses ?? [])] })),
      windowBytes: options.windowBytes ?? 64 * 1024,
      heartbeatMs: options.heartbeatMs ?? 100,
      compression: 'auto',
      relayAfterMs: options.relayAfterMs,
      transport,
      system: time.system,
    });
    this.links.start();
  }

  /** The process dies: its streams break, its log keeps what was durable. */
  kill(): void {
    this.host.alive = false;
    this.links?.stop();
    this.links = undefined;
    this.world.net.unlisten(this.name);
    this.host.log.crash();
  }

  batchesOf(shard: ShardId): Uint8Array[] {
    const batches: Uint8Array[] = [];
    if (this.disk.shard(shard).tail === 0) return batches;
    for (const entry of this.disk.shard(shard).entries) if (entry.kind === 'batch') batches.push(entry.bytes);
    return batches;
  }
}

/** A node that consists of vectors and a log. */
export class FakeHost implements ReplicationHost {
  readonly region: RegionId;
  readonly node = 'n1';
  readonly instance: string;
  readonly clusterId = 'test';
  readonly settingsHash = 'same';
  readonly log: MemoryLog;
  alive = true;
  owned: ShardId[];
  readonly #of: FakeRegion;
  readonly #vectors = new Map<ShardId, VersionVector>();
  readonly #taken = new Map<ShardId, VersionVector>();
  readonly #tails = new Map<ShardId, number>();
  readonly #live = new Map<ShardId, OriginId>();
  readonly acks = new Map<string, VersionVector>();
  readonly states: { peer: RegionId; state: LinkState }[] = [];
  readonly samples: ClockSample[] = [];
  readonly welcomes: { from: RegionId; shards: readonly WelcomeShard[] }[] = [];
  readonly beatsSeen: { from: RegionId; beats: readonly ShardBeat[] }[] = [];
  readonly received = { taken: 0, duplicate: 0, echoes: 0, dropped: 0, from: new Map<RegionId, number>() };

  constructor(of: FakeRegion) {
    this.#of = of;
    this.region = of.name;
    this.instance = `${of.name}-life-${of.lives}`;
    const { time, options } = of.world;
    this.owned = [...options.placement].filter(([, members]) => members.includes(of.name)).map(([shard]) => shard);
    const delay = options.logDelayMs;
    const later = (fn: () => void): void => {
      if (delay === undefined) fn();
      else void time.system.timers.after(delay(), fn);
    };
    this.log = new MemoryLog({ disk: of.disk, complete: later, completeRead: later });
    void this.log.open(this.owned);
  }

  recover(): void {
    for (const shard of this.owned) {
      for (const bytes of this.#of.batchesOf(shard)) {
        const { origin, lastSeq } = readBatchHeader(bytes);
        this.#map(this.#vectors, shard).set(origin, lastSeq);
        this.#map(this.#taken, shard).set(origin, lastSeq);
      }
      this.#tails.set(shard, this.log.tail(shard));
    }
  }

  #map(of: Map<ShardId, VersionVector>, shard: ShardId): VersionVector {
    let vector = of.get(shard);
    if (vector === undefined) {
      vector = new Map();
      of.set(shard, vector);
    }
    return vector;
  }

  /** Local ops, in one batch. */
  write(shard: ShardId, count = 1, valueBytes = 10): void {
    let origin = this.#live.get(shard);
    if (origin === undefined) {
      origin = originId(this.region, this.#of.world.time.system.random.uint48());
      this.#live.set(shard, origin);
    }
    const firstSeq = (this.taken(shard).get(origin) ?? 0) + 1;
    this.#append(shard, makeBatch(shard, origin, firstSeq, count, valueBytes), origin, firstSeq + count - 1);
  }

  #append(shard: ShardId, bytes: Uint8Array, origin: OriginId, lastSeq: number): void {
    this.#map(this.#taken, shard).set(origin, lastSeq);
    const offset = (this.#tails.get(shard) ?? 0) + 1;
    this.#tails.set(shard, offset);
    this.log.append(shard, offset, [{ kind: 'batch', bytes }], (outcome) => {
      if (outcome.kind !== 'durable') throw new Error(`append: ${outcome.kind}`);
      this.#map(this.#vectors, shard).set(origin, lastSeq);
      this.#of.links?.onDurable(shard);
    });
  }

  /** A lease, as owners write them between batches. */
  lease(shard: ShardId): void {
    const offset = (this.#tails.get(shard) ?? 0) + 1;
    this.#tails.set(shard, offset);
    this.log.append(shard, offset, [{ kind: 'lease', bytes: Buffer.from('lease') }], () => {
      this.#of.links?.onDurable(shard);
    });
  }

  shards(): readonly ShardId[] {
    return this.owned;
  }

  members(shard: ShardId): readonly RegionId[] {
    return this.#of.world.options.placement.get(shard) ?? [];
  }

  isRegion(name: string): boolean {
    return this.#of.world.regions.has(name as RegionId);
  }

  vector(shard: ShardId): VersionVector {
    return this.#map(this.#vectors, shard);
  }

  taken(shard: ShardId): VersionVector {
    return this.#map(this.#taken, shard);
  }

  boundOf(): number {
    return 7;
  }

  begin(): number {
    return 7;
  }

  onBegun(): void {
    // Nothing begins here.
  }

  liveOrigin(shard: ShardId): OriginId | undefined {
    return this.#live.get(shard);
  }

  receive(from: RegionId, batch: Uint8Array): Received {
    const header = readBatchHeader(batch);
    const { shard, origin, firstSeq, lastSeq } = header;
    if (!this.alive) throw new Error('a batch for a dead host');
    if (!this.owned.includes(shard)) throw new Error(`I10: ${this.region} was sent a batch of ${shard} by ${from}`);
    if (origin === this.liveOrigin(shard)) {
      this.received.echoes++;
      return 'duplicate';
    }
    const have = this.taken(shard).get(origin) ?? 0;
    if (lastSeq <= have) {
      this.received.duplicate++;
      return 'duplicate';
    }
    if (firstSeq > have + 1 || this.#of.world.options.dropsBatch?.() === true) {
      this.received.dropped++;
      this.#of.links?.wantAgain(shard);
      return 'dropped';
    }
    if (firstSeq !== have + 1) throw new Error(`a batch ${firstSeq}..${lastSeq} over ${have}`);
    this.received.taken++;
    this.received.from.set(from, (this.received.from.get(from) ?? 0) + 1);
    this.#append(shard, Buffer.from(batch), origin, lastSeq);
    return 'taken';
  }

  beats(): readonly ShardBeat[] {
    return this.owned.map((shard) => ({
      shard,
      watermarks: [...this.vector(shard)].map(([origin, seq]) => ({ origin, seq, stamp: 1000 + seq })),
      reports: [],
    }));
  }

  onBeats(from: RegionId, beats: readonly ShardBeat[]): void {
    for (const { shard } of beats) {
      if (!this.owned.includes(shard)) throw new Error(`I10: a beat of ${shard} at ${this.region}`);
    }
    this.beatsSeen.push({ from, beats });
    if (this.beatsSeen.length > 100) this.beatsSeen.shift();
  }

  onClockSample(_from: RegionId, sample: ClockSample): void {
    this.samples.push(sample);
  }

  onAck(from: RegionId, shard: ShardId, durable: ReadonlyMap<OriginId, number>): void {
    const key = `${from} ${shard}`;
    const acked = this.acks.get(key) ?? new Map<OriginId, number>();
    for (const [origin, seq] of durable) {
      if (seq < (acked.get(origin) ?? 0)) throw new Error('an ack that goes back');
      acked.set(origin, seq);
    }
    this.acks.set(key, acked);
  }

  onWelcome(from: RegionId, shards: readonly WelcomeShard[]): void {
    this.welcomes.push({ from, shards });
  }

  readonly clashes: string[] = [];

  onIdentityClash(_region: RegionId, message: string): void {
    this.clashes.push(message);
  }

  onLinkState(peer: RegionId, state: LinkState): void {
    this.states.push({ peer, state });
  }
}

// The network

/** One stream. Each direction is in order; a direction that is dark carries nothing and tells nobody. */
export class Pipe {
  readonly from: RegionId;
  readonly to: RegionId;
  readonly net: Net;
  up: LinkHandlers<Up> | undefined;
  down: LinkHandlers<Down> | undefined;
  open = true;
  readonly #arrivesMs = { up: 0, down: 0 };
  readonly #onTheWay = { up: 0, down: 0 };
  readonly #full = { up: false, down: false };
  readonly #held: (() => void)[] = [];
  /** Of batches, in this stream's life. */
  granted = 0;
  sent = 0;
  window = 0;
  /** The dialling side does not take what comes. */
  stalled: Down[] | undefined;

  constructor(net: Net, from: RegionId, to: RegionId) {
    this.net = net;
    this.from = from;
    this.to = to;
  }

  send(direction: 'up' | 'down', message: Up | Down): boolean {
    if (!this.open) return true;
    if (direction === 'down') this.#check(message as Down);
    const bytes = sizeOf(message);
    this.#onTheWay[direction] += bytes;
    const { time, options } = this.net;
    const at = Math.max(this.#arrivesMs[direction], time.monotonicMs + (options.delayMs?.() ?? 1));
    this.#arrivesMs[direction] = at;
    if (direction === 'up' && (message as Up).kind === 'credit') this.grantedAt(message as Up);
    time.system.timers.after(at - time.monotonicMs, () => this.#arrive(direction, message, bytes));
    const full = this.#onTheWay[direction] > (options.bufferBytes ?? 128 * 1024);
    if (full) this.#full[direction] = true;
    return !full;
  }

  grantedAt(message: Up): void {
    if (message.kind !== 'credit') return;
    if (this.window === 0) this.window = message.bytesTotal;
    this.granted = message.bytesTotal;
  }

  #check(message: Down): void {
    if (message.kind !== 'batches') return;
    const bytes = message.batches.reduce((sum, batch) => sum + batch.length, 0);
    const alone = message.batches.length === 1 && this.granted - this.sent >= this.window;
    this.sent += bytes;
    if (this.sent > this.granted && !alone) throw new Error(`credit exceeded by ${this.sent - this.granted}`);
    if (message.batches.length > 1000) throw new Error('a frame of too many batches');
    if (message.batches.length > 1 && bytes > 256 * 1024) throw new Error('a frame of too many bytes');
    this.net.batchBytes += bytes;
    for (const batch of message.batches) {
      const { shard } = readBatchHeader(batch);
      if (this.net.options.placement.get(shard)?.includes(this.from) !== true) {
        throw new Error(`I10: a batch of ${shard} on its way to ${this.from}`);
      }
    }
  }

  #arrive(direction: 'up' | 'down', message: Up | Down, bytes: number): void {
    if (!this.open) return;
    if (this.net.loses?.(message) === true) return;
    // As TCP does: what is not heard of now is sent again, and arrives in order when the dark has lifted.
    if (this.net.isDark(this.from, this.to)) {
      this.#held.push(() => this.#arrive(direction, message, bytes));
      return;
    }
    if (direction === 'down' && this.stalled !== undefined) {
      this.stalled.push(message as Down);
      return;
    }
    this.#onTheWay[direction] -= bytes;
    if (direction === 'up') this.up?.message(message as Up);
    else this.down?.message(message as Down);
    if (this.#full[direction] && this.#onTheWay[direction] === 0 && this.open) {
      this.#full[direction] = false;
      if (direction === 'up') this.down?.drain();
      else this.up?.drain();
    }
  }

  lift(): void {
    for (const arrive of this.#held.splice(0)) arrive();
  }

  /** What was held back arrives. */
  unstall(): void {
    const held = this.stalled ?? [];
    this.stalled = undefined;
    for (const message of held) this.#arrive('down', message, sizeOf(message));
  }

  close(reason: string, by?: 'up' | 'down'): void {
    if (!this.open) return;
    // What was sent before arrives before.
    const { time } = this.net;
    this.net.pipes.delete(this);
    if (by === undefined) {
      this.open = false;
      this.up?.closed(reason);
      this.down?.closed(reason);
      return;
    }
    // The side that closes hears nothing more; the other one first gets what is on its way.
    const [here, there] = by === 'up' ? (['down', 'up'] as const) : (['up', 'down'] as const);
    const handlers = { up: this.up, down: this.down };
    if (here === 'up') this.up = undefined;
    else this.down = undefined;
    time.system.timers.soon(() => handlers[here]?.closed(reason));
    const at = Math.max(this.#arrivesMs[by], time.monotonicMs);
    time.system.timers.after(at - time.monotonicMs + 0.001, () => {
      if (!this.open) return;
      this.open = false;
      if (!this.net.isDark(this.from, this.to)) handlers[there]?.closed(reason);
    });
  }
}

export class Net {
  readonly time: VirtualTime;
  readonly options: WorldOptions;
  readonly pipes = new Set<Pipe>();
  batchBytes = 0;
  /** What no network may do: a message of a stream goes missing. */
  loses: ((message: Up | Down) => boolean) | undefined;
  dials = 0;
  readonly #accepts = new Map<string, (stream: LinkStream<Down>) => LinkHandlers<Up>>();
  /** `a b`: dials fail, streams are closed. */
  readonly #cut = new Set<string>();
  /** `a b`: nothing arrives, nobody is told. */
  readonly #dark = new Set<string>();

  constructor(time: VirtualTime, options: WorldOptions) {
    this.time = time;
    this.options = options;
  }

  static pair(a: string, b: string): string {
    return a < b ? `${a} ${b}` : `${b} ${a}`;
  }

  isDark(a: string, b: string): boolean {
    return this.#dark.has(Net.pair(a, b));
  }

  cut(a: string, b: string): void {
    this.#cut.add(Net.pair(a, b));
    this.breakStreams(a, b);
  }

  dark(a: string, b: string): void {
    this.#dark.add(Net.pair(a, b));
  }

  heal(): void {
    this.#cut.clear();
    this.#dark.clear();
    for (const pipe of this.pipes) pipe.lift();
  }

  breakStreams(a: string, b: string): void {
    for (const pipe of this.pipes) if (Net.pair(pipe.from, pipe.to) === Net.pair(a, b)) pipe.close('reset');
  }

  between(from: string, to: string): Pipe[] {
    return [...this.pipes].filter((pipe) => pipe.from === from && pipe.to === to);
  }

  unlisten(name: RegionId): void {
    this.#accepts.delete(name);
    for (const pipe of this.pipes) if (pipe.from === name || pipe.to === name) pipe.close('the process died');
  }

  listen(name: RegionId): Transport {
    return {
      onAccept: (accept) => void this.#accepts.set(name, accept),
      dial: (address, handlers) => this.#dial(name, regionId(address), handlers),
    };
  }

  #dial(from: RegionId, to: RegionId, handlers: LinkHandlers<Down>): LinkStream<Up> {
    this.dials++;
    const pipe = new Pipe(this, from, to);
    const accept = this.#accepts.get(to);
    if (accept === undefined || this.#cut.has(Net.pair(from, to))) {
      handlers.closed('connection refused');
      return { send: () => true, close: () => undefined };
    }
    this.pipes.add(pipe);
    pipe.down = handlers;
    pipe.up = accept({
      send: (message) => pipe.send('down', message),
      close: (reason) => pipe.close(reason, 'down'),
    });
    return {
      send: (message) => pipe.send('up', message),
      close: (reason) => pipe.close(reason, 'up'),
    };
  }
}

function sizeOf(message: Up | Down): number {
  return message.kind === 'batches' ? message.batches.reduce((sum, batch) => sum + batch.length, 16) : 64;
}
