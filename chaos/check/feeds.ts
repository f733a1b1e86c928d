// What a consumer gets, against the logs: every op of its namespace once, in its region's log order, nothing that is not durable;
// and when it moves to another region with its cursor, nothing is missing and nothing comes twice beyond what was in flight.

import type { OriginId, RegionId, ShardId, Version } from '../../src/record/ids.ts';
import type { History, LoggedOp } from './history.ts';
import { holds } from './violation.ts';

export interface FeedEventFacts {
  readonly shard: ShardId;
  readonly version: Version;
  readonly name: string;
}

/** One consumer, over all its subscriptions. */
export class FeedCheck {
  readonly #history: History;
  readonly #isWanted: (op: LoggedOp) => boolean;
  /** What its cursor says that it has, per shard. */
  readonly cursor = new Map<ShardId, Map<OriginId, number>>();
  /** Of the current subscription: the offset of the last event per shard. */
  #offsets = new Map<ShardId, number>();
  region: RegionId | undefined;
  events = 0;

  constructor(history: History, isWanted: (op: LoggedOp) => boolean) {
    this.#history = history;
    this.#isWanted = isWanted;
  }

  subscribed(region: RegionId): void {
    this.region = region;
    this.#offsets = new Map();
  }

  /** The region's log was lost or went back: its order begins anew. */
  rewound(): void {
    this.#offsets.clear();
  }

  received(shard: ShardId, events: readonly FeedEventFacts[], moved: ReadonlyMap<OriginId, number>): void {
    const region = this.region!;
    const log = this.#history.log(region, shard);
    let have = this.cursor.get(shard);
    if (have === undefined) this.cursor.set(shard, (have = new Map()));
    const got = new Map<OriginId, number[]>();
    for (const { version, name } of events) {
      const { origin, seq } = version;
      const dot = `${origin}:${seq} in ${shard}`;
      const op = this.#history.op(shard, origin, seq);
      holds(
        op !== undefined && log.has(origin, seq),
        'feed',
        () => `${region} sent ${dot}, which is not durable there`,
      );
      holds(
        op.name === name && op.version.stamp === version.stamp,
        'feed',
        () =>
          `${region} sent ${dot} as an op on ${name} with stamp ${version.stamp}; it is on ${op.name} with ${op.version.stamp}`,
      );
      holds(this.#isWanted(op), 'feed', () => `${region} sent ${dot}, which the consumer had not asked for`);
      holds(
        seq > (have.get(origin) ?? 0),
        'feed',
        () => `${region} sent ${dot} again; the consumer's cursor has ${have.get(origin)}`,
      );
      const offset = log.offsetOf(origin, seq)!;
      holds(
        offset >= (this.#offsets.get(shard) ?? 0),
        'feed',
        () => `${region} sent ${dot} of offset ${offset} after offset ${this.#offsets.get(shard)}`,
      );
      this.#offsets.set(shard, offset);
      const seqs = got.get(origin);
      if (seqs === undefined) got.set(origin, [seq]);
      else {
        holds(seq > seqs.at(-1)!, 'feed', () => `${region} sent ${dot} after ${origin}:${seqs.at(-1)}`);
        seqs.push(seq);
      }
      this.events++;
    }
    for (const [origin, to] of moved) {
      const from = have.get(origin) ?? 0;
      holds(to >= from, 'feed', () => `${region}: a cursor went back from ${origin}:${from} to ${to} in ${shard}`);
      holds(
        to === from || log.has(origin, to),
        'feed',
        () => `${region}: a cursor stands at ${origin}:${to} in ${shard}, which is not durable there`,
      );
      const seqs = got.get(origin) ?? [];
      let at = 0;
      const ops = this.#history.origin(shard, origin);
      for (let seq = from + 1; seq <= to; seq++) {
        if (!this.#isWanted(ops.op(seq)!)) continue;
        holds(
          seqs[at] === seq,
          'feed',
          () => `${region} passed over ${origin}:${seq} in ${shard}: the cursor moved from ${from} to ${to} without it`,
        );
        at++;
      }
      holds(
        at === seqs.length,
        'feed',
        () => `${region} sent ${origin}:${seqs[at]} in ${shard}, beyond the cursor ${to} that came with it`,
      );
      got.delete(origin);
      have.set(origin, to);
    }
    for (const origin of got.keys())
      holds(false, 'feed', () => `${region} sent ops of ${origin} in ${shard} and no cursor for them`);
  }

  /** After everything healed: is everything delivered that the region has? What is missing, for people. */
  missing(region: RegionId, shard: ShardId): string | undefined {
    for (const [origin, seq] of this.#history.log(region, shard).vector) {
      const have = this.cursor.get(shard)?.get(origin) ?? 0;
      for (let s = have + 1; s <= seq; s++) {
        if (this.#isWanted(this.#history.op(shard, origin, s)!)) return `${origin}:${s} in ${shard}`;
      }
    }
    return undefined;
  }
}
