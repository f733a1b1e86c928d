// What was in a collection that was dropped is deleted, key by key, with ordinary writes (decision 34): they are in the vector like all writes, so regions stay equal (I3), and what is left
// of a key goes as it does for every deleted key. One region sweeps for all: the one that has dropped the collection.
// Owns: which shards are looked at, how often, and how fast.
//
// A drop is swept once every region has heard of it. What comes later all the same, from a region that was cut off or by a clock that is behind, is found by the next look: a shard is looked
// at every LOOK_AGAIN_MS until nothing from before the drop can come any more and a look has found nothing; then every DONE_LOOK_MS. Nothing of it is kept: what is left to do is what is there.
//
// I12 One slice of one shard at a time, KEYS_MAX keys and BYTES_MAX bytes; the next one when its deletes are durable, and none while the shard has no room. What is remembered: a
//   moment for each shard of each drop that is swept here.

import type { CausewayError } from '../errors/errors.ts';
import { stampOfMs } from '../clock/hlc.ts';
import { originRegion, type RegionId, type ShardId, type Version } from '../record/ids.ts';
import type { CollectionRef } from '../record/op.ts';
import type { System, TimerHandle } from '../system/system.ts';

const LOOK_EVERY_MS = 1000;
export const LOOK_AGAIN_MS = 10_000;
export const DONE_LOOK_MS = 3_600_000;
const KEYS_MAX = 256;
const BYTES_MAX = 256 * 1024;
/** For the nodes of a region to hear what its owner has heard, beside what their clocks may differ. */
const HEARD_MS = 1000;
/** A pass that has not gone on for so long is given up: what it waits for went with a shard that has moved. */
const STUCK_MS = 60_000;

/** A drop that every region has heard of. */
export interface Drop {
  readonly collection: CollectionRef;
  readonly dropped: Version;
  /** Of the placement that the collection lives in. */
  readonly members: readonly RegionId[];
}

/** A shard that this node owns and that takes writes. */
export interface SweptShard {
  readonly shard: ShardId;
  /** Nothing with a stamp at or below this can still come. */
  stableFloor(): number;
  /** Its store answers and is not behind. */
  hasRoom(): boolean;
  /** undefined: the shard is this node's no more. */
  scan(
    collection: CollectionRef,
    from: string,
    limit: { readonly keys: number; readonly bytes: number },
    done: (page: SweptPage | undefined) => void,
  ): void;
  /** All of them or, with an error, perhaps some. */
  delete(collection: CollectionRef, keys: readonly string[], done: (error: CausewayError | undefined) => void): void;
}

export interface SweptPage {
  /** Not deleted, in order. */
  readonly keys: readonly string[];
  /** The last key that was looked at; undefined: that was all. */
  readonly next: string | undefined;
}

export interface SweepHost {
  readonly region: RegionId;
  readonly maxSkewMs: number;
  readonly system: Pick<System, 'clock' | 'timers'>;
  drops(): readonly Drop[];
  /** Of the collection's placement. */
  shardsOf(collection: CollectionRef): readonly SweptShard[];
}

interface Place {
  lookAtMs: number;
  /** Live keys at the last look. */
  found: boolean;
}

interface Pass {
  readonly place: Place;
  readonly collection: CollectionRef;
  readonly shard: SweptShard;
  /** Nothing from before the drop could come when it began. */
  readonly isFinal: boolean;
  deleted: number;
  movedMs: number;
}

/** Who sweeps it: its region, or the first member when that is one no more. */
export function sweeperOf({ dropped, members }: Pick<Drop, 'dropped' | 'members'>): RegionId | undefined {
  const dropper = originRegion(dropped.origin);
  return members.includes(dropper) ? dropper : [...members].sort()[0];
}

export class DropSweep {
  readonly #host: SweepHost;
  /** By collection and shard. */
  #places = new Map<string, Place>();
  /** Above what a write can have been stamped with that did not know of the drop. */
  readonly #bounds = new Map<number, number>();
  #timer: TimerHandle | undefined;
  #pass: Pass | undefined;
  #stopped = false;
  /** Keys that were deleted. */
  sweptKeys = 0;

  constructor(host: SweepHost) {
    this.#host = host;
  }

  /** Shards of dropped collections in which there was something at the last look. */
  get unswept(): number {
    let places = 0;
    for (const { found } of this.#places.values()) if (found) places++;
    return places;
  }

  start(): void {
    this.#timer ??= this.#host.system.timers.every(LOOK_EVERY_MS, () => this.#look());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #look(): void {
    const { region, maxSkewMs, system } = this.#host;
    const drops = this.#host.drops().filter((drop) => sweeperOf(drop) === region);
    const nowMs = system.clock.monotonicMs();
    const places = new Map<string, Place>();
    let next: Omit<Pass, 'deleted' | 'movedMs'> | undefined;
    for (const drop of drops) {
      const { collection, dropped } = drop;
      // A drop that is written anew is another one.
      const bound =
        this.#bounds.get(dropped.stamp) ??
        Math.max(dropped.stamp, stampOfMs(system.clock.nowMs() + maxSkewMs + HEARD_MS));
      this.#bounds.set(dropped.stamp, bound);
      for (const shard of this.#host.shardsOf(collection)) {
        const name = `${collection.namespace}/${collection.name}#${collection.id} ${dropped.stamp} ${shard.shard}`;
        const place = this.#places.get(name) ?? { lookAtMs: nowMs, found: true };
        places.set(name, place);
        if (place.lookAtMs > nowMs || (next !== undefined && next.place.lookAtMs <= place.lookAtMs)) continue;
        if (shard.hasRoom()) next = { place, collection, shard, isFinal: shard.stableFloor() >= bound };
      }
    }
    this.#places = places;
    const stamps = new Set(drops.map(({ dropped }) => dropped.stamp));
    for (const stamp of this.#bounds.keys()) if (!stamps.has(stamp)) this.#bounds.delete(stamp);
    if ((this.#pass !== undefined && nowMs - this.#pass.movedMs < STUCK_MS) || next === undefined) return;
    this.#pass = { ...next, deleted: 0, movedMs: nowMs };
    this.#slice(this.#pass, '');
  }

  #slice(pass: Pass, from: string): void {
    const { shard, collection } = pass;
    pass.movedMs = this.#host.system.clock.monotonicMs();
    shard.scan(collection, from, { keys: KEYS_MAX, bytes: BYTES_MAX }, (page) => {
      if (this.#isOver(pass)) return;
      if (page === undefined) this.#end(pass, false);
      else if (page.keys.length === 0) this.#goOn(pass, page);
      else this.#soon(pass, () => this.#delete(pass, page));
    });
  }

  #delete(pass: Pass, page: SweptPage): void {
    pass.deleted += page.keys.length;
    pass.shard.delete(pass.collection, page.keys, (error) => {
      if (this.#isOver(pass)) return;
      if (error !== undefined) {
        this.#end(pass, false);
        return;
      }
      this.sweptKeys += page.keys.length;
      this.#goOn(pass, page);
    });
  }

  #goOn(pass: Pass, { next }: SweptPage): void {
    if (next === undefined || !pass.shard.hasRoom()) this.#end(pass, next === undefined);
    else this.#soon(pass, () => this.#slice(pass, `${next}\u0000`));
  }

  /** Not in a turn in which something lands: a write there would open a batch between two steps (I4). And clients' calls come in between. */
  #soon(pass: Pass, fn: () => void): void {
    this.#host.system.timers.soon(() => {
      if (!this.#isOver(pass)) fn();
    });
  }

  #end(pass: Pass, whole: boolean): void {
    this.#pass = undefined;
    const { place, deleted, isFinal } = pass;
    const nothing = whole && deleted === 0;
    place.found = !nothing;
    const nowMs = this.#host.system.clock.monotonicMs();
    if (whole) place.lookAtMs = nowMs + (nothing && isFinal ? DONE_LOOK_MS : LOOK_AGAIN_MS);
    else place.lookAtMs = nowMs + LOOK_EVERY_MS;
    this.#host.system.timers.soon(() => {
      if (!this.#stopped) this.#look();
    });
  }

  /** Another one has begun, or nothing is done any more. */
  #isOver(pass: Pass): boolean {
    return this.#stopped || this.#pass !== pass;
  }
}
