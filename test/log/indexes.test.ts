// I12: the indexes stay within their bounds, and are early at worst.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchIndex } from '../../src/log/batch-index.ts';
import { PositionIndex } from '../../src/log/position-index.ts';
import { CachedTail, TailCache } from '../../src/log/tail-cache.ts';
import type { StoredEntry } from '../../src/log/log.ts';
import { originOf } from '../contract/log.ts';

const origin = originOf('us-east', 1);

describe('batches by seq', () => {
  test('never late, whatever order, gaps and overlaps the batches have', () => {
    const batch = fc.record({ firstSeq: fc.integer({ min: 1, max: 400 }), count: fc.integer({ min: 1, max: 30 }) });
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 300 }), (batches) => {
        const index = new BatchIndex();
        batches.forEach(({ firstSeq, count }, i) =>
          index.add({ origin, firstSeq, lastSeq: firstSeq + count - 1 }, i + 1),
        );
        for (let seq = 1; seq < 450; seq += 3) {
          const holds = batches.findIndex(({ firstSeq, count }) => firstSeq <= seq && seq < firstSeq + count);
          const later = batches.findIndex(({ firstSeq, count }) => firstSeq + count - 1 >= seq);
          const exact = holds >= 0 ? holds : later;
          const found = index.find(origin, seq);
          if (exact < 0) expect(found).toBeUndefined();
          else expect(found).toBeLessThanOrEqual(exact + 1);
        }
      }),
    );
  });

  test('a long stream stays within its points and is found near where it is', () => {
    const index = new BatchIndex();
    const batches = 600_000;
    for (let i = 1; i <= batches; i++) index.add({ origin, firstSeq: i * 10, lastSeq: i * 10 + 9 }, i);
    for (const at of [1, 2, 31, 32, 33, 1000, 299_999, 599_999, 600_000]) {
      const found = index.find(origin, at * 10 + 5)!;
      expect(found).toBeLessThanOrEqual(at);
      // 4096 points for 600,000 batches: at most 512 apart after three doublings and a half.
      expect(at - found).toBeLessThan(513);
    }
    expect(index.find(origin, batches * 10 + 10)).toBeUndefined();
  });
});

describe('entries by offset', () => {
  test('a large log stays within its points; a position is never after its entry', () => {
    const index = new PositionIndex();
    const entryBytes = 100_000;
    const entries = 200_000; // 20 GB
    for (let i = 1; i <= entries; i++) index.add(i, i * entryBytes);
    for (const offset of [1, 2, 3, 5000, 123_456, entries]) {
      const position = index.find(offset)!;
      expect(position).toBeLessThanOrEqual(offset * entryBytes);
      expect(offset * entryBytes - position).toBeLessThan(4 * 1024 * 1024);
    }
    expect(index.find(0)).toBeUndefined();
    index.resumeAt(5000, 5000 * entryBytes);
    expect(index.find(5000)).toBe(5000 * entryBytes);
  });

  test('where readers go on is remembered for the last few', () => {
    const index = new PositionIndex();
    index.add(1, 0);
    for (let offset = 1; offset <= 100; offset++) index.resumeAt(offset, offset);
    expect(index.find(100)).toBe(100);
    expect(index.find(50)).toBe(0);
  });
});

describe('the tail cache', () => {
  test('holds a run that ends at the tail, for every shard, within its bound', () => {
    const bytesMax = 1024 * 1024;
    const cache = new TailCache(bytesMax);
    const tails = [new CachedTail(), new CachedTail(), new CachedTail()];
    const next = tails.map(() => 1);
    for (let i = 0; i < 40_000; i++) {
      // One shard is nearly silent: what it has goes all the same when its time has come.
      const shard = i % 1000 === 0 ? 2 : i % 2;
      const length = 20 + (i % 200);
      const { memory, at } = cache.allocate(length);
      memory.fill(next[shard]! & 0xff, at, at + length);
      const offset = next[shard]!++;
      cache.add(tails[shard]!, { kind: 'barrier', offset }, memory, at, length);
      if (i % 10 === 0) cache.trim();
      expect(cache.bytes).toBeLessThan(bytesMax + 128 * 1024);
    }
    cache.trim();
    expect(cache.bytes).toBeLessThanOrEqual(bytesMax);
    for (const [shard, tail] of tails.entries()) {
      const { from } = tail;
      if (from === undefined) continue;
      const entries = tail.take(from, 1e9);
      expect(entries.map(({ offset }) => offset)).toEqual(
        Array.from({ length: next[shard]! - from }, (_, i) => from + i),
      );
      for (const { offset, bytes } of entries) expect(bytes.every((byte) => byte === (offset & 0xff))).toBe(true);
    }
    // Half of what the bound allows is there: 2,500 entries of 120 bytes and what they cost beside.
    expect(tails[0]!.take(tails[0]!.from!, 1e9).length).toBeGreaterThan(1000);
  });

  test('what was read stays as it was when its memory is filled again, also over the ends of chunks', () => {
    const cache = new TailCache(256 * 1024);
    const [tail, other] = [new CachedTail(), new CachedTail()];
    const read: StoredEntry[] = [];
    const memories = new Set<Buffer>();
    for (let offset = 1; offset <= 5000; offset++) {
      const { memory, at } = cache.allocate(300);
      memories.add(memory);
      memory.fill(offset & 0xff, at, at + 300);
      cache.add(tail, { kind: offset % 7 === 0 ? 'lease' : 'batch', offset }, memory, at, 300);
      cache.copy(other, { kind: 'barrier', offset, bytes: Buffer.alloc(100, 0xee) });
      // Each of them once, as a reader does that follows two hundred entries behind.
      if (offset % 200 === 0) read.push(...tail.take(offset - 199, 1e9));
      cache.trim();
    }
    expect(memories.size).toBeLessThan(12);
    expect(read.map(({ offset }) => offset)).toEqual(Array.from({ length: 5000 }, (_, i) => i + 1));
    for (const { offset, kind, bytes } of read) {
      expect([kind, bytes.length]).toEqual([offset % 7 === 0 ? 'lease' : 'batch', 300]);
      expect(bytes.every((byte) => byte === (offset & 0xff))).toBe(true);
    }
    // As many as the bytes allow, and one in any case.
    const { from } = tail;
    expect(tail.take(from! + 5, 999).map(({ offset }) => offset - from!)).toEqual([5, 6, 7]);
    expect(tail.take(from! + 5, 1)).toHaveLength(1);
    tail.forget();
    expect(tail.from).toBeUndefined();
    cache.copy(tail, { kind: 'batch', offset: 9000, bytes: Buffer.from('x') });
    expect(tail.take(9000, 1e9)).toEqual([{ kind: 'batch', offset: 9000, bytes: Buffer.from('x') }]);
  });

  test('an entry larger than the cache is written and then not kept with others', () => {
    const cache = new TailCache(100_000);
    const tail = new CachedTail();
    for (let offset = 1; offset <= 5; offset++) {
      const { memory, at } = cache.allocate(1_000_000);
      cache.add(tail, { kind: 'batch', offset }, memory, at, 1_000_000);
      cache.trim();
    }
    expect(tail.from).toBe(5);
    expect(cache.bytes).toBeLessThan(1_100_000);
  });
});
