// The bounded room for batches that came too early.

import { expect, test } from 'vitest';
import { originId } from '../../src/record/ids.ts';
import type { BatchHeader } from '../../src/record/batch.ts';
import { PARKED_BATCHES_MAX, Parking, type Parked } from '../../src/region/parking.ts';
import { EU, US } from '../support/shard-kit.ts';

const eu = originId(EU, 1);
const us = originId(US, 2);

function batch(origin: typeof eu, firstSeq: number, bytes = 10): Parked {
  return { header: { origin, firstSeq } as BatchHeader, bytes: new Uint8Array(bytes) };
}

test('only the first of each origin can have become ready', () => {
  const parking = new Parking(1000);
  for (const seq of [5, 3, 9]) expect(parking.park(batch(eu, seq))).toBe('parked');
  parking.park(batch(us, 2));
  expect(parking.heads().map(({ header }) => header.firstSeq)).toEqual([3, 2]);
  parking.remove(parking.heads()[0]!);
  expect(parking.heads().map(({ header }) => header.firstSeq)).toEqual([5, 2]);
});

test('what comes twice is known and takes no room, also when there is none', () => {
  const parking = new Parking(20);
  expect(parking.park(batch(eu, 3))).toBe('parked');
  expect(parking.park(batch(eu, 3))).toBe('known');
  expect(parking.park(batch(eu, 4))).toBe('parked');
  expect(parking.park(batch(eu, 3))).toBe('known');
  expect(parking.park(batch(eu, 5))).toBe('full');
  expect(parking.count).toBe(2);
});

test('I12: bounded in bytes and in number; what leaves makes room', () => {
  const parking = new Parking(1_000_000);
  for (let i = 1; i <= PARKED_BATCHES_MAX; i++) expect(parking.park(batch(eu, i, 1))).toBe('parked');
  expect(parking.park(batch(us, 1, 1))).toBe('full');
  const [head] = parking.heads();
  parking.remove(head!);
  parking.remove(head!);
  expect(parking.count).toBe(PARKED_BATCHES_MAX - 1);
  expect(parking.park(batch(us, 1, 1))).toBe('parked');
});

test('what follows a parked batch without a hole is told from what comes after a hole', () => {
  const parking = new Parking(1000);
  const header = (firstSeq: number, lastSeq: number): BatchHeader => ({ origin: eu, firstSeq, lastSeq }) as BatchHeader;
  parking.park({ header: header(3, 5), bytes: new Uint8Array(1) });
  expect(parking.hasBefore(header(6, 9))).toBe(true);
  expect(parking.hasBefore(header(7, 9))).toBe(false);
  expect(parking.hasBefore(header(2, 2))).toBe(false);
  expect(parking.hasBefore({ ...header(6, 9), origin: us })).toBe(false);
  parking.park({ header: header(6, 9), bytes: new Uint8Array(1) });
  expect(parking.hasBefore(header(6, 9))).toBe(true);
});
