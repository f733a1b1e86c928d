// Do regions hold the same? Digests of one moment compare only where the vectors are equal (I3): anything else is still on its way.
// Pure; verify.ts asks the nodes.

export interface DigestOfShard {
  readonly shard: string;
  readonly digest: string;
  readonly keys: number;
  readonly vector: ReadonlyMap<string, number>;
}

export interface Sample {
  readonly region: string;
  readonly digests: readonly DigestOfShard[];
}

export type Verdict = 'match' | 'in-flight' | 'diverged';

export interface ShardVerdict {
  readonly shard: string;
  readonly verdict: Verdict;
  /** Regions that hold it, in the order of the samples. */
  readonly regions: readonly string[];
  /** Regions by digest, where vectors were equal and digests were not. */
  readonly digests?: ReadonlyMap<string, readonly string[]>;
  /** Ops that a region lacks and another has, for people. */
  readonly missing?: ReadonlyMap<string, number>;
  readonly keys: number;
}

/** One look at all regions. Shards that only one of them holds (placements) are left out. */
export function compare(samples: readonly Sample[]): ShardVerdict[] {
  const shards = [...new Set(samples.flatMap(({ digests }) => digests.map(({ shard }) => shard)))].toSorted(byShard);
  return shards.flatMap((shard) => {
    const held = samples.flatMap(({ region, digests }) => {
      const digest = digests.find((each) => each.shard === shard);
      return digest === undefined ? [] : [{ region, ...digest }];
    });
    return held.length < 2 ? [] : [verdictOf(shard, held)];
  });
}

function verdictOf(shard: string, held: readonly (DigestOfShard & { readonly region: string })[]): ShardVerdict {
  const regions = held.map(({ region }) => region);
  const keys = Math.max(...held.map((each) => each.keys));
  const newest = joined(held.map(({ vector }) => vector));
  const missing = new Map(held.map(({ region, vector }) => [region, distance(vector, newest)]));
  // Regions at one vector can be compared even while others are behind.
  const groups = new Map<string, typeof held>();
  for (const each of held) {
    const at = vectorText(each.vector);
    groups.set(at, [...(groups.get(at) ?? []), each]);
  }
  for (const group of groups.values()) {
    const digests = new Map<string, string[]>();
    for (const { digest, region } of group) digests.set(digest, [...(digests.get(digest) ?? []), region]);
    if (digests.size > 1) return { shard, verdict: 'diverged', regions, digests, keys };
  }
  return groups.size === 1
    ? { shard, verdict: 'match', regions, keys }
    : { shard, verdict: 'in-flight', regions, missing, keys };
}

/** What looks so far add up to. A shard that was equal at one moment has been proven so; one that differed at an equal vector
 *  counts as diverged only when a second look says so too, because a false alarm is the most expensive answer. */
export class Agreement {
  readonly #shards = new Map<string, { verdict: ShardVerdict; equalLooks: number; divergedLooks: number }>();

  add(verdicts: readonly ShardVerdict[]): void {
    for (const verdict of verdicts) {
      const seen = this.#shards.get(verdict.shard) ?? { verdict, equalLooks: 0, divergedLooks: 0 };
      // What is settled stays as it was.
      if (isSettled(seen)) continue;
      seen.verdict = verdict;
      if (verdict.verdict === 'match') seen.equalLooks++;
      if (verdict.verdict === 'diverged') seen.divergedLooks++;
      this.#shards.set(verdict.shard, seen);
    }
  }

  get settled(): boolean {
    return this.#shards.size > 0 && [...this.#shards.values()].every(isSettled);
  }

  shards(): ShardVerdict[] {
    return [...this.#shards.values()].map(({ verdict }) => verdict);
  }

  verdict(): Verdict {
    const verdicts = this.shards().map(({ verdict }) => verdict);
    if (verdicts.includes('diverged')) return 'diverged';
    return verdicts.length === 0 || verdicts.includes('in-flight') ? 'in-flight' : 'match';
  }
}

const LOOKS_TO_DIVERGE = 2;

/** After a look that differed, it takes one equal look more. */
function isSettled({ equalLooks, divergedLooks }: { equalLooks: number; divergedLooks: number }): boolean {
  return divergedLooks >= LOOKS_TO_DIVERGE || equalLooks > divergedLooks;
}

function joined(vectors: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const newest = new Map<string, number>();
  for (const vector of vectors) {
    for (const [origin, seq] of vector) newest.set(origin, Math.max(seq, newest.get(origin) ?? 0));
  }
  return newest;
}

function distance(vector: ReadonlyMap<string, number>, newest: ReadonlyMap<string, number>): number {
  let missing = 0;
  for (const [origin, seq] of newest) missing += seq - (vector.get(origin) ?? 0);
  return missing;
}

/** An origin of which nothing has come yet may stand in one vector with 0 and not at all in another. */
function vectorText(vector: ReadonlyMap<string, number>): string {
  return [...vector]
    .filter(([, seq]) => seq > 0)
    .map(([origin, seq]) => `${origin}:${seq}`)
    .toSorted()
    .join(' ');
}

/** By placement, then by index, as numbers. */
function byShard(a: string, b: string): number {
  const [placementA = 0, indexA = 0] = a.split('/').map(Number);
  const [placementB = 0, indexB = 0] = b.split('/').map(Number);
  return placementA - placementB || indexA - indexB;
}
