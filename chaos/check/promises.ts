// Watermarks as they cross the network, against every batch that ever becomes durable.
// I5, I9  after an origin has promised (seq, stamp), no op of it beyond seq may have a stamp at or below that stamp; a later
//         incarnation of its region starts above too.
// I14     a promise never speaks of more than its origin has logged.

import { originRegion, type RegionId, type ShardId } from '../../src/record/ids.ts';
import type { Watermark } from '../../src/shard/beat.ts';
import type { History, LoggedBatch } from './history.ts';
import { holds } from './violation.ts';

/** What there is to know of the regions that promise. */
interface PromisedRegions {
  /** Its disk was lost, or went back. */
  readonly hasLostData: (region: RegionId) => boolean;
  readonly members: (shard: ShardId) => readonly RegionId[];
}

export class PromiseCheck {
  readonly #history: History;
  /** Per shard and origin: promises in the order of seq, each with the highest stamp promised up to it. */
  readonly #promises = new Map<string, { seq: number; stamp: number }[]>();
  /** Per shard and region: the highest stamp that a member has been promised, and by which origin. */
  readonly #regionHigh = new Map<string, Watermark>();
  /** Per member: the same, of promises that count there. */
  readonly #countedAt = new Map<RegionId, Map<string, Watermark>>();
  readonly #regions: PromisedRegions;

  constructor(history: History, regions: PromisedRegions = { hasLostData: () => false, members: () => [] }) {
    this.#history = history;
    this.#regions = regions;
  }

  /** A promise was said or passed on. */
  heard(shard: ShardId, promise: Watermark): void {
    if (promise.stamp === 0) return;
    const name = `${shard} ${promise.origin}`;
    let list = this.#promises.get(name);
    if (list === undefined) this.#promises.set(name, (list = []));
    const last = list.at(-1);
    if (last !== undefined && promise.seq >= last.seq && promise.stamp <= last.stamp) return;
    let at = list.length;
    while (at > 0 && list[at - 1]!.seq > promise.seq) at--;
    if (at > 0 && list[at - 1]!.stamp >= promise.stamp) return;
    list.splice(at, 0, { seq: promise.seq, stamp: promise.stamp });
    // Later ones that promise less are implied.
    let implied = at + 1;
    while (implied < list.length && list[implied]!.stamp < promise.stamp) implied++;
    list.splice(at + 1, implied - at - 1);
    const next = this.#history.op(shard, promise.origin, promise.seq + 1);
    holds(
      next === undefined || next.version.stamp > promise.stamp,
      'I5',
      () =>
        `${shard}: ${promise.origin} promised stamps above ${promise.stamp} after ${promise.seq}, and its op ${promise.seq + 1} has ${next!.version.stamp}`,
    );
    raise(this.#regionHigh, shard, promise);
  }

  /** A promise reached a member that trusts its stamp. It counts there if the member has what it speaks of (I14). */
  reached(member: RegionId, shard: ShardId, promise: Watermark): void {
    if (!this.#history.log(member, shard).has(promise.origin, promise.seq)) return;
    let counted = this.#countedAt.get(member);
    if (counted === undefined) this.#countedAt.set(member, (counted = new Map()));
    raise(counted, shard, promise);
  }

  /**
   * What a region whose disk is lost must stay above. With its log it forgets what it has promised, and those who heard it may forget it
   * too: promises are heard into memory. What may not be undercut is what somebody has built on them, that is collected or shown as
   * stable, and DESIGN 7 lets nobody build before *every* member has reported: on no more than what each other member counted of the
   * region, and on no more than what each of them promised itself. (A promise that some members never heard of has led to nothing. It was
   * demanded here once, of a region whose other peer was down when the promise was made: seed 3493 of 2026-11-22.)
   */
  #builtOn(shard: ShardId, region: RegionId): Watermark | undefined {
    let lowest: Watermark | undefined;
    for (const member of this.#regions.members(shard)) {
      if (member === region) continue;
      const counted = this.#countedAt.get(member)?.get(`${shard} ${region}`);
      const own = this.#regionHigh.get(`${shard} ${member}`);
      if (counted === undefined || own === undefined) return undefined;
      const stamp = Math.min(counted.stamp, own.stamp);
      if (lowest === undefined || stamp < lowest.stamp) lowest = { ...counted, stamp };
    }
    return lowest;
  }

  /** A batch is new in the world. */
  logged(batch: LoggedBatch): void {
    const { shard, origin, firstSeq, firstStamp } = batch.header;
    const list = this.#promises.get(`${shard} ${origin}`);
    if (list !== undefined) {
      let high = 0;
      for (const promise of list) {
        if (promise.seq >= firstSeq) break;
        high = promise.stamp;
      }
      holds(
        firstStamp > high,
        'I5',
        () =>
          `${shard}: op ${firstSeq} of ${origin} has stamp ${firstStamp}; its origin had promised to stay above ${high}`,
      );
    }
    if (firstSeq !== 1) return;
    const region = originRegion(origin);
    const high = this.#regions.hasLostData(region)
      ? this.#builtOn(shard, region)
      : this.#regionHigh.get(`${shard} ${region}`);
    holds(
      high === undefined || high.origin === origin || firstStamp > high.stamp,
      'I9',
      () =>
        `${shard}: the new incarnation ${origin} starts at stamp ${firstStamp}; its region had promised to stay above ${high!.stamp} as ${high!.origin}`,
    );
  }
}

function raise(highs: Map<string, Watermark>, shard: ShardId, promise: Watermark): void {
  const name = `${shard} ${originRegion(promise.origin)}`;
  const high = highs.get(name);
  if (high === undefined || high.stamp < promise.stamp) highs.set(name, promise);
}
