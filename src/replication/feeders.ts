// Who is asked for everything of a shard while we are behind of several peers. Their batches depend on each other's, and over two links
// they come in two orders: most would be parked until the other link has brought what they wait for, and dropped when there is no room. One
// log has all of them in an order that is causal (I4). Pure: moments and vectors in, decisions out; links.ts asks.
//
// It ends where nothing is gained any more: what was missing half a second ago is here, or nothing comes. A wrong guess costs duplicates.

import { originRegion, type OriginId, type RegionId, type ShardId } from '../record/ids.ts';
import type { ReadonlyVector } from '../record/vector.ts';

/** Missing ops of other regions than the peer's own, from which on it is worth it. Fewer fit into any parking. */
export const FEED_OPS_MIN = 32;
/** What was missing is here within this time: the links keep step by themselves. */
export const IN_STEP_MS = 500;
/** Nothing was taken for so long: whoever feeds us has nothing, or lacks what we wait for. */
export const STALLED_MS = 1000;

interface Feeding {
  readonly peer: RegionId;
  /** Of others' origins: what the feeder held, or had heard of, at `sinceMs`. */
  target: ReadonlyVector;
  sinceMs: number;
  /** What had been taken of the shard, in all, when it last moved. */
  taken: number;
  movedMs: number;
  /** The last that the feeder's beats said. */
  heard: ReadonlyVector | undefined;
}

export class Feeders {
  readonly #self: RegionId;
  readonly #feeding = new Map<ShardId, Feeding>();

  constructor(self: RegionId) {
    this.#self = self;
  }

  of(shard: ShardId): RegionId | undefined {
    return this.#feeding.get(shard)?.peer;
  }

  /** A source tells what it holds. True when it is the one to be asked from now on. */
  welcomed(
    shard: ShardId,
    peer: RegionId,
    vector: ReadonlyVector,
    taken: ReadonlyVector,
    monotonicMs: number,
  ): boolean {
    if (this.#feeding.has(shard)) return false;
    let missing = 0;
    for (const [origin, seq] of vector) {
      if (this.#isOfOthers(origin, peer)) missing += Math.max(0, seq - (taken.get(origin) ?? 0));
    }
    if (missing < FEED_OPS_MIN) return false;
    // One that is itself behind would hold up what comes from the others.
    for (const [origin, seq] of taken) {
      if (this.#isOfOthers(origin, peer) && (vector.get(origin) ?? 0) < seq) return false;
    }
    this.#feeding.set(shard, {
      peer,
      target: vector,
      sinceMs: monotonicMs,
      taken: sum(taken),
      movedMs: monotonicMs,
      heard: undefined,
    });
    return true;
  }

  #isOfOthers(origin: OriginId, peer: RegionId): boolean {
    const region = originRegion(origin);
    return region !== this.#self && region !== peer;
  }

  heard(
    shard: ShardId,
    peer: RegionId,
    watermarks: readonly { readonly origin: OriginId; readonly seq: number }[],
  ): void {
    const feeding = this.#feeding.get(shard);
    if (feeding?.peer === peer) feeding.heard = new Map(watermarks.map(({ origin, seq }) => [origin, seq]));
  }

  /** At every heartbeat and whenever a link changes. `serves`: whether the peer serves the shard now. True when it is over. */
  check(shard: ShardId, taken: ReadonlyVector, serves: (peer: RegionId) => boolean, monotonicMs: number): boolean {
    const feeding = this.#feeding.get(shard);
    if (feeding === undefined) return false;
    const inAll = sum(taken);
    if (inAll !== feeding.taken) {
      feeding.taken = inAll;
      feeding.movedMs = monotonicMs;
    }
    if (serves(feeding.peer) && monotonicMs - feeding.movedMs < STALLED_MS) {
      if (!this.#reached(feeding, taken)) return false;
      if (feeding.heard !== undefined && monotonicMs - feeding.sinceMs > IN_STEP_MS) {
        feeding.target = feeding.heard;
        feeding.sinceMs = monotonicMs;
        return false;
      }
    }
    this.#feeding.delete(shard);
    return true;
  }

  #reached({ peer, target }: Feeding, taken: ReadonlyVector): boolean {
    for (const [origin, seq] of target) {
      if (this.#isOfOthers(origin, peer) && (taken.get(origin) ?? 0) < seq) return false;
    }
    return true;
  }

  /** Shards that are fed. */
  shards(): ShardId[] {
    return [...this.#feeding.keys()];
  }
}

function sum(vector: ReadonlyVector): number {
  let total = 0;
  for (const seq of vector.values()) total += seq;
  return total;
}
