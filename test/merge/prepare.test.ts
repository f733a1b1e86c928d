// What prepare refuses, and that it says what was expected, what came and what to do.

import { describe, expect, test } from 'vitest';
import { CausewayError, type ErrorCode } from '../../src/errors/errors.ts';
import { EXPIRY_MS_MAX } from '../../src/merge/codec.ts';
import { mergeOf, type AnyState } from '../../src/merge/merge.ts';
import { LIMITS, type Intent } from '../../src/merge/types.ts';
import { originId, regionId, type Version } from '../../src/record/ids.ts';
import type { MergeTypeName } from '../../src/record/op.ts';
import { INTENTS } from './world.ts';

const origin = originId(regionId('eu'), 1);
const other = originId(regionId('us'), 2);

function versionAt(seq: number, by = origin): Version {
  return { origin: by, seq, stamp: 1000 + seq };
}

function prepare(type: MergeTypeName, state: AnyState | undefined, intent: Intent): Uint8Array {
  return mergeOf(type).prepare(state, intent, { version: versionAt(99), nowMs: 0 });
}

function after(type: MergeTypeName, intents: readonly Intent[]): AnyState | undefined {
  const merge = mergeOf(type);
  let state: AnyState | undefined;
  intents.forEach((intent, i) => {
    const version = versionAt(i + 1);
    const payload = merge.prepare(state, intent, { version, nowMs: 0 });
    state = merge.apply(state, payload, { version, seen: () => true }).state;
  });
  return state;
}

function refusal(type: MergeTypeName, state: AnyState | undefined, intent: Intent): CausewayError {
  try {
    prepare(type, state, intent);
  } catch (error) {
    if (error instanceof CausewayError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

function expectRefused(
  code: ErrorCode,
  type: MergeTypeName,
  state: AnyState | undefined,
  intent: Intent,
): CausewayError {
  const error = refusal(type, state, intent);
  expect(error.code).toBe(code);
  expect(error.outcome).toBe('not-applied');
  expect(error.message).toMatch(/got /);
  expect(error.hint).toMatch(/\.$/);
  return error;
}

const text = (value: string): Buffer => Buffer.from(value);
const put = (bytes: number): Intent => ({ kind: 'put', value: Buffer.alloc(bytes) });
const fieldPut = (field: string, bytes: number) => ({ field, value: Buffer.alloc(bytes) });
const update = (fields: readonly string[], bytes = 1, remove: readonly string[] = []): Intent => ({
  kind: 'map-update',
  put: fields.map((field) => fieldPut(field, bytes)),
  remove,
});
const names = (count: number, prefix = ''): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const add = (elements: readonly string[]): Intent => ({ kind: 'set-add', elements: elements.map(text) });

const SAMPLES: readonly Intent[] = [
  put(1),
  { kind: 'delete' },
  { kind: 'increment', by: 1n },
  add(['a']),
  { kind: 'set-remove', elements: [text('a')] },
  update(['f']),
];

const TAKES: { readonly [T in MergeTypeName]: readonly Intent['kind'][] } = {
  'register-lww': ['put', 'delete'],
  'register-mv': ['put', 'delete'],
  'counter-pn': ['increment', 'delete'],
  'set-aw': ['set-add', 'set-remove', 'delete'],
  'map-lww': ['map-update', 'delete'],
};

describe.each(Object.keys(INTENTS) as MergeTypeName[])('%s', (type) => {
  test('takes its own operations, and names them when it gets another', () => {
    for (const intent of SAMPLES) {
      if (TAKES[type].includes(intent.kind)) {
        expect(prepare(type, undefined, intent).length).toBeGreaterThan(0);
        continue;
      }
      const error = expectRefused('WRONG_OPERATION', type, undefined, intent);
      for (const kind of [type, intent.kind, ...TAKES[type]]) expect(error.message).toContain(kind);
    }
  });
});

describe('values', () => {
  test.each(['register-lww', 'register-mv'] as const)('of %s are at most 1 MiB', (type) => {
    prepare(type, undefined, put(LIMITS.valueBytesMax));
    const error = expectRefused('TOO_LARGE', type, undefined, put(LIMITS.valueBytesMax + 1));
    expect(error.message).toBe('a value is at most 1048576 bytes; got 1048577');
    expect(error.details).toEqual({ limit: '1048576', got: '1048577', unit: 'bytes' });
  });

  test('expire at a moment, which is checked', () => {
    const value = text('v');
    for (const expiresAtMs of [0, -1, 1.5, Number.NaN, Infinity, EXPIRY_MS_MAX + 1]) {
      expectRefused('INVALID_ARGUMENT', 'register-lww', undefined, { kind: 'put', value, expiresAtMs });
      expectRefused('INVALID_ARGUMENT', 'register-mv', undefined, { kind: 'put', value, expiresAtMs });
      expectRefused('INVALID_ARGUMENT', 'set-aw', undefined, { kind: 'set-add', elements: [value], expiresAtMs });
      const bad: Intent = { kind: 'map-update', put: [{ field: 'f', value, expiresAtMs }], remove: [] };
      expectRefused('INVALID_ARGUMENT', 'map-lww', undefined, bad);
    }
    expect(new Date(EXPIRY_MS_MAX).getUTCFullYear()).toBe(2089);
    const last = after('register-lww', [{ kind: 'put', value, expiresAtMs: EXPIRY_MS_MAX }])!;
    expect(Number.isSafeInteger(mergeOf('register-lww').collectableAt(last))).toBe(true);
  });
});

describe('register-mv', () => {
  const blind = (bytes: number): Intent => ({ kind: 'put', value: Buffer.alloc(bytes), observed: [] });

  test('I12: siblings are bounded, and a write that has read them goes through', () => {
    const full = after(
      'register-mv',
      names(LIMITS.siblingsMax).map(() => blind(1)),
    );
    expectRefused('TOO_LARGE', 'register-mv', full, blind(1));
    prepare('register-mv', full, put(1));
    prepare('register-mv', full, { ...put(1), observed: [versionAt(3)] } as Intent);
    prepare('register-mv', full, { kind: 'delete' });
  });

  test('I12: so are their bytes together', () => {
    const full = after(
      'register-mv',
      names(16).map(() => blind(LIMITS.valueBytesMax)),
    );
    expectRefused('TOO_LARGE', 'register-mv', full, blind(1));
    prepare('register-mv', full, put(LIMITS.valueBytesMax));
  });

  test('I3: a dot that the writer read elsewhere, and that is not here yet, is not in the op', () => {
    const merge = mergeOf('register-mv');
    const version = versionAt(1);
    const observed = [versionAt(7, other)];
    const payload = merge.prepare(undefined, { kind: 'put', value: text('b'), observed }, { version, nowMs: 0 });
    const late = versionAt(7, other);
    const early = merge.prepare(undefined, put(1), { version: late, nowMs: 0 });
    const one = merge.apply(undefined, payload, { version, seen: () => false }).state;
    const both = merge.apply(one, early, { version: late, seen: () => false }).state;
    expect(merge.view(both, 0)).toMatchObject({ siblings: [{ version }, { version: late }] });
  });
});

describe('counter-pn', () => {
  const by = (amount: bigint): Intent => ({ kind: 'increment', by: amount });
  const max = LIMITS.counterMax;

  test('amounts and values stay within ±(2^63-1), and one that is beyond can come back', () => {
    expectRefused('TOO_LARGE', 'counter-pn', undefined, by(max + 1n));
    expectRefused('TOO_LARGE', 'counter-pn', undefined, by(-max - 1n));
    const full = after('counter-pn', [by(max)]);
    expectRefused('TOO_LARGE', 'counter-pn', full, by(1n));
    prepare('counter-pn', full, by(-max));
    const merge = mergeOf('counter-pn');
    const there = versionAt(1, other);
    const concurrent = merge.prepare(undefined, by(max), { version: there, nowMs: 0 });
    const beyond = merge.apply(full, concurrent, { version: there, seen: () => false }).state;
    expect(merge.view(beyond, 0)).toEqual({ type: 'counter-pn', value: 2n * max });
    expectRefused('TOO_LARGE', 'counter-pn', beyond, by(1n));
    prepare('counter-pn', beyond, by(-1n));
  });

  test('I12: a counter that is reset again and again keeps one slot an origin', () => {
    const cycles = names(50).flatMap((): Intent[] => [by(1n), { kind: 'delete' }]);
    const state = after('counter-pn', cycles);
    expect(state).toMatchObject({ slots: [{ birth: 1, last: 99, inc: 50n, resetInc: 50n }] });
    expect(mergeOf('counter-pn').view(state, 0)).toBeUndefined();
  });
});

describe('set-aw', () => {
  test('an operation names 1 to 4096 elements of at most 1 KiB', () => {
    expectRefused('INVALID_ARGUMENT', 'set-aw', undefined, add([]));
    expectRefused('INVALID_ARGUMENT', 'set-aw', undefined, { kind: 'set-remove', elements: [] });
    expectRefused('TOO_LARGE', 'set-aw', undefined, add(names(LIMITS.setElementsPerOpMax + 1)));
    expectRefused('TOO_LARGE', 'set-aw', undefined, { kind: 'set-add', elements: [Buffer.alloc(1025)] });
    prepare('set-aw', undefined, add(names(LIMITS.setElementsPerOpMax)));
  });

  test('I12: a set is bounded, and a full one still takes what it has and removes', () => {
    const full = after(
      'set-aw',
      names(16).map((prefix) => add(names(LIMITS.setElementsPerOpMax, `${prefix}-`))),
    );
    expectRefused('TOO_LARGE', 'set-aw', full, add(['new']));
    prepare('set-aw', full, add(['3-17']));
    prepare('set-aw', full, { kind: 'set-remove', elements: [text('3-17')] });
    expect(prepare('set-aw', full, { kind: 'delete' }).length).toBeLessThan(100);
  });

  test('an element that is named twice counts once', () => {
    expect(prepare('set-aw', undefined, add(['a', 'a']))).toEqual(prepare('set-aw', undefined, add(['a'])));
  });
});

describe('map-lww', () => {
  test('an update names 1 to 4096 fields, each once', () => {
    expectRefused('INVALID_ARGUMENT', 'map-lww', undefined, update([]));
    expectRefused('INVALID_ARGUMENT', 'map-lww', undefined, update(['f', 'f']));
    expectRefused('INVALID_ARGUMENT', 'map-lww', undefined, update(['f'], 1, ['f']));
    expectRefused('INVALID_ARGUMENT', 'map-lww', undefined, update([], 1, ['f', 'f']));
    expectRefused('TOO_LARGE', 'map-lww', undefined, update(names(4096), 1, ['f']));
    prepare('map-lww', undefined, update(names(4095), 1, ['f']));
  });

  test('a field is Unicode text of at most 1 KiB of UTF-8', () => {
    expectRefused('TOO_LARGE', 'map-lww', undefined, update(['é'.repeat(513)]));
    prepare('map-lww', undefined, update(['é'.repeat(512)]));
    expectRefused('INVALID_ARGUMENT', 'map-lww', undefined, update(['\ud83d']));
    prepare('map-lww', undefined, update(['\u{1F600}', '__proto__', '']));
  });

  test('I12: one operation, and one key, hold a bounded number of bytes', () => {
    expectRefused('TOO_LARGE', 'map-lww', undefined, update(['f'], LIMITS.valueBytesMax + 1));
    expectRefused('TOO_LARGE', 'map-lww', undefined, update(names(5), LIMITS.valueBytesMax));
    const parts = names(5).map((prefix) => update(names(3, prefix), LIMITS.valueBytesMax));
    const nearlyFull = after('map-lww', parts);
    expectRefused('TOO_LARGE', 'map-lww', nearlyFull, update(['one more'], LIMITS.valueBytesMax));
    prepare('map-lww', nearlyFull, update(['00'], LIMITS.valueBytesMax));
    prepare('map-lww', nearlyFull, update([], 1, ['00']));
  });

  test('I12: fields are bounded, those included that were removed and are not collected yet', () => {
    const filled = after(
      'map-lww',
      names(16).map((prefix) => update([], 1, names(LIMITS.mapFieldsPerOpMax, `${prefix}-`))),
    );
    expectRefused('TOO_LARGE', 'map-lww', filled, update(['new']));
    prepare('map-lww', filled, update(['3-17']));
    prepare('map-lww', filled, { kind: 'delete' });
  });
});
