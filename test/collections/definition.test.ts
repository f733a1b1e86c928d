// Definitions of collections, as rows that regions exchange: whatever the order in which facts arrive, all regions end with one.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alter, create, drop, type Change } from '../../src/collections/changes.ts';
import { definitionsOf, resolve, type Definition } from '../../src/collections/definition.ts';
import { withDefaultExpiry } from '../../src/collections/expiry.ts';
import { CollectionRegistry } from '../../src/collections/registry.ts';
import { CausewayError } from '../../src/errors/errors.ts';
import { mergeOf, type AnyState } from '../../src/merge/merge.ts';
import { originId, regionId, shardId, type OriginId, type Version } from '../../src/record/ids.ts';
import { MERGE_TYPE_CODES, runTimeId, runTimeIdParts, type MergeTypeName } from '../../src/record/op.ts';

const REGIONS = ['ap', 'eu', 'us'].map((name) => regionId(name));
const TYPES = Object.keys(MERGE_TYPE_CODES) as MergeTypeName[];
const map = mergeOf('map-lww');

interface Written {
  readonly payload: Uint8Array;
  readonly version: Version;
  /** Seq per origin: what the writer had applied. */
  readonly deps: ReadonlyMap<OriginId, number>;
}

/** A region's row of one name. Everything else about regions is left out. */
class Replica {
  readonly region;
  readonly origin: OriginId;
  readonly #seen = new Map<OriginId, number>();
  #state: AnyState | undefined;
  #seq = 0;

  constructor(index: number) {
    this.region = REGIONS[index]!;
    this.origin = originId(this.region, index + 1);
  }

  get definitions(): Definition[] {
    return definitionsOf('shop/carts', map.view(this.#state, 0));
  }

  write(change: Change | CausewayError, stamp: number): Written | undefined {
    if (change instanceof CausewayError || change.kind === 'nothing') return undefined;
    const deps = new Map(this.#seen);
    const version = { origin: this.origin, seq: ++this.#seq, stamp };
    const payload = map.prepare(this.#state, change.intent, { version, nowMs: 0 });
    const written = { payload, version, deps };
    this.apply(written);
    return written;
  }

  canApply({ version, deps }: Written): boolean {
    const next = (this.#seen.get(version.origin) ?? 0) + 1 === version.seq;
    return next && [...deps].every(([origin, seq]) => (this.#seen.get(origin) ?? 0) >= seq);
  }

  apply({ payload, version, deps }: Written): void {
    this.#state = map.apply(this.#state, payload, {
      version,
      seen: (dot) => (dot.origin === version.origin ? dot.seq < version.seq : (deps.get(dot.origin) ?? 0) >= dot.seq),
    }).state;
    this.#seen.set(version.origin, version.seq);
  }
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant('create' as const),
    at: fc.nat(2),
    type: fc.constantFrom(...TYPES),
    description: fc.option(fc.constantFrom('a', 'b'), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant('alter' as const), at: fc.nat(2), description: fc.constantFrom('x', 'y', 'z') }),
  fc.record({ kind: fc.constant('drop' as const), at: fc.nat(2) }),
  fc.record({ kind: fc.constant('deliver' as const), at: fc.nat(2), which: fc.nat() }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Runs the steps; undelivered ops come to everybody in the end, in an order of its own for each. */
function run(steps: readonly Step[], order: readonly number[]): Replica[] {
  const replicas = REGIONS.map((_, i) => new Replica(i));
  const log: Written[] = [];
  let stamp = 0;
  const name = { namespace: 'shop', name: 'carts' };
  for (const one of steps) {
    const replica = replicas[one.at]!;
    stamp++;
    if (one.kind === 'deliver') {
      const ready = log.filter((written) => replica.canApply(written));
      if (ready.length > 0) replica.apply(ready[one.which % ready.length]!);
      continue;
    }
    const { definitions, region } = replica;
    const change =
      one.kind === 'create'
        ? create(
            definitions,
            { ...name, type: one.type, ...(one.description === undefined ? {} : { description: one.description }) },
            region,
          )
        : one.kind === 'alter'
          ? alter(definitions, { ...name, description: one.description })
          : drop(definitions, name);
    const written = replica.write(change, stamp);
    if (written !== undefined) log.push(written);
  }
  replicas.forEach((replica, i) => {
    for (let turn = i; ; turn++) {
      const ready = log.filter((written) => replica.canApply(written));
      if (ready.length === 0) break;
      replica.apply(ready[(order[turn % order.length] ?? 0) % ready.length]!);
    }
  });
  return replicas;
}

describe('I3: definitions that were written anywhere, in any order of arrival', () => {
  test('end as one and the same', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 30 }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 9 }),
        (steps, order) => {
          const [first, ...others] = run(steps, order).map(({ definitions }) => ({
            definitions,
            ...resolve(definitions),
          }));
          for (const other of others) expect(other).toEqual(first);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('have at most one that is served, the first that was created, and never one that was dropped', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const [replica] = run(steps, [0]);
        const { definitions } = replica!;
        const { served, lost } = resolve(definitions);
        const live = definitions.filter(({ dropped }) => dropped === undefined);
        expect(lost.length).toBe(Math.max(0, live.length - 1));
        if (served === undefined) return;
        expect(served.dropped).toBeUndefined();
        for (const other of lost) expect(other.created.stamp).toBeGreaterThan(served.created.stamp);
        for (const { id, type } of definitions) expect(runTimeIdParts(id)?.typeCode).toBe(MERGE_TYPE_CODES[type!]);
      }),
      { numRuns: 200 },
    );
  });

  test('a creation is never decided on what was dropped: its id is new to whoever creates', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.constantFrom(...TYPES), (steps, type) => {
        for (const { definitions, region } of run(steps, [0])) {
          const change = create(definitions, { namespace: 'shop', name: 'carts', type }, region);
          if (change instanceof CausewayError || change.kind === 'nothing') continue;
          expect(definitions.map(({ id }) => id)).not.toContain(change.ids[0]);
        }
      }),
      { numRuns: 200 },
    );
  });
});

function written(change: Change | CausewayError, replica: Replica, stamp: number): Written {
  const done = replica.write(change, stamp);
  if (done === undefined) throw change instanceof Error ? change : new Error('nothing to write');
  return done;
}

const CARTS = { namespace: 'shop', name: 'carts' } as const;

describe('by example', () => {
  test('the same type at the same time is one collection; another type is another, and loses to the first', () => {
    const [ap, eu, us] = REGIONS.map((_, i) => new Replica(i)) as [Replica, Replica, Replica];
    const ops = [
      written(create([], { ...CARTS, type: 'set-aw' }, ap.region), ap, 10),
      written(create([], { ...CARTS, type: 'map-lww' }, eu.region), eu, 20),
      written(create([], { ...CARTS, type: 'set-aw' }, us.region), us, 30),
    ];
    for (const op of ops) for (const replica of [ap, eu, us]) if (replica.canApply(op)) replica.apply(op);
    const { served, lost } = resolve(eu.definitions);
    expect(served).toMatchObject({ id: runTimeId(1, 'set-aw'), type: 'set-aw', createdBy: ['ap', 'us'] });
    expect(lost).toMatchObject([{ id: runTimeId(1, 'map-lww'), createdBy: ['eu'] }]);
    // Dropping the winner alone gives its place to the loser.
    ap.write(drop(ap.definitions, { ...CARTS, id: served!.id }), 40);
    expect(resolve(ap.definitions).served?.type).toBe('map-lww');
  });

  test('altering: attributes yes, the merge type never; what is so already is written by nobody', () => {
    const eu = new Replica(1);
    eu.write(create([], { ...CARTS, type: 'set-aw', description: 'what they want' }, eu.region), 1);
    expect(alter(eu.definitions, { ...CARTS, description: 'what they want' })).toMatchObject({ kind: 'nothing' });
    eu.write(alter(eu.definitions, { ...CARTS, defaultExpiryMs: 60_000 }), 2);
    expect(resolve(eu.definitions).served).toMatchObject({ description: 'what they want', defaultExpiryMs: 60_000 });
    expect(alter(eu.definitions, { ...CARTS, type: 'map-lww' })).toMatchObject({
      code: 'PRECONDITION_FAILED',
      hint: expect.stringContaining('create another collection of type map-lww') as string,
    });
    expect(create(eu.definitions, { ...CARTS, type: 'set-aw' }, eu.region)).toMatchObject({ kind: 'nothing' });
    expect(create(eu.definitions, { ...CARTS, type: 'map-lww' }, eu.region)).toMatchObject({
      code: 'PRECONDITION_FAILED',
    });
    eu.write(drop(eu.definitions, CARTS), 3);
    expect(resolve(eu.definitions).served).toBeUndefined();
    expect(drop(eu.definitions, CARTS)).toMatchObject({
      code: 'UNKNOWN_COLLECTION',
      message: 'shop/carts has been dropped',
    });
    expect(create(eu.definitions, { ...CARTS, type: 'set-aw' }, eu.region)).toMatchObject({
      kind: 'write',
      ids: [runTimeId(2, 'set-aw')],
    });
  });

  test.each([
    [{ name: 'no spaces', type: 'set-aw' }, 'INVALID_ARGUMENT'],
    [{ name: 'likes', type: 'counter-pn', defaultExpiryMs: 5000 }, 'INVALID_ARGUMENT'],
    [{ name: 'carts', type: 'set-aw', defaultExpiryMs: 1 }, 'INVALID_ARGUMENT'],
    [{ name: 'carts', type: 'set-aw', description: 'x'.repeat(2000) }, 'TOO_LARGE'],
  ] as const)('%j is refused as %s', (spec, code) => {
    expect(create([], { namespace: 'shop', ...spec }, REGIONS[0]!)).toMatchObject({ code });
  });

  test('what a newer version has written is passed over, and its merge types are not served', () => {
    const version = { origin: originId(REGIONS[0]!, 1), seq: 1, stamp: 5 };
    const newer = runTimeId(1, 'set-aw') - MERGE_TYPE_CODES['set-aw'] + 200;
    const value = Buffer.from('{}');
    const fields = [`${newer}/created/eu`, `${newer}/quota`, '1/created/eu', 'x'].map((field) => ({
      field,
      value,
      version,
    }));
    const definitions = definitionsOf('shop/carts', { type: 'map-lww', fields });
    expect(definitions).toMatchObject([{ id: newer, type: undefined }]);
    const registry = new CollectionRegistry([]);
    registry.replace(shardId(1, 0), new Map([['shop/carts', definitions]]));
    expect(registry.get('shop', 'carts')).toBeUndefined();
    expect(registry.list()).toMatchObject([{ state: 'unknown-type' }]);
    expect(registry.clashes()).toMatchObject([{ message: expect.stringContaining('newer version') as string }]);
  });

  test('a default expiry is given to what has none', () => {
    const value = Buffer.from('v');
    expect(withDefaultExpiry({ kind: 'put', value }, 9)).toEqual({ kind: 'put', value, expiresAtMs: 9 });
    expect(withDefaultExpiry({ kind: 'put', value, expiresAtMs: 5 }, 9)).toMatchObject({ expiresAtMs: 5 });
    const put = [
      { field: 'a', value },
      { field: 'b', value, expiresAtMs: 5 },
    ];
    expect(withDefaultExpiry({ kind: 'map-update', put, remove: [] }, 9)).toMatchObject({
      put: [{ expiresAtMs: 9 }, { expiresAtMs: 5 }],
    });
    expect(withDefaultExpiry({ kind: 'delete' }, 9)).toEqual({ kind: 'delete' });
  });
});

describe('the registry', () => {
  const version = { origin: originId(REGIONS[0]!, 1), seq: 1, stamp: 5 };
  const definition = (type: MergeTypeName, more: Partial<Definition> = {}): Definition => ({
    ...CARTS,
    id: runTimeId(1, type),
    generation: 1,
    type,
    created: version,
    createdBy: [REGIONS[0]!],
    dropped: undefined,
    description: '',
    defaultExpiryMs: 0,
    ...more,
  });

  test('the configuration wins over a definition of the same name, and says so', () => {
    const registry = new CollectionRegistry([{ ...CARTS, id: 1, type: 'map-lww' }]);
    const hidden = definition('set-aw');
    registry.replace(shardId(1, 0), new Map([['shop/carts', [hidden]]]));
    expect(registry.get('shop', 'carts')).toMatchObject({ id: 1, type: 'map-lww' });
    expect(registry.list().map(({ state, source }) => `${source} ${state}`)).toEqual([
      'config served',
      'run-time hidden',
    ]);
    expect(registry.clashes()[0]?.message).toContain(
      'because the configuration has id 1 (map-lww) under the same name',
    );
    expect(registry.passedOver({ ...CARTS, id: hidden.id, type: 'set-aw' })).toBe(true);
    expect(registry.passedOver({ ...CARTS, id: runTimeId(7, 'set-aw'), type: 'set-aw' })).toBe(false);
  });

  test('with its id in the configuration a definition has moved there', () => {
    const { id } = definition('set-aw');
    const registry = new CollectionRegistry([{ ...CARTS, id, type: 'set-aw' }]);
    registry.replace(shardId(1, 0), new Map([['shop/carts', [definition('set-aw', { defaultExpiryMs: 5000 })]]]));
    expect(registry.get('shop', 'carts')).toMatchObject({ id, defaultExpiryMs: 5000 });
    expect(registry.list()).toMatchObject([{ state: 'served', source: 'config' }]);
    expect(registry.clashes()).toEqual([]);
  });

  test('what stays as it is keeps its object; what is dropped is gone at once', () => {
    const registry = new CollectionRegistry([]);
    const shard = shardId(1, 0);
    registry.replace(shard, new Map([['shop/carts', [definition('set-aw')]]]));
    const before = registry.get('shop', 'carts');
    registry.replace(shard, new Map([['shop/carts', [definition('set-aw', { description: 'x' })]]]));
    expect(registry.get('shop', 'carts')).toBe(before);
    expect(registry.liveCount).toBe(1);
    registry.replace(shard, new Map([['shop/carts', [definition('set-aw', { dropped: version })]]]));
    expect(registry.get('shop', 'carts')).toBeUndefined();
    expect(registry.liveCount).toBe(0);
  });
});
