// One cut through shards of several nodes (level `stable`, DESIGN 8).
//
// A node answers as of its own front, and says above which stamp nothing of what was asked for has changed: as of any stamp between the two it would
// have answered the same. So the owners are asked what they have, and then all of them for one stamp that lies in every one of these spans: the lowest
// front, if nothing has changed above it; else the highest change, which the others reach some heartbeats later. If something has changed above that
// meanwhile, the next round is for a stamp that is a little ahead of now, and further ahead each time. What is written faster than that is refused at the
// deadline, as on one node: never is an answer put together from two cuts.

import { stampOfMs } from '../clock/hlc.ts';
import { CausewayError } from '../errors/errors.ts';
import type { System } from '../system/system.ts';

/** What a part of the answer says of itself. */
export interface CutPart {
  readonly asOfStamp?: number | undefined;
  readonly unchangedSince?: number | undefined;
}

/** Asks all owners for one stamp; undefined: for the newest that each has. */
type AskAll<P extends CutPart> = (
  atStamp: number | undefined,
  deadlineMs: number,
  answered: (parts: readonly P[] | CausewayError) => void,
) => void;

const AHEAD_MS_MIN = 50;
const AHEAD_MS_MAX = 1000;

/** `asOfStamp` of all parts of the answer is the same. */
export function askOneCut<P extends CutPart>(
  system: System,
  region: string,
  deadlineMs: number,
  ask: AskAll<P>,
  done: (parts: readonly P[] | CausewayError) => void,
): void {
  const { clock } = system;
  const endMs = clock.monotonicMs() + deadlineMs;
  let aheadMs = 0;
  const round = (atStamp: number | undefined): void => {
    const leftMs = endMs - clock.monotonicMs();
    if (leftMs < 1) {
      done(noCutInTime(region, deadlineMs));
      return;
    }
    ask(atStamp, leftMs, (parts) => {
      if (parts instanceof CausewayError) {
        done(parts);
        return;
      }
      const fronts = parts.map(({ asOfStamp = 0 }) => asOfStamp);
      if (fronts.every((front) => front === fronts[0])) {
        done(parts);
        return;
      }
      if (parts.some(({ unchangedSince }) => unchangedSince === undefined)) {
        done(olderNode(region));
        return;
      }
      const changed = Math.max(...parts.map((part) => part.unchangedSince!));
      const lowest = Math.min(...fronts);
      if (atStamp === undefined) {
        round(changed <= lowest ? lowest : changed);
        return;
      }
      aheadMs = Math.min(AHEAD_MS_MAX, Math.max(AHEAD_MS_MIN, aheadMs * 2));
      round(Math.max(changed, stampOfMs(clock.nowMs() + aheadMs)));
    });
  };
  round(undefined);
}

function noCutInTime(region: string, deadlineMs: number): CausewayError {
  return new CausewayError(
    'CONSISTENCY_NOT_REACHED',
    `the nodes of ${region} could not answer as of one cut within ${deadlineMs} ms: something of it changed each time`,
    { hint: 'wait longer, ask for keys that are not written all the time one by one, or read with another level' },
  );
}

function olderNode(region: string): CausewayError {
  return new CausewayError(
    'CONSISTENCY_NOT_REACHED',
    `a node of ${region} is of an older version, which knows no cut through the shards of several nodes`,
    {
      hint: 'give the keys one {tag}, read them one by one, or scan shard by shard, until all nodes are of this version',
    },
  );
}
