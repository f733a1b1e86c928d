// A wire on loopback that we can lengthen, cut and measure: there is no netem in a plain container.
// Owns: forwarding of bytes between those who connect and one target, each byte `delayMs` later, either way.
// Bounds: per connection and direction, BUFFER_BYTES_MAX under way; beyond, the sender is no longer read, so that TCP makes it
// wait. That is bandwidth × delay of a long fat pipe: 64 MiB at 100 ms is 640 MB/s, which loopback does not reach.

import { createServer, connect, type Server, type Socket } from 'node:net';

const BUFFER_BYTES_MAX = 64 * 1024 * 1024;

export type Cut =
  /** As when packets vanish: connections stay open and nothing moves. Later the bytes arrive, as TCP sends them again. */
  | 'blackhole'
  /** As when a host is gone: connections break, and new ones are refused. */
  | 'reset';

export interface TcpProxyOptions {
  readonly targetHost: string;
  readonly targetPort: number;
  readonly delayMs?: number;
}

export class TcpProxy {
  readonly #options: Required<TcpProxyOptions>;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #cut: Cut | undefined;
  #bytesToTarget = 0;
  #bytesFromTarget = 0;

  private constructor(options: TcpProxyOptions) {
    this.#options = { delayMs: 0, ...options };
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

  cut(how: Cut): void {
    this.#cut = how;
    for (const pair of [...this.#pairs]) {
      if (how === 'reset') pair.destroy();
      else pair.hold();
    }
  }

  heal(): void {
    this.#cut = undefined;
    for (const pair of this.#pairs) pair.release();
  }

  async close(): Promise<void> {
    for (const pair of [...this.#pairs]) pair.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(client: Socket): void {
    if (this.#cut === 'reset') {
      client.destroy();
      return;
    }
    const target = connect({
      host: this.#options.targetHost,
      port: this.#options.targetPort,
      allowHalfOpen: true,
      noDelay: true,
    });
    const pair: Pair = new Pair(
      new Direction(client, target, this.#options.delayMs, (bytes) => (this.#bytesToTarget += bytes)),
      new Direction(target, client, this.#options.delayMs, (bytes) => (this.#bytesFromTarget += bytes)),
      [client, target],
      () => this.#pairs.delete(pair),
    );
    this.#pairs.add(pair);
    if (this.#cut === 'blackhole') pair.hold();
  }
}

class Pair {
  readonly #directions: readonly Direction[];
  readonly #sockets: readonly Socket[];
  readonly #gone: () => void;

  constructor(there: Direction, back: Direction, sockets: readonly Socket[], gone: () => void) {
    this.#directions = [there, back];
    this.#sockets = sockets;
    this.#gone = gone;
    for (const socket of sockets) {
      socket.on('error', () => this.destroy());
      socket.on('close', () => {
        if (sockets.every(({ destroyed }) => destroyed)) this.destroy();
      });
    }
  }

  hold(): void {
    for (const direction of this.#directions) direction.hold();
  }

  release(): void {
    for (const direction of this.#directions) direction.release();
  }

  destroy(): void {
    for (const direction of this.#directions) direction.end();
    for (const socket of this.#sockets) socket.destroy();
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
  readonly #delayMs: number;
  readonly #forwarded: (bytes: number) => void;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #held = false;
  #ended = false;

  constructor(from: Socket, to: Socket, delayMs: number, forwarded: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#delayMs = delayMs;
    this.#forwarded = forwarded;
    from.on('data', (chunk: Buffer) => this.#take(chunk));
    from.on('end', () => this.#take(undefined));
    to.on('drain', () => this.#regulate());
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
    this.#queue.push({ dueMs: performance.now() + this.#delayMs, chunk });
    this.#queuedBytes += chunk?.length ?? 0;
    this.#regulate();
    if (this.#delayMs === 0) this.#flush();
    else this.#arm();
  }

  #regulate(): void {
    if (this.#queuedBytes + this.#to.writableLength > BUFFER_BYTES_MAX) this.#from.pause();
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
