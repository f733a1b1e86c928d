import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EPOCH_MS, Hlc, msOfStamp, STAMPS_PER_MS, stampOfMs } from '../../src/clock/hlc.ts';

const NOW_MS = EPOCH_MS + 200_000_000_000;

describe('stamps', () => {
  test('are milliseconds since 2020 × 4096 + counter, pinned because they stand in every log', () => {
    expect(STAMPS_PER_MS).toBe(4096);
    expect(EPOCH_MS).toBe(1_577_836_800_000);
    expect(stampOfMs(EPOCH_MS)).toBe(0);
    expect(stampOfMs(Date.UTC(2026, 0, 1))).toBe(775_736_524_800_000);
    expect(msOfStamp(775_736_524_800_000 + 4095)).toBe(Date.UTC(2026, 0, 1));
  });

  test('are exact until 2089', () => {
    expect(Number.isSafeInteger(stampOfMs(Date.UTC(2089, 0, 1)) + 4095)).toBe(true);
  });

  test('and milliseconds are each other’s inverse', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 40 }), fc.nat({ max: 4095 }), (ms, counter) => {
        expect(msOfStamp(stampOfMs(EPOCH_MS + ms) + counter)).toBe(EPOCH_MS + ms);
      }),
    );
  });

  test('ignore fractions of a millisecond, which the machine’s clock may give', () => {
    expect(stampOfMs(NOW_MS + 0.9)).toBe(stampOfMs(NOW_MS));
  });
});

describe('Hlc', () => {
  test('I5: every stamp is above all earlier ones, whatever the machine’s clock and the peers do', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('now' as const), ms: fc.integer({ min: -100_000, max: 100_000 }) }),
      fc.record({
        do: fc.constant('next' as const),
        ms: fc.integer({ min: -100_000, max: 100_000 }),
        n: fc.integer({ min: 1, max: 10_000 }),
      }),
      fc.record({ do: fc.constant('advanceTo' as const), ms: fc.integer({ min: -100_000, max: 100_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50, size: 'max' }), (steps) => {
        const hlc = new Hlc();
        let highest = 0;
        for (const each of steps) {
          const nowMs = NOW_MS + each.ms;
          if (each.do === 'advanceTo') {
            hlc.advanceTo(stampOfMs(nowMs) + 7);
            highest = Math.max(highest, stampOfMs(nowMs) + 7);
          } else {
            const n = each.do === 'next' ? each.n : 1;
            const promised = hlc.peek(nowMs);
            const first = each.do === 'next' ? hlc.next(nowMs, n) : hlc.now(nowMs);
            expect(first).toBe(promised);
            expect(first).toBeGreaterThan(highest);
            expect(first).toBeGreaterThanOrEqual(stampOfMs(nowMs));
            highest = first + n - 1;
          }
          expect(hlc.last).toBe(highest);
        }
      }),
    );
  });

  test('I5: goes on above its last stamp while the machine’s clock steps back an hour', () => {
    const hlc = new Hlc();
    const before = hlc.now(NOW_MS);
    expect(hlc.now(NOW_MS - 3_600_000)).toBe(before + 1);
    expect(hlc.now(NOW_MS + 1)).toBe(stampOfMs(NOW_MS + 1));
  });

  test('I5: starts above the bound that it is given, and never goes back to a lower stamp', () => {
    const bound = stampOfMs(NOW_MS) + 5_000_000;
    const hlc = new Hlc(bound);
    hlc.advanceTo(17);
    expect(hlc.last).toBe(bound);
    expect(hlc.now(NOW_MS)).toBe(bound + 1);
  });

  test('takes a batch of stamps in one go, also one that runs into the next milliseconds', () => {
    const hlc = new Hlc();
    expect(hlc.next(NOW_MS, 10_000)).toBe(stampOfMs(NOW_MS));
    expect(hlc.last).toBe(stampOfMs(NOW_MS) + 9_999);
    expect(hlc.now(NOW_MS + 1)).toBe(stampOfMs(NOW_MS) + 10_000);
  });

  test('peek gives nothing away', () => {
    const hlc = new Hlc();
    expect(hlc.peek(NOW_MS)).toBe(hlc.peek(NOW_MS));
    expect(hlc.last).toBe(0);
  });

  test('before 2020 still gives stamps, from 1', () => {
    expect(new Hlc().now(0)).toBe(1);
  });

  test('stops rather than give a stamp that is not exact', () => {
    const hlc = new Hlc(Number.MAX_SAFE_INTEGER - 2);
    expect(() => hlc.next(NOW_MS, 3)).toThrow('run out of stamps');
    expect(hlc.next(NOW_MS, 2)).toBe(Number.MAX_SAFE_INTEGER - 1);
    expect(() => hlc.now(NOW_MS)).toThrow('run out of stamps');
    expect(() => new Hlc().now(Number.NaN)).toThrow('broken invariant');
    expect(() => new Hlc().advanceTo(2 ** 53)).toThrow('broken invariant');
    expect(() => new Hlc().next(NOW_MS, 0)).toThrow('broken invariant');
    expect(() => new Hlc(-1)).toThrow('broken invariant');
  });
});
