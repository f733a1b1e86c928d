import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { realSystem } from '../../src/system/real.ts';

const { clock, timers, random } = realSystem();

describe('clock', () => {
  test('nowMs is whole unix milliseconds', () => {
    expect(Number.isInteger(clock.nowMs())).toBe(true);
    expect(Math.abs(clock.nowMs() - Date.now())).toBeLessThan(1000);
  });

  test('monotonicMs never goes back and has a fraction', () => {
    const readings = Array.from({ length: 1000 }, () => clock.monotonicMs());
    expect(readings).toEqual(readings.toSorted((a, b) => a - b));
    expect(readings.some((ms) => !Number.isInteger(ms))).toBe(true);
  });
});

describe('timers', () => {
  test('after fires once, not early', async () => {
    const startedMs = clock.monotonicMs();
    let fired = 0;
    await new Promise<void>((resolve) => {
      timers.after(20, () => {
        fired += 1;
        resolve();
      });
    });
    // Node's timers run on whole milliseconds, so they may seem up to one early.
    expect(clock.monotonicMs() - startedMs).toBeGreaterThanOrEqual(19);
    expect(fired).toBe(1);
  });

  test('a cancelled timer does not fire; cancelling again, or after it fired, does nothing', async () => {
    let fired = 0;
    const cancelled = timers.after(1, () => (fired += 1));
    cancelled.cancel();
    cancelled.cancel();
    const handle = await new Promise<{ cancel(): void }>((resolve) => {
      const late = timers.after(10, () => resolve(late));
    });
    handle.cancel();
    expect(fired).toBe(0);
  });

  test('every repeats until it is cancelled, also from within its callback', async () => {
    let fired = 0;
    await new Promise<void>((resolve) => {
      const handle = timers.every(1, () => {
        fired += 1;
        if (fired < 3) return;
        handle.cancel();
        timers.after(15, resolve);
      });
    });
    expect(fired).toBe(3);
  });

  test('soon runs after promises and before a timer that is not due yet', async () => {
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      timers.soon(() => {
        timers.after(200, () => {
          order.push('timer');
          resolve();
        });
        timers.soon(() => order.push('soon'));
        queueMicrotask(() => order.push('promise'));
      });
    });
    expect(order).toEqual(['promise', 'soon', 'timer']);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31])(
    'a delay of %d is refused: Node would make it 1 ms',
    (ms) => {
      expect(() => timers.after(ms, () => {})).toThrow(RangeError);
      expect(() => timers.every(ms, () => {})).toThrow(RangeError);
    },
  );

  test('a negative delay means now, a period below 1 ms is refused', async () => {
    await new Promise<void>((resolve) => {
      timers.after(-5, resolve);
    });
    expect(() => timers.every(0, () => {})).toThrow(RangeError);
  });

  test.each(['after(1, fail)', 'every(1, fail)', 'soon(fail)'])('an error in %s ends the process', (call) => {
    const url = new URL('../../src/system/real.ts', import.meta.url).href;
    const tsx = fileURLToPath(import.meta.resolve('tsx'));
    const script = `import { realSystem } from ${JSON.stringify(url)};
      const fail = () => { throw new Error('half changed'); };
      realSystem().timers.${call};`;
    const done = spawnSync(process.execPath, ['--import', `file://${tsx}`, '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect(done.stderr).toContain('half changed');
    expect(done.status).toBe(1);
  });
});

describe('random', () => {
  // 20 000 draws use the pool up many times over. The bounds are loose enough to fail less than once in 10^12 runs.
  const DRAWS = 20_000;

  test('uint32 is uniform over its range', () => {
    const drawn = Array.from({ length: DRAWS }, () => random.uint32());
    expect(drawn.every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 32)).toBe(true);
    expectEvenlySpread(drawn.map((n) => n / 2 ** 32));
  });

  test('uint48 is uniform over its range and does not repeat', () => {
    const drawn = Array.from({ length: DRAWS }, () => random.uint48());
    expect(drawn.every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 48)).toBe(true);
    expect(new Set(drawn).size).toBe(DRAWS);
    expectEvenlySpread(drawn.map((n) => n / 2 ** 48));
  });

  test('float is uniform in [0, 1)', () => {
    const drawn = Array.from({ length: DRAWS }, () => random.float());
    expect(drawn.every((n) => n >= 0 && n < 1)).toBe(true);
    expectEvenlySpread(drawn);
  });

  test('two systems do not share what they draw', () => {
    const [a, b] = [realSystem().random, realSystem().random];
    expect([a.uint48(), a.uint48()]).not.toEqual([b.uint48(), b.uint48()]);
  });

  /** Each tenth of the range gets its share, give or take 7.5 standard deviations. */
  function expectEvenlySpread(drawn: readonly number[]): void {
    const tenths = new Array<number>(10).fill(0);
    for (const n of drawn) tenths[Math.floor(n * 10)]! += 1;
    const deviation = Math.sqrt(drawn.length * 0.1 * 0.9);
    for (const count of tenths) expect(Math.abs(count - drawn.length / 10)).toBeLessThan(7.5 * deviation);
  }
});
