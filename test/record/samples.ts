// Random records for the properties of this folder.

import fc from 'fast-check';
import {
  INCARNATION_MAX,
  NAME_PATTERN,
  originId,
  regionId,
  REGION_PATTERN,
  shardId,
  type OriginId,
} from '../../src/record/ids.ts';
import {
  GENERATION_MAX,
  MERGE_TYPE_CODES,
  RUN_TIME_ID_MIN,
  runTimeId,
  type CollectionRef,
  type MergeTypeName,
  type Op,
} from '../../src/record/op.ts';

export const regions = fc.stringMatching(REGION_PATTERN).map(regionId);
export const incarnations = fc.maxSafeNat().map((n) => n % (INCARNATION_MAX + 1));
export const origins = fc.tuple(regions, incarnations).map(([region, incarnation]) => originId(region, incarnation));
export const shards = fc
  .tuple(fc.nat({ max: 65_535 }), fc.nat({ max: 65_535 }))
  .map(([placementId, index]) => shardId(placementId, index));

/** A few only, so that vectors of several batches have origins in common. */
export const OWN = originId(regionId('eu-west'), 0xabc);
export const OTHERS: readonly OriginId[] = ['ap', 'sa', 'us'].map((name, i) => originId(regionId(name), i));

const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array));
const name = fc.stringMatching(NAME_PATTERN);

export const collections: fc.Arbitrary<CollectionRef> = fc
  .record({
    namespace: name,
    name,
    id: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: RUN_TIME_ID_MIN - 1 })),
    generation: fc.option(fc.integer({ min: 1, max: GENERATION_MAX }), { nil: undefined }),
    type: fc.constantFrom(...(Object.keys(MERGE_TYPE_CODES) as MergeTypeName[])),
  })
  .map(({ generation, id, ...rest }) => ({
    ...rest,
    id: generation === undefined ? id : runTimeId(generation, rest.type),
  }));

const idempotency = fc.oneof(
  fc.record({ kind: fc.constant('producer' as const), producer: incarnations, seq: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('key' as const), key: fc.string({ unit: 'grapheme', maxLength: 20 }) }),
);

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

/** All optional fields stand in it, some of them undefined, as the decoder leaves them. */
export function opsOf(table: readonly CollectionRef[]): fc.Arbitrary<Op> {
  return fc.record({
    collection: table.length === 0 ? fc.constant(undefined) : optional(fc.constantFrom(...table)),
    key: fc.string({ unit: 'grapheme', maxLength: 20 }),
    payload: bytes,
    idempotency: optional(idempotency),
    trace: optional(fc.uint8Array({ minLength: 25, maxLength: 25 }).map((array) => Buffer.from(array))),
    schemaId: optional(fc.maxSafeNat()),
  });
}

export const opLists: fc.Arbitrary<Op[]> = fc
  .array(collections, { maxLength: 3 })
  .chain((table) => fc.array(opsOf(table), { minLength: 1, maxLength: 8 }));
