// How far a shard's state reaches in time: what the levels `bounded` and `stable` are judged by (DESIGN 8).
// I14 both fronts are made of promises that only in-band progress can move, so a region that is away holds them back.

import { CausewayError } from '../errors/errors.ts';
import { msOfStamp } from '../clock/hlc.ts';
import type { RegionId, ShardId } from '../record/ids.ts';
import type { ShardRunner } from './shard-runner.ts';

export interface Front {
  readonly shard: ShardId;
  readonly stamp: number;
  /** Who holds it back. */
  readonly region: RegionId;
}

/**
 * Every write of another region with a stamp at or below this is here, by what each member has promised. An origin that was left
 * behind by a restart counts until it is closed: ops of it may still be under way. A member of which nothing is known holds the front at 0.
 */
export function promisedFront(runner: ShardRunner, own: RegionId): Front {
  const { engine, shard } = runner;
  const known = new Set<RegionId>([own]);
  let front: Front = { shard, stamp: Infinity, region: own };
  for (const origin of engine.origins.all()) {
    if (origin.id === engine.ownOrigin || origin.counted === Infinity) continue;
    known.add(origin.region);
    if (origin.counted < front.stamp) front = { shard, stamp: origin.counted, region: origin.region };
  }
  const unknown = runner.members.find((member) => !known.has(member));
  return unknown === undefined ? front : { shard, stamp: 0, region: unknown };
}

/** Nothing at or below this can still come, anywhere: every member has passed it, and has said so (I9's floor). */
export function stableFront(runner: ShardRunner, own: RegionId, nowMs: number): Front {
  const { engine, shard } = runner;
  const stamp = runner.stableFloor(nowMs);
  let slowest: Front = { shard, stamp: Infinity, region: own };
  for (const origin of engine.origins.all()) {
    if (origin.folded) continue;
    if (origin.id !== engine.ownOrigin && origin.counted < slowest.stamp) {
      slowest = { shard, stamp: origin.counted, region: origin.region };
    }
    const passed = engine.reports.passed(origin.id);
    if (passed < slowest.stamp) slowest = { shard, stamp: passed, region: engine.reports.slowest(origin.id) ?? own };
  }
  return { shard, stamp, region: slowest.region };
}

export function lowest(fronts: readonly Front[]): Front {
  return fronts.reduce((a, b) => (b.stamp < a.stamp ? b : a));
}

export function tooStale(region: RegionId, front: Front, maxStaleMs: number, nowMs: number): CausewayError {
  const { behind, behindMs } = behindText(front, nowMs);
  return new CausewayError(
    'CONSISTENCY_NOT_REACHED',
    `region ${region} is asked to be at most ${maxStaleMs} ms behind every other region, and is ${behind}`,
    {
      details: {
        shard: front.shard,
        region: front.region,
        ...(behindMs === undefined ? {} : { behindMs }),
        maxStaleMs,
      },
      hint: 'allow more (at least a heartbeat and the way between the regions), wait longer, or read with another level',
    },
  );
}

export function notStable(region: RegionId, front: Front, key: string | undefined, nowMs: number): CausewayError {
  const { behind, behindMs } = behindText(front, nowMs);
  const what = key === undefined ? '' : `: ${key} has changed since the last cut that every region has passed`;
  return new CausewayError(
    'CONSISTENCY_NOT_REACHED',
    `region ${region} cannot answer as of one cut${what}; it is ${behind}`,
    {
      details: { shard: front.shard, region: front.region, ...(behindMs === undefined ? {} : { behindMs }) },
      hint: 'wait longer, ask for keys that are not written all the time one by one, or read with another level',
    },
  );
}

function behindText({ stamp, region, shard }: Front, nowMs: number): { behind: string; behindMs: number | undefined } {
  if (stamp === 0) return { behind: `without any promise of ${region} in shard ${shard}`, behindMs: undefined };
  const behindMs = Math.max(0, Math.round(nowMs - msOfStamp(stamp)));
  return { behind: `${behindMs} ms behind ${region} in shard ${shard}`, behindMs };
}
