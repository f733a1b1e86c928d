// The hash of what must be equal in every region, compared in the handshake of every link (reason: settings-hash).
// Order does not count: two people may list the same collections differently. The cluster's id and the protocol's version
// are compared by themselves, so that each has a message of its own.

import { textHash } from '../record/hash.ts';
import type { Config } from './schema.ts';

export function settingsHash(
  config: Pick<Config, 'regions' | 'placements' | 'namespaces' | 'collections' | 'maxSkewMs'>,
): string {
  return textHash(settingsText(config));
}

/** What is hashed: `config print --settings` shows it, so that two nodes that refuse each other can be compared with diff. */
export function settingsText(config: Parameters<typeof settingsHash>[0]): string {
  const placementIds = new Map(config.placements.map(({ name, id }) => [name, id]));
  const lines = [
    `maxSkewMs ${config.maxSkewMs}`,
    ...config.regions.map(({ name }) => `region ${name}`),
    ...config.placements.map(
      ({ id, name, shards, regions }) => `placement ${id} ${name} ${shards} ${regions.toSorted().join(',')}`,
    ),
    ...config.namespaces.map(({ name, placement }) => `namespace ${name} ${placementIds.get(placement) ?? '?'}`),
    ...config.collections.map(({ namespace, name, id, type }) => `collection ${namespace}/${name} ${id} ${type}`),
  ];
  return `${lines.toSorted().join('\n')}\n`;
}
