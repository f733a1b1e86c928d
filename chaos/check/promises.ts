// Watermarks as they cross the network, against every batch that ever becomes durable.
// I5, I9  after an origin has promised (seq, stamp), no op of it beyond seq may have a stamp at or below that stamp; a later
//         incarnation of its region starts above too.
// I14     a promise never speaks of more than its origin has logged.

import { originRegion, type ShardId } from '../../src/record/ids.ts';
import type { Watermark } from '../../src/shard/beat.ts';
import type { History, LoggedBatch } from './history.ts';
import { holds } from './violation.ts';

export class PromiseCheck {
  readonly #history: History;
  /** Per shard and origin: promises in the order of seq, each with the highest stamp promised up to it. */
  readonly #promises = new Map<string, { seq: number; stamp: number }[]>();
  /** Per shard and region: the highest stamp that a member has been promised, and by which origin. */
  readonly #regionHigh = new Map<string, Watermark>();

  constructor(history: History) {
    this.#history = history;
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
    const region = `${shard} ${originRegion(promise.origin)}`;
    const high = this.#regionHigh.get(region);
    if (high === undefined || high.stamp < promise.stamp) this.#regionHigh.set(region, promise);
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
    const high = this.#regionHigh.get(`${shard} ${originRegion(origin)}`);
    holds(
      high === undefined || high.origin === origin || firstStamp > high.stamp,
      'I9',
      () =>
        `${shard}: the new incarnation ${origin} starts at stamp ${firstStamp}; its region had promised to stay above ${high!.stamp} as ${high!.origin}`,
    );
  }
}
