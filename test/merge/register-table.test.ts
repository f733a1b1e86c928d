// I13: the registers in flat memory are what register-lww.ts makes of the same ops, byte for byte, whatever leaves memory in between.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encoded } from '../../src/merge/merge.ts';
import { beats, prepareHead, registerLww, type RegisterLww } from '../../src/merge/register-lww.ts';
import { RegisterTable } from '../../src/merge/register-table.ts';
import { ByteWriter } from '../../src/record/bytes.ts';
import { originId, regionId, type OriginId, type StateKey } from '../../src/record/ids.ts';
import { stateKey, type CollectionRef } from '../../src/record/op.ts';
import { OpsWriter } from '../../src/record/ops-writer.ts';
import { Contribution, Digest, type DigestSnapshot } from '../../src/shard/digest.ts';
import type { Intent } from '../../src/merge/types.ts';

const ORIGINS: readonly OriginId[] = ['ap', 'eu-west', 'us'].map((name, i) => originId(regionId(name), i * 7));
const COLLECTIONS: readonly CollectionRef[] = ['a', 'b'].map((name) => ({
  namespace: 'shop',
  name,
  id: 1,
  type: 'register-lww',
}));
const NO_BYTES = new Uint8Array(0);
const START_MS = Date.UTC(2026, 0, 1);

interface Change {
  readonly collection: number;
  readonly key: string;
  readonly origin: number;
  readonly stamp: number;
  readonly intent: Intent;
}

const intent: fc.Arbitrary<Intent> = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 80 }).map((value): Intent => ({ kind: 'put', value })) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 5 }))
      .map(([value, step]): Intent => ({ kind: 'put', value, expiresAtMs: START_MS + step * 30_000 })),
  },
  { weight: 1, arbitrary: fc.constant<Intent>({ kind: 'delete' }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1000, max: 6000 }).map((n): Intent => ({ kind: 'put', value: Buffer.alloc(n, n) })),
  },
);
const change: fc.Arbitrary<Change> = fc.record({
  collection: fc.nat(1),
  key: fc.oneof(fc.constantFrom('', 'a', 'b', 'abc', 'ü', '\u{1F600}', 'k'.repeat(1024)), fc.string({ maxLength: 3 })),
  origin: fc.nat(2),
  stamp: fc.integer({ min: 1, max: 2 ** 45 }),
  intent,
});
const step = fc.oneof(
  { weight: 12, arbitrary: change.map((of) => ({ kind: 'change' as const, of })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'evict' as const }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 2 ** 45 }).map((floor) => ({ kind: 'collect' as const, floor })) },
);

/** The same keys, one object each. */
class Reference {
  readonly states = new Map<StateKey, RegisterLww>();
  readonly digest = new Digest();
  readonly #contributions = new Map<StateKey, Contribution>();

  set(key: StateKey, after: RegisterLww | undefined): void {
    const before = this.states.get(key);
    let contribution = this.#contributions.get(key);
    if (contribution === undefined) {
      contribution = new Contribution();
      contribution.hashKey(key);
      this.#contributions.set(key, contribution);
    }
    this.digest.remove(contribution, () => (before === undefined ? [] : registerLww.liveParts(before)));
    this.digest.add(contribution, after === undefined ? [] : registerLww.liveParts(after));
    if (after === undefined) this.states.delete(key);
    else this.states.set(key, after);
  }

  get live(): number {
    return [...this.states.values()].filter(({ content }) => content !== undefined).length;
  }
}

function sorted({ expiring, ...rest }: DigestSnapshot): unknown {
  return { ...rest, expiring: [...expiring].sort(([a], [b]) => a - b) };
}

function rowOf(table: RegisterTable, place: number): Buffer {
  const writer = new ByteWriter();
  table.encode(place, writer);
  return writer.finish();
}

test('I3, I9, I13: states, rows, digest and number of keys are those of register-lww, over eviction and collection', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = new RegisterTable();
      const reference = new Reference();
      const digest = new Digest();
      /** What has left memory. */
      const store = new Map<StateKey, Buffer>();
      let live = 0;

      const placeOf = (key: StateKey, collection: CollectionRef, name: string): number => {
        const known = table.findStateKey(key);
        if (known >= 0) return known;
        const place = table.insertKey(table.collection(stateKey(collection, '')), name);
        const row = store.get(key);
        if (row !== undefined) table.load(place, registerLww.decode(row));
        return place;
      };

      for (const { ...each } of steps) {
        if (each.kind === 'evict') {
          for (const place of table.takeDirty()) {
            if (table.isPresent(place)) store.set(table.keyOf(place), rowOf(table, place));
            else store.delete(table.keyOf(place));
            table.written([place]);
          }
          table.evict(0);
          expect(table.size).toBe(0);
          expect(table.bytes).toBe(0);
          continue;
        }
        if (each.kind === 'collect') {
          for (const place of table.places()) {
            const at = table.collectableAt(place);
            if (at === undefined || at > each.floor) continue;
            live += table.clear(place, digest);
            reference.set(table.keyOf(place), undefined);
          }
          continue;
        }
        const { key, origin, stamp, intent: wanted } = each.of;
        const collection = COLLECTIONS[each.of.collection]!;
        const version = { origin: ORIGINS[origin]!, seq: (stamp % 1000) + 1, stamp };
        const full = stateKey(collection, key);
        const before = reference.states.get(full);
        const payload = registerLww.prepare(before, wanted, { version, nowMs: 0 });
        reference.set(full, registerLww.apply(before, payload, { version, seen: () => true }).state);

        const ops = new OpsWriter();
        ops.write({ collection, key }, prepareHead(wanted), wanted.kind === 'put' ? wanted.value : NO_BYTES);
        expect(ops.located.payload(0)).toEqual(Buffer.from(payload));
        const place = placeOf(full, collection, key);
        const wins =
          !table.isPresent(place) ||
          beats(stamp, version.origin, table.stamp(place), table.originId(table.originOf(place)));
        if (wins) live += table.land(place, ops.located, 0, table.origin(version.origin), version.seq, stamp, digest);
      }
      for (const [key, state] of reference.states) {
        const place = table.findStateKey(key);
        const here = place < 0 ? registerLww.decode(store.get(key)!) : table.state(place);
        expect(here).toEqual(state);
        if (place < 0) continue;
        expect(rowOf(table, place)).toEqual(encoded('register-lww', state));
        expect(table.keyOf(place)).toBe(key);
        expect(table.collectableAt(place)).toBe(registerLww.collectableAt(state));
      }
      for (const place of table.places()) {
        if (!table.isPresent(place)) expect(reference.states.has(table.keyOf(place))).toBe(false);
      }
      expect(sorted(digest.snapshot())).toEqual(sorted(reference.digest.snapshot()));
      expect(live).toBe(reference.live);
    }),
    { numRuns: 150 },
  );
});

describe('places', () => {
  test('many keys are found again, and no other ones, after many of them have left', () => {
    const table = new RegisterTable();
    const [of, other] = [table.collection('a'), table.collection('b')];
    for (let i = 0; i < 5000; i++) table.insertKey(of, `key ${i}`);
    for (let i = 0; i < 5000; i += 3) table.touch(table.findKey(of, `key ${i}`));
    table.evict(table.bytes * 0.6);
    let here = 0;
    for (let i = 0; i < 5000; i++) {
      const place = table.findKey(of, `key ${i}`);
      if (i % 3 === 0) expect(place).toBeGreaterThanOrEqual(0);
      if (place < 0) continue;
      here++;
      expect(table.nameOf(place)).toBe(`key ${i}`);
      expect(table.findKey(other, `key ${i}`)).toBe(-1);
    }
    expect(here).toBe(table.size);
    expect(table.size).toBeLessThan(3100);
    for (let i = 0; i < 5000; i++) if (table.findKey(of, `key ${i}`) < 0) table.insertKey(of, `key ${i}`);
    for (let i = 0; i < 5000; i++) expect(table.nameOf(table.findKey(of, `key ${i}`))).toBe(`key ${i}`);
  });

  test('keys with one hash are told apart', () => {
    const table = new RegisterTable();
    const of = table.collection('a');
    const bytes = Buffer.from('onetwo');
    const one = table.insert(of, 7, bytes, 0, 3);
    const two = table.insert(of, 7, bytes, 3, 3);
    expect(table.find(of, 7, bytes, 0, 3)).toBe(one);
    expect(table.find(of, 7, bytes, 3, 3)).toBe(two);
    expect(table.find(of, 7, Buffer.from('six'), 0, 3)).toBe(-1);
  });

  test('what is dirty, on its way to the store, or has something in flight does not leave', () => {
    const table = new RegisterTable();
    const of = table.collection('a');
    const [dirty, flying, idle] = ['dirty', 'flying', 'idle'].map((name) => table.insertKey(of, name));
    const ops = new OpsWriter();
    ops.write({ collection: COLLECTIONS[0], key: 'dirty' }, prepareHead({ kind: 'put', value: NO_BYTES }), NO_BYTES);
    table.land(dirty!, ops.located, 0, table.origin(ORIGINS[0]!), 1, 1, new Digest());
    table.setNewest(flying!, 1);
    table.evict(0);
    expect([...table.places()]).toEqual([dirty, flying]);
    expect(table.findKey(of, 'idle')).toBe(-1);
    expect(idle).toBeDefined();
    const writing = table.takeDirty();
    table.evict(0);
    expect(table.findKey(of, 'dirty')).toBe(dirty);
    table.written(writing);
    table.setNewest(flying!, 0);
    table.evict(0);
    expect(table.size).toBe(0);
  });
});
