// The dialling side of one link: one peer address from which this region receives. A pure state machine: events and a moment
// in, actions out; links.ts performs them. The receiving region dials because data then flows from gRPC server to client,
// the only direction in which grpc-js fills a long fat pipe (DESIGN 9).
//
//   idle ─start─▶ greeting ─welcome─▶ up ─closed, silence, mistake─▶ waiting ─back-off─▶ greeting …
//
// I12 Everything here is bounded: one pending want and one pending ack per shard (later ones replace earlier ones), PINGS_MAX
//     pings that wait for their echo, and batches up to the credit; a source that sends beyond it is cut off.
// I8  A source's silence costs nothing but its own link.
// HAZARD: vectors in `durable` events may be the engine's live maps: they are read when the ack is sent, not when it is asked for.

import type { RegionId, ShardId } from '../record/ids.ts';
import type { ReadonlyVector, VersionVector } from '../record/vector.ts';
import type { ShardBeat } from '../shard/beat.ts';
import {
  ACKS_ON_DEMAND,
  ACKS_SOON_MS,
  BEGINNINGS,
  COMPRESSED_FRAMES,
  helloOf,
  judgeWelcome,
  type Identity,
} from './handshake.ts';
import type { ClockSample, LinkState } from './host.ts';
import type {
  Ack,
  Batches,
  Beat,
  Begin,
  Begun,
  Compress,
  Credit,
  Down,
  Hello,
  Ping,
  Refuse,
  Welcome,
} from './messages.ts';
import { quietBeatMs, SilenceWatch, silentAfterMs } from './silence.ts';

export const BACKOFF_MS_MIN = 50;
export const BACKOFF_MS_MAX = 5000;
/** A refusal is not cured by trying again soon; a person has to change something, or a rolling change has to pass. */
export const REFUSED_BACKOFF_MS = 5000;
/** A link that was up for this long starts over with the shortest back-off. A peer that welcomes and hangs up does not. */
export const STABLE_MS = 5000;
/** From dial to welcome: name resolution, TCP, TLS, HTTP/2 and hello, over a WAN. */
export const GREETING_MS_MAX = 5000;
/** Between two acks of a link, each for all its shards, while somebody waits for them. The first is sent at once. */
export const ACK_INTERVAL_MS = 10;
/** Between two wants of one shard (and at least 1.5 round trips: before that the last one cannot have shown its effect). */
export const WANT_INTERVAL_MS = 100;
const WANT_INTERVAL_ROUND_TRIPS = 1.5;
const WANT_INTERVAL_MS_MAX = 2000;
/** Pings whose echo is awaited. At the bound the oldest goes, and its echo is then worth nothing. */
const PINGS_MAX = 32;
/** The patience with a link that died of silence doubles up to this factor: a thin line may need long for one large batch. */
const PATIENCE_MAX = 16;
/** With `auto`: frames are compressed over a link whose shortest round trip is at least this. Below lies a data centre, or one machine,
 *  where bytes cost less than the CPU that saves them. The shortest, because a busy peer answers late over the best of wires. */
export const COMPRESS_RTT_MS = 5;
/** Round trips that are measured before the wire is judged. */
const COMPRESS_SAMPLES = 3;
/** Up to so many round trips of a stream the shortest of the one before it counts too: a stream that begins far behind is full of batches, and its
 *  pings wait behind them. Later it is known by its own, and the peer may have moved. */
const SAME_WIRE_SAMPLES = 100;
/** When wall clock and monotonic clock disagree by more over one round trip, our clock was set meanwhile; the sample is void. */
const CLOCK_STEP_MS = 20;

/** Whether peers are asked to compress what they send us. */
export type Compression = 'auto' | 'always' | 'never';

export interface ReceiverSettings {
  readonly self: Identity;
  readonly peer: RegionId;
  /** For people, in messages. */
  readonly address: string;
  readonly windowBytes: number;
  readonly heartbeatMs: number;
  readonly compression: Compression;
}

/** Time and chance of one event. */
export interface Moment {
  readonly nowMs: number;
  readonly monotonicMs: number;
  /** Uniform in [0, 1). */
  readonly random: number;
}

export type ReceiverEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  /** The stream that we dialled has ended. */
  | { readonly kind: 'closed'; readonly reason: string }
  | { readonly kind: 'message'; readonly message: Down }
  /** The host has answered for so many bytes of delivered batches, whatever it answered. */
  | { readonly kind: 'answered'; readonly bytes: number }
  /** send() said false; `drain`: it would say true again. */
  | { readonly kind: 'blocked' }
  | { readonly kind: 'drain' }
  /** Every heartbeatMs. */
  | { readonly kind: 'heartbeat' }
  /** The time that wakeAtMs() named has come. */
  | { readonly kind: 'wake' }
  /** All that is to be asked of this source now. What changed is asked; a shard that is gone is asked no more. */
  | { readonly kind: 'wants'; readonly wants: ReadonlyMap<ShardId, readonly RegionId[]> }
  | { readonly kind: 'want-again'; readonly shard: ShardId }
  /** To ask where these may begin, if the source serves them and can answer. */
  | { readonly kind: 'begin'; readonly shards: Begin['shards'] }
  /** What is durable here of a shard has moved. */
  | { readonly kind: 'durable'; readonly shard: ShardId; readonly vector: ReadonlyVector };

export type ReceiverAction =
  | { readonly kind: 'dial' }
  | { readonly kind: 'close'; readonly reason: string }
  | { readonly kind: 'send'; readonly message: Hello | Credit | Ack | Ping | Compress | Begin }
  /** Send a want; the shell adds what has been taken at this moment. */
  | { readonly kind: 'want'; readonly shard: ShardId; readonly regions: readonly RegionId[] }
  /** Hand the batches to the host and come back with `answered`. */
  | { readonly kind: 'deliver'; readonly batches: readonly Uint8Array[] }
  | { readonly kind: 'beats'; readonly beats: readonly ShardBeat[] }
  | { readonly kind: 'clock'; readonly sample: ClockSample }
  /** Also when the source's shards have changed. The shell answers with `durable` for each shard. */
  | { readonly kind: 'welcome'; readonly welcome: Welcome }
  | { readonly kind: 'begun'; readonly shards: Begun['shards'] }
  | { readonly kind: 'state'; readonly state: LinkState };

type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'waiting'; readonly untilMs: number }
  | { readonly kind: 'greeting'; readonly sinceMs: number }
  | { readonly kind: 'up'; readonly sinceMs: number };

export class Receiver {
  readonly #settings: ReceiverSettings;
  readonly #peerPrefix: string;
  #phase: Phase = { kind: 'idle' };
  #actions: ReceiverAction[] = [];
  #failures = 0;
  #patience = 1;
  #silence: SilenceWatch;
  /** The stream is full: nothing is sent until drain. */
  #blocked = false;
  #welcome: Welcome | undefined;
  /** Shards that the source serves. */
  #served = new Set<ShardId>();
  #wants: ReadonlyMap<ShardId, readonly RegionId[]> = new Map();
  /** What has been asked on this stream, and when. */
  readonly #asked = new Map<ShardId, { readonly regions: string; readonly atMs: number }>();
  readonly #wantsDue = new Set<ShardId>();
  /** Bytes of batches since the stream began: received, answered by the host, granted to the source. */
  #received = 0;
  #answered = 0;
  #granted = 0;
  /** Per shard, what the source has been told. */
  readonly #acked = new Map<ShardId, VersionVector>();
  #ackedAtMs = Number.NEGATIVE_INFINITY;
  #acksSoonUntilMs = Number.NEGATIVE_INFINITY;
  readonly #acksPending = new Map<ShardId, ReadonlyVector>();
  /** Those of the pending acks that tell the source about its own region's ops: somebody may wait for them. */
  readonly #acksUrgent = new Set<ShardId>();
  #pings: { readonly sentAtMs: number; readonly monotonicMs: number }[] = [];
  #pingAtMs = Number.NEGATIVE_INFINITY;
  #rttMs: number | undefined;
  /** Of this stream, and of the one before it. */
  #rttMsMin = Number.POSITIVE_INFINITY;
  #rttMsMinBefore = Number.POSITIVE_INFINITY;
  #rttSamples = 0;
  /** What the source was told last. */
  #compressing = false;
  #bytesReceived = 0;
  #rawBytesReceived = 0;

  constructor(settings: ReceiverSettings) {
    this.#settings = settings;
    this.#peerPrefix = `${settings.peer}~`;
    this.#silence = new SilenceWatch(settings.heartbeatMs, silentAfterMs(settings.heartbeatMs), 0);
  }

  get up(): boolean {
    return this.#phase.kind === 'up';
  }

  /** Shards that the source serves now; empty unless up. */
  get served(): ReadonlySet<ShardId> {
    return this.#served;
  }

  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  /** Of batches, as they came over the wire, since the process started. */
  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  /** The same, unpacked. */
  get rawBytesReceived(): number {
    return this.#rawBytesReceived;
  }

  /** When a `wake` is due, by the monotonic clock; undefined: nothing is waited for. */
  wakeAtMs(): number | undefined {
    if (this.#phase.kind === 'waiting') return this.#phase.untilMs;
    if (this.#phase.kind !== 'up' || this.#blocked) return undefined;
    let wake = Number.POSITIVE_INFINITY;
    if (this.#acksUrgent.size > 0) wake = Math.min(wake, this.#ackedAtMs + ACK_INTERVAL_MS);
    for (const shard of this.#wantsDue) wake = Math.min(wake, this.#wantDueAtMs(shard));
    return wake === Number.POSITIVE_INFINITY ? undefined : wake;
  }

  handle(event: ReceiverEvent, at: Moment): readonly ReceiverAction[] {
    this.#actions = [];
    this.#take(event, at);
    this.#flush(at);
    return this.#actions;
  }

  #take(event: ReceiverEvent, at: Moment): void {
    switch (event.kind) {
      case 'start':
        if (this.#phase.kind === 'idle') this.#dial(at);
        return;
      case 'stop':
        if (this.#connected()) this.#act({ kind: 'close', reason: 'this node stops' });
        this.#forget();
        this.#phase = { kind: 'idle' };
        return;
      case 'closed':
        if (this.#connected()) this.#lost(event.reason, at);
        return;
      case 'message':
        if (!this.#connected()) return;
        this.#silence.heard(at.monotonicMs);
        this.#message(event.message, at);
        return;
      case 'answered':
        this.#answered = Math.min(this.#answered + event.bytes, this.#received);
        return;
      case 'blocked':
        this.#blocked = this.#connected();
        return;
      case 'drain':
        this.#blocked = false;
        return;
      case 'heartbeat':
        this.#heartbeat(at);
        return;
      case 'wake':
        if (this.#phase.kind === 'waiting' && at.monotonicMs >= this.#phase.untilMs) this.#dial(at);
        return;
      case 'begin':
        if (this.#phase.kind === 'up') this.#begin(event.shards);
        return;
      case 'wants':
        this.#wants = event.wants;
        this.#compareWants();
        return;
      case 'want-again':
        if (this.#phase.kind === 'up' && this.#asked.has(event.shard)) this.#wantsDue.add(event.shard);
        return;
      case 'durable':
        this.#durable(event.shard, event.vector, at);
        return;
    }
  }

  // The connection

  #connected(): boolean {
    return this.#phase.kind === 'greeting' || this.#phase.kind === 'up';
  }

  #dial(at: Moment): void {
    this.#forget();
    this.#phase = { kind: 'greeting', sinceMs: at.monotonicMs };
    const { heartbeatMs, self } = this.#settings;
    this.#silence = new SilenceWatch(heartbeatMs, silentAfterMs(heartbeatMs) * this.#patience, at.monotonicMs);
    this.#act({ kind: 'state', state: { kind: 'connecting', attempt: this.#failures + 1 } });
    this.#act({ kind: 'dial' });
    this.#act({ kind: 'send', message: helloOf(self) });
  }

  /** What belongs to one stream. */
  #forget(): void {
    this.#blocked = false;
    this.#welcome = undefined;
    this.#served = new Set();
    this.#asked.clear();
    this.#wantsDue.clear();
    this.#received = 0;
    this.#answered = 0;
    this.#granted = 0;
    this.#acked.clear();
    this.#ackedAtMs = Number.NEGATIVE_INFINITY;
    this.#acksPending.clear();
    this.#acksUrgent.clear();
    this.#acksSoonUntilMs = Number.NEGATIVE_INFINITY;
    this.#pings = [];
    this.#rttMs = undefined;
    if (this.#rttSamples > 0) this.#rttMsMinBefore = this.#rttMsShortest();
    this.#rttMsMin = Number.POSITIVE_INFINITY;
    this.#rttSamples = 0;
    this.#compressing = false;
  }

  #lost(reason: string, at: Moment): void {
    const retryInMs = this.#backoff(at);
    this.#wait(retryInMs, at);
    this.#act({ kind: 'state', state: { kind: 'down', reason, retryInMs } });
  }

  /** We end it ourselves. */
  #hangUp(reason: string, at: Moment): void {
    this.#act({ kind: 'close', reason });
    this.#lost(reason, at);
  }

  #refused(refusal: Pick<Refuse, 'reason' | 'message'>, at: Moment): void {
    this.#act({ kind: 'close', reason: refusal.message });
    // A peer that is starting lets us in soon; anything else waits for a person.
    const retryInMs =
      refusal.reason === 'not-ready' ? this.#backoff(at) : Math.round(REFUSED_BACKOFF_MS * (0.75 + at.random / 2));
    this.#wait(retryInMs, at);
    this.#act({
      kind: 'state',
      state: { kind: 'refused', reason: refusal.reason, message: refusal.message, retryInMs },
    });
  }

  #wait(ms: number, at: Moment): void {
    this.#forget();
    this.#phase = { kind: 'waiting', untilMs: at.monotonicMs + ms };
  }

  /** Full jitter between the shortest wait and a ceiling that doubles: many peers of one region must not redial in step. */
  #backoff(at: Moment): number {
    // Up until it was last heard: a link that dies of silence was not stable during that silence.
    if (this.#phase.kind === 'up' && this.#silence.heardAtMs - this.#phase.sinceMs >= STABLE_MS) {
      this.#failures = 0;
      this.#patience = 1;
    }
    const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (this.#failures + 1));
    this.#failures = Math.min(this.#failures + 1, 1000);
    return Math.round(BACKOFF_MS_MIN + at.random * (ceiling - BACKOFF_MS_MIN));
  }

  #heartbeat(at: Moment): void {
    const silent = this.#silence.heartbeat(at.monotonicMs);
    if (this.#phase.kind === 'greeting') {
      // Not the watch: a slow handshake over a WAN is longer than a silence should be, and a late heartbeat must not end it either.
      const elapsed = at.monotonicMs - this.#phase.sinceMs;
      if (silent && elapsed > GREETING_MS_MAX * this.#patience) {
        this.#hangUp(`no welcome from ${this.#settings.address} within ${Math.round(elapsed)} ms`, at);
      }
      return;
    }
    if (this.#phase.kind !== 'up') return;
    if (silent) {
      this.#hangUp(`nothing came from ${this.#settings.address} for longer than a live link is silent`, at);
      this.#patience = Math.min(this.#patience * 2, PATIENCE_MAX);
      return;
    }
    for (const shard of this.#acksPending.keys()) this.#acksUrgent.add(shard);
    if (this.#blocked) return;
    if (this.#pingIsDue(at)) {
      this.#act({ kind: 'send', message: { kind: 'ping', sentAtMs: at.nowMs } });
      this.#pings.push({ sentAtMs: at.nowMs, monotonicMs: at.monotonicMs });
      if (this.#pings.length > PINGS_MAX) this.#pings.shift();
      this.#pingAtMs = at.monotonicMs;
    }
    // Topped up in full now and then: a batch larger than half the window fits only into a whole one.
    this.#grant(1);
  }

  /** At every heartbeat while shards are asked for, and until the wire has been measured. */
  #pingIsDue(at: Moment): boolean {
    if (this.#asked.size > 0 || this.#rttSamples < COMPRESS_SAMPLES) return true;
    return at.monotonicMs - this.#pingAtMs >= quietBeatMs(this.#settings.heartbeatMs);
  }

  // What the source says

  #message(message: Down, at: Moment): void {
    switch (message.kind) {
      case 'welcome':
        this.#welcomed(message, at);
        return;
      case 'refuse':
        this.#refused(message, at);
        return;
      case 'batches':
        if (this.#expectUp(message.kind, at)) this.#batches(message, at);
        return;
      case 'beat':
        if (this.#expectUp(message.kind, at)) this.#beat(message, at);
        return;
      case 'begun':
        if (this.#expectUp(message.kind, at)) this.#act({ kind: 'begun', shards: message.shards });
        return;
    }
  }

  #expectUp(what: string, at: Moment): boolean {
    if (this.#phase.kind === 'up') return true;
    this.#hangUp(`${this.#settings.address} sent ${what} before welcome`, at);
    return false;
  }

  #welcomed(welcome: Welcome, at: Moment): void {
    const { self, peer, address } = this.#settings;
    const refusal = judgeWelcome(self, peer, address, welcome);
    if (refusal !== undefined) {
      this.#refused(refusal, at);
      return;
    }
    if (this.#welcome !== undefined && this.#welcome.instance !== welcome.instance) {
      this.#hangUp(`${address} changed its instance within one stream`, at);
      return;
    }
    this.#welcome = welcome;
    this.#served = new Set(welcome.shards.map(({ shard }) => shard));
    for (const shard of this.#asked.keys()) {
      // The source has let the shard go; should it come back, it is asked anew.
      if (!this.#served.has(shard)) this.#asked.delete(shard);
    }
    if (this.#phase.kind !== 'up') {
      this.#phase = { kind: 'up', sinceMs: at.monotonicMs };
      this.#act({ kind: 'state', state: { kind: 'up' } });
    }
    this.#act({ kind: 'welcome', welcome });
    this.#compareWants();
  }

  #batches(message: Batches, at: Moment): void {
    let bytes = 0;
    for (const batch of message.batches) bytes += batch.length;
    const before = this.#received;
    this.#received += bytes;
    this.#bytesReceived += message.wireBytes ?? bytes;
    this.#rawBytesReceived += bytes;
    // Beyond the credit only a single batch is allowed, one that no window could hold, and only when nothing else is under way.
    const alone = before === this.#granted - this.#settings.windowBytes && message.batches.length === 1;
    if (this.#received > this.#granted && !alone) {
      this.#hangUp(`${this.#settings.address} sent ${this.#received - this.#granted} bytes beyond its credit`, at);
      return;
    }
    this.#act({ kind: 'deliver', batches: message.batches });
  }

  #beat(beat: Beat, at: Moment): void {
    if (beat.echo !== undefined) this.#echo(beat, beat.echo, at);
    if (beat.shards.length > 0) this.#act({ kind: 'beats', beats: beat.shards });
    if (beat.acksSoon !== true) return;
    this.#acksSoonUntilMs = at.monotonicMs + ACKS_SOON_MS;
    for (const shard of this.#acksPending.keys()) this.#acksUrgent.add(shard);
  }

  /** The four timestamps of NTP (RFC 5905, section 8). */
  #echo(beat: Beat, echo: NonNullable<Beat['echo']>, at: Moment): void {
    const index = this.#pings.findIndex(({ sentAtMs }) => sentAtMs === echo.pingSentAtMs);
    const ping = this.#pings[index];
    if (ping === undefined) return;
    this.#pings.splice(0, index + 1);
    const elapsed = at.monotonicMs - ping.monotonicMs;
    const rttMs = elapsed - (beat.sentAtMs - echo.receivedAtMs);
    if (Math.abs(at.nowMs - ping.sentAtMs - elapsed) > CLOCK_STEP_MS) return;
    // Whole milliseconds at both ends: a loopback's round trip may come out a little below zero.
    if (!(rttMs >= -2) || beat.sentAtMs < echo.receivedAtMs) return;
    this.#rttMs = Math.max(0, rttMs);
    this.#rttMsMin = Math.min(this.#rttMsMin, this.#rttMs);
    this.#rttSamples++;
    const offsetMs = (echo.receivedAtMs - ping.sentAtMs + (beat.sentAtMs - at.nowMs)) / 2;
    this.#act({ kind: 'clock', sample: { offsetMs, rttMs: this.#rttMs } });
  }

  // What we tell the source

  #compareWants(): void {
    if (this.#phase.kind !== 'up') return;
    for (const [shard, regions] of this.#wants) {
      if (!this.#served.has(shard)) continue;
      if (this.#asked.get(shard)?.regions !== regions.join()) this.#wantsDue.add(shard);
    }
    for (const shard of this.#asked.keys()) {
      if (!this.#wants.has(shard)) this.#wantsDue.add(shard);
    }
  }

  #wantDueAtMs(shard: ShardId): number {
    const asked = this.#asked.get(shard);
    if (asked === undefined) return Number.NEGATIVE_INFINITY;
    const roundTrips = (this.#rttMs ?? 0) * WANT_INTERVAL_ROUND_TRIPS;
    return asked.atMs + Math.min(Math.max(WANT_INTERVAL_MS, roundTrips), WANT_INTERVAL_MS_MAX);
  }

  #durable(shard: ShardId, vector: ReadonlyVector, at: Moment): void {
    if (!this.#served.has(shard)) return;
    this.#acksPending.set(shard, vector);
    if (this.#acksUrgent.has(shard)) return;
    const onDemand = this.#welcome?.features.includes(ACKS_ON_DEMAND) === true;
    if (onDemand && at.monotonicMs >= this.#acksSoonUntilMs) return;
    const told = this.#acked.get(shard);
    for (const [origin, seq] of vector) {
      if (origin.startsWith(this.#peerPrefix) && seq > (told?.get(origin) ?? 0)) {
        this.#acksUrgent.add(shard);
        return;
      }
    }
  }

  /** Sends what is due, unless the stream is full; then it stays, at most one of each, until drain. */
  #flush(at: Moment): void {
    if (this.#phase.kind !== 'up' || this.#blocked) return;
    this.#grant(0.5);
    this.#askToCompress();
    for (const shard of this.#wantsDue) {
      if (this.#wantDueAtMs(shard) > at.monotonicMs) continue;
      this.#wantsDue.delete(shard);
      this.#want(shard, at);
    }
    if (this.#acksUrgent.size > 0 && this.#ackedAtMs + ACK_INTERVAL_MS <= at.monotonicMs) this.#ack(at);
  }

  #askToCompress(): void {
    const frames = this.#wantsCompressed();
    if (frames === this.#compressing || this.#welcome?.features.includes(COMPRESSED_FRAMES) !== true) return;
    this.#compressing = frames;
    this.#act({ kind: 'send', message: { kind: 'compress', frames } });
  }

  #wantsCompressed(): boolean {
    const { compression } = this.#settings;
    if (compression !== 'auto') return compression === 'always';
    return this.#rttSamples >= COMPRESS_SAMPLES && this.#rttMsShortest() >= COMPRESS_RTT_MS;
  }

  #rttMsShortest(): number {
    return this.#rttSamples < SAME_WIRE_SAMPLES ? Math.min(this.#rttMsMin, this.#rttMsMinBefore) : this.#rttMsMin;
  }

  /** Tops the credit up when at most this part of the window is left of it. */
  #grant(part: number): void {
    const { windowBytes } = this.#settings;
    const whole = this.#answered + windowBytes;
    if (whole === this.#granted || this.#granted - this.#answered > windowBytes * part) return;
    this.#granted = whole;
    this.#act({ kind: 'send', message: { kind: 'credit', bytesTotal: whole } });
  }

  #want(shard: ShardId, at: Moment): void {
    const regions = this.#wants.get(shard);
    if (regions === undefined) {
      this.#asked.delete(shard);
      this.#act({ kind: 'want', shard, regions: [] });
      return;
    }
    if (!this.#served.has(shard)) return;
    this.#asked.set(shard, { regions: regions.join(), atMs: at.monotonicMs });
    this.#act({ kind: 'want', shard, regions });
  }

  #begin(asked: Begin['shards']): void {
    if (this.#welcome?.features.includes(BEGINNINGS) !== true) return;
    const shards = asked.filter(({ shard }) => this.#served.has(shard));
    if (shards.length > 0) this.#act({ kind: 'send', message: { kind: 'begin', shards } });
  }

  /** Of everything that is pending, urgent or not: it costs next to nothing more. */
  #ack(at: Moment): void {
    const shards: { shard: ShardId; durable: ReadonlyVector }[] = [];
    for (const [shard, vector] of this.#acksPending) {
      const moved = this.#moved(shard, vector);
      if (moved.size > 0) shards.push({ shard, durable: moved });
    }
    this.#acksPending.clear();
    this.#acksUrgent.clear();
    if (shards.length === 0) return;
    this.#ackedAtMs = at.monotonicMs;
    this.#act({ kind: 'send', message: { kind: 'ack', shards } });
  }

  #moved(shard: ShardId, vector: ReadonlyVector): VersionVector {
    let told = this.#acked.get(shard);
    if (told === undefined) {
      told = new Map();
      this.#acked.set(shard, told);
    }
    const moved: VersionVector = new Map();
    for (const [origin, seq] of vector) {
      if (seq <= (told.get(origin) ?? 0)) continue;
      moved.set(origin, seq);
      told.set(origin, seq);
    }
    return moved;
  }

  #act(action: ReceiverAction): void {
    this.#actions.push(action);
  }
}
