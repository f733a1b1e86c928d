// The names of things: regions, origins, shards, collections.
// Owns: the textual forms that travel in records, tokens and logs, and the one place that parses them.
// I6  an origin is (region, incarnation); incarnations are random, never counted up, so no dot is ever used twice.

export type RegionId = string & { readonly __brand: 'RegionId' };

/** `region~incarnation`, the incarnation as 12 hex digits. ASCII, so `<` on the string is the order of origins in versions. */
export type OriginId = string & { readonly __brand: 'OriginId' };

/** `placement/index`, both decimal: one slice of one placement's key space. */
export type ShardId = string & { readonly __brand: 'ShardId' };

/** Key of one entry in a shard's state: `namespace NUL collection # id NUL key`. */
export type StateKey = string & { readonly __brand: 'StateKey' };

export const INCARNATION_MAX = 2 ** 48 - 1;
export const REGION_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
export const NAME_PATTERN = /^[a-zA-Z0-9_](?:[a-zA-Z0-9._-]{0,62}[a-zA-Z0-9_])?$/;
export const KEY_BYTES_MAX = 1024;
/** Causeway's own, in every placement: clients read it, only nodes write to it. */
export const SYSTEM_NAMESPACE = '_system';

export function isRegionName(text: string): text is RegionId {
  return REGION_PATTERN.test(text);
}

export function regionId(text: string): RegionId {
  if (!isRegionName(text)) {
    throw new RangeError(`a region's name is 1 to 32 of a-z, 0-9 and '-', not at an end; got '${text}'`);
  }
  return text;
}

export function originId(region: RegionId, incarnation: number): OriginId {
  if (!Number.isSafeInteger(incarnation) || incarnation < 0 || incarnation > INCARNATION_MAX) {
    throw new RangeError(`an incarnation is an integer from 0 to 2^48-1; got ${incarnation}`);
  }
  return `${region}~${incarnation.toString(16).padStart(12, '0')}` as OriginId;
}

export function originRegion(origin: OriginId): RegionId {
  return origin.slice(0, origin.length - 13) as RegionId;
}

export function originIncarnation(origin: OriginId): number {
  return Number.parseInt(origin.slice(origin.length - 12), 16);
}

export function isOriginId(text: string): text is OriginId {
  const tilde = text.length - 13;
  return (
    tilde > 0 &&
    text[tilde] === '~' &&
    isRegionName(text.slice(0, tilde)) &&
    /^[0-9a-f]{12}$/.test(text.slice(tilde + 1))
  );
}

export function shardId(placementId: number, index: number): ShardId {
  return `${placementId}/${index}` as ShardId;
}

export function shardParts(shard: ShardId): { placementId: number; index: number } {
  const slash = shard.indexOf('/');
  return { placementId: Number(shard.slice(0, slash)), index: Number(shard.slice(slash + 1)) };
}

/** One change's name within its shard. */
export interface Dot {
  readonly origin: OriginId;
  /** 1, 2, 3 … without a hole, per shard and origin. */
  readonly seq: number;
}

/** The order of versions: by stamp, then by origin. Total, because an origin never uses a stamp twice in a shard. */
export interface Version extends Dot {
  readonly stamp: number;
}

/** Negative when `a` is older than `b`, positive when newer, 0 when it is the same version. */
export function compareVersions(a: Version, b: Version): number {
  if (a.stamp !== b.stamp) return a.stamp - b.stamp;
  if (a.origin === b.origin) return 0;
  return a.origin < b.origin ? -1 : 1;
}
