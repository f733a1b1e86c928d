// What a node does so that no other has much less to do. Owns: two kinds of keys of the bucket.
//
//   load.<placement>.<i>    ops/s of the shard, by its owner (shard-loads.ts).
//   places                  where shards were placed by load, all in one value: both halves of a swap are known together, or neither is. By the busiest node, as balancing.ts
//                           plans, and by compare-and-set: of two plans that were made at once one is written.
//
// A place stays: a node that was away gets it back. Each plan drops those that have not been true for a while, e.g. of nodes that are gone.
//
// Nothing here is needed for a shard to have an owner: what is not said or not written is tried again.

import type { ShardId } from '../record/ids.ts';
import { planMoves, type Balance } from './balancing.ts';
import { partOf } from './keys.ts';
import { ShardLoads, type LoadTimes } from './shard-loads.ts';

/** Of the bucket what is needed here; `entry.operation` is PUT while the key is there. Rejects when it is not known to be written, or somebody else wrote in between. */
export interface Bucket {
  put(key: string, text: string): Promise<number>;
  create(key: string, text: string): Promise<number>;
  update(key: string, text: string, revision: number): Promise<number>;
  get(key: string): Promise<BucketEntry | null>;
}

export interface BucketEntry {
  readonly operation: string;
  readonly revision: number;
  string(): string;
}

export interface BalancingTimes extends LoadTimes {
  /** Between two looks of a node at the whole, and for how long it must have measured all its shards. */
  readonly planMs: number;
}

const TIMES: BalancingTimes = { meanMs: 120_000, publishMs: 15_000, planMs: 60_000 };
const PLACES = 'places';

export interface BalancerOptions {
  readonly node: string;
  readonly shards: readonly ShardId[];
  /** Ops of the shard so far, never less than before; undefined: nothing is measured here, so that the region moves nothing. */
  readonly opsOf: ((shard: ShardId) => number) | undefined;
  readonly times: Partial<BalancingTimes> | undefined;
}

/** What the node knows of the region when it looks. */
export type Seen = Omit<Balance, 'shards' | 'loadOf'>;

export class Balancer {
  readonly #options: BalancerOptions;
  readonly #times: BalancingTimes;
  readonly #loads: ShardLoads;
  #places: ReadonlyMap<ShardId, string> = new Map();
  /** Of the places; 0: there was no such key. */
  #revision = 0;
  #plannedAtMs = -Infinity;

  constructor(options: BalancerOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#loads = new ShardLoads(this.#times);
  }

  placedAt(shard: ShardId): string | undefined {
    return this.#places.get(shard);
  }

  /** Ops/s; undefined: nobody has said anything yet. */
  loadOf(shard: ShardId): number | undefined {
    return this.#loads.of(shard);
  }

  /** An entry of the bucket; `shard`: the one that its key names. */
  heard(kind: string, shard: ShardId | undefined, entry: BucketEntry): void {
    const text = entry.operation === 'PUT' ? entry.string() : undefined;
    if (kind === 'load' && shard !== undefined) this.#loads.heard(shard, text);
    else if (kind === PLACES) this.#hold(text ?? '', entry.revision);
  }

  #hold(text: string, revision: number): void {
    // Our own was answered before it was heard of.
    if (revision <= this.#revision) return;
    this.#revision = revision;
    const said = text.split(' ').map((each) => each.split('='));
    const places = new Map(said.map(([shard = '', place = '']) => [shard, place]));
    // Others are of another configuration.
    const known = this.#options.shards.filter((shard) => places.has(shard));
    this.#places = new Map(known.map((shard) => [shard, places.get(shard)!]));
  }

  /** Measures, says and plans, each when it is time. To be called often, while this node may own anything. */
  beat(bucket: Bucket, nowMs: number, owned: readonly ShardId[], look: () => Seen): void {
    const { node, shards, opsOf } = this.#options;
    if (opsOf === undefined) return;
    this.#loads.look(owned, opsOf, nowMs);
    for (const [shard, load] of this.#loads.due(nowMs)) {
      void bucket.put(`load.${partOf(shard)}`, String(load)).catch(() => undefined);
    }
    const { planMs } = this.#times;
    if (nowMs - this.#plannedAtMs < planMs) return;
    this.#plannedAtMs = nowMs;
    if (owned.some((shard) => this.#loads.measuredMs(shard) < planMs)) return;
    const seen = look();
    const plan = planMoves({ ...seen, shards, loadOf: (shard) => this.#loads.of(shard) });
    if (plan?.busiest !== node) return;
    const stillTrue = [...this.#places].filter(([shard, place]) => seen.holderOf(shard) === place);
    void this.#write(bucket, new Map([...stillTrue, ...plan.moves])).catch(() => undefined);
  }

  /** By hand: the shard is shared like the others again. Rejects when that could not be written. */
  async forget(bucket: Bucket, shard: ShardId): Promise<void> {
    while (this.#places.has(shard)) {
      const revision = this.#revision;
      try {
        await this.#write(bucket, new Map([...this.#places].filter(([each]) => each !== shard)));
      } catch (error) {
        const entry = await bucket.get(PLACES);
        if (entry !== null) this.heard(PLACES, undefined, entry);
        // Else somebody was faster, which happens once in a plan.
        if (this.#revision === revision) throw error;
      }
    }
  }

  async #write(bucket: Bucket, places: ReadonlyMap<ShardId, string>): Promise<void> {
    const text = [...places].map(([shard, place]) => `${shard}=${place}`).join(' ');
    const known = this.#revision;
    this.#hold(text, await (known === 0 ? bucket.create(PLACES, text) : bucket.update(PLACES, text, known)));
  }
}
