import { describe, expect, test } from 'vitest';
import { AgreedTime } from '../../src/clock/agreed-time.ts';
import { OFFSET_WINDOW } from '../../src/clock/skew.ts';

const YEAR_MS = 365 * 24 * 3_600_000;
const SKEW_MS = 500;

/** A node whose peers' clocks are right. */
class Node {
  readonly time = new AgreedTime(SKEW_MS);
  aheadMs = 0;
  monotonicMs = 0;
  peers = new Map([
    ['us', 0],
    ['ap', 0],
  ]);

  get trueMs(): number {
    return 1_000_000 + this.monotonicMs;
  }

  /** Exchanges with every peer. Offsets that were measured before a step are still given for a while, as in the window of the links. */
  run(exchanges: number): void {
    for (let i = 0; i < exchanges; i++) {
      this.monotonicMs += 100;
      for (const peer of this.peers.keys()) this.time.heard(peer);
      this.time.observe(this.trueMs + this.aheadMs, this.monotonicMs, this.peers);
    }
  }

  measured(offsetMs: number): void {
    for (const peer of this.peers.keys()) this.peers.set(peer, offsetMs);
  }

  get offMs(): number | undefined {
    const at = this.time.at(this.monotonicMs);
    return at === undefined ? undefined : at - this.trueMs;
  }
}

describe('agreed time', () => {
  test('is not known before peers have confirmed it, and is the wall clock then', () => {
    const node = new Node();
    node.run(OFFSET_WINDOW);
    expect(node.offMs).toBeUndefined();
    node.run(1);
    expect(node.offMs).toBe(0);
    node.aheadMs = SKEW_MS / 2;
    node.run(1);
    expect(node.offMs).toBe(SKEW_MS / 2);
  });

  test.each([YEAR_MS, -YEAR_MS])('a step of %i ms changes nothing, whatever old samples still say', (stepMs) => {
    const node = new Node();
    node.run(20);
    node.aheadMs = stepMs;
    node.run(OFFSET_WINDOW);
    expect(node.offMs).toBe(0);
    node.measured(-stepMs);
    node.run(100);
    expect(node.offMs).toBe(0);
    node.aheadMs = 100;
    node.measured(-100);
    node.run(OFFSET_WINDOW + 2);
    expect(node.offMs).toBe(100);
  });

  test('with nobody there to confirm it goes on with the monotonic clock', () => {
    const node = new Node();
    node.run(20);
    node.peers.clear();
    node.aheadMs = YEAR_MS;
    node.run(1000);
    expect(node.offMs).toBe(0);
  });

  test('of a node that starts alone with a wrong clock it stays unknown', () => {
    const node = new Node();
    node.peers.clear();
    node.aheadMs = YEAR_MS;
    node.run(1000);
    expect(node.offMs).toBeUndefined();
  });

  test('peers that contradict each other confirm nothing', () => {
    const node = new Node();
    node.peers.set('ap', YEAR_MS);
    node.run(100);
    expect(node.offMs).toBeUndefined();
    node.peers.set('sa', 0);
    node.run(100);
    expect(node.offMs).toBe(0);
  });
});
