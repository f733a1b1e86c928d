// The wires between regions of a cluster on this machine: proxies for each ordered pair, one for each node that is dialled, so that any pair can be
// cut alone.

import { TcpProxy, type Cut, type Quality, type Way } from './tcp-proxy.ts';

/** One direction between two regions, whichever of them dialled: what `from` says to `to`. */
interface Lane {
  readonly proxy: TcpProxy;
  readonly way: Way;
}

export class Wires {
  readonly #delayMs: number;
  /** By pair, then by the address that the proxy stands before. */
  readonly #proxies = new Map<string, Map<string, TcpProxy>>();

  constructor(delayMs = 0) {
    this.#delayMs = delayMs;
  }

  /** To be given to Cluster as `peerAddress`: lays the wire by which `from` dials `to`. Both directions of a replication stream
   *  go over the wire of the one who dialled. */
  readonly lay = async (from: string, to: string, direct: string): Promise<string> => {
    const pair = `${from} ${to}`;
    const laid = this.#proxies.get(pair) ?? new Map<string, TcpProxy>();
    this.#proxies.set(pair, laid);
    // The nodes of a region share it.
    const there = laid.get(direct);
    if (there !== undefined) return there.address;
    const colon = direct.lastIndexOf(':');
    const proxy = await TcpProxy.listen({
      targetHost: direct.slice(0, colon),
      targetPort: Number(direct.slice(colon + 1)),
      delayMs: this.#delayMs,
    });
    laid.set(direct, proxy);
    return proxy.address;
  };

  /** Between two regions, whoever dialled. */
  cut(a: string, b: string, how: Cut): void {
    for (const proxy of this.#between(a, b)) proxy.cut(how);
  }

  /** A region from all others. */
  isolate(region: string, how: Cut): void {
    for (const [pair, laid] of this.#proxies) {
      if (pair.split(' ').includes(region)) for (const proxy of laid.values()) proxy.cut(how);
    }
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
    for (const proxy of this.#all()) proxy.heal();
  }

  /** All bytes that crossed, either way. */
  get bytes(): number {
    let total = 0;
    for (const { bytes } of this.#all()) total += bytes.toTarget + bytes.fromTarget;
    return total;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all()].map((proxy) => proxy.close()));
  }

  *#all(): Iterable<TcpProxy> {
    for (const laid of this.#proxies.values()) yield* laid.values();
  }

  *#between(a: string, b: string): Iterable<TcpProxy> {
    for (const pair of [`${a} ${b}`, `${b} ${a}`]) yield* this.#proxies.get(pair)?.values() ?? [];
  }

  *#lanes(from: string, to: string): Iterable<Lane> {
    for (const proxy of this.#proxies.get(`${from} ${to}`)?.values() ?? []) yield { proxy, way: 'there' };
    for (const proxy of this.#proxies.get(`${to} ${from}`)?.values() ?? []) yield { proxy, way: 'back' };
  }
}
