// Whose batches are taken when, by hand: who waits, who is next, what comes back as credit.

import { expect, test } from 'vitest';
import { regionId, type RegionId } from '../../src/record/ids.ts';
import {
  Intake,
  IN_FLIGHT_BYTES_MAX,
  IN_STEP_BYTES_MAX,
  ROUND_BYTES,
  WaitingBatches,
  type Taker,
} from '../../src/region/intake.ts';

const KIB = 1024;
const us = regionId('us');
const ap = regionId('ap');
const anybody = (): boolean => true;

class Link {
  answers: number[] = [];
  answered(bytes: number): void {
    this.answers.push(bytes);
  }
}

function batch(id: number, bytes = 10): Uint8Array {
  const made = new Uint8Array(bytes);
  made[0] = id;
  return made;
}

function handedOut(waiting: WaitingBatches, bytesMax: number): number[] {
  const ids: number[] = [];
  waiting.take(bytesMax, anybody, (each) => void ids.push(each[0]!));
  return ids;
}

function pushAll(waiting: WaitingBatches, from: RegionId, ids: readonly number[], link = new Link()): Link {
  for (const id of ids) expect(waiting.push(from, batch(id), link)).toBe(true);
  return link;
}

test('a peer that is behind does not hold up another: they take turns, each in its order', () => {
  const waiting = new WaitingBatches(1000, new Map());
  pushAll(waiting, us, [1, 2, 3, 4, 5]);
  pushAll(waiting, ap, [11, 12]);
  expect(handedOut(waiting, 40)).toEqual([1, 11, 2, 12]);
  expect(waiting.has(ap)).toBe(false);
  pushAll(waiting, ap, [13]);
  expect(handedOut(waiting, 1000)).toEqual([3, 13, 4, 5]);
  expect(waiting.isEmpty).toBe(true);
});

test('I8: credit comes back for what was handed out, once a stream, and not before', () => {
  const waiting = new WaitingBatches(1000, new Map());
  const link = pushAll(waiting, us, [1, 2, 3]);
  const other = pushAll(waiting, ap, [11]);
  expect(link.answers).toEqual([]);
  waiting.take(25, anybody, () => undefined);
  expect([link.answers, other.answers]).toEqual([[20], [10]]);
  waiting.drop();
  expect([link.answers, other.answers]).toEqual([[20, 10], [10]]);
  expect([waiting.bytes, waiting.isEmpty]).toEqual([0, true]);
});

test('at least one batch is handed out, however large', () => {
  const waiting = new WaitingBatches(10 * KIB, new Map());
  waiting.push(us, batch(1, 5 * KIB), new Link());
  waiting.push(us, batch(2, 5 * KIB), new Link());
  expect(handedOut(waiting, 1)).toEqual([1]);
});

test('I12: two windows of one peer wait at most; one that no window holds waits alone', () => {
  const waiting = new WaitingBatches(20, new Map());
  pushAll(waiting, us, [1, 2, 3, 4]);
  expect(waiting.push(us, batch(5), new Link())).toBe(false);
  expect(waiting.push(ap, batch(11, 100), new Link())).toBe(true);
  expect(waiting.push(ap, batch(12), new Link())).toBe(false);
  expect(waiting.bytes).toBe(140);
});

test('what is dropped in the middle of being handed out is answered once', () => {
  const waiting = new WaitingBatches(1000, new Map());
  const link = pushAll(waiting, us, [1, 2, 3]);
  waiting.take(1000, anybody, () => waiting.drop());
  expect(link.answers.reduce((a, b) => a + b)).toBe(30);
  expect(waiting.bytes).toBe(0);
});

test('only of those who are asked for', () => {
  const ofNode = new Map<RegionId, number>();
  const waiting = new WaitingBatches(1000, ofNode);
  pushAll(waiting, us, [1, 2]);
  pushAll(waiting, ap, [11]);
  expect([...ofNode]).toEqual([
    [us, 20],
    [ap, 10],
  ]);
  const ids: number[] = [];
  const take = (from: RegionId): number =>
    waiting.take(
      1000,
      (peer) => peer === from,
      (each) => void ids.push(each[0]!),
    );
  expect([take(ap), take(ap), take(us)]).toEqual([10, 0, 20]);
  expect(ids).toEqual([11, 1, 2]);
  expect([...ofNode.values()]).toEqual([0, 0]);
});

/** A shard for which so much of each peer waits; every batch is a byte. */
class Shard implements Taker {
  readonly #intake: Intake;
  readonly #waiting: Map<RegionId, number>;
  readonly taken = new Map<RegionId, number>();

  constructor(intake: Intake, waiting: readonly (readonly [RegionId, number])[]) {
    this.#intake = intake;
    this.#waiting = new Map(waiting);
    for (const [peer, bytes] of waiting) this.#count(peer, bytes);
  }

  get waitingBytes(): number {
    return [...this.#waiting.values()].reduce((a, b) => a + b, 0);
  }

  #count(peer: RegionId, bytes: number): void {
    this.#intake.waitingBytes.set(peer, (this.#intake.waitingBytes.get(peer) ?? 0) + bytes);
  }

  takeWaiting(bytesMax: number, from: (peer: RegionId) => boolean): number {
    let left = bytesMax;
    for (const [peer, waits] of this.#waiting) {
      const bytes = from(peer) ? Math.min(waits, left) : 0;
      if (bytes === 0) continue;
      left -= bytes;
      this.#waiting.set(peer, waits - bytes);
      this.#count(peer, -bytes);
      this.#intake.taken(bytes, bytes);
      this.taken.set(peer, (this.taken.get(peer) ?? 0) + bytes);
    }
    return bytesMax - left;
  }
}

test('a round takes all of those in step, and of those that we are behind of as much as a round may', () => {
  const intake = new Intake(
    () => 0,
    () => undefined,
  );
  const shards = [
    [[us, IN_STEP_BYTES_MAX] as const, [ap, 20 * KIB] as const],
    [[us, 3 * KIB] as const],
    [[us, IN_STEP_BYTES_MAX] as const, [ap, 30 * KIB] as const],
  ].map((waiting) => new Shard(intake, waiting));
  intake.round(shards);
  expect(shards.map(({ taken }) => taken.get(ap))).toEqual([20 * KIB, undefined, 30 * KIB]);
  const [first, second, third] = shards.map(({ taken }) => taken.get(us));
  expect(second).toBe(3 * KIB);
  expect(first! + third!).toBeLessThanOrEqual(ROUND_BYTES);
  expect(first! + third!).toBeGreaterThan(ROUND_BYTES - 128 * KIB);
  expect(Math.abs(first! - third!)).toBeLessThanOrEqual(64 * KIB);
});

test('I12: nothing more is taken while so much is on its way to the log, and it is said when there is room', () => {
  let said = 0;
  const intake = new Intake(
    () => 0,
    () => said++,
  );
  intake.taken(IN_FLIGHT_BYTES_MAX, 1);
  const shard = new Shard(intake, [[us, 100]]);
  intake.round([shard]);
  expect([intake.hasRoom, shard.waitingBytes]).toEqual([false, 100]);
  intake.landed(1);
  intake.landed(1);
  expect([intake.hasRoom, said]).toEqual([true, 1]);
  intake.round([shard]);
  expect(shard.waitingBytes).toBe(0);
});

test('I12: of what may wait for the store peers take half, then wait for its next transaction; it is said when there is room', () => {
  let said = 0;
  const intake = new Intake(
    () => 0,
    () => said++,
  );
  intake.storeWrote(9);
  intake.taken(100, 4);
  expect(intake.hasRoom).toBe(true);
  intake.taken(100, 4);
  expect(intake.hasRoom).toBe(false);
  const shard = new Shard(intake, [[us, 100]]);
  intake.round([shard]);
  expect(shard.waitingBytes).toBe(100);
  intake.landed(200);
  intake.storeWrote(0);
  intake.storeWrote(-3);
  expect([intake.hasRoom, said]).toEqual([false, 0]);
  intake.storeWrote(1);
  expect([intake.hasRoom, said]).toEqual([true, 1]);
});

test('a round that takes long ends, and the next one goes on with the next shard', () => {
  let nowMs = 0;
  const intake = new Intake(
    () => (nowMs += 5),
    () => undefined,
  );
  const shards = [1, 2, 3, 4].map(() => new Shard(intake, [[us, IN_STEP_BYTES_MAX]]));
  const taken = (): (number | undefined)[] => shards.map((shard) => shard.taken.get(us));
  intake.round(shards);
  expect(taken()).toEqual([64 * KIB, 64 * KIB, undefined, undefined]);
  intake.round(shards);
  expect(taken()).toEqual([64 * KIB, 64 * KIB, 64 * KIB, 64 * KIB]);
});
