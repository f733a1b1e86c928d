// How long after its acknowledgement an op showed in the feed of another region, by the one clock of the run. Ops on a way that a fault
// hindered while they were under way are counted apart: nothing is promised about those, except that they arrive (acknowledged.ts).

import { regionOf } from '../../history/names.ts';
import type { Recording } from '../../history/recording.ts';
import { percentile, type Check } from './check.ts';

export interface Trip {
  readonly from: string;
  readonly to: string;
  readonly ackedMs: number;
  readonly lagMs: number;
  readonly hindered: boolean;
}

export const lag: Check = {
  name: 'lag',
  promise: 'between regions that no fault stands between, ops arrive within seconds',
  judge: (recording, found) => {
    const all = tripsOf(recording);
    const free = lagsOf(all.filter(({ hindered }) => !hindered));
    const hindered = lagsOf(all.filter((trip) => trip.hindered));
    const p99 = percentile(free, 0.99);
    const { lagP99MsMax } = recording.run.limits;
    if (p99 > lagP99MsMax)
      found(`the 99th percentile of lag is ${Math.round(p99)} ms; at most ${lagP99MsMax} ms are promised`);
    return {
      looked: free.length,
      facts: {
        'ms, median': Math.round(percentile(free, 0.5)),
        'ms, p99': Math.round(p99),
        'ms, longest': Math.round(free.at(-1) ?? 0),
        'ops that a fault hindered': hindered.length,
        'of those ms, longest': Math.round(hindered.at(-1) ?? 0),
      },
    };
  },
};

function lagsOf(trips: readonly Trip[]): number[] {
  return trips.map(({ lagMs }) => lagMs).sort((a, b) => a - b);
}

/** Of every acknowledged op to every other region that showed it. */
export function tripsOf(recording: Recording): Trip[] {
  const hindrances = new Map<string, { readonly startMs: number; readonly endMs: number }[]>();
  for (const { hinders, startMs, endMs } of recording.faults) {
    for (const way of hinders) hindrances.set(way, [...(hindrances.get(way) ?? []), { startMs, endMs }]);
  }
  const trips: Trip[] = [];
  const seen = new Set<string>();
  for (const { region, atMs, ops } of recording.arrivals) {
    for (const number of ops) {
      const op = recording.ops.get(number);
      const acked = op?.tries.find(({ outcome, version }) => outcome === 'ok' && version !== undefined);
      if (acked === undefined || seen.has(`${number} ${region}`)) continue;
      seen.add(`${number} ${region}`);
      const from = regionOf(acked.version!.origin);
      if (from === region) continue;
      const ackedMs = acked.endMs;
      const hindered = (hindrances.get(`${from} ${region}`) ?? []).some(
        ({ startMs, endMs }) => startMs <= atMs && endMs >= Math.min(ackedMs, acked.startMs),
      );
      trips.push({ from, to: region, ackedMs, lagMs: Math.max(0, atMs - ackedMs), hindered });
    }
  }
  return trips;
}
