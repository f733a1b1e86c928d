import { expect, test } from 'vitest';
import { settingsHash } from '../../src/config/hash.ts';
import { configFrom } from '../../src/config/load.ts';
import { toNodeSettings } from '../../src/config/node-settings.ts';
import { version } from '../../src/config/version.ts';

test('a checked configuration becomes what a node takes', () => {
  const config = configFrom({
    clusterId: 'c',
    region: 'us-east',
    dataDir: 'd',
    regions: [
      { name: 'us-east', peers: ['a:1'] },
      { name: 'us-west', peers: ['b:1', 'b:2'] },
      { name: 'eu', peers: ['c:1'] },
    ],
    placements: [
      { id: 7, name: 'us', shards: 4, regions: ['us-east', 'us-west'] },
      { id: 8, name: 'old-world', regions: ['eu', 'us-west'] },
    ],
    namespaces: [{ name: 'shop', placement: 'us' }],
    collections: [{ namespace: 'shop', name: 'carts', type: 'set-aw' }],
  });
  const settings = toNodeSettings(config);
  expect(settings).toMatchObject({
    region: 'us-east',
    node: 'us-east-1',
    clusterId: 'c',
    version: version(),
    settingsHash: settingsHash(config),
    namespaces: [{ name: 'shop', placementId: 7 }],
    collections: [{ namespace: 'shop', name: 'carts', id: 1, type: 'set-aw' }],
    maxSkewMs: 2000,
    leaseMs: 1000,
    heartbeatMs: 100,
    storeFlushMs: 30_000,
    allowFreshStart: false,
  });
  expect(settings.placements.map(({ id }) => id)).toEqual([7, 8]);
});

test('I10: a region that shares no placement with this one is no peer', () => {
  const settings = toNodeSettings(
    configFrom({
      clusterId: 'c',
      region: 'us-east',
      dataDir: 'd',
      regions: [
        { name: 'us-east', peers: ['a:1'] },
        { name: 'us-west', peers: ['b:1'] },
        { name: 'eu', peers: ['c:1'] },
      ],
      placements: [
        { id: 1, name: 'us', regions: ['us-east', 'us-west'] },
        { id: 2, name: 'old-world', regions: ['eu', 'us-west'] },
      ],
    }),
  );
  expect(settings.peers).toEqual([{ region: 'us-west', addresses: ['b:1'] }]);
});
