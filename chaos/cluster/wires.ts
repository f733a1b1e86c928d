// The wires between regions of a cluster on this machine: a proxy per ordered pair, so that any of them can be cut alone.

import { TcpProxy, type Cut, type Quality, type Way } from './tcp-proxy.ts';

/** One direction between two regions, whichever of them dialled: what `from` says to `to`. */
interface Lane {
  readonly proxy: TcpProxy;
  readonly way: Way;
}

export class Wires {
  readonly #delayMs: number;
  readonly #proxies = new Map<string, TcpProxy>();

  constructor(delayMs = 0) {
    this.#delayMs = delayMs;
  }

  /** To be given to Cluster as `peerAddress`: lays the wire by which `from` dials `to`. Both directions of a replication stream
   *  go over the wire of the one who dialled. */
  readonly lay = async (from: string, to: string, direct: string): Promise<string> => {
    const colon = direct.lastIndexOf(':');
    const proxy = await TcpProxy.listen({
      targetHost: direct.slice(0, colon),
      targetPort: Number(direct.slice(colon + 1)),
      delayMs: this.#delayMs,
    });
    this.#proxies.set(`${from} ${to}`, proxy);
    return proxy.address;
  };

  /** Between two regions, whoever dialled. */
  cut(a: string, b: string, how: Cut): void {
    for (const proxy of this.#between(a, b)) proxy.cut(how);
  }

  /** A region from all others. */
  isolate(region: string, how: Cut): void {
    for (const [pair, proxy] of this.#proxies) if (pair.split(' ').includes(region)) proxy.cut(how);
  }

  /** What `from` says does not reach `to`; what `to` says still arrives. */
  silence(from: string, to: string): void {
    for (const { proxy, way } of this.#lanes(from, to)) proxy.hold(way);
  }

  /** What `from` says to `to` goes over a worse wire. */
  degrade(from: string, to: string, change: Partial<Quality>): void {
    for (const { proxy, way } of this.#lanes(from, to)) proxy.degrade(way, change);
  }

  /** Connections between the two break once. */
  breakBetween(a: string, b: string): void {
    for (const proxy of this.#between(a, b)) proxy.breakAll();
  }

  /** Who dialled keeps connections that have no other end. */
  halfOpen(a: string, b: string): void {
    for (const proxy of this.#between(a, b)) proxy.halfOpen();
  }

  healBetween(a: string, b: string): void {
    for (const proxy of this.#between(a, b)) proxy.heal();
  }

  heal(): void {
    for (const proxy of this.#proxies.values()) proxy.heal();
  }

  /** All bytes that crossed, either way. */
  get bytes(): number {
    let total = 0;
    for (const { bytes } of this.#proxies.values()) total += bytes.toTarget + bytes.fromTarget;
    return total;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()));
  }

  *#between(a: string, b: string): Iterable<TcpProxy> {
    for (const pair of [`${a} ${b}`, `${b} ${a}`]) {
      const proxy = this.#proxies.get(pair);
      if (proxy !== undefined) yield proxy;
    }
  }

  *#lanes(from: string, to: string): Iterable<Lane> {
    const dialled = this.#proxies.get(`${from} ${to}`);
    if (dialled !== undefined) yield { proxy: dialled, way: 'there' };
    const taken = this.#proxies.get(`${to} ${from}`);
    if (taken !== undefined) yield { proxy: taken, way: 'back' };
  }
}
