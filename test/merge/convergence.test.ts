import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MERGE_TYPE_CODES, type MergeTypeName } from '../../src/record/op.ts';
import { vectorsEqual } from '../../src/record/vector.ts';
import { SPECS } from '../spec/spec.ts';
import { executions, liveSet, normal, World, type Replica, type Step, type StepKinds } from './world.ts';

const TYPES = Object.keys(MERGE_TYPE_CODES) as MergeTypeName[];
const RUNS = { numRuns: 250 };

function checkViews(world: World, type: MergeTypeName, replicas: readonly Replica[]): void {
  for (const { name, state, history } of replicas) {
    const expected = SPECS[type](history, world.nowMs);
    expect(`${name} ${normal(world.merge.view(state, world.nowMs))}`).toBe(`${name} ${normal(expected)}`);
  }
}

function checkDigests(world: World): void {
  for (const [i, a] of world.replicas.entries()) {
    for (const b of world.replicas.slice(i + 1)) {
      if (!vectorsEqual(a.vector, b.vector)) continue;
      expect([a.name, b.name, ...liveSet(world, a.state)]).toEqual([a.name, b.name, ...liveSet(world, b.state)]);
    }
  }
}

function holdsThroughout(type: MergeTypeName, kinds: StepKinds): void {
  fc.assert(
    fc.property(executions(type, kinds), (steps: Step[]) => {
      const world = new World(type);
      for (const step of steps) {
        checkViews(world, type, world.run(step));
        checkDigests(world);
      }
      world.settle();
      checkViews(world, type, world.replicas);
      checkDigests(world);
      // And equal to a region that got every op alone, in another order, and collected nothing.
      const plain = new World(type);
      plain.nowMs = world.nowMs;
      plain.ops.push(...world.ops);
      plain.deliver(plain.replicas[0]!, 7, world.ops.length);
      expect(plain.replicas[0]!.history.length).toBe(world.ops.length);
      expect(liveSet(world, world.replicas[0]!.state)).toEqual(liveSet(plain, plain.replicas[0]!.state));
    }),
    RUNS,
  );
}

describe.each(TYPES)('%s', (type) => {
  test('I3: every region shows what the specification makes of the ops it has, in any causal order', () => {
    holdsThroughout(type, {});
  });

  test('I3: merging whole states, mixed with ops, gives the same', () => {
    holdsThroughout(type, { sync: true });
  });

  test('I9: collecting at a safe floor changes nothing, now or later', () => {
    holdsThroughout(type, { collect: true });
  });

  test('I9: nor does it when whole states are merged with regions that have not collected', () => {
    holdsThroughout(type, { collect: true, sync: true });
  });
});
