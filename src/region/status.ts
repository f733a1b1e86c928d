// What a node says of itself, assembled for people and programs.

import { msOfStamp } from '../clock/hlc.ts';
import type { RegionId } from '../record/ids.ts';
import type { ClockSample, LinkState } from '../replication/host.ts';
import type { LagSamples } from './lag.ts';
import type { Alarm, PeerStatus, ShardStatus } from './region.ts';
import type { ShardRunner } from './shard-runner.ts';

export function peerStatus(
  region: RegionId,
  runners: readonly ShardRunner[],
  nowMs: number,
  link: LinkState | undefined,
  clock: ClockSample | undefined,
  lags: LagSamples | undefined,
): PeerStatus {
  const percentiles = lags?.percentiles(nowMs);
  return {
    region,
    link: link ?? { kind: 'connecting', attempt: 1 },
    lagMs: lagOf(region, runners, nowMs),
    opLagMsP50: percentiles?.p50,
    opLagMsP99: percentiles?.p99,
    clock,
    unacknowledgedOps: unacknowledged(region, runners),
  };
}

/** Durable ops of this region that a peer has not acknowledged. Those of earlier starts count until all members are known to have them; how many
 *  of these a peer lacks is not known before it has said something to this process. */
function unacknowledged(peer: RegionId, runners: readonly ShardRunner[]): number | undefined {
  let ops = 0;
  for (const runner of runners) {
    if (!runner.members.includes(peer)) continue;
    const { ownOrigin, settings } = runner.engine;
    const has = runner.durableAt(peer);
    for (const origin of runner.engine.origins.all()) {
      if (origin.region !== settings.region || origin.foldedDurable) continue;
      if (has === undefined && origin.id !== ownOrigin && origin.seq > 0) return undefined;
      ops += Math.max(0, origin.seq - (has?.get(origin.id) ?? 0));
    }
  }
  return ops;
}

/**
 * I14: of the shard that is worst off, how old the peer's newest promise is that counts here. An earlier origin of the peer stands still
 * from its end on and says nothing, except while it is known to go further than what is here.
 */
function lagOf(region: RegionId, runners: readonly ShardRunner[], nowMs: number): number | undefined {
  let worst: number | undefined;
  for (const runner of runners) {
    if (!runner.members.includes(region)) continue;
    let newest = 0;
    let missing = Infinity;
    for (const origin of runner.engine.origins.all()) {
      if (origin.region !== region || origin.counted === Infinity) continue;
      newest = Math.max(newest, origin.counted);
      if (Math.max(origin.proven, origin.latest?.seq ?? 0) > origin.seq) missing = Math.min(missing, origin.counted);
    }
    // Nothing of it counts yet: unknown is more honest than any number.
    if (newest === 0 || missing === 0) return undefined;
    worst = Math.max(worst ?? 0, nowMs - msOfStamp(Math.min(newest, missing)));
  }
  return worst;
}

/** Of the member that is furthest behind, by `runners` alone: undefined while one has not been heard of, 0 without other members. */
export function stalenessOf(
  members: readonly RegionId[],
  self: RegionId,
  runners: readonly ShardRunner[],
  nowMs: number,
): number | undefined {
  let worst = 0;
  for (const member of members) {
    if (member === self) continue;
    const lagMs = lagOf(member, runners, nowMs);
    if (lagMs === undefined) return undefined;
    worst = Math.max(worst, lagMs);
  }
  return worst;
}

export function shardStatus(runner: ShardRunner): ShardStatus {
  runner.countTombstones();
  return {
    shard: runner.shard,
    origins: [...runner.engine.origins.all()].map((origin) => ({
      origin: origin.id,
      seq: origin.seq,
      watermark: origin.counted,
      state: origin.closed ? 'closed' : origin.frozen ? 'frozen' : 'open',
      held: origin.hold?.message,
    })),
    ownOrigin: runner.engine.ownOrigin,
    parkedBatches: runner.parkedBatches,
    tombstones: runner.tombstones,
  };
}

const HOLD_CODES = { clock: 'clock-hold', fork: 'fork', quarantine: 'quarantine' } as const;

export function alarmsOf(
  runners: readonly ShardRunner[],
  others: readonly {
    readonly alarm: { readonly sinceMs: number; readonly message: string } | undefined;
    readonly code: Alarm['code'];
  }[],
): Alarm[] {
  const alarms: Alarm[] = [];
  for (const { alarm, code } of others) if (alarm !== undefined) alarms.push({ ...alarm, code });
  for (const runner of runners) {
    const newer = runner.newerFormat;
    if (newer !== undefined) {
      alarms.push({
        sinceMs: newer.sinceMs,
        code: 'quarantine',
        message: `shard ${runner.shard}: ${newer.message}; upgrade this node to take it`,
      });
    }
    for (const origin of runner.engine.origins.all()) {
      if (origin.hold === undefined) continue;
      const { kind, sinceMs, message } = origin.hold;
      alarms.push({ sinceMs, code: HOLD_CODES[kind], message: `shard ${runner.shard}: ${message}` });
    }
  }
  return alarms;
}
