// What the plots of a report show, second by second.

import { percentile } from '../check/recorded/check.ts';
import { tripsOf } from '../check/recorded/lag.ts';
import { regionOf } from '../history/names.ts';
import type { Recording } from '../history/recording.ts';

export interface Series {
  readonly name: string;
  /** By bin, from 0; undefined: nothing to show. */
  readonly values: readonly (number | undefined)[];
}

/** One stretch of time in which a region said the same of itself. */
export interface Stretch {
  readonly fromMs: number;
  readonly toMs: number;
  readonly state: string;
}

/** A plot has at most so many bins: an hour is not drawn second by second. */
const BINS_MAX = 240;
const BIN_MS_MIN = 500;

export class Timeline {
  readonly #recording: Recording;
  readonly lastMs: number;
  readonly binMs: number;
  readonly #bins: number;

  constructor(recording: Recording) {
    this.#recording = recording;
    const { end, writes } = recording;
    this.lastMs = Math.max(1000, end?.endMs ?? writes.at(-1)?.endMs ?? 0);
    this.binMs = Math.max(BIN_MS_MIN, Math.ceil(this.lastMs / BINS_MAX / BIN_MS_MIN) * BIN_MS_MIN);
    this.#bins = Math.ceil(this.lastMs / this.binMs);
  }

  /** Per second, by the region that answered. */
  acknowledged(): Series[] {
    const { writes, regions } = this.#recording;
    return regions.map((region) =>
      this.#rate(
        region,
        writes
          .filter(
            ({ outcome, version }) => outcome === 'ok' && version !== undefined && regionOf(version.origin) === region,
          )
          .map(({ endMs }) => endMs),
      ),
    );
  }

  /** Writes that were refused or not answered, and reads that failed, per second, by the region that was meant. */
  failed(): Series[] {
    const { writes, reads, regions } = this.#recording;
    return regions.map((region) =>
      this.#rate(region, [
        ...writes.filter(({ outcome, home }) => outcome !== 'ok' && home === region).map(({ endMs }) => endMs),
        ...reads.filter((read) => read.outcome === 'failed' && read.region === region).map(({ endMs }) => endMs),
      ]),
    );
  }

  /** ms, the 99th percentile of what was acknowledged in the bin, by the region that it came from. */
  lag(): Series[] {
    const trips = tripsOf(this.#recording);
    return this.#recording.regions.map((region) => {
      const bins: number[][] = Array.from({ length: this.#bins }, () => []);
      for (const { from, ackedMs, lagMs } of trips) if (from === region) bins[this.#binOf(ackedMs)]?.push(lagMs);
      const values = bins.map((bin) =>
        bin.length === 0
          ? undefined
          : percentile(
              bin.sort((a, b) => a - b),
              0.99,
            ),
      );
      return { name: region, values };
    });
  }

  /** What a region said of itself, or `down` when it did not answer. */
  states(region: string): Stretch[] {
    const stretches: { fromMs: number; toMs: number; state: string }[] = [];
    for (const sample of this.#recording.samples) {
      if (sample.region !== region) continue;
      const state =
        sample.state === 'ready' && sample.alarms.length > 0
          ? `ready, alarm ${sample.alarms.join(', ')}`
          : sample.state;
      const last = stretches.at(-1);
      if (last?.state === state) last.toMs = sample.atMs;
      else {
        if (last !== undefined) last.toMs = sample.atMs;
        stretches.push({ fromMs: sample.atMs, toMs: sample.atMs, state });
      }
    }
    return stretches;
  }

  #binOf(ms: number): number {
    return Math.min(this.#bins - 1, Math.max(0, Math.floor(ms / this.binMs)));
  }

  #rate(name: string, times: readonly number[]): Series {
    const counts = new Array<number>(this.#bins).fill(0);
    for (const ms of times) counts[this.#binOf(ms)]!++;
    return { name, values: counts.map((count) => (count * 1000) / this.binMs) };
  }
}
