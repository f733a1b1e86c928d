// A wire on loopback that we can lengthen, narrow, cut and measure: there is no netem in a plain container.
// Owns: forwarding of bytes between those who connect and one target, each byte `delayMs` (and up to `jitterMs` more) later, and no more than
// `bytesPerSecond`, either way. Bytes of one connection never overtake each other.
// Bounds: per connection and direction, `bufferBytesMax` under way; beyond, the sender is no longer read, so that TCP makes it
// wait. By default that is bandwidth × delay of a long fat pipe: 64 MiB at 100 ms is 640 MB/s, which loopback does not reach.

import { createServer, connect, type Server, type Socket } from 'node:net';

const BUFFER_BYTES_MAX = 64 * 1024 * 1024;
/** Of a narrow wire, a chunk is cut into what passes in this time, so that it flows and does not come in lumps. */
const NARROW_SLICE_MS = 20;

export type Cut =
  /** As when packets vanish: connections stay open and nothing moves. Later the bytes arrive, as TCP sends them again. */
  | 'blackhole'
  /** As when a host is gone: connections break, and new ones are refused. */
  | 'reset';

/** Seen from who dials: `there` goes to the target, `back` comes from it. */
export type Way = 'there' | 'back';

export interface Quality {
  readonly delayMs: number;
  /** Each chunk is up to so much later still. */
  readonly jitterMs: number;
  /** Infinity: as fast as loopback is. */
  readonly bytesPerSecond: number;
  readonly bufferBytesMax: number;
}

export const PERFECT: Quality = {
  delayMs: 0,
  jitterMs: 0,
  bytesPerSecond: Infinity,
  bufferBytesMax: BUFFER_BYTES_MAX,
};

export interface TcpProxyOptions extends Partial<Quality> {
  readonly targetHost: string;
  readonly targetPort: number;
}

export class TcpProxy {
  readonly #options: TcpProxyOptions;
  readonly #quality: Quality;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #refuses = false;
  readonly #held: Record<Way, boolean> = { there: false, back: false };
  readonly #now: Record<Way, Quality>;
  #bytesToTarget = 0;
  #bytesFromTarget = 0;

  private constructor(options: TcpProxyOptions) {
    this.#options = options;
    const { delayMs, jitterMs, bytesPerSecond, bufferBytesMax } = { ...PERFECT, ...options };
    this.#quality = { delayMs, jitterMs, bytesPerSecond, bufferBytesMax };
    this.#now = { there: this.#quality, back: this.#quality };
    // Half-open connections are forwarded as such.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
  }

  static async listen(options: TcpProxyOptions, port = 0): Promise<TcpProxy> {
    const proxy = new TcpProxy(options);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(port, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed');
    return `127.0.0.1:${address.port}`;
  }

  /** Bytes forwarded since the start, without headers of TCP and below. */
  get bytes(): { readonly toTarget: number; readonly fromTarget: number } {
    return { toTarget: this.#bytesToTarget, fromTarget: this.#bytesFromTarget };
  }

  /** Connections that stand. */
  get connections(): number {
    return this.#pairs.size;
  }

  cut(how: Cut): void {
    if (how === 'blackhole') {
      this.hold('there');
      this.hold('back');
      return;
    }
    this.#refuses = true;
    this.breakAll();
  }

  /** Nothing moves one way; the other way goes on. */
  hold(way: Way): void {
    this.#held[way] = true;
    for (const pair of this.#pairs) pair[way].hold();
  }

  /** Connections break; new ones are taken. */
  breakAll(): void {
    for (const pair of [...this.#pairs]) pair.destroy();
  }

  /** The target's end of every connection is gone and the dialler's stays open: nothing comes any more, and nobody says so. */
  halfOpen(): void {
    for (const pair of [...this.#pairs]) pair.loseTarget();
  }

  /** What the wire is like from now on, for connections that stand too. */
  degrade(way: Way, change: Partial<Quality>): void {
    this.#now[way] = { ...this.#quality, ...change };
    for (const pair of this.#pairs) pair[way].quality = this.#now[way];
  }

  /** As it was laid. Connections whose target is gone break now, as a host that returns says that it knows nothing of them. */
  heal(): void {
    this.#refuses = false;
    for (const way of ['there', 'back'] as const) {
      this.#held[way] = false;
      this.degrade(way, {});
      for (const pair of this.#pairs) pair[way].release();
    }
    for (const pair of [...this.#pairs]) if (pair.hasLostTarget) pair.destroy();
  }

  async close(): Promise<void> {
    this.breakAll();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(client: Socket): void {
    if (this.#refuses) {
      client.destroy();
      return;
    }
    const { targetHost: host, targetPort: port } = this.#options;
    const target = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const pair: Pair = new Pair(
      new Direction(client, target, this.#now.there, (bytes) => (this.#bytesToTarget += bytes)),
      new Direction(target, client, this.#now.back, (bytes) => (this.#bytesFromTarget += bytes)),
      client,
      target,
      () => this.#pairs.delete(pair),
    );
    this.#pairs.add(pair);
    for (const way of ['there', 'back'] as const) if (this.#held[way]) pair[way].hold();
  }
}

class Pair {
  readonly there: Direction;
  readonly back: Direction;
  readonly #client: Socket;
  readonly #target: Socket;
  readonly #gone: () => void;
  hasLostTarget = false;

  constructor(there: Direction, back: Direction, client: Socket, target: Socket, gone: () => void) {
    this.there = there;
    this.back = back;
    this.#client = client;
    this.#target = target;
    this.#gone = gone;
    client.on('error', () => this.destroy());
    target.on('error', () => {
      if (!this.hasLostTarget) this.destroy();
    });
    const closed = (): void => {
      if (client.destroyed && target.destroyed) this.destroy();
    };
    client.on('close', closed);
    target.on('close', closed);
  }

  loseTarget(): void {
    this.hasLostTarget = true;
    this.there.end();
    this.back.end();
    // What the dialler still says is read and goes nowhere.
    this.#client.resume();
    this.#target.destroy();
  }

  destroy(): void {
    this.there.end();
    this.back.end();
    this.#client.destroy();
    this.#target.destroy();
    this.#gone();
  }
}

/** `chunk` undefined: the end of the stream. */
interface Queued {
  readonly dueMs: number;
  readonly chunk: Buffer | undefined;
}

class Direction {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #forwarded: (bytes: number) => void;
  #quality: Quality;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  /** When the last byte in the queue leaves: the next ones leave no earlier. */
  #lastDueMs = 0;
  /** When the narrow wire has taken in all that is queued. */
  #freeMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #held = false;
  #ended = false;

  constructor(from: Socket, to: Socket, quality: Quality, forwarded: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#quality = quality;
    this.#forwarded = forwarded;
    from.on('data', (chunk: Buffer) => this.#take(chunk));
    from.on('end', () => this.#take(undefined));
    to.on('drain', () => this.#regulate());
  }

  /** A wire that is no longer narrow lets go at once what had queued up before it. */
  set quality(quality: Quality) {
    this.#quality = quality;
    if (quality.bytesPerSecond === Infinity) {
      const latestMs = performance.now() + quality.delayMs + quality.jitterMs;
      this.#queue = this.#queue.map(({ dueMs, chunk }) => ({ dueMs: Math.min(dueMs, latestMs), chunk }));
      this.#lastDueMs = Math.min(this.#lastDueMs, latestMs);
      this.#freeMs = 0;
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#arm();
    }
    this.#regulate();
  }

  hold(): void {
    this.#held = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  release(): void {
    this.#held = false;
    this.#flush();
  }

  end(): void {
    this.#ended = true;
    this.#queue = [];
    clearTimeout(this.#timer);
  }

  #take(chunk: Buffer | undefined): void {
    if (this.#ended) return;
    const { delayMs, jitterMs, bytesPerSecond } = this.#quality;
    const nowMs = performance.now();
    if (bytesPerSecond === Infinity || chunk === undefined) {
      this.#enqueue(chunk, nowMs + delayMs + jitterMs * Math.random());
    } else {
      const sliceBytes = Math.max(1, Math.floor((bytesPerSecond * NARROW_SLICE_MS) / 1000));
      this.#freeMs = Math.max(this.#freeMs, nowMs);
      for (let at = 0; at < chunk.length; at += sliceBytes) {
        const slice = chunk.subarray(at, at + sliceBytes);
        this.#freeMs += (slice.length * 1000) / bytesPerSecond;
        this.#enqueue(slice, this.#freeMs + delayMs + jitterMs * Math.random());
      }
    }
    this.#regulate();
    if (this.#queue[0] !== undefined && this.#queue[0].dueMs <= nowMs) this.#flush();
    else this.#arm();
  }

  #enqueue(chunk: Buffer | undefined, dueMs: number): void {
    this.#lastDueMs = Math.max(this.#lastDueMs, dueMs);
    this.#queue.push({ dueMs: this.#lastDueMs, chunk });
    this.#queuedBytes += chunk?.length ?? 0;
  }

  #regulate(): void {
    if (this.#ended) return;
    if (this.#queuedBytes + this.#to.writableLength > this.#quality.bufferBytesMax) this.#from.pause();
    else if (this.#from.isPaused()) this.#from.resume();
  }

  #arm(): void {
    const next = this.#queue[0];
    if (next === undefined || this.#timer !== undefined || this.#held || this.#ended) return;
    // Rounded up, so that no byte is early.
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#flush();
      },
      Math.max(0, Math.ceil(next.dueMs - performance.now())),
    );
  }

  #flush(): void {
    if (this.#held || this.#ended) return;
    const nowMs = performance.now();
    let taken = 0;
    this.#to.cork();
    for (; taken < this.#queue.length && this.#queue[taken]!.dueMs <= nowMs; taken++) {
      const { chunk } = this.#queue[taken]!;
      if (chunk === undefined) {
        this.#to.end();
      } else {
        this.#queuedBytes -= chunk.length;
        this.#forwarded(chunk.length);
        this.#to.write(chunk);
      }
    }
    this.#to.uncork();
    if (taken > 0) this.#queue.splice(0, taken);
    this.#regulate();
    this.#arm();
  }
}
