import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesLane, checksum64, partitionText, shardOf, textHash, textLanes } from '../../src/record/hash.ts';
import { shardParts } from '../../src/record/ids.ts';

describe('hashes are xxHash, whoever implements it', () => {
  // From the reference implementation (https://github.com/Cyan4973/xxHash), seed 0.
  test.each([
    ['', 'ef46db3751d8e999', 0x02cc5d05],
    ['a', 'd24ec4f1a98c6e5b', 0x550d7456],
    ['abc', '44bc2cf5ad770999', 0x32d153ff],
  ])('%j', (text, hash64, hash32) => {
    const bytes = Buffer.from(text);
    expect(textHash(text)).toBe(hash64);
    expect(Buffer.from(checksum64(bytes)).reverse().toString('hex')).toBe(hash64);
    expect(textLanes(text)[0]).toBe(hash32);
    expect(bytesLane(bytes, 0) >>> 0).toBe(hash32);
  });

  test('over a view of a larger buffer, only the view counts', () => {
    const all = Buffer.from('xxabcxx');
    expect(checksum64(all.subarray(2, 5))).toEqual(checksum64(Buffer.from('abc')));
  });

  test('the lanes are independent', () => {
    const [low, high] = textLanes('abc');
    expect(low).not.toBe(high);
  });
});

describe('shardOf', () => {
  test('is pinned for ever: a change would move keys away from their data', () => {
    const at = (namespace: string, collection: string, key: string, shards: number): number =>
      shardParts(shardOf(namespace, collection, key, 1, shards)).index;
    expect([
      at('shop', 'carts', 'user-1', 8),
      at('shop', 'carts', 'user-2', 8),
      at('shop', 'stock', 'user-1', 8),
      at('other', 'carts', 'user-1', 8),
      at('shop', 'carts', 'größe-☃', 8),
      at('shop', 'carts', '', 8),
      at('shop', 'carts', 'user-1', 1024),
      at('shop', 'carts', 'user-1', 1000),
      at('shop', 'carts', 'user-1', 65_536),
      at('shop', 'carts', '{user-1}.items', 1024),
      at('shop', 'stock', 'total{user-1}', 1024),
    ]).toEqual([7, 0, 2, 6, 1, 5, 295, 647, 9511, 880, 880]);
    expect(shardOf('shop', 'carts', 'user-1', 7, 1)).toBe('7/0');
  });

  test('is the hash of the partition text, in that many shards', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        fc.string(),
        fc.integer({ min: 1, max: 65_536 }),
        (ns, name, key, shards) => {
          const hash = BigInt(`0x${textHash(partitionText(ns, name, key))}`);
          expect(shardOf(ns, name, key, 3, shards)).toBe(`3/${hash % BigInt(shards)}`);
        },
      ),
    );
  });

  test('a tag stands for the whole key, in every collection of the namespace', () => {
    expect(partitionText('shop', 'carts', '{u1}.a')).toBe(partitionText('shop', 'stock', 'b.{u1}'));
    expect(partitionText('shop', 'carts', '{u1}')).not.toBe(partitionText('other', 'carts', '{u1}'));
    // Not tags: empty, open, closed before it opens. The first pair counts.
    for (const key of ['{}', '{u1', '}u1{', 'u1}'])
      expect(partitionText('shop', 'carts', key)).toContain(`carts\u0000${key}`);
    expect(partitionText('shop', 'carts', '{a}{b}')).toBe(partitionText('shop', 'carts', '{a}'));
  });

  test('spreads ordinary keys evenly', () => {
    const counts = new Array<number>(8).fill(0);
    for (let i = 0; i < 8000; i++) counts[shardParts(shardOf('shop', 'carts', `user-${i}`, 1, 8)).index]! += 1;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
