// Which node of a region shall have which shard. Owns: evenness, and that as little moves as possible.
//
// - Each node has as many shards as any other, or one more or less. A shard's node is in the first place the one whose hash with it is highest (rendezvous hashing, Thaler and
//   Ravishankar, 1998), as long as that node is not full (bounded loads: Mirrokni, Thorup and Zadimoghaddam, 2018).
// - What is hashed is a node's place among the region's nodes by name, and not its name: so regions of equally many nodes share alike, and a node has most of its shards in common with
//   one node of each other region. Fewer links carry batches then, and each of their messages carries more (BENCHMARKS).
// - Who holds a shard keeps it unless the holder has too many: a node that goes moves its own shards, and one that comes gets its share from those that have too many. Nothing moves
//   between two nodes that stay.
// - A shard that was placed by load (balancing.ts) is taken for one that its place holds, whoever holds it: so what all want is the same while it moves and after. It counts like any
//   other: what is too many where it was placed is elsewhere.
// - A shard that an operator has pinned counts for nobody.
//
// Pure: nodes that know the same decide the same. While they do not, the log's fence decides.

import { createHash } from 'node:crypto';
import type { ShardId } from '../record/ids.ts';

export interface Known {
  /** Nodes that may have shards, in any order. */
  readonly able: readonly string[];
  readonly holderOf: (shard: ShardId) => string | undefined;
  /** Where an operator wants it; a node that is not able is not asked. */
  readonly pinnedTo: (shard: ShardId) => string | undefined;
  /** Where it was placed by load; a node that is not able is not asked. Absent: nothing was. */
  readonly placedAt?: (shard: ShardId) => string | undefined;
}

export class Sharing {
  readonly #shards: readonly ShardId[];
  /** By place, as far as there were ever nodes. */
  readonly #weights: ReadonlyMap<ShardId, number>[] = [];
  /** The places of the nodes that were able last. */
  #placeOf: ReadonlyMap<string, number> = new Map();

  constructor(shards: readonly ShardId[]) {
    this.#shards = shards;
  }

  /** Of each shard the node that shall have it; of none when no node is able. */
  wanted({ able, holderOf, pinnedTo, placedAt = () => undefined }: Known): ReadonlyMap<ShardId, string> {
    const wanted = new Map<ShardId, string>();
    const nodes = [...new Set(able)].sort();
    if (nodes.length === 0) return wanted;
    this.#placeOf = new Map(nodes.map((node, place) => [node, place]));
    const shards = this.#shards.filter((shard) => {
      const pin = pinnedTo(shard);
      if (pin === undefined || !nodes.includes(pin)) return true;
      wanted.set(shard, pin);
      return false;
    });
    const first = this.#firstChoices(shards, nodes);
    const seatOf = (shard: ShardId): string | undefined => {
      const place = placedAt(shard);
      return place !== undefined && nodes.includes(place) ? place : holderOf(shard);
    };
    const shares = new Map(nodes.map((node) => [node, shards.filter((shard) => seatOf(shard) === node)]));
    const quotas = quotasOf(shares, shards.length);
    const homeless = new Set(shards);
    for (const [node, share] of shares) {
      // What was placed here is kept longest, and then what belongs here by itself.
      const rank = (shard: ShardId): number =>
        this.#weight(node, shard) + (first.get(shard) === node ? 1 : 0) + (placedAt(shard) === node ? 2 : 0);
      const kept = share.sort((a, b) => rank(b) - rank(a)).slice(0, quotas.get(node));
      shares.set(node, kept);
      for (const shard of kept) {
        homeless.delete(shard);
        wanted.set(shard, node);
      }
    }
    for (const shard of homeless) {
      const hasRoom = (node: string): boolean => shares.get(node)!.length < quotas.get(node)!;
      const choice = first.get(shard)!;
      const node = hasRoom(choice) ? choice : this.#byWeight(shard, nodes).find(hasRoom)!;
      shares.get(node)!.push(shard);
      wanted.set(shard, node);
    }
    return wanted;
  }

  /** Where each would be if nobody held anything: at the node that it weighs most with, unless others weigh more there and it is full; then at its next one. */
  #firstChoices(shards: readonly ShardId[], nodes: readonly string[]): ReadonlyMap<ShardId, string> {
    const room = Math.ceil(shards.length / nodes.length);
    const taken = new Map<string, ShardId[]>(nodes.map((node) => [node, []]));
    const choices = new Map(shards.map((shard) => [shard, this.#byWeight(shard, nodes)]));
    const unplaced = [...shards];
    for (let shard = unplaced.pop(); shard !== undefined; shard = unplaced.pop()) {
      const node = choices.get(shard)!.shift()!;
      const there = taken.get(node)!;
      there.push(shard);
      if (there.length <= room) continue;
      there.sort((a, b) => this.#weight(node, b) - this.#weight(node, a));
      unplaced.push(there.pop()!);
    }
    return new Map([...taken].flatMap(([node, there]) => there.map((shard) => [shard, node] as const)));
  }

  #byWeight(shard: ShardId, nodes: readonly string[]): string[] {
    return [...nodes].sort((a, b) => this.#weight(b, shard) - this.#weight(a, shard));
  }

  /** 0 … 1, equal on every machine. */
  #weight(node: string, shard: ShardId): number {
    const place = this.#placeOf.get(node)!;
    const weights = (this.#weights[place] ??= new Map(this.#shards.map((each) => [each, weightOf(place, each)])));
    return weights.get(shard)!;
  }
}

function weightOf(place: number, shard: ShardId): number {
  return createHash('sha256').update(`${place}\0${shard}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

/** How many each node may have. What does not divide evenly stays where most is already. */
function quotasOf(shares: ReadonlyMap<string, readonly ShardId[]>, shards: number): ReadonlyMap<string, number> {
  const least = Math.floor(shards / shares.size);
  const more = shards % shares.size;
  const nodes = [...shares].sort(([, a], [, b]) => b.length - a.length).map(([node]) => node);
  return new Map(nodes.map((node, i) => [node, i < more ? least + 1 : least]));
}
