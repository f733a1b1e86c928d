// I1, I2: what was acknowledged is in every region's log, once; what was refused is in none; what may have happened is in all or none.
// What only a lost disk had is excused, if nobody else was asked to have it too.

import { dotText, regionOf } from '../../history/names.ts';
import type { RecordedOp, Recording } from '../../history/recording.ts';
import { percentile, type Check } from './check.ts';

/** Where an op is: its dots, and the regions whose log has each. */
type Places = Map<string, Set<string>>;

export const acknowledged: Check = {
  name: 'acknowledged',
  promise: 'what was acknowledged is in every region, once; what was refused is nowhere',
  judge: (recording, found) => {
    const { regions } = recording;
    const held = recording.heldFrom;
    const places = new Map<number, Places>();
    const isHeld = new Set<number>();
    for (const [region, shards] of recording.logs) {
      for (const [shard, entries] of shards) {
        const dots = new Set<string>();
        for (const [origin, seq, , op] of entries) {
          const dot = `${dotText({ origin, seq })} in ${shard}`;
          if (dots.has(dot)) found(`${region} has ${dot} twice in its log`);
          dots.add(dot);
          if (!recording.ops.has(op)) found(`${region} has ${dot}, which no client wrote`);
          let places1 = places.get(op);
          if (places1 === undefined) places.set(op, (places1 = new Map()));
          let where = places1.get(dot);
          if (where === undefined) places1.set(dot, (where = new Set()));
          where.add(region);
          if (seq >= (held.get(`${shard} ${origin}`) ?? Infinity)) isHeld.add(op);
        }
      }
    }
    let [acked, maybe, maybeFound, failed, lost, duplicated, excused] = [0, 0, 0, 0, 0, 0, 0];
    for (const op of recording.ops.values()) {
      const dots = places.get(op.op) ?? new Map<string, Set<string>>();
      if (op.outcome === 'ok') acked++;
      else if (op.outcome === 'maybe') maybe++;
      else failed++;
      if (op.outcome === 'maybe' && dots.size > 0) maybeFound++;
      if (dots.size > 1) {
        duplicated++;
        found(`${nameOf(op)} took effect ${dots.size} times: as ${[...dots.keys()].join(' and as ')}`);
      }
      if (op.outcome === 'failed') {
        if (dots.size > 0) found(`${nameOf(op)} was refused as not applied, and is ${[...dots.keys()].join(', ')}`);
        continue;
      }
      if (isHeld.has(op.op)) continue;
      if (op.outcome === 'ok' && dots.size === 0 && isExcused(recording, op)) {
        excused++;
        continue;
      }
      if (op.outcome === 'maybe' && dots.size === 0) continue;
      const where = new Set([...dots.values()].flatMap((each) => [...each]));
      const missing = regions.filter((region) => !where.has(region));
      if (missing.length > 0) {
        lost++;
        const what = op.outcome === 'ok' ? 'was acknowledged' : `is in ${[...where].join(' and ')}`;
        found(`${nameOf(op)} ${what}, and is not in ${missing.join(', ')}`);
      }
      const { version } = op;
      const told =
        version === undefined
          ? undefined
          : `${dotText(version)} in ${op.tries.find((each) => each.version === version)!.shard}`;
      if (told !== undefined && dots.size > 0 && !dots.has(told) && !isExcused(recording, op)) {
        found(`${nameOf(op)} was acknowledged as ${told}, and is ${[...dots.keys()].join(', ')}`);
      }
    }
    const stableMs = timesToStable(recording);
    return {
      looked: recording.ops.size,
      facts: {
        acknowledged: acked,
        'may have happened': maybe,
        'of those, did': maybeFound,
        refused: failed,
        lost,
        duplicated,
        'lost with the only disk that had them': excused,
        'held in their region (stamped in the future)': isHeld.size,
        'ms to be in all regions, median': Math.round(percentile(stableMs, 0.5)),
        'ms to be in all regions, p99': Math.round(percentile(stableMs, 0.99)),
        'ms to be in all regions, longest': Math.round(stableMs.at(-1) ?? 0),
      },
    };
  },
};

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
