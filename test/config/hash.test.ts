import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { settingsHash, settingsText } from '../../src/config/hash.ts';
import { configFrom } from '../../src/config/load.ts';

type Input = Parameters<typeof configFrom>[0];

const BASE = {
  clusterId: 'c',
  region: 'us-east',
  dataDir: 'd',
  regions: [
    { name: 'us-east', peers: ['a:1'] },
    { name: 'us-west', peers: ['b:1'] },
    { name: 'eu', peers: ['c:1'] },
  ],
  placements: [
    { id: 1, name: 'everywhere', regions: ['us-east', 'us-west', 'eu'] },
    { id: 2, name: 'us', shards: 4, regions: ['us-east', 'us-west'] },
  ],
  namespaces: [
    { name: 'shop', placement: 'everywhere' },
    { name: 'users', placement: 'us' },
  ],
  collections: [
    { namespace: 'shop', name: 'carts', type: 'set-aw' },
    { namespace: 'shop', name: 'likes', type: 'counter-pn' },
    { namespace: 'users', name: 'profiles', type: 'map-lww' },
  ],
} satisfies Input;

const hashOf = (changes: Partial<Input> = {}): string => settingsHash(configFrom({ ...BASE, ...changes }));

test('the hash stays what it is: nodes of two releases compare it', () => {
  expect(settingsText(configFrom(BASE))).toBe(`collection shop/carts 1 set-aw
collection shop/likes 1 counter-pn
collection users/profiles 1 map-lww
maxSkewMs 2000
namespace shop 1
namespace users 2
placement 1 everywhere 8 eu,us-east,us-west
placement 2 us 4 us-east,us-west
region eu
region us-east
region us-west
`);
  expect(hashOf()).toBe('7a1236e4e8d08776');
});

test('the order in which things are listed does not count', () => {
  const shuffled = <T>(list: readonly T[]) => fc.shuffledSubarray([...list], { minLength: list.length });
  fc.assert(
    fc.property(
      shuffled(BASE.regions),
      shuffled(BASE.placements),
      shuffled(BASE.namespaces),
      shuffled(BASE.collections),
      shuffled(BASE.placements[0]!.regions),
      (regions, placements, namespaces, collections, members) => {
        const reordered = placements.map((each) => (each.id === 1 ? { ...each, regions: members } : each));
        expect(hashOf({ regions, placements: reordered, namespaces, collections })).toBe(hashOf());
      },
    ),
    { numRuns: 50 },
  );
});

describe('what only this node knows does not count:', () => {
  const rows: readonly (readonly [string, Partial<Input>])[] = [
    ['region and node', { region: 'eu', node: 'x' }],
    ['data directory', { dataDir: '/other' }],
    ['cluster id, which is compared by itself', { clusterId: 'other' }],
    ['listeners', { listeners: { clients: { address: '127.0.0.1:9' } } }],
    [
      'addresses and coordinates',
      { regions: BASE.regions.map((each, i) => ({ ...each, peers: [`h:${i + 1}`], coordinates: { lat: i, lon: i } })) },
    ],
    [
      'lease, heartbeat, limits, log',
      { leaseMs: 500, heartbeatMs: 50, limits: { batchOpsMax: 7 }, log: { level: 'warn' } },
    ],
  ];
  test.each(rows)('%s', (_what, changes) => {
    expect(hashOf(changes)).toBe(hashOf());
  });
});

describe('what must be equal everywhere counts:', () => {
  const rows: readonly (readonly [string, Partial<Input>])[] = [
    ['a region more', { regions: [...BASE.regions, { name: 'ap', peers: ['d:1'] }] }],
    [
      'the members of a placement',
      { placements: [BASE.placements[0]!, { ...BASE.placements[1]!, regions: ['us-east', 'eu'] }] },
    ],
    ['shards', { placements: [BASE.placements[0]!, { ...BASE.placements[1]!, shards: 8 }] }],
    [
      'the placement of a namespace',
      { namespaces: BASE.namespaces.map((each) => ({ ...each, placement: 'everywhere' })) },
    ],
    ['a collection less', { collections: BASE.collections.slice(1) }],
    [
      'the type of a collection',
      { collections: BASE.collections.map((each) => ({ ...each, type: 'register-lww' as const })) },
    ],
    ['the id of a collection', { collections: BASE.collections.map((each) => ({ ...each, id: 2 })) }],
    ['maxSkewMs', { maxSkewMs: 2001 }],
  ];
  test.each(rows)('%s', (_what, changes) => {
    expect(hashOf(changes)).not.toBe(hashOf());
  });
});
