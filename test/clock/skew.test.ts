import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EPOCH_MS, stampOfMs } from '../../src/clock/hlc.ts';
import {
  isTooFarAhead,
  judgeOwnClock,
  judgeStamp,
  offsetOf,
  OFFSET_PEERS_MAX,
  OFFSET_WINDOW,
  PeerOffsets,
  type OffsetExchange,
} from '../../src/clock/skew.ts';

const NOW_MS = EPOCH_MS + 200_000_000_000;

/** An exchange with a peer that is `offsetMs` ahead, over ways of these lengths. */
function exchange(offsetMs: number, thereMs: number, backMs: number, thinkingMs = 3): OffsetExchange {
  const remoteReceivedMs = NOW_MS + thereMs + offsetMs;
  const remoteSentMs = remoteReceivedMs + thinkingMs;
  return { sentMs: NOW_MS, remoteReceivedMs, remoteSentMs, receivedMs: NOW_MS + thereMs + thinkingMs + backMs };
}

describe('judgeStamp', () => {
  const far = stampOfMs(NOW_MS + 1001);

  function judge(offsets: Record<string, number>, stamp = far): string {
    return judgeStamp(stamp, 'ap', NOW_MS, new Map(Object.entries(offsets)), 500);
  }

  test('a healthy peer, ahead of us by what is allowed, may have believed as much again', () => {
    expect(judge({ eu: 0, sa: 0 }, stampOfMs(NOW_MS + 1000) + 4095)).toBe('right');
    expect(judge({ eu: 0, sa: 0 })).toBe('wrong');
  });

  test('beyond that the others tell whose clock is wrong', () => {
    expect(judge({ eu: 501 })).toBe('right');
    expect(judge({ eu: -500, sa: 501, us: 502 })).toBe('right');
    expect(judge({ eu: -500, sa: 501, us: 500 })).toBe('wrong');
  });

  test('and where they do not, nobody can', () => {
    expect(judge({})).toBe('unclear');
    expect(judge({ eu: -500, sa: 501 })).toBe('unclear');
  });

  test('whose stamp it is has a say only once its clock agrees with ours', () => {
    expect(judge({ ap: 501 })).toBe('unclear');
    expect(judge({ ap: 501, eu: 0 })).toBe('wrong');
    expect(judge({ ap: 500 })).toBe('wrong');
    expect(judge({ ap: 0, eu: 501 })).toBe('unclear');
  });
});

describe('isTooFarAhead', () => {
  test('I5: is about more than maxSkewMs, to the millisecond', () => {
    expect(isTooFarAhead(stampOfMs(NOW_MS + 500) + 4095, NOW_MS, 500)).toBe(false);
    expect(isTooFarAhead(stampOfMs(NOW_MS + 501), NOW_MS, 500)).toBe(true);
    expect(isTooFarAhead(1, NOW_MS, 0)).toBe(false);
  });
});

describe('offsetOf', () => {
  test('takes the round trip out', () => {
    expect(offsetOf(exchange(250, 75, 75))).toEqual({ offsetMs: 250, rttMs: 150 });
    expect(offsetOf(exchange(-40, 10, 10, 1000))).toEqual({ offsetMs: -40, rttMs: 20 });
  });

  test('is wrong by at most half the round trip, however crooked the path is', () => {
    const ms = fc.nat({ max: 1000 });
    fc.assert(
      fc.property(fc.integer({ min: -100_000, max: 100_000 }), ms, ms, ms, (offsetMs, thereMs, backMs, thinkingMs) => {
        const sample = offsetOf(exchange(offsetMs, thereMs, backMs, thinkingMs));
        expect(sample.rttMs).toBe(thereMs + backMs);
        expect(Math.abs(sample.offsetMs - offsetMs)).toBeLessThanOrEqual(sample.rttMs / 2);
      }),
    );
  });
});

describe('PeerOffsets', () => {
  test('believes the exchange with the shortest round trip, as long as it is in the window', () => {
    const offsets = new PeerOffsets();
    offsets.add('eu', exchange(0, 10, 10));
    for (let i = 1; i < OFFSET_WINDOW; i++) offsets.add('eu', exchange(0, 10, 400));
    expect(offsets.best('eu')).toEqual({ offsetMs: 0, rttMs: 20 });
    offsets.add('eu', exchange(0, 10, 400));
    expect(offsets.best('eu')).toEqual({ offsetMs: -195, rttMs: 410 });
  });

  test('follows a clock that stepped within one window, and at once when the path is as short as before', () => {
    const offsets = new PeerOffsets();
    offsets.add('eu', exchange(0, 10, 10));
    offsets.add('eu', exchange(5_000, 10, 10));
    expect(offsets.best('eu')?.offsetMs).toBe(5_000);
  });

  test('leaves out an exchange during which a clock stepped, and what is not a number', () => {
    const offsets = new PeerOffsets();
    offsets.add('eu', { ...exchange(0, 10, 10), receivedMs: NOW_MS - 1000 });
    offsets.add('us', { ...exchange(0, 10, 10), remoteSentMs: Number.NaN });
    offsets.add('us', { ...exchange(0, 10, 10), remoteSentMs: Number.NEGATIVE_INFINITY });
    expect(offsets.offsets()).toEqual(new Map());
    expect(offsets.best('eu')).toBeUndefined();
  });

  test('I12: keeps a bounded number of peers, those heard last', () => {
    const offsets = new PeerOffsets();
    for (let i = 0; i < OFFSET_PEERS_MAX; i++) offsets.add(`peer-${i}`, exchange(i, 1, 1));
    offsets.add('peer-0', exchange(0, 1, 1));
    offsets.add('one-more', exchange(7, 1, 1));
    expect(offsets.offsets().size).toBe(OFFSET_PEERS_MAX);
    expect(offsets.best('peer-0')).toBeDefined();
    expect(offsets.best('peer-1')).toBeUndefined();
    expect(offsets.best('one-more')?.offsetMs).toBe(7);
  });

  test('forgets a peer', () => {
    const offsets = new PeerOffsets();
    offsets.add('eu', exchange(1, 1, 1));
    offsets.forget('eu');
    expect(offsets.offsets().size).toBe(0);
  });
});

describe('judgeOwnClock', () => {
  const judge = (...offsetsMs: number[]) => judgeOwnClock(new Map(offsetsMs.map((ms, i) => [`peer-${i}`, ms])), 500);

  test('is ok with nobody to ask, and with one peer: nobody can tell who is wrong', () => {
    expect(judge()).toEqual({ kind: 'ok' });
    expect(judge(60_000)).toEqual({ kind: 'ok' });
  });

  test('is ok while no majority disagrees, on the same side', () => {
    expect(judge(500, -500)).toEqual({ kind: 'ok' });
    expect(judge(0, 60_000)).toEqual({ kind: 'ok' });
    expect(judge(-60_000, 60_000)).toEqual({ kind: 'ok' });
    expect(judge(0, 0, 60_000, 60_000)).toEqual({ kind: 'ok' });
    expect(judge(0, -60_000, 60_000, 60_000)).toEqual({ kind: 'ok' });
  });

  test('is unsynced when most peers are ahead, or behind', () => {
    expect(judge(501, 700)).toEqual({ kind: 'unsynced', offsetMs: 600.5, peersAgreeing: 2, peersTotal: 2 });
    expect(judge(-900, 0, -700)).toEqual({ kind: 'unsynced', offsetMs: -800, peersAgreeing: 2, peersTotal: 3 });
    expect(judge(600, 700, 60_000)).toEqual({ kind: 'unsynced', offsetMs: 700, peersAgreeing: 3, peersTotal: 3 });
  });

  test('of a group in which most clocks agree, only those that are off stop', () => {
    const offset = fc.integer({ min: -200, max: 200 });
    const clocks = fc.record({
      good: fc.array(offset, { minLength: 4, maxLength: 7 }),
      wrong: fc.array(fc.integer({ min: 2_000, max: 100_000 }), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(clocks, ({ good, wrong }) => {
        const all = [...good, ...wrong];
        const verdicts = all.map(
          (own, me) => judge(...all.filter((_, i) => i !== me).map((other) => other - own)).kind,
        );
        expect(verdicts).toEqual([...good.map(() => 'ok'), ...wrong.map(() => 'unsynced')]);
      }),
    );
  });
});
