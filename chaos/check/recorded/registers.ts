// I3: of all writes of a register that were acknowledged, the one with the highest version is what every region shows; a later one that may
// have happened can stand instead. By the clients' facts alone: versions are those of the acknowledgements.

import { compareVersions } from '../../../src/record/ids.ts';
import { dotText, keyName, regionOf, versionOf } from '../../history/names.ts';
import type { RecordedOp, Recording } from '../../history/recording.ts';
import { isExcused } from './acknowledged.ts';
import type { Check } from './check.ts';

export const registers: Check = {
  name: 'registers',
  promise: 'a register shows the acknowledged write with the highest version, or a later one that may have happened',
  judge: (recording, found) => {
    const byKey = new Map<string, RecordedOp[]>();
    for (const op of recording.ops.values()) {
      if (op.first.collection !== 'registers') continue;
      const { key } = op.first;
      const some = byKey.get(key);
      if (some === undefined) byKey.set(key, [op]);
      else some.push(op);
    }
    for (const [key, ops] of byKey) {
      for (const region of recording.regions) {
        const winner = winnerOf(recording, region, ops);
        const view = recording.finals.get(region)?.get(keyName('registers', key));
        const problem =
          view?.type === 'register-lww' ? problemOf(view, ops, winner) : problemOfAbsence(recording, ops, winner);
        if (problem !== undefined) found(`${region}: register ${key} ${problem}`);
      }
    }
    return { looked: byKey.size * recording.regions.length };
  },
};

/** The acknowledged write with the highest version; those that may be gone, or that other regions hold back, do not count. */
function winnerOf(recording: Recording, region: string, ops: readonly RecordedOp[]): RecordedOp | undefined {
  let winner: RecordedOp | undefined;
  for (const op of ops) {
    if (op.version === undefined || isExcused(recording, op)) continue;
    if (regionOf(op.version.origin) !== region && recording.isHeld(op)) continue;
    if (winner === undefined || compareVersions(versionOf(op.version), versionOf(winner.version!)) > 0) winner = op;
  }
  return winner;
}

function problemOf(
  view: {
    readonly value: string;
    readonly version: { readonly origin: string; readonly seq: number; readonly stamp: number };
  },
  ops: readonly RecordedOp[],
  winner: RecordedOp | undefined,
): string | undefined {
  const { value, version } = view;
  const writer = ops.find(({ first }) => first.intent.kind === 'put' && first.intent.value === value);
  if (writer === undefined) return `is '${value}', which nobody wrote`;
  if (writer.outcome === 'failed') return `is '${value}', whose write was refused as not applied`;
  if (writer.version !== undefined && dotText(writer.version) !== dotText(version)) {
    return `is '${value}' as ${dotText(version)}; it was acknowledged as ${dotText(writer.version)}`;
  }
  if (winner !== undefined && compareVersions(versionOf(version), versionOf(winner.version!)) < 0) {
    return `is '${value}' of ${version.stamp}; op ${winner.op} was acknowledged with ${winner.version!.stamp}`;
  }
  return undefined;
}

function problemOfAbsence(
  recording: Recording,
  ops: readonly RecordedOp[],
  winner: RecordedOp | undefined,
): string | undefined {
  if (winner === undefined || winner.first.intent.kind === 'delete') return undefined;
  const mayBeDeleted = ops.some(
    (op) =>
      op.first.intent.kind === 'delete' &&
      (op.outcome === 'maybe' || (op.outcome === 'ok' && (op.version === undefined || isExcused(recording, op)))),
  );
  if (mayBeDeleted) return undefined;
  return `is absent; op ${winner.op} was acknowledged with ${winner.version!.stamp}, and no later delete`;
}
