import { describe, expect, test } from 'vitest';
import { restoringIntent, winnerStands } from '../../src/conflicts/restore.ts';
import type { Conflict } from '../../src/conflicts/entry.ts';
import type { AnyState } from '../../src/merge/merge.ts';
import { RegisterLww } from '../../src/merge/register-lww.ts';
import { SHARDS, verdict, version } from './support.ts';

const register: Conflict = { ...verdict(7), atMs: 1, shard: SHARDS[0]! };
const field: Conflict = {
  ...register,
  collection: { namespace: 'shop', name: 'people', id: 1, type: 'map-lww' },
  field: 'city',
};
const { winner } = register;
const newer = version(9, winner.origin, winner.stamp + 1);

describe('does the winner stand?', () => {
  const lww = (at: typeof winner): AnyState => new RegisterLww(at, undefined, undefined);
  const map = (floor: typeof winner | undefined, city: typeof winner | undefined): AnyState => ({
    floor,
    fields: new Map(city === undefined ? [] : [['city', { version: city, value: undefined, expiresAtMs: undefined }]]),
  });

  test.each<[string, Conflict, AnyState | undefined, boolean]>([
    ['a register at it', register, lww(winner), true],
    ['a register above it', register, lww(newer), false],
    ['a register of which nothing is kept: something else took it away', register, undefined, false],
    ['a delete of which nothing is kept: the key is absent', { ...register, winnerDeletes: true }, undefined, true],
    ['a field at it', field, map(undefined, winner), true],
    ['a field above it', field, map(undefined, newer), false],
    ['the delete of the key, where the field is not', { ...field, winnerDeletes: true }, map(winner, undefined), true],
    ['a later delete of the key', { ...field, winnerDeletes: true }, map(newer, undefined), false],
  ])('%s', (_name, conflict, state, stands) => {
    expect(winnerStands(conflict, state)).toBe(stands);
  });
});

describe('what is written', () => {
  test('a register: its value with its expiry, or its delete', () => {
    expect(restoringIntent([register], 5)).toEqual({ kind: 'put', value: register.loserValue });
    const expiring = { ...register, loserExpiresAtMs: 6 };
    expect(restoringIntent([expiring], 5)).toEqual({ kind: 'put', value: register.loserValue, expiresAtMs: 6 });
    expect(restoringIntent([{ ...register, loserValue: undefined }], 5)).toEqual({ kind: 'delete' });
  });

  test('a map: all its fields in one write', () => {
    const gone = { ...field, field: 'zip', loserValue: undefined };
    expect(restoringIntent([field, gone], 5)).toEqual({
      kind: 'map-update',
      put: [{ field: 'city', value: field.loserValue }],
      remove: ['zip'],
    });
  });

  test('nothing that has expired since', () => {
    expect(() => restoringIntent([{ ...register, loserExpiresAtMs: 5 }], 5)).toThrow(
      expect.objectContaining({
        code: 'PRECONDITION_FAILED',
        message: expect.stringContaining('expired at 1970') as string,
      }),
    );
  });
});
