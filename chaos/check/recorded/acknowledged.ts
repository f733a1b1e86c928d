// I1, I2: what was acknowledged is in every region's log, once; what was refused is in none; what may have happened is in all or none.
// What only a lost disk had is excused, if nobody else was asked to have it too.

import { dotText, regionOf } from '../../history/names.ts';
import type { RecordedOp, Recording } from '../../history/recording.ts';
import { percentile, type Check } from './check.ts';

/** Where an op is. */
interface Place {
  /** Each with the regions whose log has it. */
  readonly dots: Map<string, Set<string>>;
  /** In a part of its origin's stream that other regions hold back. */
  isHeld: boolean;
}

type Fate = 'there' | 'lost' | 'excused' | 'held';

export const acknowledged: Check = {
  name: 'acknowledged',
  promise: 'what was acknowledged is in every region, once; what was refused is nowhere',
  judge: (recording, found) => {
    const places = placesOf(recording, found);
    const outcomes = { ok: 0, maybe: 0, failed: 0 };
    const fates: Record<Fate, number> = { there: 0, lost: 0, excused: 0, held: 0 };
    let [duplicated, happened] = [0, 0];
    for (const op of recording.ops.values()) {
      const place = places.get(op.op) ?? { dots: new Map(), isHeld: false };
      const { dots } = place;
      outcomes[op.outcome]++;
      if (dots.size > 1) {
        duplicated++;
        found(`${nameOf(op)} took effect ${dots.size} times: as ${[...dots.keys()].join(' and as ')}`);
      }
      if (op.outcome === 'failed') {
        if (dots.size > 0) found(`${nameOf(op)} was refused as not applied, and is ${[...dots.keys()].join(', ')}`);
        continue;
      }
      if (op.outcome === 'maybe') {
        if (dots.size === 0) continue;
        happened++;
      }
      fates[fateOf(recording, op, place, found)]++;
    }
    const stableMs = timesToStable(recording);
    return {
      looked: recording.ops.size,
      facts: {
        acknowledged: outcomes.ok,
        'may have happened': outcomes.maybe,
        'of those, did': happened,
        refused: outcomes.failed,
        lost: fates.lost,
        duplicated,
        'lost with the only disk that had them': fates.excused,
        'held in their region (stamped in the future)': fates.held,
        'ms to be in all regions, median': Math.round(percentile(stableMs, 0.5)),
        'ms to be in all regions, p99': Math.round(percentile(stableMs, 0.99)),
        'ms to be in all regions, longest': Math.round(stableMs.at(-1) ?? 0),
      },
    };
  },
};

/** By op. */
function placesOf(recording: Recording, found: (what: string) => void): ReadonlyMap<number, Place> {
  const places = new Map<number, Place>();
  for (const [region, shards] of recording.logs) {
    for (const [shard, entries] of shards) {
      const seen = new Set<string>();
      for (const [origin, seq, , op] of entries) {
        const dot = dotIn(shard, { origin, seq });
        if (seen.has(dot)) found(`${region} has ${dot} twice in its log`);
        seen.add(dot);
        if (!recording.ops.has(op)) found(`${region} has ${dot}, which no client wrote`);
        const place: Place = places.get(op) ?? { dots: new Map(), isHeld: false };
        places.set(op, place);
        place.dots.set(dot, (place.dots.get(dot) ?? new Set()).add(region));
        place.isHeld ||= seq >= (recording.heldFrom.get(`${shard} ${origin}`) ?? Infinity);
      }
    }
  }
  return places;
}

/** Of an op that was acknowledged, or that is somewhere. */
function fateOf(recording: Recording, op: RecordedOp, { dots, isHeld }: Place, found: (what: string) => void): Fate {
  if (isHeld) return 'held';
  if (dots.size === 0 && isExcused(recording, op)) return 'excused';
  const where = new Set([...dots.values()].flatMap((regions) => [...regions]));
  const missing = recording.regions.filter((region) => !where.has(region));
  if (missing.length > 0) {
    const what = op.outcome === 'ok' ? 'was acknowledged' : `is in ${[...where].join(' and ')}`;
    found(`${nameOf(op)} ${what}, and is not in ${missing.join(', ')}`);
    return 'lost';
  }
  const { version, shard } = op;
  if (version !== undefined && !dots.has(dotIn(shard, version)) && !isExcused(recording, op)) {
    found(`${nameOf(op)} was acknowledged as ${dotIn(shard, version)}, and is ${[...dots.keys()].join(', ')}`);
  }
  return 'there';
}

function dotIn(shard: string, dot: { readonly origin: string; readonly seq: number }): string {
  return `${dotText(dot)} in ${shard}`;
}

/** May what was acknowledged be gone? Only if its region lost its disk, no other region had been asked to have it, and none has shown it. */
export function isExcused(recording: Recording, op: RecordedOp): boolean {
  const elsewhere = op.tries.some(
    ({ outcome, code, otherRegions = 0 }) => outcome === 'ok' && code === undefined && otherRegions > 0,
  );
  if (elsewhere) return false;
  const { version } = op;
  if (version === undefined) return recording.faults.some(({ wipes }) => wipes.length > 0);
  const region = regionOf(version.origin);
  return recording.lostItsDisk(region) && [...recording.arrivedIn(op.op)].every((each) => each === region);
}

function nameOf({ op, first }: RecordedOp): string {
  return `op ${op} (${first.client}, ${first.collection}/${first.key})`;
}

/** From the first try of each op until the last region showed it, ascending. */
function timesToStable(recording: Recording): number[] {
  const seen = new Map<number, Set<string>>();
  const times: number[] = [];
  for (const { region, atMs, ops } of recording.arrivals) {
    for (const op of ops) {
      const where = seen.get(op) ?? new Set<string>();
      if (where.has(region)) continue;
      where.add(region);
      seen.set(op, where);
      const startMs = recording.ops.get(op)?.tries.reduce((min, each) => Math.min(min, each.startMs), Infinity);
      if (where.size === recording.regions.length && startMs !== undefined) times.push(Math.max(0, atMs - startMs));
    }
  }
  return times.sort((a, b) => a - b);
}
