// What a session has seen, against what the shards of a node have: what is missing, what is lost, and what an answer adds to it.

import { msOfStamp } from '../clock/hlc.ts';
import { CausewayError } from '../errors/errors.ts';
import type { OriginId, RegionId, ShardId } from '../record/ids.ts';
import type { SessionToken } from './region.ts';
import type { ShardRunner } from './shard-runner.ts';

type Runners = ReadonlyMap<ShardId, ShardRunner>;

/** What of a session's token is not here yet. */
interface Behind {
  readonly shard: ShardId;
  readonly origin: OriginId;
  readonly behindMs: number;
}

/** What of it this node does not have yet. */
export function behindOf(session: SessionToken, runners: Runners): readonly Behind[] {
  const behind: Behind[] = [];
  for (const [shard, origins] of session) {
    const table = runners.get(shard)?.engine.origins;
    for (const [origin, stamp] of origins) {
      const known = table?.get(origin);
      if (known !== undefined && known.counted >= stamp) continue;
      behind.push({ shard, origin, behindMs: Math.max(0, msOfStamp(stamp) - msOfStamp(known?.counted ?? 0)) });
    }
  }
  return behind;
}

/** SESSION_LOST: it has seen a write that no region holds any more. */
export function lostOf(session: SessionToken, runners: Runners): CausewayError | undefined {
  for (const [shard, origins] of session) {
    for (const [origin, stamp] of origins) {
      const end = runners.get(shard)?.engine.origins.get(origin);
      if (end?.closed === true && end.end !== undefined && stamp > end.end.stamp) {
        return new CausewayError(
          'SESSION_LOST',
          `the session has seen a write of ${origin} that no region holds: the origin ended before it`,
          {
            hint: 'begin a new session; what it had seen beyond that point is lost',
          },
        );
      }
    }
  }
  return undefined;
}

export function sessionBehind(region: RegionId, behind: readonly Behind[]): CausewayError {
  const worst = behind.reduce((a, b) => (b.behindMs > a.behindMs ? b : a));
  return new CausewayError(
    'SESSION_BEHIND',
    `region ${region} has not reached what the session has seen: ${worst.origin} is ${worst.behindMs} ms behind in shard ${worst.shard}`,
    {
      details: { behind },
      hint: 'wait, go on in the region of the last write, let a read be stale, or begin a new session',
    },
  );
}

/** Per origin the stamp of the last op applied to the shard; an absent key's read counts too (DESIGN 8). */
export function sessionOf(runner: ShardRunner): ReadonlyMap<OriginId, number> {
  const session = new Map<OriginId, number>();
  for (const origin of runner.engine.origins.all()) {
    if (origin.seq > 0 && !origin.foldedDurable) session.set(origin.id, origin.stamp);
  }
  return session;
}
