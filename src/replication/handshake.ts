// What two ends of a link must agree on before anything else crosses it. Each message says what was expected, what came and
// what to do: a refusal is read by a person who has just changed a configuration.

import type { RegionId } from '../record/ids.ts';
import {
  PROTOCOL_VERSION,
  PROTOCOL_VERSION_MIN,
  type Hello,
  type RefuseReason,
  type Up,
  type Welcome,
} from './messages.ts';

/** Frames of batches may be compressed, when the receiver asks for it. */
export const COMPRESSED_FRAMES = 'compressed-frames';
/** Acks go with the heartbeat, and soon only while the source asks for it (Beat.acksSoon). */
export const ACKS_ON_DEMAND = 'acks-on-demand';
/** For so long after a source has asked for acks soon. Else they go with the heartbeat: a message for each commit, and one back, is a
 *  fifth of all that a region sends and receives, and a write that is durable locally needs none of them. */
export const ACKS_SOON_MS = 1000;
/** A region that begins anew asks where it may, and the answer binds. */
export const BEGINNINGS = 'beginnings';
/** Optional abilities of this version, by name. A feature is used only when both ends name it. */
export const FEATURES: readonly string[] = [COMPRESSED_FRAMES, ACKS_ON_DEMAND, BEGINNINGS];

/** Longer names and longer lists are cut off: they come from outside and are kept while the stream lives. */
const FEATURES_MAX = 64;

/** What a node says of itself in a handshake. */
export interface Identity {
  readonly region: RegionId;
  readonly node: string;
  readonly instance: string;
  readonly clusterId: string;
  readonly settingsHash: string;
}

export interface Refusal {
  readonly reason: RefuseReason;
  readonly message: string;
}

export type HelloVerdict =
  | { readonly kind: 'welcome'; readonly protocolVersion: number; readonly features: readonly string[] }
  | ({ readonly kind: 'refuse' } & Refusal);

export function helloOf(self: Identity): Hello {
  return {
    kind: 'hello',
    protocolVersion: PROTOCOL_VERSION,
    protocolVersionMin: PROTOCOL_VERSION_MIN,
    clusterId: self.clusterId,
    region: self.region,
    node: self.node,
    settingsHash: self.settingsHash,
    features: FEATURES,
    instance: self.instance,
  };
}

/** The source's judgement of a dialling peer. */
export function judgeHello(self: Identity, message: Up, isRegion: (name: string) => boolean): HelloVerdict {
  const me = `${self.region} (node ${self.node})`;
  if (message.kind !== 'hello') {
    return refuse('protocol-error', `a link starts with hello; ${me} got ${message.kind}`);
  }
  const peer = `${message.region} (node ${message.node})`;
  const protocolVersion = Math.min(PROTOCOL_VERSION, message.protocolVersion);
  if (
    !Number.isSafeInteger(message.protocolVersion) ||
    !Number.isSafeInteger(message.protocolVersionMin) ||
    protocolVersion < PROTOCOL_VERSION_MIN ||
    protocolVersion < message.protocolVersionMin
  ) {
    return refuse(
      'protocol-version',
      `${me} speaks protocol versions ${PROTOCOL_VERSION_MIN} to ${PROTOCOL_VERSION}, ` +
        `${peer} speaks ${message.protocolVersionMin} to ${message.protocolVersion}; upgrade the older of the two`,
    );
  }
  if (message.clusterId !== self.clusterId) {
    return refuse(
      'cluster-id',
      `${me} belongs to cluster '${self.clusterId}', ${peer} to cluster '${message.clusterId}'; ` +
        `give all regions the same clusterId, or correct the peer's address if they are not meant to meet`,
    );
  }
  if (message.region === self.region) {
    return refuse(
      'region-name',
      message.instance === self.instance
        ? `${me} dialled itself; take its own address out of its list of peers`
        : `two regions call themselves '${self.region}': node ${self.node} and node ${message.node}; ` +
            `rename one, or take the address out of the list of peers if both are nodes of one region`,
    );
  }
  if (!isRegion(message.region)) {
    return refuse(
      'unknown-region',
      `${me} knows no region '${message.region}'; add it to the configuration of ${self.region}, or correct its name there`,
    );
  }
  if (message.settingsHash !== self.settingsHash) {
    return refuse(
      'settings-hash',
      `${me} and ${peer} have different settings (${short(self.settingsHash)} and ${short(message.settingsHash)}); ` +
        `placements, shards, collections and maxSkewMs must be equal everywhere; during a rolling change this passes by itself`,
    );
  }
  return { kind: 'welcome', protocolVersion, features: commonFeatures(message.features) };
}

/** The receiver's judgement of who has answered its dial. undefined: welcome indeed. */
export function judgeWelcome(
  self: Identity,
  expected: RegionId,
  address: string,
  welcome: Welcome,
): Refusal | undefined {
  if (welcome.instance === self.instance) {
    return {
      reason: 'region-name',
      message: `${self.region} dialled ${address} for ${expected} and reached itself; correct that peer's address`,
    };
  }
  if (welcome.region !== expected) {
    return {
      reason: 'region-name',
      message:
        `${self.region} dialled ${address} for ${expected} and reached ${welcome.region} (node ${welcome.node}); ` +
        `correct that peer's address`,
    };
  }
  if (welcome.protocolVersion < PROTOCOL_VERSION_MIN || welcome.protocolVersion > PROTOCOL_VERSION) {
    return {
      reason: 'protocol-version',
      message:
        `${self.region} speaks protocol versions ${PROTOCOL_VERSION_MIN} to ${PROTOCOL_VERSION}; ` +
        `${expected} (node ${welcome.node}) chose ${welcome.protocolVersion}; upgrade the older of the two`,
    };
  }
  return undefined;
}

function refuse(reason: RefuseReason, message: string): HelloVerdict {
  return { kind: 'refuse', reason, message };
}

function commonFeatures(theirs: readonly string[]): string[] {
  return theirs.slice(0, FEATURES_MAX).filter((name) => FEATURES.includes(name));
}

function short(hash: string): string {
  return hash.slice(0, 12);
}
