// What is put on the stage: regions and their settings. Three of our own, or those of somebody's configuration.
//
// Of a configuration stays what decides how regions behave: their names, placements, collections, limits and times. What only fits the
// place that it was written for goes: addresses, directories, certificates, servers, where logs and traces go, and the size of segments (so that a small disk runs full).

import { parse } from 'yaml';
import { loadConfig, readConfigFile } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import { COLLECTIONS, type CollectionName, type ConfigRecord } from '../history/records.ts';

const REGIONS_MIN = 3;
const MEBIBYTE = 1024 * 1024;
/** A log writes on into what it has set aside already: small segments run into a full disk soon. */
const SEGMENT_BYTES = 2 * MEBIBYTE;
const MAX_SKEW_MS = 2000;

type Settings = Readonly<Record<string, unknown>>;

export interface Subject {
  readonly regions: readonly string[];
  readonly namespace: string;
  /** What the collections of a history are called there. */
  readonly collections: Readonly<Record<CollectionName, string>>;
  readonly maxSkewMs: number;
  /** Of a node, in the shape of its config file, beside its addresses and directory. */
  readonly settings: (region: string) => Settings;
  /** Beside those, where regions are of several nodes: of all nodes, and under `nats`. */
  readonly ofSeveralNodes?: { readonly settings: Settings; readonly nats: (region: string) => Settings };
  /** Of somebody's configuration. */
  readonly config?: ConfigRecord;
}

function ownNames(): Record<CollectionName, string> {
  return Object.fromEntries(Object.keys(COLLECTIONS).map((name) => [name, name])) as Record<CollectionName, string>;
}

const OWN_REGIONS = ['us-east', 'eu-west', 'ap-south'];

export const OWN_SUBJECT: Subject = {
  regions: OWN_REGIONS,
  namespace: 'chaos',
  collections: ownNames(),
  maxSkewMs: MAX_SKEW_MS,
  settings: () => ({
    maxSkewMs: MAX_SKEW_MS,
    storage: { segmentBytes: SEGMENT_BYTES },
    namespaces: [{ name: 'chaos' }],
    collections: definitionsOf('chaos', ownNames()),
  }),
  ofSeveralNodes: {
    // With three regions of two nodes and their servers on one machine each shard is work.
    settings: { placements: [{ id: 1, name: 'default', shards: 4, regions: OWN_REGIONS }] },
    nats: () => ({}),
  },
};

function definitionsOf(namespace: string, names: Readonly<Record<string, string>>): object[] {
  return Object.entries(names).map(([own, name]) => ({ namespace, name, type: COLLECTIONS[own as CollectionName] }));
}

/**
 * From config files of one cluster, one a region or one for all. The traffic goes into their collections, one of each merge type; of a type
 * that they lack one is added. Throws CONFIG_INVALID.
 */
export function subjectOf(files: readonly string[]): Subject {
  const loaded = files.map((file) => {
    const source = readConfigFile(file);
    // This shell's environment is of some node and not of all of them.
    const { config } = loadConfig({ file: source, env: {}, flags: [], directory: source.directory });
    return { file, config, raw: parse(source.text) as Settings };
  });
  const first = loaded[0]!;
  const regions = first.config.regions.map(({ name }) => name);
  const names = regions.join(', ');
  if (regions.length < REGIONS_MIN) {
    throw refused(
      `expected a cluster of at least ${REGIONS_MIN} regions; ${first.file} names ${regions.length} (${names})`,
      'Scenarios break one region or one wire while others go on.',
    );
  }
  const byRegion = new Map<string, Settings>();
  for (const { file, config, raw } of loaded) {
    if (config.regions.map(({ name }) => name).join() !== regions.join())
      throw refused(`${file} is of another cluster than ${first.file}: its regions are not ${names}`);
    if (byRegion.has(config.region)) throw refused(`${file} is a second file of region ${config.region}`);
    byRegion.set(config.region, raw);
  }
  const namespace = namespaceOf(first.config, regions);
  if (namespace === undefined) {
    throw refused(
      `no namespace of ${first.file} is held in all of ${names}`,
      'What some regions do not hold cannot be compared in all of them.',
    );
  }
  const collections = ownNames();
  const added: Record<string, string> = {};
  for (const own of Object.keys(COLLECTIONS) as CollectionName[]) {
    const theirs = first.config.collections.find(
      (each) => each.namespace === namespace && each.type === COLLECTIONS[own],
    );
    collections[own] = theirs?.name ?? `chaos-${own}`;
    if (theirs === undefined) added[own] = collections[own];
  }
  return {
    regions,
    namespace,
    collections,
    maxSkewMs: first.config.maxSkewMs,
    settings: (region) => settingsOf(byRegion.get(region) ?? first.raw, definitionsOf(namespace, added)),
    ofSeveralNodes: { settings: {}, nats: (region) => natsSettingsOf(byRegion.get(region) ?? first.raw) },
    config: { files, namespace, collections: Object.values(collections), added: Object.values(added) },
  };
}

function namespaceOf(config: Config, regions: readonly string[]): string | undefined {
  const everywhere = new Set(
    config.placements
      .filter((placement) => regions.every((name) => placement.regions.includes(name)))
      .map(({ name }) => name),
  );
  return config.namespaces.find(({ placement }) => placement === undefined || everywhere.has(placement))?.name;
}

function settingsOf(raw: Settings, added: readonly object[]): Settings {
  const {
    region: _region,
    node: _node,
    dataDir: _dataDir,
    listeners: _listeners,
    regions: _regions,
    // What it stands on is the scenario's to say, and on this machine.
    engine: _engine,
    advertise: _advertise,
    nats: _nats,
    redis: _redis,
    // Where it tells of itself.
    log: _log,
    tracing: _tracing,
    otlp: _otlp,
    links,
    ...kept
  } = raw;
  const { tls: _tls, ...linksKept } = (links ?? {}) as Settings;
  return {
    ...kept,
    ...(links === undefined ? {} : { links: linksKept }),
    storage: { ...(kept['storage'] as Settings | undefined), segmentBytes: SEGMENT_BYTES },
    collections: [...((kept['collections'] as readonly object[] | undefined) ?? []), ...added],
  };
}

/** Of the options of its NATS the one that decides how the region behaves. */
function natsSettingsOf(raw: Settings): Settings {
  const { ownerLeaseMs } = (raw['nats'] ?? {}) as Settings;
  return ownerLeaseMs === undefined ? {} : { ownerLeaseMs };
}

function refused(message: string, hint?: string): CausewayError {
  return new CausewayError('CONFIG_INVALID', message, hint === undefined ? {} : { hint });
}
