// All links of one node: dials every peer address and keeps it dialled, serves every stream that is dialled to us, and decides
// who is asked for whose ops. The shell around receiver.ts and source.ts: it owns the timers and calls the host; they decide.
//
// I7   What a link brings goes to the host with the name of the region that the handshake has established.
// I12  Streams that wait for their hello: GREETING_STREAMS_MAX, beyond which new ones are turned away. Streams of one region:
//      STREAMS_PER_REGION_MAX, beyond which the oldest is closed. Receivers: one per configured address.
// HAZARD: transport and log may call back before their methods return. Events of one receiver queue up behind the one in progress.

import { originRegion, type OriginId, type RegionId, type ShardId } from '../record/ids.ts';
import type { ReadonlyVector, VersionVector } from '../record/vector.ts';
import type { ShardBeat } from '../shard/beat.ts';
import type { System, TimerHandle } from '../system/system.ts';
import type { Tracing } from '../tracing/tracing.ts';
import { Feeders } from './feeders.ts';
import { BEGINNINGS, type Identity } from './handshake.ts';
import type { Answers, LinkState, ReplicationHost } from './host.ts';
import type { Begin, Down, Up, Welcome } from './messages.ts';
import { Receiver, type Compression, type Moment, type ReceiverAction, type ReceiverEvent } from './receiver.ts';
import { Relays, RELAY_AFTER_MS } from './relays.ts';
import { Source, type SourceState } from './source.ts';
import type { LinkHandlers, LinkStream, Transport } from './transport.ts';

export const GREETING_STREAMS_MAX = 64;
export const STREAMS_PER_REGION_MAX = 64;
/** A process that has been restarted says nothing any more on its old stream. One that does, so long after another process has said
 *  hello with its name, is a second one. */
export const CLASH_AFTER_MS = 1000;
/** A source says that it has more of its own ops than we took, and has sent nothing of them for so long: it is asked again. Each time
 *  in vain doubles the wait, so that a log here that takes nothing does not make the WAN busy. */
export const STUCK_MS_MIN = 3000;
export const STUCK_MS_MAX = 60_000;

export interface LinksOptions {
  /** As PeerSettings of region/options.ts. One link per address. */
  readonly peers: readonly { readonly region: RegionId; readonly addresses: readonly string[] }[];
  /** Bytes of batches that a source may have under way to us, per link. */
  readonly windowBytes: number;
  readonly heartbeatMs: number;
  /** Whether peers are asked to compress what they send us. */
  readonly compression: Compression;
  /** So long a peer's link is gone before others are asked for its ops. Default 1000. */
  readonly relayAfterMs?: number | undefined;
  readonly transport: Transport;
  readonly system: System;
  /** undefined: tracing is off. */
  readonly tracing?: Tracing | undefined;
}

export interface DialledLinkStatus {
  readonly peer: RegionId;
  readonly address: string;
  readonly state: LinkState;
  /** Who answered; undefined unless up. */
  readonly node: string | undefined;
  readonly rttMs: number | undefined;
  /** Of batches, as they came over the wire, since this node started. */
  readonly bytesReceived: number;
  /** The same, unpacked. */
  readonly rawBytesReceived: number;
}

/** Since this node started, streams that have ended included. */
export interface SentBytes {
  /** Of batches. */
  readonly raw: number;
  /** Of everything that went over the wire, heartbeats included. */
  readonly wire: number;
}

export interface LinksState {
  readonly dialled: readonly DialledLinkStatus[];
  readonly served: readonly SourceState[];
  readonly sent: ReadonlyMap<RegionId, SentBytes>;
}

/** One peer address that we dial. */
interface Dialled {
  readonly peer: RegionId;
  readonly address: string;
  readonly receiver: Receiver;
  readonly queue: ReceiverEvent[];
  handling: boolean;
  /** The stream of this dial; its handlers compare it, so that an old stream's last words change nothing. */
  current: DialledStream | undefined;
  wake: TimerHandle | undefined;
  wakeAtMs: number | undefined;
  state: LinkState;
  /** Shards that are behind what the source's beats say: what was taken then, and since when it has not moved. */
  readonly stuck: Map<ShardId, Stuck>;
}

interface Stuck {
  taken: number;
  sinceMs: number;
  waitMs: number;
}

interface DialledStream extends Answers {
  stream: LinkStream<Up> | undefined;
}

/** One stream that was dialled to us. */
interface Served {
  readonly source: Source;
  readonly stream: LinkStream<Down>;
  /** Who it was found to be; undefined before its hello. */
  region: RegionId | undefined;
  /** Another process has said hello with the same names since. */
  claimedBy: { readonly other: Served; readonly sinceMs: number } | undefined;
}

export class Links {
  readonly #host: ReplicationHost;
  readonly #options: LinksOptions;
  readonly #system: System;
  readonly #relays: Relays;
  readonly #feeders: Feeders;
  readonly #dialled: Dialled[];
  readonly #served = new Set<Served>();
  /** By streams that have ended. */
  readonly #sentBefore = new Map<RegionId, SentBytes>();
  /** Per peer region, what the host was told last. */
  readonly #told = new Map<RegionId, LinkState>();
  /** Per shard, the live origin that the last wants named. */
  readonly #live = new Map<ShardId, OriginId | undefined>();
  #running = false;
  #stopped = false;
  #heartbeat: TimerHandle | undefined;

  constructor(host: ReplicationHost, options: LinksOptions) {
    this.#host = host;
    this.#options = options;
    this.#system = options.system;
    this.#relays = new Relays(options.relayAfterMs ?? RELAY_AFTER_MS);
    const { region, node, instance, clusterId, settingsHash } = host;
    this.#feeders = new Feeders(region);
    const self: Identity = { region, node, instance, clusterId, settingsHash };
    this.#dialled = options.peers.flatMap(({ region: peer, addresses }) =>
      [...new Set(addresses)].map((address): Dialled => {
        const { windowBytes, heartbeatMs, compression } = options;
        return {
          peer,
          address,
          receiver: new Receiver({ self, peer, address, windowBytes, heartbeatMs, compression }),
          queue: [],
          handling: false,
          current: undefined,
          wake: undefined,
          wakeAtMs: undefined,
          state: { kind: 'connecting', attempt: 1 },
          stuck: new Map(),
        };
      }),
    );
    options.transport.onAccept((stream) => this.#accept(stream));
  }

  /** Once. The host must be able to answer from now on. */
  start(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    this.#heartbeat = this.#system.timers.every(this.#options.heartbeatMs, () => this.#beat());
    for (const dialled of this.#dialled) this.#post(dialled, { kind: 'start' });
  }

  /** For good. No callback of the host is called afterwards. */
  stop(): void {
    if (this.#stopped) return;
    this.#running = false;
    this.#stopped = true;
    this.#heartbeat?.cancel();
    for (const dialled of this.#dialled) {
      dialled.wake?.cancel();
      dialled.queue.length = 0;
      const current = dialled.current;
      dialled.current = undefined;
      current?.stream?.close('this node stops');
    }
    for (const served of this.#served) this.#end(served, 'this node stops');
  }

  /** More of the shard is durable in our log: peers are sent it, and told that we hold it. */
  onDurable(shard: ShardId): void {
    if (!this.#running) return;
    for (const { source } of this.#served) source.onDurable(shard);
    if (this.#dialled.length === 0) return;
    // A new incarnation starts with an append of its lease.
    this.#noteLive(shard);
    const event: ReceiverEvent = { kind: 'durable', shard, vector: this.#host.vector(shard) };
    for (const dialled of this.#dialled) {
      if (dialled.receiver.served.has(shard)) this.#post(dialled, event);
    }
  }

  /** Calls wait for acknowledgements by other regions; to be said again while they do. */
  wantAcks(): void {
    const { clock } = this.#system;
    for (const { source } of this.#served) source.wantAcks(clock.nowMs(), clock.monotonicMs());
  }

  /** The shards that this node owns have changed. */
  onOwnership(): void {
    if (!this.#running) return;
    for (const { source } of this.#served) source.onOwnership();
    this.#noteDirect();
    this.#wantAll();
  }

  /** What a link brought of the shard was dropped and is needed: every source starts again from what has been taken. At most one
   *  want per 100 ms, shard and link; the last call is never lost. */
  wantAgain(shard: ShardId): void {
    if (!this.#running) return;
    for (const dialled of this.#dialled) this.#post(dialled, { kind: 'want-again', shard });
  }

  /** Asks every node of `peer` that serves them where our region may begin these origins. Links that are not up yet are not asked: after
   *  their welcome it is for the host to ask again. */
  begin(peer: RegionId, shards: Begin['shards']): void {
    if (!this.#running) return;
    for (const dialled of this.#dialled) if (dialled.peer === peer) this.#post(dialled, { kind: 'begin', shards });
  }

  states(): LinksState {
    return {
      dialled: this.#dialled.map(({ peer, address, receiver, state }) => ({
        peer,
        address,
        state,
        node: receiver.welcome?.node,
        rttMs: receiver.rttMs,
        bytesReceived: receiver.bytesReceived,
        rawBytesReceived: receiver.rawBytesReceived,
      })),
      served: [...this.#served].map(({ source }) => source.state()),
      sent: this.#sent(),
    };
  }

  #sent(): ReadonlyMap<RegionId, SentBytes> {
    const sent = new Map(this.#sentBefore);
    for (const served of this.#served) addSent(sent, served);
    return sent;
  }

  /** A served stream has ended, or is ended now. */
  #forget(served: Served): void {
    if (this.#served.delete(served)) addSent(this.#sentBefore, served);
  }

  #beat(): void {
    const { clock } = this.#system;
    const beats = this.#host.beats();
    for (const served of this.#served) served.source.heartbeat(beats, clock.nowMs(), clock.monotonicMs());
    for (const dialled of this.#dialled) this.#post(dialled, { kind: 'heartbeat' });
    this.#direct();
    for (const shard of this.#host.shards()) this.#noteLive(shard);
  }

  // Receiving

  #moment(): Moment {
    const { clock, random } = this.#system;
    return { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs(), random: random.float() };
  }

  #post(dialled: Dialled, event: ReceiverEvent): void {
    if (!this.#running) return;
    dialled.queue.push(event);
    if (dialled.handling) return;
    dialled.handling = true;
    for (let next = dialled.queue.shift(); next !== undefined; next = dialled.queue.shift()) {
      for (const action of dialled.receiver.handle(next, this.#moment())) {
        if (!this.#running) break;
        this.#perform(dialled, action);
      }
    }
    dialled.handling = false;
    this.#rearm(dialled);
  }

  #rearm(dialled: Dialled): void {
    const at = dialled.receiver.wakeAtMs();
    if (at === dialled.wakeAtMs || !this.#running) return;
    dialled.wake?.cancel();
    dialled.wakeAtMs = at;
    if (at === undefined) return;
    const inMs = Math.max(0, at - this.#system.clock.monotonicMs());
    dialled.wake = this.#system.timers.after(inMs, () => {
      dialled.wakeAtMs = undefined;
      this.#post(dialled, { kind: 'wake' });
    });
  }

  #perform(dialled: Dialled, action: ReceiverAction): void {
    switch (action.kind) {
      case 'dial':
        this.#dial(dialled);
        return;
      case 'close': {
        const current = dialled.current;
        dialled.current = undefined;
        current?.stream?.close(action.reason);
        return;
      }
      case 'send':
        this.#send(dialled, action.message);
        return;
      case 'want':
        this.#send(dialled, {
          kind: 'want',
          shard: action.shard,
          regions: action.regions,
          have: this.#have(action.shard, action.regions),
        });
        return;
      case 'deliver':
        this.#deliver(dialled.peer, dialled.current ?? ENDED, action.batches);
        return;
      case 'beats':
        this.#beats(dialled, action.beats);
        return;
      case 'clock':
        this.#host.onClockSample(dialled.peer, action.sample);
        return;
      case 'welcome':
        this.#welcome(dialled, action.welcome);
        return;
      case 'begun':
        this.#host.onBegun(dialled.peer, this.#shared(action.shards, dialled.peer));
        return;
      case 'state':
        this.#stateChanged(dialled, action.state);
        return;
    }
  }

  #dial(dialled: Dialled): void {
    const current: DialledStream = {
      stream: undefined,
      answered: (bytes) => {
        if (isCurrent()) this.#post(dialled, { kind: 'answered', bytes });
      },
    };
    const isCurrent = (): boolean => dialled.current === current;
    dialled.current = current;
    const stream = this.#options.transport.dial(dialled.address, {
      message: (message) => {
        if (isCurrent()) this.#post(dialled, { kind: 'message', message });
      },
      drain: () => {
        if (isCurrent()) this.#post(dialled, { kind: 'drain' });
      },
      closed: (reason) => {
        if (!isCurrent()) return;
        dialled.current = undefined;
        this.#post(dialled, { kind: 'closed', reason });
      },
    });
    current.stream = stream;
  }

  #send(dialled: Dialled, message: Up): void {
    // Without a stream: it closed while the dial was still under way, and the event that says so is in the queue.
    if (dialled.current?.stream?.send(message) === false) this.#post(dialled, { kind: 'blocked' });
  }

  /** What has been taken here of these regions' origins. */
  #have(shard: ShardId, regions: readonly RegionId[]): ReadonlyVector {
    const have: VersionVector = new Map();
    for (const [origin, seq] of this.#host.taken(shard)) {
      if (seq > 0 && regions.includes(originRegion(origin))) have.set(origin, seq);
    }
    const live = this.#host.liveOrigin(shard);
    // Our own ops come from nowhere else; without this every peer would send them back to us.
    if (live !== undefined && regions.length > 0) have.set(live, Number.MAX_SAFE_INTEGER);
    return have;
  }

  #deliver(peer: RegionId, stream: Answers, batches: readonly Uint8Array[]): void {
    let bytes = 0;
    for (const batch of batches) {
      // Credit comes back whatever the answer is: what is parked is bounded by the host, what is dropped is asked for again.
      const received = this.#host.receive(peer, batch, stream);
      if (!this.#running) return;
      if (received !== 'waiting') bytes += batch.length;
    }
    if (bytes > 0) stream.answered(bytes);
  }

  #beats(dialled: Dialled, beats: readonly ShardBeat[]): void {
    const meant = this.#shared(beats, dialled.peer);
    if (meant.length === 0) return;
    let news = false;
    for (const beat of meant) {
      for (const { origin } of beat.watermarks) news = this.#noteOrigin(beat.shard, origin) || news;
      this.#noteStuck(dialled, beat);
    }
    for (const { shard, watermarks } of meant) this.#feeders.heard(shard, dialled.peer, watermarks);
    this.#host.onBeats(dialled.peer, meant);
    if (news) this.#wantAll();
  }

  /**
   * The last resort against a batch that never comes (a want that missed a brand-new origin, a batch that the host dropped and
   * forgot): the source's own origins stand where its watermarks say, so what is missing for long is asked for again.
   */
  #noteStuck(dialled: Dialled, { shard, watermarks }: ShardBeat): void {
    const taken = this.#host.taken(shard);
    let sum = 0;
    let behind = false;
    for (const { origin, seq } of watermarks) {
      if (originRegion(origin) !== dialled.peer) continue;
      const have = taken.get(origin) ?? 0;
      sum += have;
      if (have < seq) behind = true;
    }
    if (!behind) {
      dialled.stuck.delete(shard);
      return;
    }
    const { monotonicMs } = this.#moment();
    const stuck = dialled.stuck.get(shard);
    if (stuck === undefined || stuck.taken !== sum) {
      dialled.stuck.set(shard, { taken: sum, sinceMs: monotonicMs, waitMs: STUCK_MS_MIN });
    } else if (monotonicMs - stuck.sinceMs >= stuck.waitMs) {
      stuck.sinceMs = monotonicMs;
      stuck.waitMs = Math.min(stuck.waitMs * 2, STUCK_MS_MAX);
      this.#post(dialled, { kind: 'want-again', shard });
    }
  }

  #welcome(dialled: Dialled, welcome: Welcome): void {
    const shards = this.#shared(welcome.shards, dialled.peer);
    for (const { shard, vector } of shards) {
      for (const origin of vector.keys()) this.#noteOrigin(shard, origin);
    }
    // Also of shards that another node of our region owns now: when they come to us, nobody will tell us again.
    this.#host.onWelcome(
      dialled.peer,
      welcome.shards.filter(({ shard }) => this.#host.members(shard).includes(dialled.peer)),
      welcome.features.includes(BEGINNINGS),
    );
    this.#noteDirect();
    const { monotonicMs } = this.#moment();
    for (const { shard, vector } of shards) {
      this.#feeders.welcomed(shard, dialled.peer, vector, this.#host.taken(shard), monotonicMs);
    }
    this.#wantAll();
    for (const { shard } of shards) {
      this.#post(dialled, { kind: 'durable', shard, vector: this.#host.vector(shard) });
    }
  }

  /** Only of such shards may a peer tell us anything: ours, and its own too (I7, I10). */
  #shared<T extends { readonly shard: ShardId }>(told: readonly T[], peer: RegionId): T[] {
    const owned = new Set(this.#host.shards());
    return told.filter(({ shard }) => owned.has(shard) && this.#host.members(shard).includes(peer));
  }

  #stateChanged(dialled: Dialled, state: LinkState): void {
    dialled.state = state;
    const { peer } = dialled;
    // Several addresses are one peer to the host: up while any is, else what hinders the one that fails most instructively.
    const rank: Record<LinkState['kind'], number> = { up: 3, refused: 2, down: 1, connecting: 0 };
    const best = this.#dialled
      .filter((other) => other.peer === peer)
      .reduce((a, b) => (rank[b.state.kind] > rank[a.state.kind] ? b : a), dialled).state;
    if (this.#told.get(peer) === best) return;
    this.#told.set(peer, best);
    this.#host.onLinkState(peer, best);
    if (state.kind !== 'connecting') this.#direct();
  }

  // Who is asked for whose ops

  #direct(): void {
    if (this.#noteDirect()) this.#wantAll();
  }

  #noteOrigin(shard: ShardId, origin: OriginId): boolean {
    const region = originRegion(origin);
    if (region === this.#host.region || this.#host.members(shard).includes(region)) return false;
    return this.#relays.noteFormer(shard, region);
  }

  /** True when it changes who is asked: nobody will say so a second time. */
  #noteDirect(): boolean {
    const { monotonicMs } = this.#moment();
    let changed = false;
    for (const shard of this.#host.shards()) {
      for (const region of this.#host.members(shard)) {
        if (region === this.#host.region) continue;
        changed = this.#relays.note(shard, region, this.#serves(region, shard), monotonicMs) || changed;
      }
    }
    for (const shard of this.#feeders.shards()) {
      const serves = (peer: RegionId): boolean => this.#serves(peer, shard);
      changed = this.#feeders.check(shard, this.#host.taken(shard), serves, monotonicMs) || changed;
    }
    return changed;
  }

  #serves(peer: RegionId, shard: ShardId): boolean {
    return this.#dialled.some((dialled) => dialled.peer === peer && dialled.receiver.served.has(shard));
  }

  /** Of which regions' ops a peer is asked. */
  #regionsOf(shard: ShardId, peer: RegionId, members: readonly RegionId[]): readonly RegionId[] {
    const { region } = this.#host;
    const others = members.filter((member) => member !== region);
    const feeder = this.#feeders.of(shard);
    if (feeder === undefined) return this.#relays.regionsOf(shard, peer, region, others);
    return feeder === peer ? this.#relays.allOf(shard, members) : [region];
  }

  #wantAll(): void {
    const wanted = new Map<RegionId, Map<ShardId, readonly RegionId[]>>();
    for (const { peer } of this.#dialled) {
      if (wanted.has(peer)) continue;
      const wants = new Map<ShardId, readonly RegionId[]>();
      for (const shard of this.#host.shards()) {
        const members = this.#host.members(shard);
        if (members.includes(peer)) wants.set(shard, this.#regionsOf(shard, peer, members));
      }
      wanted.set(peer, wants);
    }
    for (const dialled of this.#dialled) {
      const wants = wanted.get(dialled.peer);
      if (wants !== undefined) this.#post(dialled, { kind: 'wants', wants });
    }
  }

  /** A new incarnation of ours: sources that were asked before it began echo it until they have read the new want. */
  #noteLive(shard: ShardId): void {
    const live = this.#host.liveOrigin(shard);
    if (this.#live.get(shard) === live) return;
    this.#live.set(shard, live);
    if (live !== undefined) this.wantAgain(shard);
  }

  // Serving

  #accept(stream: LinkStream<Down>): LinkHandlers<Up> {
    const { clock, timers } = this.#system;
    const host = this.#host;
    const source = new Source(
      host,
      {
        send: (message) => stream.send(message),
        close: (reason) => {
          this.#forget(served);
          stream.close(reason);
        },
        soon: (fn) => timers.soon(fn),
        tracing: this.#options.tracing,
      },
      { heartbeatMs: this.#options.heartbeatMs },
      clock.monotonicMs(),
    );
    const served: Served = { source, stream, region: undefined, claimedBy: undefined };
    if (!this.#running) {
      source.refuse(
        'not-ready',
        `${host.region} (node ${host.node}) is not ready to serve; it will be soon, or is stopping`,
      );
      return { message: ignore, drain: ignore, closed: ignore };
    }
    const greeting = [...this.#served].filter(({ region }) => region === undefined).length;
    if (greeting >= GREETING_STREAMS_MAX) {
      source.refuse('not-ready', `${greeting} streams to ${host.region} (node ${host.node}) have not said hello yet`);
      return { message: ignore, drain: ignore, closed: ignore };
    }
    this.#served.add(served);
    return {
      message: (message) => {
        source.message(message, clock.nowMs(), clock.monotonicMs());
        if (served.claimedBy !== undefined) this.#stillAlive(served, served.claimedBy);
        if (served.region === undefined && source.peer !== undefined && !source.isClosed) this.#introduced(served);
      },
      drain: () => source.drain(),
      closed: () => {
        source.closed();
        this.#forget(served);
      },
    };
  }

  #introduced(served: Served): void {
    const hello = served.source.peer;
    if (hello === undefined) return;
    served.region = hello.region;
    const others = [...this.#served].filter((other) => other !== served && other.region === hello.region);
    for (const other of others) {
      const before = other.source.peer;
      if (before?.node === hello.node && before.instance !== hello.instance) {
        other.claimedBy = { other: served, sinceMs: this.#system.clock.monotonicMs() };
      }
    }
    const [oldest, ...rest] = others.filter(({ source }) => !source.isClosed);
    if (oldest !== undefined && rest.length + 2 > STREAMS_PER_REGION_MAX) {
      this.#end(oldest, `${hello.region} holds more than ${STREAMS_PER_REGION_MAX} streams`);
    }
  }

  /** Two processes run under one name. The one that was here first goes on; which of them is right only a person knows. */
  #stillAlive(served: Served, { other, sinceMs }: NonNullable<Served['claimedBy']>): void {
    if (other.source.isClosed || served.source.isClosed) {
      served.claimedBy = undefined;
      return;
    }
    if (this.#system.clock.monotonicMs() - sinceMs < CLASH_AFTER_MS) return;
    served.claimedBy = undefined;
    const { region, node } = other.source.peer ?? this.#host;
    const message =
      `two processes call themselves node ${node} of ${region}: instances ${served.source.peer?.instance} and ` +
      `${other.source.peer?.instance}; stop one of them, or give it a name of its own`;
    other.source.refuse('region-name', message);
    this.#host.onIdentityClash?.(region, message);
  }

  #end(served: Served, reason: string): void {
    this.#forget(served);
    served.source.closed();
    served.stream.close(reason);
  }
}

function addSent(sent: Map<RegionId, SentBytes>, { region, source, stream }: Served): void {
  if (region === undefined) return;
  const { raw, wire } = sent.get(region) ?? { raw: 0, wire: 0 };
  const bytes = source.state().bytesSent;
  sent.set(region, { raw: raw + bytes, wire: wire + (stream.wireBytesSent ?? bytes) });
}

/** Of a stream that ended before what came with it was looked at. */
const ENDED: Answers = { answered: ignore };

function ignore(): void {
  // A stream that was turned away has nothing more to say.
}
