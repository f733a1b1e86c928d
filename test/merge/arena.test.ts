// Pieces of memory: what was put into one stays there until it is freed, whatever is done with the others.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Arena } from '../../src/merge/arena.ts';

interface Piece {
  readonly handle: number;
  readonly bytes: number;
  readonly mark: number;
}

function fill(arena: Arena, { handle, bytes, mark }: Piece): void {
  const at = Arena.at(handle);
  arena.chunk(handle).bytes.fill(mark, at, at + bytes);
}

function isWhole(arena: Arena, { handle, bytes, mark }: Piece): boolean {
  const at = Arena.at(handle);
  return arena
    .chunk(handle)
    .bytes.subarray(at, at + bytes)
    .every((byte) => byte === mark);
}

const size = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 700 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 300_000 }) },
);

test('no two pieces share a byte, and all memory is given back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ size, frees: fc.integer({ min: 0, max: 2 }) }), { maxLength: 200 }),
      fc.infiniteStream(fc.nat()),
      (steps, picks) => {
        const arena = new Arena();
        const pieces: Piece[] = [];
        let mark = 0;
        for (const step of steps) {
          const piece = { handle: arena.allocate(step.size), bytes: step.size, mark: (mark++ % 255) + 1 };
          expect(Arena.at(piece.handle) % 16).toBe(0);
          fill(arena, piece);
          pieces.push(piece);
          for (let left = step.frees; left > 0 && pieces.length > 0; left--) {
            const [gone] = pieces.splice((picks.next().value as number) % pieces.length, 1);
            expect(isWhole(arena, gone!)).toBe(true);
            arena.free(gone!.handle, gone!.bytes);
          }
        }
        for (const piece of pieces) {
          expect(isWhole(arena, piece)).toBe(true);
          arena.free(piece.handle, piece.bytes);
        }
        expect(arena.bytes).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

test('what was freed is used again for pieces of the same rounded size', () => {
  const arena = new Arena();
  const handle = arena.allocate(100);
  expect(Arena.same(100, 97)).toBe(true);
  expect(Arena.same(100, 113)).toBe(false);
  arena.free(handle, 97);
  expect(arena.allocate(112)).toBe(handle);
});

test('rounding costs at most a quarter above 512 bytes, and 15 bytes below', () => {
  for (let bytes = 1; bytes < 100_000; bytes += 37) {
    const arena = new Arena();
    arena.allocate(bytes);
    expect(arena.bytes).toBeGreaterThanOrEqual(bytes);
    expect(arena.bytes - bytes).toBeLessThanOrEqual(bytes <= 512 ? 15 : bytes / 4 + 16);
  }
});

test('a large piece has memory of its own, which goes with it', () => {
  const arena = new Arena();
  const small = arena.allocate(10);
  const large = arena.allocate(5_000_000);
  expect(arena.chunk(large).bytes.length).toBeGreaterThanOrEqual(5_000_000);
  expect(arena.chunk(large)).not.toBe(arena.chunk(small));
  arena.free(large, 5_000_000);
  const again = arena.allocate(6_000_000);
  expect(arena.chunk(again).bytes.length).toBeGreaterThanOrEqual(6_000_000);
  expect(Arena.at(again)).toBe(0);
});
