// What the links need of the node they belong to. The node implements it; the links know nothing else of a node.

import type { OriginId, RegionId, ShardId } from '../record/ids.ts';
import type { ReadonlyVector } from '../record/vector.ts';
import type { Log } from '../log/log.ts';
import type { ShardBeat } from '../shard/beat.ts';
import type { BegunShard, WelcomeShard } from './messages.ts';

/** What became of a batch that a link brought. */
export type Received =
  /** Appended to our log, or waiting in the bounded buffer for what it depends on. Credit goes back in both cases: a batch that
   *  waits holds none (DESIGN 9). */
  | 'taken'
  | 'parked'
  | 'duplicate'
  /** Its turn comes later: until then it holds its credit, so that its source sends no more than we get done (Answers). */
  | 'waiting'
  /** Not kept: gap, full buffer, held for the clock, frozen, fork, quarantine. The node asks again through Links.wantAgain(). */
  | 'dropped';

/** Of one stream: where the host says that it has answered for what was `waiting`. Says nothing once the stream is over. */
export interface Answers {
  answered(bytes: number): void;
}

export interface ClockSample {
  /** Remote clock minus ours, ms, corrected for half the round trip. */
  readonly offsetMs: number;
  readonly rttMs: number;
}

export interface ReplicationHost {
  readonly region: RegionId;
  readonly node: string;
  readonly instance: string;
  readonly clusterId: string;
  readonly settingsHash: string;
  readonly log: Log;

  /** Shards that this node owns now. */
  shards(): readonly ShardId[];
  /** Regions of the shard's placement, whether or not this node owns the shard; only they are ever served (I10). Nobody for a
   *  shard that does not exist. */
  members(shard: ShardId): readonly RegionId[];
  isRegion(name: string): boolean;
  /** Durable here. */
  vector(shard: ShardId): ReadonlyVector;
  /** Taken here, durable or on its way: from where a want asks. */
  taken(shard: ShardId): ReadonlyVector;
  /** WelcomeShard.boundOfReceiver */
  boundOf(shard: ShardId, region: RegionId): number;
  /** A peer's region is about to begin this origin: where it may. A promise, see causeway.v1.Begun. */
  begin(shard: ShardId, origin: OriginId): number;
  /** The origin that this node writes the shard's ops with; undefined while it has none. Peers are told never to send it: it
   *  could only be an echo. Ops of our older origins are asked for, because our log may have lost them. */
  liveOrigin(shard: ShardId): OriginId | undefined;

  /** `batch` is a view on a whole frame (up to 17 MiB) and keeps it alive: copy what is kept for long, such as a parked batch. */
  receive(from: RegionId, batch: Uint8Array, answers: Answers): Received;
  beats(): readonly ShardBeat[];
  onBeats(from: RegionId, beats: readonly ShardBeat[]): void;
  onClockSample(from: RegionId, sample: ClockSample): void;
  onAck(from: RegionId, shard: ShardId, durable: ReadonlyVector): void;
  /** A source that we dialled has let us in. `bindingAnswers`: it can be asked where we may begin (Links.begin). */
  onWelcome(from: RegionId, shards: readonly WelcomeShard[], bindingAnswers: boolean): void;
  /** Where our region may begin, says a member that was asked. */
  onBegun(from: RegionId, shards: readonly BegunShard[]): void;
  /** Two processes dial us under one name (region and node): for an alarm. The later one has been refused. */
  onIdentityClash?(region: RegionId, message: string): void;
  /** The link to a peer went up or down, or was refused; for status and alarms. */
  onLinkState(peer: RegionId, state: LinkState): void;
}

export type LinkState =
  | { readonly kind: 'connecting'; readonly attempt: number }
  | { readonly kind: 'up' }
  | { readonly kind: 'down'; readonly reason: string; readonly retryInMs: number }
  | { readonly kind: 'refused'; readonly reason: string; readonly message: string; readonly retryInMs: number };

export type { ReadonlyVector };
