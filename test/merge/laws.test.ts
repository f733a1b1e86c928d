// The laws of mergeStates, over states that executions have reached, each with the vector that says what it has seen.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AnyState } from '../../src/merge/merge.ts';
import { MERGE_TYPE_CODES, type MergeTypeName } from '../../src/record/op.ts';
import { dominates, joinInto, type VersionVector } from '../../src/record/vector.ts';
import { executions, normal, World } from './world.ts';

const TYPES = Object.keys(MERGE_TYPE_CODES) as MergeTypeName[];
const RUNS = { numRuns: 300 };

interface Seen {
  readonly state: AnyState | undefined;
  readonly vector: VersionVector;
}

function join(world: World, a: Seen, b: Seen): Seen {
  const vector = new Map(a.vector);
  joinInto(vector, b.vector);
  return { state: world.merge.mergeStates(a.state, a.vector, b.state, b.vector), vector };
}

function forAllStates(type: MergeTypeName, check: (world: World, a: Seen, b: Seen, c: Seen) => void): void {
  fc.assert(
    fc.property(executions(type, { sync: true, collect: true }), (steps) => {
      const world = new World(type);
      for (const step of steps) world.run(step);
      const [a, b, c] = world.replicas.map(({ state, vector }) => ({ state, vector }));
      check(world, a!, b!, c!);
    }),
    RUNS,
  );
}

describe.each(TYPES)('%s', (type) => {
  test('I3: merging states is commutative, associative and idempotent', () => {
    forAllStates(type, (world, a, b, c) => {
      expect(normal(join(world, a, b))).toBe(normal(join(world, b, a)));
      expect(normal(join(world, join(world, a, b), c))).toBe(normal(join(world, a, join(world, b, c))));
      expect(normal(join(world, a, a))).toBe(normal(a));
    });
  });

  test('I3: a state that has seen nothing new changes nothing live', () => {
    forAllStates(type, (world, a, b) => {
      const joined = join(world, a, b);
      const again = join(world, joined, b);
      expect(normal(again)).toBe(normal(joined));
      if (dominates(a.vector, b.vector)) {
        expect(normal(world.merge.view(joined.state, world.nowMs))).toBe(
          normal(world.merge.view(a.state, world.nowMs)),
        );
      }
    });
  });

  test('I3: merging leaves its arguments as they were', () => {
    forAllStates(type, (world, a, b) => {
      const before = normal([a, b]);
      join(world, a, b);
      expect(normal([a, b])).toBe(before);
    });
  });

  test('I9: what collect reports as its next stamp is exact: below it nothing goes, at it something does', () => {
    forAllStates(type, (world, { state }) => {
      if (state === undefined) return;
      const at = world.merge.collectableAt(state);
      const before = normal(state);
      if (at === undefined) {
        expect(world.merge.collect(state, Number.MAX_SAFE_INTEGER)).toBe(state);
      } else {
        expect(world.merge.collect(state, at - 1)).toBe(state);
        expect(normal(world.merge.collect(state, at))).not.toBe(before);
      }
      expect(normal(state)).toBe(before);
    });
  });
});
