// Measures replication lag as an application sees it: from the call that writes until a subscriber in a peer region has the
// event in hand. Both ends are in this process and read one monotonic clock, so no clock of a region takes part.
// Owns: the matching of deliveries with writes, and a histogram per ordered pair of regions.
//
// What is in it: batching in the client, the commit in the writer's region, the link, the commit in the peer, its feed, and
// the time that this process itself was busy. It therefore overstates lag rather than understating it.
//
// While a region is dead nothing can reach it or leave it, so a delivery that had to wait for one is an outage and no
// replication lag: it is kept apart, in `withOutage`, and never thrown away.

import { build, type Histogram } from 'hdr-histogram-js';

/** Longest lag that the histograms tell from longer ones. */
const LAG_MS_MAX = 600_000;

export interface LagSummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Pending {
  readonly sentMs: number;
  /** Regions whose subscribers have seen it, the writer's own among them. */
  readonly seenAt: Set<string>;
}

export class LagMeter {
  readonly #pending = new Map<string, Pending>();
  readonly #seen = new Map<string, number>();
  readonly #pairs = new Map<string, { recent: Histogram; previous: Histogram }>();
  readonly #steady = newHistogram();
  readonly #withOutage = newHistogram();
  readonly #downSince = new Map<string, number>();
  readonly #upSince = new Map<string, number>();

  /** `id` names one write; at most a few ten thousand of them are under way, as many as the demo has flights. */
  sent(id: string, sentMs: number): void {
    this.#pending.set(id, { sentMs, seenAt: new Set() });
  }

  /** A subscriber of region `at` has the write, which region `from` had sequenced. Seeing it again changes nothing. */
  delivered(id: string, from: string, at: string, nowMs: number): void {
    const write = this.#pending.get(id);
    if (write === undefined || write.seenAt.has(at)) return;
    write.seenAt.add(at);
    this.#seen.set(at, (this.#seen.get(at) ?? 0) + 1);
    if (from === at) return;
    const lagUs = Math.max(1, Math.round((nowMs - write.sentMs) * 1000));
    this.#withOutage.recordValue(Math.min(lagUs, LAG_MS_MAX * 1000));
    if (this.#sawOutage(from, write.sentMs) || this.#sawOutage(at, write.sentMs)) return;
    this.#steady.recordValue(Math.min(lagUs, LAG_MS_MAX * 1000));
    this.#pair(from, at).recent.recordValue(Math.min(lagUs, LAG_MS_MAX * 1000));
  }

  down(region: string, nowMs: number): void {
    this.#downSince.set(region, nowMs);
  }

  /** The region has caught up with what it missed. */
  up(region: string, nowMs: number): void {
    this.#downSince.delete(region);
    this.#upSince.set(region, nowMs);
  }

  /** Of all writes that were sent, how many the slowest of the regions that are up has not seen. */
  behind(regions: readonly string[]): number {
    const up = regions.filter((region) => !this.#downSince.has(region));
    return Math.max(0, ...up.map((region) => this.#pending.size - (this.#seen.get(region) ?? 0)));
  }

  #sawOutage(region: string, sentMs: number): boolean {
    return this.#downSince.has(region) || sentMs < (this.#upSince.get(region) ?? Number.NEGATIVE_INFINITY);
  }

  /** All ordered pairs together. */
  total(): LagSummary {
    return summary(this.#steady);
  }

  totalWithOutage(): LagSummary {
    return summary(this.#withOutage);
  }

  /** Of the last one to two turns (see turn()); undefined when nothing was delivered. */
  recent(from: string, at: string): LagSummary | undefined {
    const { recent, previous } = this.#pair(from, at);
    const both = newHistogram();
    both.add(recent);
    both.add(previous);
    return both.totalCount === 0 ? undefined : summary(both);
  }

  /** To be called every few seconds, so that recent() forgets. */
  turn(): void {
    for (const pair of this.#pairs.values()) {
      [pair.recent, pair.previous] = [pair.previous, pair.recent];
      pair.recent.reset();
    }
  }

  #pair(from: string, at: string): { recent: Histogram; previous: Histogram } {
    const name = `${from} ${at}`;
    let pair = this.#pairs.get(name);
    if (pair === undefined) this.#pairs.set(name, (pair = { recent: newHistogram(), previous: newHistogram() }));
    return pair;
  }
}

function newHistogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LAG_MS_MAX * 1000,
    numberOfSignificantValueDigits: 3,
  });
}

function summary(histogram: Histogram): LagSummary {
  return {
    count: histogram.totalCount,
    p50Ms: microsToMs(histogram.getValueAtPercentile(50)),
    p99Ms: microsToMs(histogram.getValueAtPercentile(99)),
  };
}

function microsToMs(micros: number): number {
  return Math.round(micros / 10) / 100;
}
