// The checked configuration in the form that a node takes.

import { regionId } from '../record/ids.ts';
import type { NodeSettings } from '../region/options.ts';
import { settingsHash } from './hash.ts';
import type { Config } from './schema.ts';
import { version } from './version.ts';

const SHARED_FLUSH_MS_MAX = 500;

export function toNodeSettings(config: Config): NodeSettings {
  const own = regionId(config.region);
  const placements = config.placements.map(({ id, name, shards, regions }) => ({
    id,
    name,
    shards,
    regions: regions.map(regionId),
  }));
  const placementIds = new Map(placements.map(({ name, id }) => [name, id]));
  const neighbours = new Set(
    placements.filter(({ regions }) => regions.includes(own)).flatMap(({ regions }) => regions),
  );
  return {
    region: own,
    node: config.node,
    version: version(),
    clusterId: config.clusterId,
    settingsHash: settingsHash(config),
    placements,
    // The loader has checked that every placement is there.
    namespaces: config.namespaces.map(({ name, placement }) => ({ name, placementId: placementIds.get(placement)! })),
    collections: config.collections,
    // A region that shares no placement has nothing for this one (I10).
    peers: config.regions
      .map(({ name, peers }) => ({ region: regionId(name), addresses: peers }))
      .filter(({ region }) => region !== own && neighbours.has(region)),
    maxSkewMs: config.maxSkewMs,
    leaseMs: config.leaseMs,
    heartbeatMs: config.heartbeatMs,
    linkCompression: config.linkCompression,
    // What another node takes over it reads from the log behind the store's cursor; and a step on Redis should be small.
    storeFlushMs:
      config.engine === 'distributed' ? Math.min(config.storeFlushMs, SHARED_FLUSH_MS_MAX) : config.storeFlushMs,
    allowFreshStart: config.allowFreshStart,
    canaryMs: config.tracing.canaryMs,
    limits: {
      ...config.limits,
      // A file is read at once; servers are asked for each entry.
      rereadEntriesMax: config.engine === 'distributed' ? config.limits.rereadEntriesMax : Infinity,
    },
  };
}
