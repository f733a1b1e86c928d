// Rendezvous hashing (Thaler and Ravishankar, 1998): each shard belongs to the node whose hash with it is highest. A node that comes or goes
// moves its own share and nothing else. Pure.

import { createHash } from 'node:crypto';
import type { ShardId } from '../record/ids.ts';

/** undefined: there are no nodes. Equal on every machine. */
export function preferredOwner(shard: ShardId, nodes: Iterable<string>): string | undefined {
  let best: string | undefined;
  let highest = -1;
  for (const node of nodes) {
    const weight = createHash('sha256').update(`${node}\0${shard}`).digest().readUIntBE(0, 6);
    if (weight > highest || (weight === highest && node < best!)) {
      best = node;
      highest = weight;
    }
  }
  return best;
}
