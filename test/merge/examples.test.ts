// The worked examples of docs/MERGE_TYPES.md, and what each of them leaves behind until it is collected.

import { describe, expect, test } from 'vitest';
import type { Intent } from '../../src/merge/types.ts';
import { dotName } from '../spec/history.ts';
import { normal, START_MS, World, type Replica } from './world.ts';

const text = (value: string): Buffer => Buffer.from(value);
const put = (value: string): Intent => ({ kind: 'put', value: text(value) });
const erase: Intent = { kind: 'delete' };
const by = (amount: bigint): Intent => ({ kind: 'increment', by: amount });
const add = (...elements: string[]): Intent => ({ kind: 'set-add', elements: elements.map(text) });
const remove = (...elements: string[]): Intent => ({ kind: 'set-remove', elements: elements.map(text) });
const fields = (put: Record<string, string>, remove: string[] = []): Intent => ({
  kind: 'map-update',
  put: Object.entries(put).map(([field, value]) => ({ field, value: text(value) })),
  remove,
});

/** Everything that a reader sees, short: values as text. */
function shown(world: World, replica: Replica): unknown {
  const view = world.merge.view(replica.state, world.nowMs);
  switch (view?.type) {
    case undefined:
      return 'absent';
    case 'register-lww':
      return String(view.value);
    case 'register-mv':
      return view.siblings.map(({ value }) => String(value));
    case 'counter-pn':
      return view.value;
    case 'set-aw':
      return view.elements.map(String);
    case 'map-lww':
      return Object.fromEntries(view.fields.map(({ field, value }) => [field, String(value)]));
  }
}

/** `eu` and `us` start from the same past, write without seeing each other, and then exchange everything. */
function concurrently(
  type: 'register-lww' | 'register-mv' | 'counter-pn' | 'set-aw' | 'map-lww',
  past: readonly Intent[],
  inEu: readonly Intent[],
  inUs: readonly Intent[],
): { world: World; eu: Replica; us: Replica } {
  const world = new World(type);
  const [, eu, us] = world.replicas;
  for (const intent of past) world.write(eu!, intent);
  world.settle();
  for (const intent of inEu) world.write(eu!, intent);
  world.nowMs += 1;
  for (const intent of inUs) world.write(us!, intent);
  world.settle();
  expect(shown(world, eu!)).toEqual(shown(world, us!));
  return { world, eu: eu!, us: us! };
}

function collectAll(world: World): void {
  for (const replica of world.replicas) world.collect(replica, 0);
}

describe('register-lww', () => {
  test('the later write wins; the earlier is a conflict in its own region', () => {
    const { world, eu, us } = concurrently('register-lww', [put('draft')], [put('red')], [put('blue')]);
    expect(shown(world, eu)).toBe('blue');
    expect(eu.displaced.filter(({ by, lost }) => !by.seen.has(dotName(lost.loser)))).toHaveLength(1);
    expect(us.displaced).toHaveLength(1);
  });

  test('I9: a delete that is later wins, and stays as a tombstone until every region has passed it', () => {
    const { world, eu } = concurrently('register-lww', [put('draft')], [put('red')], [erase]);
    expect(shown(world, eu)).toBe('absent');
    expect(eu.state).toBeDefined();
    collectAll(world);
    expect(world.replicas.map(({ state }) => state)).toEqual([undefined, undefined, undefined]);
  });

  test('an expired version reads as absent, still beats what is older, and goes a minute after', () => {
    const world = new World('register-lww');
    const [, eu, us] = world.replicas;
    const late = world.write(us!, put('older'));
    world.nowMs += 1;
    world.write(eu!, { kind: 'put', value: text('brief'), expiresAtMs: world.nowMs + 10 });
    world.nowMs += 10;
    expect(shown(world, eu!)).toBe('absent');
    world.apply(eu!, late);
    expect(shown(world, eu!)).toBe('absent');
    world.settle();
    collectAll(world);
    expect(eu!.state).toBeDefined();
    world.nowMs += 60_000;
    collectAll(world);
    expect(eu!.state).toBeUndefined();
  });
});

describe('register-mv', () => {
  test('concurrent writes stay side by side until a write has seen them', () => {
    const { world, eu, us } = concurrently('register-mv', [put('draft')], [put('red')], [put('blue')]);
    expect(shown(world, eu)).toEqual(['red', 'blue']);
    world.write(us, put('purple'));
    world.settle();
    expect(shown(world, eu)).toEqual(['purple']);
  });

  test('a delete takes what it has seen and no more', () => {
    const { world, eu } = concurrently('register-mv', [put('draft')], [put('red')], [erase]);
    expect(shown(world, eu)).toEqual(['red']);
  });

  test('a writer that names what it has read replaces that alone', () => {
    const { world, eu, us } = concurrently('register-mv', [], [put('red')], [put('blue')]);
    const red = world.ops[0]!.version;
    world.write(us, { ...put('green'), observed: [red] } as Intent);
    world.settle();
    expect(shown(world, eu)).toEqual(['blue', 'green']);
  });
});

describe('counter-pn', () => {
  test('all increments count, and a reset takes those that it has seen', () => {
    const { world, eu } = concurrently('counter-pn', [by(10n)], [by(5n), by(-2n)], [erase]);
    expect(shown(world, eu)).toBe(3n);
  });

  test('a counter without increments, or with none left, is absent; one with increments of 0 is 0', () => {
    const { world, eu } = concurrently('counter-pn', [by(10n)], [], [erase]);
    expect(shown(world, eu)).toBe('absent');
    expect(eu.state).toBeDefined();
    collectAll(world);
    expect(eu.state).toBeUndefined();
    world.write(eu, by(0n));
    expect(shown(world, eu)).toBe(0n);
  });

  test('I9: a slot that was collected comes back with what was never reset, in every region', () => {
    const world = new World('counter-pn');
    const [ap, eu, us] = world.replicas;
    world.write(eu!, by(5n));
    world.settle();
    world.write(us!, erase);
    world.nowMs += 1000;
    // eu has not seen the reset, and adds to the old slot at a stamp above it.
    world.write(eu!, by(1n));
    for (const replica of [ap!, eu!]) world.apply(replica, world.ops[1]!);
    collectAll(world);
    expect([ap!.state, us!.state]).toEqual([undefined, undefined]);
    expect(eu!.state).toBeDefined();
    world.settle();
    expect(world.replicas.map((replica) => shown(world, replica))).toEqual([1n, 1n, 1n]);
    const parts = world.replicas.map(({ state }) => normal(world.merge.liveParts(state!)));
    expect(new Set(parts).size).toBe(1);
  });

  test('I2: one region in two incarnations counts in two slots', () => {
    const { world, eu } = concurrently('counter-pn', [by(1n)], [], []);
    world.run({ do: 'restart', at: 1 });
    world.write(eu, by(1n));
    world.settle();
    expect(shown(world, world.replicas[0]!)).toBe(2n);
  });
});

describe('set-aw', () => {
  test('an add wins over a concurrent remove of the same element', () => {
    const { world, eu } = concurrently('set-aw', [add('milk', 'eggs')], [add('milk')], [remove('milk', 'eggs')]);
    expect(shown(world, eu)).toEqual(['milk']);
  });

  test('emptying the set takes what it has seen', () => {
    const { world, eu } = concurrently('set-aw', [add('milk')], [add('bread')], [erase]);
    expect(shown(world, eu)).toEqual(['bread']);
  });

  test('I9: removing leaves nothing behind', () => {
    const { eu } = concurrently('set-aw', [add('milk')], [remove('milk')], [erase]);
    expect(eu.state).toBeUndefined();
  });

  test('adding again replaces the expiry', () => {
    const world = new World('set-aw');
    const eu = world.replicas[1]!;
    world.write(eu, { kind: 'set-add', elements: [text('a'), text('b')], expiresAtMs: START_MS + 10 });
    world.write(eu, add('a'));
    world.settle();
    world.nowMs += 10;
    expect(shown(world, eu)).toEqual(['a']);
    world.nowMs += 60_000;
    collectAll(world);
    expect(normal(eu.state)).not.toContain('"b"');
    expect(shown(world, eu)).toEqual(['a']);
  });
});

describe('map-lww', () => {
  test('fields merge independently', () => {
    const past = [fields({ name: 'Ann', city: 'Rome' })];
    const { world, eu } = concurrently(
      'map-lww',
      past,
      [fields({ city: 'Oslo' })],
      [fields({ name: 'Anna' }, ['city'])],
    );
    expect(shown(world, eu)).toEqual({ name: 'Anna' });
  });

  test('deleting the key removes what is older, in every field, and nothing that is newer', () => {
    const { world, eu } = concurrently('map-lww', [fields({ a: '1', b: '1' })], [erase], [fields({ b: '2' })]);
    expect(shown(world, eu)).toEqual({ b: '2' });
  });

  test('I9: a field that arrives late, from below the floor, stays gone, before and after collection', () => {
    const world = new World('map-lww');
    const [ap, eu, us] = world.replicas;
    const late = world.write(us!, fields({ a: 'late' }));
    world.nowMs += 1;
    world.write(eu!, erase);
    // Nobody may collect while the late one is under way.
    world.collect(eu!, 0);
    expect(eu!.state).toBeDefined();
    world.apply(eu!, late);
    expect(shown(world, eu!)).toBe('absent');
    world.settle();
    collectAll(world);
    expect([ap!.state, eu!.state, us!.state]).toEqual([undefined, undefined, undefined]);
  });
});
