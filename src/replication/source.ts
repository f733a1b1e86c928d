// The serving side of one link: one stream that a peer dialled. Reads our log and sends what the peer lacks, in our log's order,
// whoever wrote it: a relay round a dead region is an ordinary want (DESIGN 9). No timers and no clock: links.ts hands in both.
//
// I8  A slow peer costs its cursors and no memory: READS_MAX reads under way and one frame being built are all that is ever held.
//     What was read and may not be sent is dropped and read again later.
// I10 A peer outside a shard's placement gets nothing of that shard, neither batches nor beats nor vectors. To ask is a protocol error.
// I7  Batches go out verbatim.
// Order: batches of one shard leave in log order. A beat may pass batches that are still being read; its watermarks count at the
// receiver only once its vector has reached their seq, so nothing is promised too early.

import { originRegion, type OriginId, type RegionId, type ShardId } from '../record/ids.ts';
import type { Log, ReadResult } from '../log/log.ts';
import { BatchPeeker } from '../record/peek.ts';
import type { ShardBeat } from '../shard/beat.ts';
import type { Tracing } from '../tracing/tracing.ts';
import { ACKS_ON_DEMAND, ACKS_SOON_MS, COMPRESSED_FRAMES, judgeHello, type Identity } from './handshake.ts';
import type { ReplicationHost } from './host.ts';
import type { Ack, Begin, Credit, Down, Hello, RefuseReason, Up, Want, WelcomeShard } from './messages.ts';
import { quietBeatMs, SilenceWatch, silentAfterMs } from './silence.ts';

/** A frame goes out when it holds this much, and at the end of the turn in any case. A larger batch goes alone. */
export const FRAME_BYTES = 256 * 1024;
export const FRAME_BATCHES_MAX = 1000;
/** One read of the log, about. */
export const READ_BYTES = 256 * 1024;
/** Reads under way for one stream, at most one per shard. Shards that wait take turns. */
export const READS_MAX = 4;
/** Shards of one beat; more make several, so that no message grows with the number of shards. */
export const BEAT_SHARDS_MAX = 64;
/** Regions of one want. Beyond: protocol error. A placement has a handful. */
export const WANT_REGIONS_MAX = 256;

export type SourceHost = Pick<
  ReplicationHost,
  | 'region'
  | 'node'
  | 'instance'
  | 'clusterId'
  | 'settingsHash'
  | 'shards'
  | 'members'
  | 'isRegion'
  | 'vector'
  | 'boundOf'
  | 'begin'
  | 'onAck'
> & { readonly log: Pick<Log, 'read' | 'tail' | 'start' | 'find'> };

/** What a source does to the outside. */
export interface SourcePorts {
  /** As LinkStream.send. */
  send(message: Down): boolean;
  /** Ends the stream; nothing is sent afterwards. */
  close(reason: string): void;
  /** Calls fn once what happens now has happened: batches that become ready together leave in one frame. */
  soon(fn: () => void): void;
  /** undefined: tracing is off. */
  readonly tracing?: Pick<Tracing, 'shipped' | 'tracer'> | undefined;
}

export interface SourceSettings {
  readonly heartbeatMs: number;
}

/** Where one shard stands on this stream. A want makes a new one; whatever still belongs to an old one is dropped by that. */
interface Cursor {
  readonly shard: ShardId;
  readonly regions: ReadonlySet<RegionId>;
  /** Per origin, what the peer had or was sent. */
  readonly sent: Map<OriginId, number>;
  /** From here on everything was looked at … */
  readonly began: number;
  /** … up to here: the next offset to be read. */
  next: number;
  reading: boolean;
  /** Why this shard is no longer served; undefined while it is. */
  failed: string | undefined;
  /** Origins whose next batch our log has no more: serving what follows would only be dropped as a gap. */
  readonly trimmed: Set<OriginId>;
}

export interface SourceState {
  readonly peer: RegionId | undefined;
  readonly node: string | undefined;
  readonly instance: string | undefined;
  /** Bytes of batches handed to the stream, the peer's window, and what its credit still allows. */
  readonly bytesSent: number;
  readonly windowBytes: number;
  readonly creditBytes: number;
  readonly shards: readonly {
    readonly shard: ShardId;
    /** Log entries that were not looked at yet. */
    readonly behind: number;
    readonly failed: string | undefined;
    readonly trimmed: readonly OriginId[];
  }[];
}

/** What the handshake settled. */
interface Agreed {
  readonly protocolVersion: number;
  readonly features: readonly string[];
}

export class Source {
  readonly #host: SourceHost;
  readonly #ports: SourcePorts;
  readonly #peeker = new BatchPeeker();
  readonly #silence: SilenceWatch;
  readonly #quietBeatMs: number;
  #peer: Hello | undefined;
  #agreed: Agreed = { protocolVersion: 0, features: [] };
  #closed = false;
  #writable = true;
  readonly #cursors = new Map<ShardId, Cursor>();
  /** Cursors that may have something to read, in turn. */
  #ready = new Set<Cursor>();
  /** Size of the batch that has been read and found no credit or room; nothing is read until it would. 0: none. */
  #stalledBytes = 0;
  #reads = 0;
  /** Credit that reads under way may use up. */
  #reserved = 0;
  #pumping = false;
  #sentBytes = 0;
  #grantedBytes = 0;
  /** The first credit is the whole window. */
  #windowBytes = 0;
  #frame: Uint8Array[] = [];
  #frameBytes = 0;
  #flushScheduled = false;
  #compress = false;
  #acksWantedAtMs = Number.NEGATIVE_INFINITY;
  #wholeBeatAtMs = Number.NEGATIVE_INFINITY;
  #ping: { readonly pingSentAtMs: number; readonly receivedAtMs: number } | undefined;
  #welcomed = '';

  constructor(host: SourceHost, ports: SourcePorts, settings: SourceSettings, monotonicMs: number) {
    this.#host = host;
    this.#ports = ports;
    // From accept to hello the same patience holds: a stream without a hello keeps nothing but itself.
    this.#silence = new SilenceWatch(settings.heartbeatMs, silentAfterMs(settings.heartbeatMs), monotonicMs);
    this.#quietBeatMs = quietBeatMs(settings.heartbeatMs);
  }

  /** Who dialled; undefined before a hello that was accepted. */
  get peer(): Hello | undefined {
    return this.#peer;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  state(): SourceState {
    return {
      peer: this.#peer?.region,
      node: this.#peer?.node,
      instance: this.#peer?.instance,
      bytesSent: this.#sentBytes,
      windowBytes: this.#windowBytes,
      creditBytes: this.#credit(),
      shards: [...this.#cursors.values()].map(({ shard, next, failed, trimmed }) => ({
        shard,
        behind: Math.max(0, this.#host.log.tail(shard) + 1 - next),
        failed,
        trimmed: [...trimmed],
      })),
    };
  }

  // Events

  message(message: Up, nowMs: number, monotonicMs: number): void {
    if (this.#closed) return;
    this.#silence.heard(monotonicMs);
    if (this.#peer === undefined) {
      this.#hello(message);
      return;
    }
    switch (message.kind) {
      case 'hello':
        this.refuse('protocol-error', 'a second hello on one stream');
        return;
      case 'want':
        this.#want(message, this.#peer);
        return;
      case 'credit':
        this.#grant(message);
        return;
      case 'ack':
        this.#ack(message, this.#peer);
        return;
      case 'ping':
        this.#ping = { pingSentAtMs: message.sentAtMs, receivedAtMs: nowMs };
        return;
      case 'compress':
        if (this.#agreed.features.includes(COMPRESSED_FRAMES)) this.#compress = message.frames;
        else this.refuse('protocol-error', `${this.#name()} asks for compressed frames, which were not agreed on`);
        return;
      case 'begin':
        this.#begin(message, this.#peer);
        return;
    }
  }

  drain(): void {
    this.#writable = true;
    this.#pump();
  }

  /** The stream has ended. */
  closed(): void {
    this.#closed = true;
    this.#cursors.clear();
    this.#ready.clear();
    this.#frame = [];
    this.#frameBytes = 0;
  }

  /** More of the shard is durable in our log. */
  onDurable(shard: ShardId): void {
    const cursor = this.#cursors.get(shard);
    if (cursor === undefined || cursor.failed !== undefined) return;
    this.#ready.add(cursor);
    this.#pump();
  }

  /** The shards that this node owns, or a placement's members, have changed. */
  onOwnership(): void {
    if (this.#closed || this.#peer === undefined) return;
    for (const cursor of this.#cursors.values()) {
      if (!this.#serves(cursor.shard, this.#peer.region)) this.#drop(cursor.shard);
    }
    this.#welcome(this.#peer);
  }

  /** A call waits until the peer has acknowledged what it wrote. */
  wantAcks(nowMs: number, monotonicMs: number): void {
    if (this.#closed || this.#peer === undefined || !this.#writable) return;
    if (!this.#agreed.features.includes(ACKS_ON_DEMAND)) return;
    if (monotonicMs - this.#acksWantedAtMs < ACKS_SOON_MS / 2) return;
    this.#acksWantedAtMs = monotonicMs;
    this.#send({ kind: 'beat', sentAtMs: nowMs, echo: undefined, shards: [], acksSoon: true });
  }

  /** Every heartbeatMs, with what the host has to tell of all its shards. */
  heartbeat(beats: readonly ShardBeat[], nowMs: number, monotonicMs: number): void {
    if (this.#closed) return;
    if (this.#silence.heartbeat(monotonicMs)) {
      this.#end(`nothing came from ${this.#name()} for longer than a live link is silent`);
      return;
    }
    const peer = this.#peer;
    if (peer === undefined) return;
    this.#flushFrame();
    // A full stream gets no beat: the next one says all that this one would have said.
    if (!this.#writable) return;
    const echo = this.#ping;
    // Of all shards now and then: a peer that has asked while we did not serve it must notice that nothing comes.
    const whole = monotonicMs - this.#wholeBeatAtMs >= this.#quietBeatMs;
    // An echo is never late: the peer may wait for our clock.
    if (!whole && this.#cursors.size === 0 && echo === undefined) return;
    if (whole) this.#wholeBeatAtMs = monotonicMs;
    this.#ping = undefined;
    const shards = beats.filter(
      ({ shard }) => (whole || this.#cursors.has(shard)) && this.#host.members(shard).includes(peer.region),
    );
    this.#send({ kind: 'beat', sentAtMs: nowMs, echo, shards: shards.slice(0, BEAT_SHARDS_MAX) });
    for (let from = BEAT_SHARDS_MAX; from < shards.length; from += BEAT_SHARDS_MAX) {
      this.#send({
        kind: 'beat',
        sentAtMs: nowMs,
        echo: undefined,
        shards: shards.slice(from, from + BEAT_SHARDS_MAX),
      });
    }
  }

  /** Tells the peer why, and ends the stream. */
  refuse(reason: RefuseReason, message: string): void {
    if (this.#closed) return;
    this.#send({ kind: 'refuse', reason, message });
    this.#end(message);
  }

  #end(reason: string): void {
    this.closed();
    this.#ports.close(reason);
  }

  #name(): string {
    return this.#peer === undefined
      ? 'a peer that has not said hello'
      : `${this.#peer.region} (node ${this.#peer.node})`;
  }

  #send(message: Down): void {
    if (!this.#ports.send(message)) this.#writable = false;
  }

  // What the peer says

  #hello(message: Up): void {
    const { region, node, instance, clusterId, settingsHash } = this.#host;
    const self: Identity = { region, node, instance, clusterId, settingsHash };
    const verdict = judgeHello(self, message, (name) => this.#host.isRegion(name));
    if (verdict.kind === 'refuse') {
      this.refuse(verdict.reason, verdict.message);
      return;
    }
    if (message.kind !== 'hello') return;
    this.#peer = message;
    this.#welcome(message, verdict);
  }

  /** Without `agreed`: again, because our shards may have changed. */
  #welcome(peer: Hello, agreed?: Agreed): void {
    const served = this.#host.shards().filter((shard) => this.#host.members(shard).includes(peer.region));
    const fingerprint = served.join();
    if (agreed === undefined && fingerprint === this.#welcomed) return;
    this.#welcomed = fingerprint;
    this.#agreed = agreed ?? this.#agreed;
    const { protocolVersion, features } = this.#agreed;
    const { region, node, instance } = this.#host;
    const shards = served.map((shard): WelcomeShard => ({
      shard,
      vector: new Map(this.#host.vector(shard)),
      boundOfReceiver: this.#host.boundOf(shard, peer.region),
    }));
    this.#send({ kind: 'welcome', protocolVersion, region, node, instance, features, shards });
  }

  #begin(message: Begin, peer: Hello): void {
    const foreign = message.shards.find(({ origin }) => originRegion(origin) !== peer.region);
    if (foreign !== undefined) {
      this.refuse('protocol-error', `${this.#name()} is about to begin ${foreign.origin}, which is of another region`);
      return;
    }
    const shards = message.shards
      .filter(({ shard }) => this.#serves(shard, peer.region))
      .map(({ shard, origin }) => ({ shard, origin, boundOfReceiver: this.#host.begin(shard, origin) }));
    if (shards.length > 0) this.#send({ kind: 'begun', shards });
  }

  #serves(shard: ShardId, peer: RegionId): boolean {
    return this.#host.shards().includes(shard) && this.#host.members(shard).includes(peer);
  }

  #grant(message: Credit): void {
    if (this.#windowBytes === 0) this.#windowBytes = message.bytesTotal;
    if (!Number.isSafeInteger(message.bytesTotal) || message.bytesTotal < this.#grantedBytes) {
      this.refuse('protocol-error', `a credit of ${message.bytesTotal} after one of ${this.#grantedBytes}`);
      return;
    }
    this.#grantedBytes = message.bytesTotal;
    this.#pump();
  }

  #ack(message: Ack, peer: Hello): void {
    for (const { shard, durable } of message.shards) {
      if (!this.#host.members(shard).includes(peer.region)) {
        this.refuse('protocol-error', `${this.#name()} acknowledged shard ${shard}, of which it is not a member`);
        return;
      }
      // A shard that we have just let go of; its new owner is told by the peer itself.
      if (this.#host.shards().includes(shard)) this.#host.onAck(peer.region, shard, durable);
    }
  }

  #want(want: Want, peer: Hello): void {
    const { shard } = want;
    if (!this.#host.members(shard).includes(peer.region)) {
      this.refuse('protocol-error', `${this.#name()} wants shard ${shard}, of which it is not a member`);
      return;
    }
    if (want.regions.length > WANT_REGIONS_MAX) {
      this.refuse('protocol-error', `${this.#name()} wants ${want.regions.length} regions of shard ${shard}`);
      return;
    }
    if (this.#goesOn(want)) return;
    this.#drop(shard);
    if (want.regions.length === 0) return;
    if (!this.#host.shards().includes(shard)) {
      // Not (or no longer) ours: the peer asks again when a welcome names the shard, once it has been told that the shard is gone.
      this.#welcome(peer);
      return;
    }
    const regions = new Set(want.regions);
    const began = this.#startOf(shard, regions, want);
    const cursor: Cursor = {
      shard,
      regions,
      sent: new Map(want.have),
      began,
      next: began,
      reading: false,
      failed: undefined,
      trimmed: new Set(),
    };
    this.#cursors.set(shard, cursor);
    this.#ready.add(cursor);
    this.#pump();
  }

  /**
   * The same regions, and nothing was sent that the peer has not got: the cursor stands right, and goes on from where it is. A peer asks again and
   * again while it misses something, and a cursor that began anew each time would never come far over a small window.
   */
  #goesOn(want: Want): boolean {
    const { shard, regions, have } = want;
    const cursor = this.#cursors.get(shard);
    if (cursor === undefined || cursor.failed !== undefined || cursor.trimmed.size > 0) return false;
    if (regions.length !== cursor.regions.size || !regions.every((region) => cursor.regions.has(region))) return false;
    for (const [origin, seq] of cursor.sent) {
      if (cursor.regions.has(originRegion(origin)) && seq > (have.get(origin) ?? 0)) return false;
    }
    // An origin that nobody had heard of when it began may stand before that.
    if (this.#startOf(shard, cursor.regions, want) < cursor.began) return false;
    for (const [origin, seq] of have) cursor.sent.set(origin, Math.max(seq, cursor.sent.get(origin) ?? 0));
    this.#ready.add(cursor);
    this.#pump();
    return true;
  }

  /** The first offset at which something wanted may stand. An origin that nobody here has heard of yet comes after the tail. */
  #startOf(shard: ShardId, regions: ReadonlySet<RegionId>, want: Want): number {
    const { log } = this.#host;
    let start = log.tail(shard) + 1;
    const consider = (origin: OriginId): void => {
      if (!regions.has(originRegion(origin))) return;
      const have = want.have.get(origin) ?? 0;
      if (have >= Number.MAX_SAFE_INTEGER) return;
      const at = log.find(shard, origin, have + 1);
      if (at !== undefined && at < start) start = at;
    };
    for (const origin of this.#host.vector(shard).keys()) consider(origin);
    for (const origin of want.have.keys()) consider(origin);
    return start;
  }

  #drop(shard: ShardId): void {
    const cursor = this.#cursors.get(shard);
    if (cursor === undefined) return;
    this.#cursors.delete(shard);
    this.#ready.delete(cursor);
    // If it was this shard's batch that waited; if not, the next read finds out.
    this.#stalledBytes = 0;
  }

  // Reading and sending

  #credit(): number {
    return this.#grantedBytes - this.#sentBytes;
  }

  /** A batch goes when it fits into the credit; one that no window holds goes when the window is whole, that is, alone. */
  #mayTake(bytes: number): boolean {
    if (!this.#writable) return false;
    const credit = this.#credit();
    return bytes <= credit || (credit > 0 && credit >= this.#windowBytes);
  }

  /** Starts reads while there is something to read, room to send it, and credit that no other read will use. */
  #pump(): void {
    // Reads may be answered before read() returns; the loop below then goes on with what they left.
    if (this.#pumping) return;
    this.#pumping = true;
    while (!this.#closed && this.#reads < READS_MAX && this.#mayRead()) {
      const cursor = this.#nextReady();
      if (cursor === undefined) break;
      this.#stalledBytes = 0;
      this.#read(cursor);
    }
    this.#pumping = false;
  }

  #mayRead(): boolean {
    // While one batch waits for credit, smaller ones of other shards wait behind it: else they could starve it for ever.
    if (!this.#mayTake(this.#stalledBytes)) return false;
    return this.#credit() - this.#reserved > 0;
  }

  #nextReady(): Cursor | undefined {
    for (const cursor of this.#ready) {
      // One read per shard: its answer puts the cursor back.
      if (cursor.reading) continue;
      this.#ready.delete(cursor);
      if (cursor.next <= this.#host.log.tail(cursor.shard)) return cursor;
    }
    return undefined;
  }

  #read(cursor: Cursor): void {
    const bytesMax = Math.min(READ_BYTES, this.#credit() - this.#reserved);
    cursor.reading = true;
    this.#reads++;
    this.#reserved += bytesMax;
    this.#host.log.read(cursor.shard, cursor.next, bytesMax, (result) => {
      cursor.reading = false;
      this.#reads--;
      this.#reserved -= bytesMax;
      if (this.#closed) return;
      // Another want has come meanwhile, or the shard is no longer served.
      if (this.#cursors.get(cursor.shard) === cursor) this.#answer(cursor, result);
      this.#pump();
    });
  }

  #answer(cursor: Cursor, result: ReadResult): void {
    switch (result.kind) {
      case 'corrupt':
        // Other regions hold the same batches; which of them is asked is the receiver's business.
        cursor.failed = result.message;
        return;
      case 'trimmed':
        if (result.start <= cursor.next)
          cursor.failed = `offset ${cursor.next} is trimmed from a log that starts there`;
        cursor.next = result.start;
        break;
      case 'entries':
        // Nothing there yet: onDurable comes when there is.
        if (result.entries.length === 0) return;
        for (const entry of result.entries) {
          if (entry.kind === 'batch' && !this.#offer(cursor, entry.bytes)) {
            this.#stall(cursor, entry.bytes.length);
            return;
          }
          cursor.next = entry.offset + 1;
        }
        break;
    }
    // Last in turn.
    if (cursor.failed === undefined && cursor.next <= this.#host.log.tail(cursor.shard)) this.#ready.add(cursor);
  }

  /** The cursor stays where it is, and what was read from there on is read again. */
  #stall(cursor: Cursor, bytes: number): void {
    if (this.#stalledBytes > 0) {
      this.#ready.add(cursor);
      return;
    }
    this.#stalledBytes = bytes;
    this.#ready = new Set([cursor, ...this.#ready]);
  }

  /** False: wanted, but not now. */
  #offer(cursor: Cursor, batch: Uint8Array): boolean {
    const peek = this.#peeker.peek(batch);
    if (peek === undefined || !cursor.regions.has(peek.region)) return true;
    const sent = cursor.sent.get(peek.origin) ?? 0;
    if (peek.lastSeq <= sent || cursor.trimmed.has(peek.origin)) return true;
    if (peek.firstSeq > sent + 1 && this.#host.log.start(cursor.shard) > 1) {
      // Our log starts later than the peer has got. (Without trimming, a gap is a stretch that every region skips.)
      cursor.trimmed.add(peek.origin);
      return true;
    }
    if (!this.#mayTake(batch.length)) return false;
    if (this.#frameBytes > 0 && this.#frameBytes + batch.length > FRAME_BYTES) {
      this.#flushFrame();
      if (!this.#writable) return false;
    }
    cursor.sent.set(peek.origin, peek.lastSeq);
    this.#sentBytes += batch.length;
    this.#frame.push(batch);
    this.#frameBytes += batch.length;
    if (this.#frameBytes >= FRAME_BYTES || this.#frame.length >= FRAME_BATCHES_MAX) this.#flushFrame();
    else this.#flushSoon();
    return true;
  }

  #flushSoon(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#ports.soon(() => {
      this.#flushScheduled = false;
      this.#flushFrame();
      this.#pump();
    });
  }

  #flushFrame(): void {
    if (this.#frame.length === 0 || this.#closed) return;
    const batches = this.#frame;
    this.#frame = [];
    this.#frameBytes = 0;
    const { tracing } = this.#ports;
    const startMs = tracing?.tracer.nowMs();
    this.#send(this.#compress ? { kind: 'batches', batches, compress: true } : { kind: 'batches', batches });
    if (startMs !== undefined) tracing!.shipped(this.#peer!.region, batches, startMs);
  }
}
