// xxHash32 in words against xxhash-wasm: digests of nodes with either must be equal.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesLane } from '../../src/record/hash.ts';
import { WordHash } from '../../src/record/word-hash.ts';

test('I3: the same lanes as bytesLane, for every length, seed and place', () => {
  const seed = fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), seed, seed, fc.nat(5), (bytes, low, high, at) => {
      // What stands before and behind must not matter.
      const memory = Buffer.alloc(256 + 4 * at, 0xa5);
      memory.set(bytes, 4 * at);
      const words = new Int32Array(memory.buffer, memory.byteOffset, memory.length / 4);
      const hash = new WordHash();
      hash.hash(words, at, bytes.length, low, high);
      expect([hash.low, hash.high]).toEqual([bytesLane(bytes, low), bytesLane(bytes, high)]);
    }),
    { numRuns: 2000 },
  );
});
