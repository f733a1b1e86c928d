// Which shards a member of a consumer group takes and which it gives up. Pure: every member decides for itself from what it sees, and members
// that see the same never want the same shard. Nothing is taken from anybody: a shard changes hands when its holder gives it up or is gone.

export interface GroupView {
  readonly self: string;
  /** Those that are alive, self included. */
  readonly members: ReadonlySet<string>;
  readonly shards: readonly string[];
  /** By shard: who has its lease. */
  readonly holders: ReadonlyMap<string, string>;
}

export interface Assignment {
  readonly claim: readonly string[];
  readonly release: readonly string[];
}

/** As many for each as for the others, or one more; who has more already keeps the one more, so that nothing moves without need. */
export function assign({ self, members, shards, holders }: GroupView): Assignment {
  const held = new Map([...members].map((member): [string, string[]] => [member, []]));
  const free: string[] = [];
  for (const shard of shards) {
    const holder = holders.get(shard);
    if (holder === undefined) free.push(shard);
    // One that is dead has it until its lease ends.
    else held.get(holder)?.push(shard);
  }
  const ranked = [...held].toSorted(([a, ofA], [b, ofB]) => ofB.length - ofA.length || (a < b ? -1 : 1));
  const each = Math.floor(shards.length / ranked.length);
  const more = shards.length % ranked.length;
  let taken = 0;
  for (const [rank, [member, its]] of ranked.entries()) {
    const share = each + (rank < more ? 1 : 0);
    const wanted = Math.max(0, share - its.length);
    if (member === self) return { claim: free.slice(taken, taken + wanted), release: its.slice(share) };
    taken += wanted;
  }
  return { claim: [], release: [] };
}
