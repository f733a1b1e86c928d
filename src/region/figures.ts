// What a node measures about itself beyond its status: numbers for machines, put together when somebody scrapes.
// I14 lag is the status' own, computed at that moment from promises that arrived: nothing here remembers a lag.

import { msOfStamp } from '../clock/hlc.ts';
import { Histogram, LAG_SECONDS } from '../metrics/histogram.ts';
import { textHash } from '../record/hash.ts';
import type { RegionId, ShardId } from '../record/ids.ts';
import type { MergeTypeName } from '../record/op.ts';
import type { ReadonlyVector } from '../record/vector.ts';
import type { LinksState, SentBytes } from '../replication/links.ts';
import type { Hold } from '../shard/origins.ts';
import type { Canaries } from './canary.ts';
import type { DropSweep } from './drop-sweep.ts';
import type { RegionStatus } from './region.ts';
import type { ShardRunner } from './shard-runner.ts';
import { OriginTally, type Tallies } from './tallies.ts';

export interface NodeFigures {
  readonly status: RegionStatus;
  readonly peers: readonly PeerFigures[];
  readonly shards: readonly ShardFigures[];
  readonly conflicts: ReadonlyMap<MergeTypeName, number>;
  readonly held: Readonly<Record<Hold['kind'], number>>;
  readonly journalEntries: number;
  readonly idempotencyEntries: number;
  readonly subscriptions: number;
  readonly shardRestarts: number;
  readonly storeRebuilds: number;
  /** Of dropped collections, deleted by this node. */
  readonly sweptKeys: number;
  /** Shards of dropped collections in which there was something at the last look. */
  readonly unsweptShards: number;
  readonly inFlightBytes: number;
  readonly inFlightBytesMax: number;
  readonly storeBacklogKeys: number;
  readonly storeBacklogKeysMax: number;
  /** For how long a shard's store has answered nothing that it was asked. */
  readonly storeSilentMs: number;
  readonly stateCacheBytes: number;
}

export interface PeerFigures {
  readonly region: RegionId;
  readonly appliedOps: number;
  readonly opLagSeconds: Histogram;
  readonly refusedBatches: number;
  /** undefined: not known, see unacknowledged() in status.ts. */
  readonly backlogOps: number | undefined;
  readonly backlogBytes: number | undefined;
  readonly linkDrops: number;
  /** Of what it lets us have under way; 0 while it fetches nothing. */
  readonly windowBytes: number;
  readonly windowUsedBytes: number;
  readonly received: SentBytes;
  readonly sent: SentBytes;
  /** How far its newest stamp is ahead of our clock, at least 0. */
  readonly skewMs: number;
  /** Empty while there are none. */
  readonly canarySeconds: Histogram;
  readonly canariesLost: number;
}

export interface ShardFigures {
  readonly shard: ShardId;
  readonly open: boolean;
  /** Of the live state as of the last full minute, and of the vector that it stands at: 52 bits of each. */
  readonly digest: number;
  readonly vectorHash: number;
}

export interface FiguresSources {
  readonly status: RegionStatus;
  readonly runners: readonly ShardRunner[];
  readonly links: LinksState;
  readonly tallies: Tallies;
  readonly limits: { readonly inFlightBytesMax: number; readonly storeBacklogMax: number };
  readonly storeBacklogKeys: number;
  readonly subscriptions: number;
  readonly canaries?: Canaries | undefined;
  readonly sweep: Pick<DropSweep, 'sweptKeys' | 'unswept'>;
}

/** Digests of one moment compare; regions that are scraped within one minute are asked about the same. */
const DIGEST_STEP_MS = 60_000;

export function figuresOf(from: FiguresSources): NodeFigures {
  const { status, runners, tallies, limits, sweep } = from;
  const sum = (of: (runner: ShardRunner) => number): number => runners.reduce((total, each) => total + of(each), 0);
  const asOfMs = Math.floor(status.nowMs / DIGEST_STEP_MS) * DIGEST_STEP_MS;
  return {
    status,
    peers: status.peers.map(({ region }) => peerFigures(region, from)),
    shards: runners.map((runner) => shardFigures(runner, asOfMs)),
    conflicts: tallies.conflicts,
    held: heldOf(runners),
    journalEntries: sum(({ journal }) => journal.count),
    idempotencyEntries: sum(({ engine }) => engine.idempotencySize),
    subscriptions: from.subscriptions,
    shardRestarts: tallies.shardRestarts,
    storeRebuilds: tallies.storeRebuilds,
    sweptKeys: sweep.sweptKeys,
    unsweptShards: sweep.unswept,
    inFlightBytes: sum(({ inFlightBytes }) => inFlightBytes),
    inFlightBytesMax: limits.inFlightBytesMax,
    storeBacklogKeys: from.storeBacklogKeys,
    storeBacklogKeysMax: limits.storeBacklogMax,
    storeSilentMs: runners.reduce((longest, runner) => Math.max(longest, runner.storeSilentMs), 0),
    stateCacheBytes: sum(({ cache }) => cache.bytes),
  };
}

function peerFigures(region: RegionId, { status, runners, links, tallies, canaries }: FiguresSources): PeerFigures {
  const canary = canaries?.of(region);
  const tally = tallies.origins.get(region) ?? new OriginTally();
  const served = links.served.filter(({ peer }) => peer === region);
  const windowBytes = served.reduce((bytes, each) => bytes + each.windowBytes, 0);
  const creditBytes = served.reduce((bytes, each) => bytes + each.creditBytes, 0);
  const dialled = links.dialled.filter(({ peer }) => peer === region);
  const backlogOps = status.peers.find((peer) => peer.region === region)?.unacknowledgedOps;
  return {
    region,
    appliedOps: tally.appliedOps,
    opLagSeconds: tally.lagSeconds,
    refusedBatches: tally.refusedBatches,
    backlogOps,
    backlogBytes: backlogOps === undefined ? undefined : Math.round(backlogOps * opBytes(status, runners, tallies)),
    linkDrops: tallies.linkDrops.get(region) ?? 0,
    windowBytes,
    // A batch larger than a window goes alone, beyond the credit.
    windowUsedBytes: Math.max(0, windowBytes - creditBytes),
    received: {
      raw: dialled.reduce((bytes, link) => bytes + link.rawBytesReceived, 0),
      wire: dialled.reduce((bytes, link) => bytes + link.bytesReceived, 0),
    },
    sent: links.sent.get(region) ?? { raw: 0, wire: 0 },
    skewMs: Math.max(0, newestStampMs(region, runners) - status.nowMs),
    canarySeconds: canary?.roundTrip ?? new Histogram(LAG_SECONDS),
    canariesLost: canary?.lost ?? 0,
  };
}

/** Of an op, about: of this process' own; before it has any, of everything in the log. */
function opBytes(status: RegionStatus, runners: readonly ShardRunner[], { ownBytes }: Tallies): number {
  const { accepted } = status.counters;
  if (accepted > 0) return ownBytes / accepted;
  let ops = 0;
  for (const runner of runners) for (const origin of runner.engine.origins.all()) ops += origin.seq;
  return ops === 0 ? 0 : status.log.bytes / ops;
}

function newestStampMs(region: RegionId, runners: readonly ShardRunner[]): number {
  let newest = 0;
  for (const runner of runners) {
    for (const origin of runner.engine.origins.all()) {
      if (origin.region === region)
        newest = Math.max(newest, origin.latest?.stamp ?? 0, origin.stamp, heldStamp(origin));
    }
  }
  return msOfStamp(newest);
}

/** What is too far ahead is not taken: the stamp that it was held for is all that is known of it. */
function heldStamp({ hold }: { readonly hold: Hold | undefined }): number {
  return hold?.kind === 'clock' ? hold.stamp : 0;
}

function heldOf(runners: readonly ShardRunner[]): Record<Hold['kind'], number> {
  const held = { clock: 0, fork: 0, quarantine: 0 };
  for (const runner of runners) {
    // Whose stream it is does not matter: this node can read none of that format.
    if (runner.newerFormat !== undefined) held.quarantine++;
    for (const { hold } of runner.engine.origins.all()) if (hold !== undefined) held[hold.kind]++;
  }
  return held;
}

function shardFigures(runner: ShardRunner, asOfMs: number): ShardFigures {
  const { shard, engine } = runner;
  return {
    shard,
    open: runner.open,
    digest: first52(engine.digestAsOf(asOfMs)),
    vectorHash: vectorHash(engine.origins.durable),
  };
}

/** What has nothing yet is as good as not there. */
function vectorHash(vector: ReadonlyVector): number {
  const text = [...vector]
    .filter(([, seq]) => seq > 0)
    .map(([origin, seq]) => `${origin}:${seq}`)
    .toSorted()
    .join(' ');
  return first52(textHash(text));
}

/** Of 16 hex digits: as much as a metric's value holds exactly. */
function first52(hex: string): number {
  return Number.parseInt(hex.slice(0, 13), 16);
}
