// What the figures mean: how well a region, or a way between two, is. Pure.
//
// Lag is of the region that is behind, by the promises that reached it (I14): unknown is worse than any number, and never green.

import type { ClusterMessage, NodeMessage, PeerMessage, RegionMessage } from '../src/api/http/page/messages.ts';

/** `good`, `slow`: within what replication promises. `bad`: beyond it. `down`: nothing comes. `unknown`: nobody could be asked. */
export type Health = 'good' | 'slow' | 'bad' | 'down' | 'unknown';

export const HEALTH_WORDS: Readonly<Record<Health, string>> = {
  good: 'good',
  slow: 'slow',
  bad: 'far behind',
  down: 'down',
  unknown: 'not known',
};

/** Lag below it is what it is meant to be. */
const SLOW_MS = 1000;
/** Replication promises to stay below. */
const BAD_MS = 5000;
/** Figures that are older are not of now. */
export const STALE_MS = 3000;

/** From `origin` to `region`: what the region that fetches says of it. */
export interface Way {
  readonly origin: string;
  readonly region: string;
  readonly health: Health;
  readonly peer: PeerMessage | undefined;
  /** What `region` says is of now. */
  readonly fresh: boolean;
  /** For people. */
  readonly text: string;
}

/** What a region says of itself, if it is of now: a question without an answer makes what it said before old at once. `sinceMs`: since
 *  the answer that it stands in. */
export function freshNode(region: RegionMessage, sinceMs: number): NodeMessage | undefined {
  if (region.node === null || region.ageMs === null || region.problem !== '') return undefined;
  if (region.ageMs + sinceMs > STALE_MS) return undefined;
  return region.node;
}

export function regionHealth(region: RegionMessage, sinceMs: number): Health {
  const node = freshNode(region, sinceMs);
  // While nothing comes to the page itself, it knows nothing of anybody.
  if (node === undefined) return region.problem === '' || sinceMs > STALE_MS ? 'unknown' : 'down';
  if (node.alarms.length > 0) return 'bad';
  return node.ready && node.state === 'ready' ? 'good' : 'slow';
}

export function regionWords(region: RegionMessage, sinceMs: number): string {
  const node = freshNode(region, sinceMs);
  if (node !== undefined) return node.state;
  if (sinceMs > STALE_MS) return 'not known';
  return region.problem === '' ? 'asking' : 'no answer';
}

export function lagHealth(lagMs: number | null): Health {
  if (lagMs === null) return 'unknown';
  return lagMs < SLOW_MS ? 'good' : lagMs < BAD_MS ? 'slow' : 'bad';
}

function wayHealth(peer: PeerMessage): Health {
  if (peer.link === 'down' || peer.link === 'refused') return 'down';
  const health = lagHealth(peer.lagMs);
  return peer.link === 'connecting' && health === 'good' ? 'slow' : health;
}

/** Every ordered pair of regions. */
export function waysOf(cluster: ClusterMessage, sinceMs: number): Way[] {
  return cluster.regions.flatMap((region) =>
    cluster.regions
      .filter(({ name }) => name !== region.name)
      .map((origin): Way => {
        const node = freshNode(region, sinceMs);
        const peer = (node ?? region.node)?.peers.find((each) => each.region === origin.name);
        const named = { origin: origin.name, region: region.name };
        if (peer === undefined || node === undefined) {
          const health = regionHealth(region, sinceMs) === 'down' ? 'down' : 'unknown';
          return { ...named, health, peer, fresh: false, text: `${region.name} does not say` };
        }
        return { ...named, health: wayHealth(peer), peer, fresh: true, text: peer.reason };
      }),
  );
}

/** The worst of all ways that are known just now; undefined: none is. */
export function worstWay(ways: readonly Way[]): Way | undefined {
  const order: readonly Health[] = ['good', 'slow', 'bad', 'down'];
  return ways
    .filter(({ fresh }) => fresh)
    .toSorted(
      (a, b) =>
        order.indexOf(b.health) - order.indexOf(a.health) || (b.peer?.lagMs ?? Infinity) - (a.peer?.lagMs ?? Infinity),
    )[0];
}
