// The wire in virtual time: streams between nodes, ordered within like TCP and unordered between each other.
//
// A stream that loses something breaks, as TCP does: what was in flight arrives up to some point and not beyond, and the two
// ends learn of it at different times. Until the slower end does, it goes on talking, and what it says may still be heard: this is
// how a deposed owner's heartbeat or an acknowledgement of yesterday's connection reaches a node.
// A blocked direction stalls first (retransmission) and breaks the stream after a while.

import type { LinkHandlers, LinkStream, Transport } from '../../src/replication/transport.ts';
import type { Batches, Down, Hello, Up } from '../../src/replication/messages.ts';
import { copyMessage } from './clone.ts';
import type { Life, Scheduler } from './scheduler.ts';
import type { SeededRandom } from './random.ts';
import type { Trace } from './trace.ts';

/** Of one direction between two sites. */
export interface Conditions {
  delayMs: number;
  jitterMs: number;
  bytesPerMs: number;
  /** Nothing passes. */
  blocked: boolean;
  /** Of each message: the stream breaks at it. */
  breakRate: number;
  /** So many of the next messages with batches arrive twice, or with a bit that is another one. */
  repeats: number;
  flips: number;
}

export const PERFECT: Readonly<Conditions> = {
  delayMs: 2,
  jitterMs: 0,
  bytesPerMs: 100_000,
  blocked: false,
  breakRate: 0,
  repeats: 0,
  flips: 0,
};

export interface NetworkOptions {
  /** Bytes that a stream's sender may have under way before send() says false. */
  readonly sendBufferBytes: number;
  /** How long a blocked stream lives, ms. */
  readonly stallMsMin: number;
  readonly stallMsMax: number;
  /** How long an end may go on after the other has died, ms. */
  readonly halfOpenMsMax: number;
}

export type Message = Up | Down;

export interface NetworkTap {
  /** Both are called before the receiver sees the message. */
  sent?(from: Endpoint, to: Endpoint, message: Message): void;
  delivered?(from: Endpoint, to: Endpoint, message: Message): void;
}

/** Where a process listens and dials from. `site` is what conditions are set between: a region. */
export interface Endpoint {
  readonly address: string;
  readonly site: string;
  readonly life: Life;
}

interface Listener extends Endpoint {
  accept: ((stream: LinkStream<Down>) => LinkHandlers<Up>) | undefined;
  readonly streams: Set<Stream>;
}

export class Network {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly options: NetworkOptions;
  readonly taps: NetworkTap[] = [];
  /** Sites whose processes are of another version than this. `apart`: the two have no protocol in common. */
  readonly versions = new Map<string, 'newer' | 'apart'>();
  readonly #conditions = new Map<string, Conditions>();
  readonly #listeners = new Map<string, Listener>();
  readonly #streams = new Set<Stream>();
  #streamIds = 0;

  constructor(scheduler: Scheduler, random: SeededRandom, trace: Trace, options: NetworkOptions) {
    this.scheduler = scheduler;
    this.random = random;
    this.trace = trace;
    this.options = options;
  }

  /** One object for each direction, for as long as the network lives. */
  conditions(from: string, to: string): Conditions {
    const name = `${from}>${to}`;
    let found = this.#conditions.get(name);
    if (found === undefined) {
      found = { ...PERFECT };
      this.#conditions.set(name, found);
    }
    return found;
  }

  /** Changes one direction; what was stalled flows again when it is no longer blocked. */
  change(from: string, to: string, change: Partial<Conditions>): void {
    Object.assign(this.conditions(from, to), change);
    for (const stream of this.#streams) stream.conditionsChanged();
  }

  /** Breaks one living stream between two sites, if there is one. */
  breakOne(a: string, b: string, reason: string): boolean {
    const between = [...this.#streams].filter((s) => s.touches(a) && s.touches(b) && !s.broken);
    if (between.length === 0) return false;
    this.random.pick(between).break(reason);
    return true;
  }

  transport(address: string, site: string, life: Life): Transport {
    const endpoint: Listener = { address, site, life, accept: undefined, streams: new Set() };
    this.#listeners.set(address, endpoint);
    return {
      dial: (to, handlers) => this.#dial(endpoint, to, handlers),
      onAccept: (accept) => {
        endpoint.accept = accept;
      },
    };
  }

  /** The process behind an address has died: its ends say nothing more, the others learn of it sooner or later. */
  crashed(address: string): void {
    const listener = this.#listeners.get(address);
    if (listener === undefined) return;
    this.#listeners.delete(address);
    for (const stream of listener.streams) stream.processDied(listener);
  }

  streams(): number {
    return this.#streams.size;
  }

  forget(stream: Stream): void {
    this.#streams.delete(stream);
  }

  #dial(from: Listener, to: string, handlers: LinkHandlers<Down>): LinkStream<Up> {
    const stream = new Stream(this, ++this.#streamIds, from, handlers, to);
    this.#streams.add(stream);
    from.streams.add(stream);
    return stream.dialling;
  }

  listener(address: string): Listener | undefined {
    return this.#listeners.get(address);
  }
}

class Stream {
  readonly network: Network;
  readonly id: number;
  readonly client: End;
  server: End | undefined;
  readonly dialling: LinkStream<Up>;
  readonly #to: string;
  broken = false;
  #toSite: string;

  constructor(network: Network, id: number, from: Listener, handlers: LinkHandlers<Down>, to: string) {
    this.network = network;
    this.id = id;
    this.#to = to;
    this.#toSite = to.slice(0, to.indexOf('#'));
    this.client = new End(this, from, handlers as LinkHandlers<Message>);
    this.dialling = this.client.face as LinkStream<Up>;
    this.#connect();
  }

  touches(site: string): boolean {
    return this.client.endpoint.site === site || this.#toSite === site;
  }

  /** A SYN that waits for its way to open, up to the time a stalled stream lives. */
  #connect(): void {
    const { scheduler, random, options } = this.network;
    const there = this.network.conditions(this.client.endpoint.site, this.#toSite);
    const back = this.network.conditions(this.#toSite, this.client.endpoint.site);
    const giveUpAt = scheduler.now + random.between(options.stallMsMin, options.stallMsMax);
    const retryMs = 250;
    const attempt = (): void => {
      if (this.client.closed || this.broken) return;
      if (there.blocked || back.blocked) {
        if (scheduler.now >= giveUpAt) this.client.closeSoon('connect timed out');
        else scheduler.after(retryMs, attempt, this.client.endpoint.life);
        return;
      }
      const target = this.network.listener(this.#to);
      if (target?.accept === undefined || !target.life.alive) {
        scheduler.after(
          there.delayMs + back.delayMs,
          () => this.client.closeSoon('connection refused'),
          this.client.endpoint.life,
        );
        return;
      }
      scheduler.after(there.delayMs + random.float() * there.jitterMs, () => this.#accept(target), target.life);
    };
    scheduler.after(0, attempt, this.client.endpoint.life);
  }

  #accept(target: Listener): void {
    if (this.broken || this.client.closed || target.accept === undefined) return;
    const server = new End(this, target, undefined);
    this.server = server;
    target.streams.add(this);
    server.peer = this.client;
    this.client.peer = server;
    server.handlers = target.accept(server.face as LinkStream<Down>) as LinkHandlers<Message>;
    this.client.pump();
    server.pump();
  }

  conditionsChanged(): void {
    this.client.pump();
    this.server?.pump();
  }

  /** A part of what is under way still arrives, the rest is lost, and each end learns of it in its own time. */
  break(reason: string): void {
    if (this.broken) return;
    this.broken = true;
    const { random, options, scheduler } = this.network;
    this.network.trace.add('stream', this.id, 'breaks', reason);
    for (const end of [this.client, this.server]) {
      if (end === undefined) continue;
      end.loseTail(random);
      const slow = random.chance(0.3);
      const late = slow ? random.between(0, options.halfOpenMsMax) : random.between(0, 30);
      scheduler.after(late, () => end.closeNow(reason), end.endpoint.life);
    }
  }

  processDied(listener: Listener): void {
    const [dead, other] = this.client.endpoint === listener ? [this.client, this.server] : [this.server, this.client];
    if (dead !== undefined) dead.closed = true;
    listener.streams.delete(this);
    if (other === undefined || other.closed) {
      this.network.forget(this);
      return;
    }
    this.broken = true;
    dead?.loseTail(this.network.random);
    const { random, options, scheduler } = this.network;
    // Most often the kernel resets the connection; a machine that lost power says nothing.
    const late = random.chance(0.25) ? random.between(0, options.halfOpenMsMax) : random.between(1, 20);
    scheduler.after(late, () => other.closeNow('connection reset'), other.endpoint.life);
  }

  ended(end: End): void {
    this.network.listener(end.endpoint.address)?.streams.delete(this);
    if (this.client.closed && (this.server === undefined || this.server.closed)) this.network.forget(this);
  }
}

interface Queued {
  readonly message: Message;
  readonly bytes: number;
  due: number;
}

/** One end of a stream, with the queue of what it has sent. */
class End {
  readonly stream: Stream;
  readonly endpoint: Listener;
  handlers: LinkHandlers<Message> | undefined;
  peer: End | undefined;
  closed = false;
  readonly face: LinkStream<Message>;
  readonly #queue: Queued[] = [];
  #buffered = 0;
  #full = false;
  #lastDue = 0;
  #scheduled = false;
  #stalledSince: number | undefined;
  #closing = false;
  /** Messages that have arrived while the process stood still. */
  #waiting = 0;
  /** What was sent after the stream broke goes nowhere. */
  #black = false;
  #way: Conditions | undefined;

  constructor(stream: Stream, endpoint: Listener, handlers: LinkHandlers<Message> | undefined) {
    this.stream = stream;
    this.endpoint = endpoint;
    this.handlers = handlers;
    this.face = {
      send: (message) => this.#send(message),
      close: (reason) => this.#close(reason),
    };
  }

  #send(message: Message): boolean {
    if (this.closed || this.#closing) return false;
    const network = this.stream.network;
    const { copy, bytes } = copyMessage(message);
    if (this.peer !== undefined) for (const tap of network.taps) tap.sent?.(this.endpoint, this.peer.endpoint, copy);
    this.#buffered += bytes;
    if (this.stream.broken) {
      this.#black = true;
    } else {
      this.#queue.push({ message: copy, bytes, due: this.#dueOf(bytes) });
      this.pump();
      const conditions = this.#conditions();
      if (conditions.breakRate > 0 && network.random.chance(conditions.breakRate))
        this.stream.break('lost in the network');
    }
    if (this.#buffered > network.options.sendBufferBytes) this.#full = true;
    return !this.#full;
  }

  /** Of the way to the other end. They are changed in place, and each message asks for them several times. */
  #conditions(): Conditions {
    if (this.#way !== undefined) return this.#way;
    const network = this.stream.network;
    const { site } = this.endpoint;
    if (this.peer === undefined) return network.conditions(site, site);
    this.#way = network.conditions(site, this.peer.endpoint.site);
    return this.#way;
  }

  #dueOf(bytes: number): number {
    const { scheduler, random } = this.stream.network;
    const c = this.#conditions();
    const due = Math.max(this.#lastDue, scheduler.now + c.delayMs + random.float() * c.jitterMs) + bytes / c.bytesPerMs;
    this.#lastDue = due;
    return due;
  }

  /** Delivers what is due, then waits for the next. */
  pump(): void {
    const network = this.stream.network;
    const { scheduler } = network;
    if (this.#scheduled || this.peer === undefined || this.#queue.length === 0) return;
    if (this.#conditions().blocked) {
      this.#stall();
      return;
    }
    if (this.#stalledSince !== undefined) {
      // Retransmission: everything that was stalled goes out again, one after another.
      this.#stalledSince = undefined;
      this.#lastDue = 0;
      for (const item of this.#queue) item.due = this.#dueOf(item.bytes);
    }
    this.#scheduled = true;
    // Not bound to a life: a message that is under way does not die with its sender.
    scheduler.at(this.#queue[0]!.due, () => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const network = this.stream.network;
    const { scheduler } = network;
    const peer = this.peer;
    if (peer === undefined || this.#queue.length === 0) return;
    if (this.#conditions().blocked) {
      this.#stall();
      return;
    }
    if (this.#queue[0]!.due > scheduler.now) {
      this.pump();
      return;
    }
    const item = this.#queue.shift()!;
    this.#buffered -= item.bytes;
    const { life } = peer.endpoint;
    if (life.alive && !life.paused && peer.#waiting === 0) peer.#take(this.endpoint, item.message);
    else {
      // A process that stands still takes the message when it goes on, and what comes after it behind it.
      peer.#waiting++;
      scheduler.at(
        scheduler.now,
        () => {
          peer.#waiting--;
          peer.#take(this.endpoint, item.message);
        },
        life,
      );
    }
    if (this.#full && this.#buffered <= network.options.sendBufferBytes / 2) {
      this.#full = false;
      scheduler.at(scheduler.now, () => this.#drained(), this.endpoint.life);
    }
    this.pump();
  }

  #take(from: Endpoint, message: Message): void {
    if (this.closed || this.#closing) return;
    const network = this.stream.network;
    if (message.kind === 'batches') {
      const conditions = network.conditions(from.site, this.endpoint.site);
      if (conditions.flips > 0) {
        conditions.flips--;
        flipBit(message, network.random);
      }
      if (conditions.repeats > 0) {
        conditions.repeats--;
        this.#hand(from, copyMessage(message).copy);
        if (this.closed || this.#closing) return;
      }
    }
    if (message.kind === 'hello') message = asOtherVersion(message, network.versions, from.site, this.endpoint.site);
    this.#hand(from, message);
  }

  #hand(from: Endpoint, message: Message): void {
    const { network } = this.stream;
    for (const tap of network.taps) tap.delivered?.(from, this.endpoint, message);
    network.trace.add(message.kind, from.address, '>', this.endpoint.address, this.stream.id, detailOf(message));
    this.handlers?.message(message);
  }

  #drained(): void {
    if (!this.closed && !this.#closing && !this.#black) this.handlers?.drain();
  }

  #stall(): void {
    const { scheduler, random, options } = this.stream.network;
    if (this.#stalledSince !== undefined) return;
    const since = scheduler.now;
    this.#stalledSince = since;
    scheduler.after(random.between(options.stallMsMin, options.stallMsMax), () => {
      if (this.#stalledSince === since) this.stream.break('timed out');
    });
  }

  loseTail(random: SeededRandom): void {
    this.#queue.length = random.below(this.#queue.length + 1);
  }

  #close(reason: string): void {
    if (this.closed || this.#closing) return;
    this.#closing = true;
    const { scheduler } = this.stream.network;
    scheduler.after(0, () => this.closeNow(reason), this.endpoint.life);
    const peer = this.peer;
    if (peer === undefined || peer.closed || this.stream.broken) {
      this.stream.broken = true;
      return;
    }
    // The end of a stream arrives behind what was sent before, if the way is open; else the other end finds out by itself.
    const conditions = this.#conditions();
    const wait = conditions.blocked ? this.stream.network.options.halfOpenMsMax : 0;
    const at = Math.max(this.#lastDue, scheduler.now + conditions.delayMs + wait);
    scheduler.at(
      at,
      () => {
        this.stream.broken = true;
        peer.closeNow(reason);
      },
      peer.endpoint.life,
    );
  }

  closeSoon(reason: string): void {
    this.stream.network.scheduler.after(0, () => this.closeNow(reason), this.endpoint.life);
  }

  closeNow(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.stream.ended(this);
    this.stream.network.trace.add('closed', this.endpoint.address, this.stream.id, reason);
    this.handlers?.closed(reason);
  }
}

/** The copy that arrives is the receiver's own. */
function flipBit({ batches }: Batches, random: SeededRandom): void {
  const bytes = random.pick(batches);
  const at = random.below(bytes.length);
  bytes[at] = bytes[at]! ^ (1 << random.below(8));
}

/** What a process says of itself, as one of another version sees it: only the distance between two versions matters. */
function asOtherVersion(
  hello: Hello,
  versions: ReadonlyMap<string, 'newer' | 'apart'>,
  from: string,
  to: string,
): Hello {
  const [sender, receiver] = [versions.get(from), versions.get(to)];
  if (sender === receiver) return hello;
  const { protocolVersion, protocolVersionMin } = hello;
  if (sender === 'apart')
    return { ...hello, protocolVersion: protocolVersion + 1, protocolVersionMin: protocolVersion + 1 };
  if (receiver === 'apart')
    return { ...hello, protocolVersion: protocolVersionMin - 1, protocolVersionMin: protocolVersionMin - 1 };
  if (sender === 'newer')
    return { ...hello, protocolVersion: protocolVersion + 1, features: [...hello.features, 'of-tomorrow'] };
  return hello;
}

function detailOf(message: Message): string {
  switch (message.kind) {
    case 'batches':
      return `${message.batches.length}`;
    case 'want':
      return `${message.shard} ${message.regions.join(',')} ${vectorText(message.have)}`;
    case 'ack':
      return message.shards.map(({ shard, durable }) => `${shard} ${vectorText(durable)}`).join(' ');
    case 'credit':
      return `${message.bytesTotal}`;
    case 'refuse':
      return message.reason;
    case 'hello':
    case 'welcome':
    case 'ping':
    case 'beat':
      return '';
    case 'compress':
      return `${message.frames}`;
    case 'begin':
      return message.shards.map(({ shard, origin }) => `${shard} ${origin.slice(0, -8)}`).join(' ');
    case 'begun':
      return message.shards
        .map((each) => `${each.shard} ${each.origin.slice(0, -8)}>${each.boundOfReceiver}`)
        .join(' ');
  }
}

export function vectorText(vector: ReadonlyMap<string, number>): string {
  return [...vector].map(([origin, seq]) => `${origin.slice(0, -8)}:${seq}`).join(',');
}
