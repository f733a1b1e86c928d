import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encoded, mergeOf, MERGES, type AnyState } from '../../src/merge/merge.ts';
import type { OpContext } from '../../src/merge/types.ts';
import { ByteWriter, MalformedBytes } from '../../src/record/bytes.ts';
import { originId, regionId } from '../../src/record/ids.ts';
import { MERGE_TYPE_CODES, type MergeTypeName } from '../../src/record/op.ts';
import { executions, normal, World, type Step } from './world.ts';

const TYPES = Object.keys(MERGE_TYPE_CODES) as MergeTypeName[];
const LATE = originId(regionId('zz'), 2 ** 48 - 1);

function worldOf(type: MergeTypeName, steps: readonly Step[]): World {
  const world = new World(type);
  for (const step of steps) world.run(step);
  return world;
}

/** Small damage to real bytes gets deeper into a decoder than noise does. */
interface Damage {
  readonly kind: 'replace' | 'insert' | 'remove' | 'truncate' | 'cut' | 'repeat';
  readonly at: number;
  readonly byte: number;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constantFrom('replace', 'insert', 'remove', 'truncate', 'cut', 'repeat'),
  at: fc.nat({ max: 10_000 }),
  byte: fc.oneof(fc.nat({ max: 8 }), fc.nat({ max: 255 })),
});

function damaged(bytes: Uint8Array, { kind, at, byte }: Damage): Buffer {
  const i = at % Math.max(1, bytes.length);
  const before = bytes.subarray(0, i);
  const after = bytes.subarray(i);
  switch (kind) {
    case 'replace':
      return Buffer.concat([before, Buffer.of(byte), after.subarray(1)]);
    case 'insert':
      return Buffer.concat([before, Buffer.of(byte), after]);
    case 'remove':
      return Buffer.concat([before, after.subarray(1)]);
    case 'truncate':
      return Buffer.from(before);
    case 'cut':
      return Buffer.concat([before, after.subarray(byte)]);
    case 'repeat':
      return Buffer.concat([before, after.subarray(0, byte), after]);
  }
}

/** What `read` makes of the bytes; undefined if it refused them as it should. Any other error is a failure. */
function accepted<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedBytes) return undefined;
    throw error;
  }
}

/** A state that was let in must be good for everything. */
function useState(type: MergeTypeName, state: AnyState): void {
  const merge = mergeOf(type);
  const nothing = new Map();
  expect(normal(merge.decode(encoded(merge.name, state)))).toBe(normal(state));
  merge.view(state, 0);
  merge.liveParts(state);
  const at = merge.collectableAt(state);
  if (at !== undefined) merge.collect(state, at);
  expect(normal(merge.mergeStates(state, nothing, state, nothing))).toBe(normal(state));
}

const context: OpContext = { version: { origin: LATE, seq: 9, stamp: 2 ** 52 }, seen: () => false };

describe.each(TYPES)('%s', (type) => {
  const merge = mergeOf(type);

  test('states and payloads come back from their bytes as they went in', () => {
    fc.assert(
      fc.property(executions(type, { sync: true, collect: true }), (steps) => {
        const world = worldOf(type, steps);
        for (const { state } of world.replicas) {
          if (state === undefined) continue;
          const bytes = encoded(merge.name, state);
          expect(bytes[0]).toBe(merge.stateVersion);
          expect(normal(merge.decode(bytes))).toBe(normal(state));
        }
        for (const { payload, intent } of world.ops) {
          const described = normal(merge.describe(payload));
          if (intent.kind === 'put' || intent.kind === 'increment' || intent.kind === 'delete') {
            const { observed: _, ...bare } = intent as { observed?: unknown };
            expect(JSON.parse(described)).toEqual(JSON.parse(normal(bare)));
          } else {
            expect((JSON.parse(described) as { kind: string }).kind).toBe(intent.kind);
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  test('a state of a newer version, or of version 0, is refused', () => {
    for (const version of [0, merge.stateVersion + 1, 255]) {
      expect(() => merge.decode(Buffer.concat([Buffer.of(version), Buffer.alloc(30)]))).toThrow(MalformedBytes);
    }
  });

  test('an effect that this version does not know is refused, not guessed', () => {
    for (const effect of [0, 9, 255]) {
      expect(() => merge.apply(undefined, Buffer.of(effect, 0, 0), context)).toThrow(MalformedBytes);
      expect(() => merge.describe(Buffer.of(effect, 0, 0))).toThrow(MalformedBytes);
    }
    expect(() => merge.apply(undefined, Buffer.alloc(0), context)).toThrow(MalformedBytes);
    expect(() => merge.describe(Buffer.alloc(0))).toThrow(MalformedBytes);
    expect(() => merge.decode(Buffer.alloc(0))).toThrow(MalformedBytes);
  });

  test('noise ends as MalformedBytes or as a sound state', () => {
    const noise = fc.tuple(fc.constantFrom(1, 2, 3, 4), fc.uint8Array({ maxLength: 60, size: 'max' }));
    fc.assert(
      fc.property(noise, ([first, rest]) => {
        const bytes = Buffer.from([first, ...rest]);
        const state = accepted(() => merge.decode(bytes));
        if (state !== undefined) useState(type, state);
        const described = accepted(() => merge.describe(bytes));
        const applied = accepted(() => merge.apply(undefined, bytes, context));
        expect(described === undefined).toBe(applied === undefined);
        if (applied?.state !== undefined) useState(type, applied.state);
      }),
      { numRuns: 2000 },
    );
  });

  test('damaged states and payloads end as MalformedBytes or as a sound state', () => {
    fc.assert(
      fc.property(
        executions(type, { sync: true, collect: true }),
        fc.nat({ max: 100 }),
        damage,
        (steps, pick, harm) => {
          const world = worldOf(type, steps);
          for (const { state } of world.replicas) {
            const bytes = state === undefined ? Buffer.of(1) : encoded(merge.name, state);
            const decoded = accepted(() => merge.decode(damaged(bytes, harm)));
            if (decoded !== undefined) useState(type, decoded);
          }
          const payload = damaged(world.ops[pick % Math.max(1, world.ops.length)]?.payload ?? Buffer.of(1), harm);
          const described = accepted(() => merge.describe(payload));
          const alone = accepted(() => merge.apply(undefined, payload, context));
          // A batch is judged by describe before it is logged: what that lets in, apply must take.
          expect(described === undefined).toBe(alone === undefined);
          for (const replica of world.replicas) {
            // Whether a payload is malformed must not depend on the state: else one region stops a stream that another takes.
            const here = accepted(() => merge.apply(replica.state, payload, context));
            expect(here === undefined).toBe(alone === undefined);
            if (here?.state !== undefined) useState(type, here.state);
          }
        },
      ),
      { numRuns: 600 },
    );
  });

  test('I12: a count that the bytes cannot hold is refused before anything is allocated for it', () => {
    const huge = new ByteWriter().varint(Number.MAX_SAFE_INTEGER).finish();
    const origins = new ByteWriter().varint(1).text('eu').u48(7).finish();
    for (const first of [1, 2, 3]) {
      for (const between of [Buffer.alloc(0), Buffer.of(0), origins, Buffer.concat([Buffer.of(0), origins])]) {
        const bytes = Buffer.concat([Buffer.of(first), between, huge]);
        accepted(() => merge.decode(bytes));
        accepted(() => merge.apply(undefined, bytes, context));
      }
    }
  });
});

test('the table holds every type under its own name', () => {
  for (const type of TYPES) expect(MERGES[type].name).toBe(type);
});

test('I3: no value lives in the memory of the payload that brought it', () => {
  const intents = {
    'register-lww': { kind: 'put', value: Buffer.from('value') },
    'register-mv': { kind: 'put', value: Buffer.from('value') },
    'set-aw': { kind: 'set-add', elements: [Buffer.from('value')] },
    'map-lww': { kind: 'map-update', put: [{ field: 'f', value: Buffer.from('value') }], remove: [] },
  } as const;
  for (const [type, intent] of Object.entries(intents)) {
    const merge = mergeOf(type as MergeTypeName);
    const payload = Buffer.from(merge.prepare(undefined, intent, { version: context.version, nowMs: 0 }));
    const { state } = merge.apply(undefined, payload, context);
    const before = normal(merge.view(state, 0));
    payload.fill(0);
    expect(normal(merge.view(state, 0))).toBe(before);
  }
});

test('counter-pn: an op carries no amount that no count could reach, so no state outgrows its encoding', () => {
  const { 'counter-pn': counter } = MERGES;
  const context: OpContext = { version: { origin: LATE, seq: 9, stamp: 9 }, seen: () => true };
  const payload = (birth: number, by: bigint, inc: bigint): Buffer => {
    const writer = new ByteWriter().u8(1).varint(birth).bigint(by);
    return (birth === 0 ? writer : writer.bigint(inc).bigint(0n)).finish();
  };
  const most = 2n ** 256n;
  const { state } = counter.apply(undefined, payload(3, most, most), context);
  if (state === undefined) throw new Error('no state');
  expect(counter.decode(encoded('counter-pn', state))).toEqual(state);
  for (const bytes of [payload(0, most + 1n, 0n), payload(0, -most - 1n, 0n), payload(3, 0n, most + 1n)]) {
    expect(() => counter.apply(undefined, bytes, context)).toThrow(MalformedBytes);
    expect(() => counter.describe(bytes)).toThrow(MalformedBytes);
  }
});
