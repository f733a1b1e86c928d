// Who is let in, and what the others are told.

import { describe, expect, test } from 'vitest';
import { regionId } from '../../src/record/ids.ts';
import { FEATURES, helloOf, judgeHello, judgeWelcome, type Identity } from '../../src/replication/handshake.ts';
import { PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, type Hello, type Welcome } from '../../src/replication/messages.ts';

const source: Identity = {
  region: regionId('eu-west'),
  node: 'eu-1',
  instance: 'instance-eu',
  clusterId: 'prod',
  settingsHash: 'aaaaaaaaaaaaaaaaaaaa',
};
const hello = helloOf({ ...source, region: regionId('us-east'), node: 'us-1', instance: 'instance-us' });
const isRegion = (name: string): boolean => ['eu-west', 'us-east', 'ap-south'].includes(name);

describe('hello', () => {
  test('of an equal is welcome, at the common version and features', () => {
    expect(judgeHello(source, hello, isRegion)).toEqual({
      kind: 'welcome',
      protocolVersion: PROTOCOL_VERSION,
      features: FEATURES,
    });
  });

  test('of a newer version that still speaks ours is welcome', () => {
    const newer = { ...hello, protocolVersion: PROTOCOL_VERSION + 5, features: ['time-travel', ...FEATURES] };
    expect(judgeHello(source, newer, isRegion)).toMatchObject({
      kind: 'welcome',
      protocolVersion: PROTOCOL_VERSION,
      features: FEATURES,
    });
  });

  const refused: [string, Partial<Hello>, string, RegExp][] = [
    [
      'a version that is too new',
      { protocolVersion: PROTOCOL_VERSION + 2, protocolVersionMin: PROTOCOL_VERSION + 1 },
      'protocol-version',
      /eu-west \(node eu-1\) speaks protocol versions 1 to 1, us-east \(node us-1\) speaks 2 to 3; upgrade the older/,
    ],
    [
      'a version that is too old',
      { protocolVersion: PROTOCOL_VERSION_MIN - 1, protocolVersionMin: 0 },
      'protocol-version',
      /speaks 0 to 0; upgrade/,
    ],
    ['versions that are no numbers', { protocolVersion: Number.NaN }, 'protocol-version', /NaN/],
    [
      'another cluster',
      { clusterId: 'staging' },
      'cluster-id',
      /belongs to cluster 'prod', us-east \(node us-1\) to cluster 'staging'; give all regions the same clusterId/,
    ],
    [
      'our own name',
      { region: regionId('eu-west'), node: 'other' },
      'region-name',
      /two regions call themselves 'eu-west': node eu-1 and node other; rename one/,
    ],
    [
      'ourselves',
      { region: regionId('eu-west'), node: 'eu-1', instance: 'instance-eu' },
      'region-name',
      /dialled itself; take its own address out/,
    ],
    [
      'a stranger',
      { region: regionId('mars') },
      'unknown-region',
      /knows no region 'mars'; add it to the configuration/,
    ],
    [
      'other settings',
      { settingsHash: 'bbbbbbbbbbbbbbbbbbbb' },
      'settings-hash',
      /different settings \(aaaaaaaaaaaa and bbbbbbbbbbbb\); placements, shards, collections and maxSkewMs must be equal/,
    ],
  ];
  test.each(refused)('of %s is refused', (_, change, reason, message) => {
    const verdict = judgeHello(source, { ...hello, ...change }, isRegion);
    expect(verdict).toMatchObject({ kind: 'refuse', reason, message: expect.stringMatching(message) as string });
  });

  test('anything else first is a protocol error', () => {
    expect(judgeHello(source, { kind: 'ping', sentAtMs: 1 }, isRegion)).toMatchObject({
      kind: 'refuse',
      reason: 'protocol-error',
      message: 'a link starts with hello; eu-west (node eu-1) got ping',
    });
  });
});

describe('welcome', () => {
  const receiver: Identity = { ...source, region: regionId('us-east'), node: 'us-1', instance: 'instance-us' };
  const welcome: Welcome = {
    kind: 'welcome',
    protocolVersion: PROTOCOL_VERSION,
    region: regionId('eu-west'),
    node: 'eu-1',
    instance: 'instance-eu',
    features: [],
    shards: [],
  };
  const judge = (change: Partial<Welcome>): unknown =>
    judgeWelcome(receiver, regionId('eu-west'), 'eu.example:7401', { ...welcome, ...change });

  test('of whom we dialled is taken', () => {
    expect(judge({})).toBeUndefined();
  });

  test.each([
    [
      'another region',
      { region: regionId('ap-south') },
      'region-name',
      /dialled eu\.example:7401 for eu-west and reached ap-south \(node eu-1\); correct that peer's address/,
    ],
    ['ourselves', { region: regionId('us-east'), instance: 'instance-us' }, 'region-name', /reached itself/],
    ['a version that we do not speak', { protocolVersion: 9 }, 'protocol-version', /chose 9; upgrade the older/],
    ['a version below', { protocolVersion: 0 }, 'protocol-version', /chose 0/],
  ] as [string, Partial<Welcome>, string, RegExp][])('of %s is not', (_, change, reason, message) => {
    expect(judge(change)).toMatchObject({ reason, message: expect.stringMatching(message) as string });
  });
});
