// What trace makes of what the regions say.

import { describe, expect, test } from 'vitest';
import { storyOf, type Testimony as AnyTestimony } from '../../src/cli/key-story.ts';

type Testimony = AnyTestimony<FeedOp, View>;
import type { FeedOp, NodeConflict, NodeKeyChange, View } from '../../src/client/index.ts';

const EPOCH_MS = Date.UTC(2020, 0, 1);
const US = 'us~0123456789ab';
const EU = 'eu~ba9876543210';
const stampAt = (ms: number): number => ms * 4096;

function change(origin: string, seq: number, atMs: number, landed: readonly [number?, number?] = []): NodeKeyChange {
  return {
    version: { origin, seq, stamp: stampAt(atMs) },
    op: { kind: 'put', value: Buffer.from(`${origin.slice(0, 2)}${seq}`) },
    trace: undefined,
    offset: seq * 10,
    landedAfterMs: landed[0] === undefined ? undefined : EPOCH_MS + landed[0],
    landedBeforeMs: EPOCH_MS + (landed[1] ?? landed[0] ?? atMs),
    acknowledgedBy: [],
  };
}

function testimony(region: string, changes: NodeKeyChange[], more: Partial<Testimony> = {}): Testimony {
  return {
    region,
    history: { shard: '1/3', type: 'register-lww', value: undefined, logStart: 1 },
    changes,
    whole: true,
    conflicts: [],
    journalFromMs: 0,
    ...more,
  };
}

function valueOf(of: NodeKeyChange): View {
  return { type: 'register-lww', value: Buffer.from('x'), version: of.version, expiresAtMs: undefined };
}

function conflict(loser: NodeKeyChange, winner: NodeKeyChange, field?: string): NodeConflict {
  const collection = { namespace: 'n', name: 'c', id: 1, type: 'register-lww' as const };
  return {
    atMs: 0,
    shard: '1/3',
    collection,
    key: 'k',
    field,
    loser: loser.version,
    loserValue: Buffer.from('x'),
    loserExpiresAtMs: undefined,
    winner: winner.version,
    winnerDeletes: false,
  };
}

const first = change(US, 1, 1000);
const second = change(EU, 1, 1040);

test('a lost update: both writes, who lost to whom, and what readers see', () => {
  const story = storyOf(
    [
      testimony('us', [{ ...second, landedAfterMs: EPOCH_MS + 1130, landedBeforeMs: EPOCH_MS + 1130 }, first], {
        conflicts: [conflict(first, second)],
        history: { shard: '1/3', type: 'register-lww', value: valueOf(second), logStart: 1 },
      }),
      testimony('eu', [{ ...first, landedAfterMs: EPOCH_MS + 1090, landedBeforeMs: EPOCH_MS + 1140 }, second]),
    ],
    10,
  );
  expect(story.writes.map(({ region, fates }) => ({ region, fates }))).toEqual([
    { region: 'us', fates: [{ kind: 'lost', to: second.version, deleted: false }] },
    { region: 'eu', fates: [{ kind: 'visible' }] },
  ]);
  expect(story.writes[0]!.landings).toEqual([
    { region: 'us', kind: 'own', offset: 10 },
    { region: 'eu', kind: 'landed', offset: 10, afterMs: 90, beforeMs: 140 },
  ]);
  expect(story.writes[1]!.landings[0]).toEqual({ region: 'us', kind: 'landed', offset: 10, afterMs: 90, beforeMs: 90 });
  expect(story).toMatchObject({ shard: '1/3', older: false });
});

describe('what is not there', () => {
  test('is on its way when the region told all it has, and not known when it did not', () => {
    const told = (more: Partial<Testimony>) => storyOf([testimony('us', [first]), testimony('eu', [], more)], 10);
    expect(told({}).writes[0]!.landings[1]).toEqual({ region: 'eu', kind: 'missing' });
    expect(told({ whole: false }).writes[0]!.landings[1]).toEqual({ region: 'eu', kind: 'unknown' });
    const trimmed = { shard: '1/3', type: 'register-lww' as const, value: undefined, logStart: 7 };
    expect(told({ history: trimmed }).writes[0]!.landings[1]).toEqual({ region: 'eu', kind: 'unknown' });
    expect(told({ history: trimmed }).older).toBe(true);
  });

  test('a replaced write is told to be without conflict only where its region was asked and its journal goes back so far', () => {
    const replaced = (own: Testimony[]) => storyOf([...own, testimony('ap', [second, first])], 10).writes[0]!.fates;
    expect(replaced([])).toEqual([{ kind: 'replaced', by: second.version, noConflict: false }]);
    expect(replaced([testimony('us', [first])])).toMatchObject([{ noConflict: true }]);
    expect(replaced([testimony('us', [first], { journalFromMs: EPOCH_MS + 2000 })])).toMatchObject([
      { noConflict: false },
    ]);
  });
});

test('the newest are kept, in the order in which versions win', () => {
  const changes = [5, 3, 4, 1, 2].map((seq) => change(US, seq, seq * 100));
  const { writes, older } = storyOf([testimony('us', changes)], 3);
  expect(writes.map(({ version }) => version.seq)).toEqual([3, 4, 5]);
  expect(older).toBe(true);
});

test('a map: fields that are seen, and fields that were lost', () => {
  const value: View = { type: 'map-lww', fields: [{ field: 'gate', value: Buffer.from('1'), version: first.version }] };
  const history = { shard: '1/3', type: 'map-lww' as const, value, logStart: 1 };
  const { writes } = storyOf(
    [testimony('us', [second, first], { history, conflicts: [conflict(first, second, 'crew')] })],
    9,
  );
  expect(writes[0]!.fates).toEqual([
    { kind: 'visible', fields: ['gate'] },
    { kind: 'lost', to: second.version, deleted: false, field: 'crew' },
  ]);
  expect(writes[1]!.fates).toEqual([]);
});

test('the clocks may make it look as if it landed before it was written', () => {
  const early = { ...first, landedAfterMs: EPOCH_MS + 990, landedBeforeMs: EPOCH_MS + 990 };
  const [write] = storyOf([testimony('eu', [early])], 9).writes;
  expect(write!.landings[0]).toMatchObject({ afterMs: -10, beforeMs: -10 });
});
