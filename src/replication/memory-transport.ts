// The wire between regions of one process: for tests of programs that use Causeway (src/testing).
// Messages pass through the codec of the real wire, so that neither end can see what the other changes afterwards. A way that is
// cut holds what is on it, as TCP does; the links find out by the silence. The simulator has a network of its own, in
// virtual time, with every fault that a wire has (chaos/sim/network.ts).
//
// I8, I12: an end that holds SEND_BUFFER_BYTES unsent says false until half of it has gone, as on the real wire.

import type { System } from '../system/system.ts';
import { decodeDown, decodeUp, encodeDown, encodeUp } from './grpc-codec.ts';
import type { Down, Up } from './messages.ts';
import type { LinkHandlers, LinkStream, Transport } from './transport.ts';

const SEND_BUFFER_BYTES = 1024 * 1024;

type Accept = (stream: LinkStream<Down>) => LinkHandlers<Up>;

export class MemoryNetwork {
  readonly #system: System;
  readonly #delayMs: number;
  readonly #transports = new Map<string, MemoryTransport>();
  readonly #cut = new Set<string>();

  /** `delayMs`: on the way from one end to the other. */
  constructor(system: System, delayMs = 0) {
    this.#system = system;
    this.#delayMs = delayMs;
  }

  /** Of a process at this address; it takes the place of one that was there before and has been crashed. */
  transport(address: string): MemoryTransport {
    const transport = new MemoryTransport(this, address);
    this.#transports.set(address, transport);
    return transport;
  }

  /** Nothing passes between the two, in either direction, until join(). */
  cut(a: string, b: string): void {
    this.#cut.add(wayOf(a, b));
  }

  join(a: string, b: string): void {
    if (!this.#cut.delete(wayOf(a, b))) return;
    for (const address of [a, b]) this.#transports.get(address)?.pump();
  }

  isCut(a: string, b: string): boolean {
    return this.#cut.has(wayOf(a, b));
  }

  // For transports

  at(address: string): MemoryTransport | undefined {
    return this.#transports.get(address);
  }

  later(fn: () => void): void {
    if (this.#delayMs === 0) this.#system.timers.soon(fn);
    else this.#system.timers.after(this.#delayMs, fn);
  }

  soon(fn: () => void): void {
    this.#system.timers.soon(fn);
  }
}

function wayOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

export class MemoryTransport implements Transport {
  readonly address: string;
  readonly #network: MemoryNetwork;
  readonly #ends = new Set<AnyEnd>();
  #accept: Accept | undefined;
  #gone = false;

  constructor(network: MemoryNetwork, address: string) {
    this.#network = network;
    this.address = address;
  }

  onAccept(accept: Accept): void {
    this.#accept = accept;
  }

  dial(address: string, handlers: LinkHandlers<Down>): LinkStream<Up> {
    const network = this.#network;
    const near = new End<Up, Down>(network, this, address, encodeUp, decodeDown, handlers);
    this.#ends.add(near);
    near.later(() => {
      if (near.ended) return;
      const there = network.at(address);
      const accept = there?.accept;
      if (there === undefined || accept === undefined) {
        near.over('connection refused');
        return;
      }
      const far = new End<Down, Up>(network, there, this.address, encodeDown, decodeUp, undefined);
      there.#ends.add(far);
      near.peer = far;
      far.peer = near;
      far.handlers = accept(far);
      near.pump();
      far.pump();
    });
    return near;
  }

  /** The process is gone: nothing of it is heard again, and its peers find their streams closed. */
  crash(): void {
    this.#gone = true;
    for (const end of [...this.#ends]) end.crash();
  }

  // For the network and its ends

  get accept(): Accept | undefined {
    return this.#gone ? undefined : this.#accept;
  }

  pump(): void {
    for (const end of this.#ends) end.pump();
  }

  forget(end: AnyEnd): void {
    this.#ends.delete(end);
  }
}

interface AnyEnd {
  pump(): void;
  crash(): void;
}

/** One end of a stream, with what it has sent and what the other has not got. */
class End<Out, In> implements LinkStream<Out>, AnyEnd {
  handlers: LinkHandlers<In> | undefined;
  peer: End<In, Out> | undefined;
  readonly #network: MemoryNetwork;
  readonly #transport: MemoryTransport;
  readonly #to: string;
  readonly #encode: (message: Out) => Buffer;
  readonly #decode: (bytes: Buffer) => In;
  /** What has not begun its way; a function is something that happens at its other end. */
  readonly #queue: (Buffer | (() => void))[] = [];
  #unsent = 0;
  #full = false;
  #isOver = false;
  #underWay = 0;

  constructor(
    network: MemoryNetwork,
    transport: MemoryTransport,
    to: string,
    encode: (message: Out) => Buffer,
    decode: (bytes: Buffer) => In,
    handlers: LinkHandlers<In> | undefined,
  ) {
    this.#network = network;
    this.#transport = transport;
    this.#to = to;
    this.#encode = encode;
    this.#decode = decode;
    this.handlers = handlers;
  }

  get ended(): boolean {
    return this.#isOver;
  }

  send(message: Out): boolean {
    if (this.#isOver) return true;
    const bytes = this.#encode(message);
    this.#unsent += bytes.length;
    this.#full = this.#full || this.#unsent > SEND_BUFFER_BYTES;
    this.#queue.push(bytes);
    this.pump();
    return !this.#full;
  }

  close(reason: string): void {
    if (this.#isOver) return;
    this.over(reason);
    this.later(() => this.peer?.over(reason));
  }

  /** This end has ended, whoever ended it. The handlers hear of it in a turn of its own. */
  over(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#transport.forget(this);
    this.#network.soon(() => this.handlers?.closed(reason));
  }

  crash(): void {
    this.#isOver = true;
    this.#transport.forget(this);
    this.#queue.length = 0;
    this.later(() => this.peer?.over('connection reset'));
  }

  /** Behind what was sent before. */
  later(fn: () => void): void {
    this.#queue.push(fn);
    this.pump();
  }

  /** Sets on its way what may go. */
  pump(): void {
    while (this.#underWay < this.#queue.length && !this.#network.isCut(this.#transport.address, this.#to)) {
      const next = this.#queue[this.#underWay]!;
      if (typeof next !== 'function' && this.peer === undefined) return;
      this.#underWay++;
      this.#network.later(() => this.#arrive());
    }
  }

  /** The oldest, at the other end. What was under way when the way was cut is held with the rest. */
  #arrive(): void {
    if (this.#underWay === 0) return;
    this.#underWay--;
    if (this.#network.isCut(this.#transport.address, this.#to)) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    if (typeof next === 'function') {
      next();
      return;
    }
    this.#unsent -= next.length;
    this.peer?.received(next);
    if (!this.#full || this.#isOver || this.#unsent > SEND_BUFFER_BYTES / 2) return;
    this.#full = false;
    this.handlers?.drain();
  }

  received(bytes: Buffer): void {
    if (!this.#isOver) this.handlers?.message(this.#decode(bytes));
  }
}
