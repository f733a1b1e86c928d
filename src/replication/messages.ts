// What crosses a link. The receiving region dials; `Up` goes from receiver to source, `Down` from source to receiver.
// The gRPC transport maps these one-to-one to proto/causeway/v1/replication.proto; the simulator passes them as they are.

import type { OriginId, RegionId, ShardId } from '../record/ids.ts';
import type { ReadonlyVector } from '../record/vector.ts';
import type { ShardBeat } from '../shard/beat.ts';

export const PROTOCOL_VERSION = 1;
/** The lowest version that this node still speaks. */
export const PROTOCOL_VERSION_MIN = 1;

export interface Hello {
  readonly kind: 'hello';
  readonly protocolVersion: number;
  readonly protocolVersionMin: number;
  readonly clusterId: string;
  readonly region: RegionId;
  /** Which node of the region dials; for people. */
  readonly node: string;
  /** Hash of the settings that must be equal everywhere: placements, shards, collections, maxSkewMs. */
  readonly settingsHash: string;
  /** Optional abilities, by name; unknown ones are ignored. */
  readonly features: readonly string[];
  /** Random per process start: two processes that claim one region's name are told apart by it. */
  readonly instance: string;
}

/** Sets (again) from where the source serves one shard. Later `want`s of a shard replace earlier ones. */
export interface Want {
  readonly kind: 'want';
  readonly shard: ShardId;
  /** Origins of these regions are wanted: the source's own always, others when they are relayed. */
  readonly regions: readonly RegionId[];
  /** What the receiver has taken, per origin; the source starts with the next of each. */
  readonly have: ReadonlyVector;
}

/** Cumulative since the stream began: the source may have sent so many bytes of batches in all. */
export interface Credit {
  readonly kind: 'credit';
  readonly bytesTotal: number;
}

/** What is durable at the receiver; only entries that moved. Cumulative. */
export interface Ack {
  readonly kind: 'ack';
  /** What became durable of each since the last ack that named it. */
  readonly shards: readonly { readonly shard: ShardId; readonly durable: ReadonlyVector }[];
}

export interface Ping {
  readonly kind: 'ping';
  /** The receiver's unix ms when it was sent. */
  readonly sentAtMs: number;
}

/** Only where both ends name the feature COMPRESSED_FRAMES. */
export interface Compress {
  readonly kind: 'compress';
  /** From now on compress frames of batches, or do not; at first they are not. */
  readonly frames: boolean;
}

/** Only where both ends name the feature BEGINNINGS. */
export interface Begin {
  readonly kind: 'begin';
  /** The origins that the receiver's region will write with, when enough members have said where they may begin. */
  readonly shards: readonly { readonly shard: ShardId; readonly origin: OriginId }[];
}

export type Up = Hello | Want | Credit | Ack | Ping | Compress | Begin;

export interface Welcome {
  readonly kind: 'welcome';
  readonly protocolVersion: number;
  readonly region: RegionId;
  readonly node: string;
  readonly instance: string;
  readonly features: readonly string[];
  readonly shards: readonly WelcomeShard[];
}

export interface WelcomeShard {
  readonly shard: ShardId;
  /** Durable at the source. */
  readonly vector: ReadonlyVector;
  /** The highest stamp that the source has seen or been promised of the receiver's own region, or may have been before it started: a new
   *  incarnation starts above. */
  readonly boundOfReceiver: number;
}

export interface Refuse {
  readonly kind: 'refuse';
  readonly reason: RefuseReason;
  readonly message: string;
}

export type RefuseReason =
  | 'protocol-version'
  | 'cluster-id'
  | 'settings-hash'
  | 'region-name'
  | 'unknown-region'
  | 'not-ready'
  | 'protocol-error';

export interface Batches {
  readonly kind: 'batches';
  /** In the source's log order per shard; verbatim as their origin encoded them. */
  readonly batches: readonly Uint8Array[];
  /** When sending: the receiver has asked for compressed frames. */
  readonly compress?: boolean;
  /** As received: what a compressed frame was on the wire. */
  readonly wireBytes?: number;
}

export interface Beat {
  readonly kind: 'beat';
  readonly sentAtMs: number;
  /** Answers the latest ping: its sentAtMs, and when it came in by the source's clock. */
  readonly echo: { readonly pingSentAtMs: number; readonly receivedAtMs: number } | undefined;
  readonly shards: readonly ShardBeat[];
  /** Somebody waits for acks: for the next ACKS_SOON_MS they shall not wait for the heartbeat. */
  readonly acksSoon?: boolean;
}

/** A promise, see causeway.v1.Begun. */
export interface Begun {
  readonly kind: 'begun';
  readonly shards: readonly BegunShard[];
}

export interface BegunShard {
  readonly shard: ShardId;
  readonly origin: OriginId;
  /** As WelcomeShard.boundOfReceiver. */
  readonly boundOfReceiver: number;
}

export type Down = Welcome | Refuse | Batches | Beat | Begun;
