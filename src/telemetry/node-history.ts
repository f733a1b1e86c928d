// The last hour of a node's rates and lags, so that a page that is opened now has it. For eyes: whoever wants it kept scrapes /metrics.
//
// I12 a second's sample for FINE_MS, one of ten seconds for COARSE_MS: 660 of them.
// I14 a lag is the status' own, and of ten seconds the worst is kept; what is not known stays unknown, also in a mean.

import type { HistoryMessage } from '../api/http/page/messages.ts';
import type { RegionStatus } from '../region/region.ts';

const FINE_MS = 5 * 60_000;
const COARSE_MS = 60 * 60_000;
const COARSE_STEP_MS = 10_000;

interface Sample {
  readonly atMs: number;
  /** Of the counters, in their order below: a second's worth. */
  readonly rates: readonly number[];
  /** By peer; null: unknown. */
  readonly lagMs: ReadonlyMap<string, number | null>;
}

const RATES = ['writes', 'applied', 'refused', 'conflicts', 'receivedBytes'] as const;

export class NodeHistory {
  #before: RegionStatus | undefined;
  #fine: Sample[] = [];
  #coarse: Sample[] = [];
  /** Of the ten seconds that are not over. */
  #open: Sample[] = [];

  /** The node as it is, about once a second. */
  look(status: RegionStatus): void {
    const before = this.#before;
    this.#before = status;
    const seconds = before === undefined ? 0 : (status.nowMs - before.nowMs) / 1000;
    // A clock that was set back: what follows would stand before what is there.
    if (seconds < 0) [this.#fine, this.#coarse, this.#open] = [[], [], []];
    if (before === undefined || seconds <= 0) return;
    const [earlier, now] = [countersOf(before), countersOf(status)];
    this.#add({
      atMs: status.nowMs,
      rates: now.map((count, i) => Math.max(0, count - earlier[i]!) / seconds),
      lagMs: new Map(status.peers.map(({ region, lagMs }) => [region, lagMs ?? null])),
    });
  }

  #add(sample: Sample): void {
    const step = (atMs: number): number => Math.floor(atMs / COARSE_STEP_MS);
    if (this.#open.length > 0 && step(this.#open[0]!.atMs) !== step(sample.atMs)) {
      this.#coarse.push(joined(this.#open));
      this.#open = [];
      this.#coarse = this.#coarse.filter(({ atMs }) => atMs > sample.atMs - COARSE_MS);
    }
    this.#open.push(sample);
    this.#fine.push(sample);
    if (this.#fine[0]!.atMs <= sample.atMs - FINE_MS) this.#fine.shift();
  }

  /** What is newer than `sinceMs`: as fine as it is kept. */
  told(region: string, nowMs: number, sinceMs: number): HistoryMessage {
    const fineFrom = this.#fine[0]?.atMs ?? Infinity;
    const samples = [...this.#coarse.filter(({ atMs }) => atMs < fineFrom), ...this.#fine].filter(
      ({ atMs }) => atMs > sinceMs,
    );
    const peers = new Set(samples.flatMap(({ lagMs }) => [...lagMs.keys()]));
    const column = (name: (typeof RATES)[number]): number[] =>
      samples.map(({ rates }) => Math.round(rates[RATES.indexOf(name)]! * 10) / 10);
    return {
      region,
      nowMs,
      atMs: samples.map(({ atMs }) => atMs),
      writes: column('writes'),
      applied: column('applied'),
      refused: column('refused'),
      conflicts: column('conflicts'),
      receivedBytes: column('receivedBytes'),
      lagMs: Object.fromEntries(
        Array.from(peers, (peer) => [peer, samples.map(({ lagMs }) => rounded(lagMs.get(peer)))]),
      ),
    };
  }
}

function countersOf({ counters }: RegionStatus): number[] {
  const { accepted, appliedRemote, refused, conflicts, bytesReceived } = counters;
  return [accepted, appliedRemote, refused, conflicts, bytesReceived];
}

function joined(samples: readonly Sample[]): Sample {
  const last = samples.at(-1)!;
  const lagMs = new Map<string, number | null>();
  for (const peer of last.lagMs.keys()) {
    const lags = samples.map((sample) => sample.lagMs.get(peer) ?? null);
    lagMs.set(peer, lags.some((lag) => lag === null) ? null : Math.max(...lags.map((lag) => lag ?? 0)));
  }
  return {
    atMs: last.atMs,
    rates: last.rates.map((_, i) => samples.reduce((sum, { rates }) => sum + rates[i]!, 0) / samples.length),
    lagMs,
  };
}

function rounded(value: number | null | undefined): number | null {
  return value === null || value === undefined ? null : Math.round(value * 10) / 10;
}
