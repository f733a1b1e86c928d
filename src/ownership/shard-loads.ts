// How much there is to do for each shard of a region: ops that land in its log, in a second. Owns: what this node measures of its own shards, when it says so, and what all have said.
//
// A number is smoothed over minutes and rounded, and said again when it is another one by a tenth, seldom. What the last owner said holds until the next one has measured for a while.
//
// I12 one meter and one number for each shard.

import type { ShardId } from '../record/ids.ts';

/** Of the published number. Rounding to two digits is half of it at most. */
const CHANGED = 0.1;
/** Ops/s: below, an idle shard's noise. */
const STEP = 10;

/** A rate out of a counter: the exponentially weighted mean over the time that was looked at. Time is handed in. */
export class LoadMeter {
  readonly #meanMs: number;
  readonly #sinceMs: number;
  #count: number;
  #atMs: number;
  /** Both decay alike, so what is young is the plain mean of what was seen, not a mean with zero. */
  #weighted = 0;
  #weight = 0;

  /** `meanMs`: what is older counts for e times less. */
  constructor(meanMs: number, count: number, nowMs: number) {
    this.#meanMs = meanMs;
    this.#sinceMs = nowMs;
    this.#atMs = nowMs;
    this.#count = count;
  }

  /** `count`: of all, never less than before. */
  look(count: number, nowMs: number): void {
    const pastMs = nowMs - this.#atMs;
    if (pastMs <= 0) return;
    const kept = Math.exp(-pastMs / this.#meanMs);
    this.#weighted = this.#weighted * kept + ((count - this.#count) / pastMs) * 1000 * (1 - kept);
    this.#weight = this.#weight * kept + (1 - kept);
    this.#count = count;
    this.#atMs = nowMs;
  }

  get perS(): number {
    return this.#weight === 0 ? 0 : this.#weighted / this.#weight;
  }

  get measuredMs(): number {
    return this.#atMs - this.#sinceMs;
  }
}

export interface LoadTimes {
  /** Of the smoothed mean. */
  readonly meanMs: number;
  /** A shard's number is said once in this time at most, and first when it was measured for as long. */
  readonly publishMs: number;
}

export class ShardLoads {
  readonly #times: LoadTimes;
  readonly #meters = new Map<ShardId, LoadMeter>();
  readonly #saidAtMs = new Map<ShardId, number>();
  readonly #known = new Map<ShardId, number>();

  constructor(times: LoadTimes) {
    this.#times = times;
  }

  /** Often: what this node owns, and the count of each. One that comes back is measured anew. */
  look(owned: readonly ShardId[], countOf: (shard: ShardId) => number, nowMs: number): void {
    for (const shard of this.#meters.keys()) if (!owned.includes(shard)) this.#meters.delete(shard);
    for (const shard of owned) {
      const meter = this.#meters.get(shard);
      if (meter === undefined) this.#meters.set(shard, new LoadMeter(this.#times.meanMs, countOf(shard), nowMs));
      else meter.look(countOf(shard), nowMs);
    }
  }

  /** What is to be said now. It is taken for said. */
  due(nowMs: number): readonly (readonly [ShardId, number])[] {
    const { publishMs } = this.#times;
    const due: [ShardId, number][] = [];
    for (const [shard, meter] of this.#meters) {
      if (meter.measuredMs < publishMs || nowMs - (this.#saidAtMs.get(shard) ?? -Infinity) < publishMs) continue;
      const load = rounded(meter.perS);
      const known = this.#known.get(shard);
      if (known !== undefined && Math.abs(load - known) <= Math.max(STEP, CHANGED * known)) continue;
      this.#saidAtMs.set(shard, nowMs);
      due.push([shard, load]);
    }
    return due;
  }

  /** What an owner said, this node among them; undefined, or no number: nothing. */
  heard(shard: ShardId, text: string | undefined): void {
    if (text !== undefined && /^\d{1,12}$/.test(text)) this.#known.set(shard, Number(text));
    else this.#known.delete(shard);
  }

  /** Ops/s, as was said; undefined: nobody has said anything. */
  of(shard: ShardId): number | undefined {
    return this.#known.get(shard);
  }

  /** How long this node has measured it. */
  measuredMs(shard: ShardId): number {
    return this.#meters.get(shard)?.measuredMs ?? 0;
  }
}

/** To two digits: what is said to others need not be exact, and is the same for longer. */
function rounded(perS: number): number {
  return Number(Math.round(perS).toPrecision(2));
}
