// Which shards change places because one node of a region has much more to do than the others. Owns: whether it is worth it, and which move is.
//
// - One move at a time: two shards change places, or one goes to a node that has one less. So counts stay as even as sharing.ts makes them.
// - Only while everything is where it is wanted and nobody is on its way out, so a plan never meets another one that is under way.
// - Of the busiest node alone, and only when it stands out. Each move takes at least WORTH of the mean off the higher load of its two nodes, so the sum of the squares of
//   all nodes' loads falls by at least 2 (WORTH × mean)², and moves come to an end whatever the loads are.
// - Loads are as published: ops landed in a second, smoothed over minutes (shard-loads.ts). Not known of one shard, nothing moves.
//
// Pure.

import type { ShardId } from '../record/ids.ts';

/** The busiest node's load above the mean. Below, moving costs more than it brings. */
const STANDS_OUT = 1.25;
/** Of the mean: what a move must take off the higher of the two nodes. Twice what a published load may be wrong by, about. */
const WORTH = 0.1;
/** Ops/s of the busiest node: some 5 % of a core (docs/BENCHMARKS.md). Idle regions move nothing. */
const LOAD_MIN = 1000;

export interface Balance {
  /** Nodes that may have shards, in any order. */
  readonly able: readonly string[];
  /** Some node that lives is on its way out. */
  readonly leaving: boolean;
  readonly shards: readonly ShardId[];
  readonly holderOf: (shard: ShardId) => string | undefined;
  readonly wanted: ReadonlyMap<ShardId, string>;
  /** It is where it is by an operator's word: it weighs, and stays. */
  readonly isPinned: (shard: ShardId) => boolean;
  /** Ops/s; undefined: not known. */
  readonly loadOf: (shard: ShardId) => number | undefined;
}

/** Where shards shall go, one or two of them. */
export type Moves = ReadonlyMap<ShardId, string>;

interface NodeLoad {
  readonly node: string;
  readonly load: number;
  /** Those that may move. */
  readonly shards: readonly { readonly shard: ShardId; readonly load: number }[];
}

/** The busiest node and what it should do about it; undefined: nothing. */
export function planMoves(balance: Balance): { readonly busiest: string; readonly moves: Moves } | undefined {
  const nodes = nodeLoads(balance);
  if (nodes === undefined || nodes.length < 2) return undefined;
  const [busiest, ...others] = nodes;
  const mean = nodes.reduce((sum, { load }) => sum + load, 0) / nodes.length;
  if (busiest!.load < LOAD_MIN || busiest!.load <= STANDS_OUT * mean) return undefined;
  let best = busiest!.load - WORTH * mean;
  let moves: Moves | undefined;
  for (const other of others) {
    // Beside them: nothing goes back. It keeps its count and takes one more, if it has one less.
    const hasRoom = busiest!.shards.length > other.shards.length;
    for (const mine of busiest!.shards) {
      for (const theirs of hasRoom ? [undefined, ...other.shards] : other.shards) {
        const moved = mine.load - (theirs?.load ?? 0);
        const higher = Math.max(busiest!.load - moved, other.load + moved);
        if (higher > best || (higher === best && moves !== undefined)) continue;
        best = higher;
        moves = new Map([
          [mine.shard, other.node],
          ...(theirs === undefined ? [] : [[theirs.shard, busiest!.node] as const]),
        ]);
      }
    }
  }
  return moves && { busiest: busiest!.node, moves };
}

/** Heaviest first; undefined: not everything is where it is wanted, or its load is not known. */
function nodeLoads(balance: Balance): NodeLoad[] | undefined {
  const { able, leaving, shards, holderOf, wanted, isPinned, loadOf } = balance;
  if (leaving) return undefined;
  const nodes = new Map(
    [...able].sort().map((node) => [node, { node, load: 0, shards: [] as { shard: ShardId; load: number }[] }]),
  );
  for (const shard of shards) {
    const load = loadOf(shard);
    const there = nodes.get(wanted.get(shard) ?? '');
    if (load === undefined || there === undefined || there.node !== holderOf(shard)) return undefined;
    there.load += load;
    if (!isPinned(shard)) there.shards.push({ shard, load });
  }
  return [...nodes.values()].sort((a, b) => b.load - a.load);
}
