// What merges report as displaced, and what of that is a conflict by DESIGN 6: judged once, in the loser's origin region, and a
// conflict iff the op that displaced it there had not seen it.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Displaced, Intent } from '../../src/merge/types.ts';
import { originRegion } from '../../src/record/ids.ts';
import { newestOfField, writesField } from '../spec/map-lww.ts';
import { dotName, hadSeen, isNewer, newest, type SpecOp } from '../spec/history.ts';
import { executions, normal, World, type Replica } from './world.ts';

const put = (text: string): Intent => ({ kind: 'put', value: Buffer.from(text) });
const erase: Intent = { kind: 'delete' };

function regionOf(op: SpecOp): string {
  return originRegion(op.version.origin);
}

/** What the engine would put into the journal of this region. */
function conflictsOf(replica: Replica): string[] {
  return replica.displaced
    .filter(({ by, lost }) => originRegion(lost.loser.origin) === replica.name && !by.seen.has(dotName(lost.loser)))
    .map(({ by, lost }) => `${dotName(by.version)} over ${dotName(lost.loser)} ${lost.field ?? ''}`);
}

function allConflicts(world: World): string[] {
  return world.replicas.flatMap(conflictsOf).sort();
}

function firstAfter(history: readonly SpecOp[], op: SpecOp, matters: (later: SpecOp) => boolean): SpecOp | undefined {
  return history.slice(history.indexOf(op) + 1).find((later) => isNewer(later, op) && matters(later));
}

describe('register-lww', () => {
  test.each([
    ['two puts', put('a'), put('b')],
    ['a put and a later delete', put('a'), erase],
    ['a delete and a later put', erase, put('b')],
    ['two deletes', erase, erase],
  ])('two concurrent writes are one conflict across all regions: %s', (_, first, second) => {
    const order = fc.array(fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 9 })), { maxLength: 8 });
    fc.assert(
      fc.property(order, fc.boolean(), (deliveries, withPast) => {
        const world = new World('register-lww');
        const [ap, eu] = world.replicas;
        if (withPast) {
          world.write(ap!, put('past'));
          world.settle();
        }
        const lower = world.write(ap!, first);
        world.nowMs += 1;
        const higher = world.write(eu!, second);
        for (const [to, pick] of deliveries) world.deliver(world.replicas[to]!, pick, 1);
        world.settle();
        expect(allConflicts(world)).toEqual([`${dotName(higher.version)} over ${dotName(lower.version)} `]);
        expect(conflictsOf(ap!)).toHaveLength(1);
      }),
    );
  });

  test('a write that had seen the one before it is no conflict', () => {
    const world = new World('register-lww');
    world.write(world.replicas[0]!, put('a'));
    world.settle();
    world.write(world.replicas[1]!, put('b'));
    world.settle();
    expect(allConflicts(world)).toEqual([]);
    expect(world.replicas.map(({ displaced }) => displaced.length)).toEqual([1, 1, 1]);
  });

  test('any history has exactly the conflicts of the definition', () => {
    fc.assert(
      fc.property(executions('register-lww'), (steps) => {
        const world = new World('register-lww');
        for (const step of steps) world.run(step);
        world.settle();
        const expected: string[] = [];
        for (const op of world.ops) {
          const home = world.replicas.find(({ name }) => name === regionOf(op))!;
          const by = firstAfter(home.history, op, () => true);
          if (by !== undefined && !hadSeen(by, op))
            expected.push(`${dotName(by.version)} over ${dotName(op.version)} `);
        }
        expect(allConflicts(world)).toEqual(expected.sort());
      }),
      { numRuns: 400 },
    );
  });

  test('a replaced version is reported with its value, an op that loses on arrival reports nothing', () => {
    fc.assert(
      fc.property(executions('register-lww'), (steps) => {
        const world = new World('register-lww');
        for (const step of steps) world.run(step);
        for (const { history, displaced } of world.replicas) {
          const expected = history.flatMap((op, i) => {
            const before = newest(history.slice(0, i));
            if (before === undefined || !isNewer(op, before)) return [];
            const value = before.intent.kind === 'put' ? before.intent.value : undefined;
            return [{ by: dotName(op.version), lost: { loser: before.version, value } }];
          });
          expect(normal(displaced.map(({ by, lost }) => ({ by: dotName(by.version), lost })))).toBe(normal(expected));
        }
      }),
    );
  });
});

describe('map-lww', () => {
  test('every field reports as a register of its own, and a delete of the key each live field that it takes', () => {
    fc.assert(
      fc.property(executions('map-lww'), (steps) => {
        const world = new World('map-lww');
        for (const step of steps) world.run(step);
        for (const { history, displaced } of world.replicas) {
          const expected = history.flatMap((op, i) => displacedBy(op, history.slice(0, i)));
          const sorted = (all: string[]): string[] => all.sort();
          expect(sorted(displaced.map(({ lost }) => normal(lost)))).toEqual(
            sorted(expected.map((lost) => normal(lost))),
          );
        }
      }),
      { numRuns: 400 },
    );
  });

  test('any history has exactly the conflicts of the definition, field by field', () => {
    fc.assert(
      fc.property(executions('map-lww'), (steps) => {
        const world = new World('map-lww');
        for (const step of steps) world.run(step);
        world.settle();
        const expected: string[] = [];
        for (const op of world.ops) {
          const home = world.replicas.find(({ name }) => name === regionOf(op))!;
          for (const field of fieldsOf(world.ops)) {
            if (!writesField(op, field)) continue;
            const by = firstAfter(home.history, op, (later) => writesField(later, field));
            if (by === undefined || hadSeen(by, op)) continue;
            // Of two that leave nothing behind neither took anything from the other.
            if (by.intent.kind === 'delete' && valueIn(op, field) === undefined) continue;
            expected.push(`${dotName(by.version)} over ${dotName(op.version)} ${field}`);
          }
        }
        expect(allConflicts(world)).toEqual(expected.sort());
      }),
      { numRuns: 400 },
    );
  });

  test('a delete of the key that a concurrent put outlives is the loser, for the fields that came back', () => {
    const world = new World('map-lww');
    const [ap, eu] = world.replicas;
    world.write(ap!, { kind: 'map-update', put: [{ field: 'x', value: Buffer.from('1') }], remove: [] });
    world.settle();
    const gone = world.write(ap!, erase);
    world.nowMs += 1;
    const back = world.write(eu!, { kind: 'map-update', put: [{ field: 'x', value: Buffer.from('2') }], remove: [] });
    world.settle();
    expect(allConflicts(world)).toEqual([`${dotName(back.version)} over ${dotName(gone.version)} x`]);
  });
});

test('types that keep everything concurrent report nothing', () => {
  for (const type of ['register-mv', 'counter-pn', 'set-aw'] as const) {
    fc.assert(
      fc.property(executions(type), (steps) => {
        const world = new World(type);
        for (const step of steps) world.run(step);
        expect(world.replicas.map(({ displaced }) => displaced)).toEqual([[], [], []]);
      }),
      { numRuns: 50 },
    );
  }
});

function fieldsOf(ops: readonly SpecOp[]): string[] {
  const names = ops.flatMap(({ intent }) =>
    intent.kind === 'map-update' ? [...intent.put.map(({ field }) => field), ...intent.remove] : [],
  );
  return [...new Set(names)];
}

function valueIn({ intent }: SpecOp, field: string): Uint8Array | undefined {
  return intent.kind === 'map-update' ? intent.put.find((each) => each.field === field)?.value : undefined;
}

function displacedBy(op: SpecOp, before: readonly SpecOp[]): Displaced[] {
  return fieldsOf([...before, op]).flatMap((field) => {
    const current = newestOfField(before, field);
    if (current === undefined || !writesField(op, field) || !isNewer(op, current)) return [];
    const value = valueIn(current, field);
    if (op.intent.kind === 'delete' && value === undefined) return [];
    return [{ loser: current.version, field, value }];
  });
}
