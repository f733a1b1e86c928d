// Every verdict on a batch that came from a peer, by its header and by its deps.

import { describe, expect, test } from 'vitest';
import { stampOfMs } from '../../src/clock/hlc.ts';
import { NO_CHECKSUM, OrderedDeps, type Batch, type BatchHeader } from '../../src/record/batch.ts';
import { LocatedOps } from '../../src/record/located-ops.ts';
import { originId, shardId, type OriginId } from '../../src/record/ids.ts';
import { decideDeps, decideHeader, type Decision, type DecisionContext } from '../../src/shard/decide.ts';
import { OriginTable } from '../../src/shard/origins.ts';
import { AP, EU, SHARD, START_MS, US } from '../support/shard-kit.ts';

const own = originId(EU, 1);
const us = originId(US, 2);
const ap = originId(AP, 3);
const CHECKSUM = Buffer.alloc(8, 7);
const T = stampOfMs(START_MS);

function header(firstSeq: number, lastSeq: number, over: Partial<BatchHeader> = {}): BatchHeader {
  const firstStamp = T + firstSeq;
  return {
    shard: SHARD,
    origin: us,
    firstSeq,
    lastSeq,
    firstStamp,
    lastStamp: firstStamp + lastSeq - firstSeq,
    count: lastSeq - firstSeq + 1,
    checksum: Buffer.alloc(8, 9),
    previousChecksum: firstSeq === 1 ? NO_CHECKSUM : CHECKSUM,
    ...over,
  };
}

/** us has been taken up to seq 10, we have given out 5. */
function context(change?: (origins: OriginTable) => void): DecisionContext {
  const origins = new OriginTable();
  origins.take(header(1, 10, { checksum: CHECKSUM }), OrderedDeps.empty);
  origins.take(header(1, 5, { origin: own, checksum: CHECKSUM }), OrderedDeps.empty);
  change?.(origins);
  return {
    shard: SHARD,
    ownOrigin: own,
    origins,
    nowMs: START_MS,
    maxSkewMs: 2000,
    isMember: (region) => region === EU || region === US,
  };
}

const AHEAD = stampOfMs(START_MS + 2001);

describe('by the header', () => {
  const cases: readonly [string, BatchHeader, Partial<Decision>, ((origins: OriginTable) => void)?][] = [
    ['I2: the next one', header(11, 12), { kind: 'apply' }],
    ['I2: one that is here', header(9, 10), { kind: 'duplicate' }],
    ['I2: all of it is here, in another cut', header(3, 4), { kind: 'duplicate' }],
    ['I2: one too far', header(13, 14), { kind: 'gap', from: 11 }],
    ['the first of an origin that nobody has heard of', header(1, 3, { origin: originId(US, 99) }), { kind: 'apply' }],
    ['a later one of it', header(2, 3, { origin: originId(US, 99) }), { kind: 'gap', from: 1 }],
    ['one that straddles what is here', header(10, 11), { kind: 'fork' }],
    ['one that continues another history', header(11, 11, { previousChecksum: Buffer.alloc(8, 1) }), { kind: 'fork' }],
    ['stamps that go back', header(11, 11, { firstStamp: T + 10, lastStamp: T + 10 }), { kind: 'quarantine' }],
    [
      'I5: a stamp from the future',
      header(11, 11, { firstStamp: AHEAD, lastStamp: AHEAD }),
      { kind: 'hold', stamp: AHEAD },
    ],
    [
      'I5: what lies exactly at the bound',
      header(11, 11, { firstStamp: AHEAD - 4096, lastStamp: AHEAD - 4096 }),
      { kind: 'apply' },
    ],
    ['I10: another shard', header(11, 11, { shard: shardId(1, 1) }), { kind: 'misrouted' }],
    ['I10: a region that does not hold the shard', header(1, 1, { origin: ap }), { kind: 'misrouted' }],
    ['I6: of ours, given out', header(4, 5, { origin: own }), { kind: 'duplicate' }],
    ['I6: of ours, not given out', header(6, 6, { origin: own }), { kind: 'fork' }],
    [
      'frozen, and proven so far',
      header(11, 12),
      { kind: 'apply' },
      (origins) => (origins.freezeTaken(us, T), origins.prove(us, 12, { region: AP, stamp: T })),
    ],
    [
      'frozen, beyond what anybody holds',
      header(11, 12),
      { kind: 'frozen', upTo: 10 },
      (origins) => origins.freezeTaken(us, T),
    ],
    ['closed, up to the end', header(11, 12), { kind: 'apply' }, (origins) => origins.closeTaken(us, 12, T + 12)],
    [
      'closed, beyond the end',
      header(11, 12),
      { kind: 'beyond-end', end: 11 },
      (origins) => origins.closeTaken(us, 11, T + 11),
    ],
    [
      'a duplicate of something closed is only that',
      header(9, 10),
      { kind: 'duplicate' },
      (origins) => origins.closeTaken(us, 10, T),
    ],
    [
      'a stream that has stopped',
      header(11, 11),
      { kind: 'stopped', reason: 'why' },
      (origins) => (origins.get(us)!.hold = { kind: 'fork', sinceMs: 0, message: 'why', stamp: 0 }),
    ],
    [
      'I5: behind a batch that is held',
      header(13, 13),
      { kind: 'hold', stamp: AHEAD },
      (origins) => (origins.get(us)!.hold = { kind: 'clock', sinceMs: 0, message: '', stamp: AHEAD }),
    ],
    [
      'I5: behind one whose hold has passed',
      header(13, 13),
      { kind: 'gap', from: 11 },
      (origins) => (origins.get(us)!.hold = { kind: 'clock', sinceMs: 0, message: '', stamp: T }),
    ],
  ];
  test.each(cases)('%s', (_, batch, expected, change) => {
    expect(decideHeader(batch, context(change as (origins: OriginTable) => void))).toMatchObject(expected);
  });

  test('I4: a fork does not hide behind deps that never come', () => {
    // Identity is asked first, on the header alone.
    expect(decideHeader(header(11, 11, { previousChecksum: NO_CHECKSUM }), context()).kind).toBe('fork');
  });
});

describe('by the deps', () => {
  function batch(deps: readonly [OriginId, number][]): Batch {
    const ordered = new OrderedDeps(
      deps.map(([origin]) => origin),
      deps.map(([, seq]) => seq),
    );
    return { ...header(11, 11), deps: ordered, located: new LocatedOps(Buffer.alloc(0), []) };
  }

  test('I4: everything that its author had taken is taken here, or it waits and says for what', () => {
    expect(decideDeps(batch([[own, 5]]), context())).toEqual({ kind: 'apply' });
    const missing = [
      { origin: own, have: 5, need: 6 },
      { origin: ap, have: 0, need: 2 },
    ];
    expect(
      decideDeps(
        batch([
          [own, 6],
          [ap, 2],
        ]),
        context(),
      ),
    ).toEqual({ kind: 'wait', missing });
  });
});
