// What a POST to a key asks for: the changes of the types that merge, as JSON. One request is one op, so one outcome.
//
//   counter-pn   {"increment": 5}, {"increment": "-12345678901234567890"}
//   set-aw       {"add": ["news", "oslo"]} or {"remove": ["news"]}
//   map-lww      {"set": {"gate": "B12"}, "remove": ["delay"]}, either or both
//
// How many and how large is the merge type's to say (src/merge).

import { CausewayError } from '../../errors/errors.ts';
import { LIMITS, type Intent } from '../../merge/types.ts';
import type { MergeTypeName } from '../../record/op.ts';
import { elementBytes, shown, valueBytes } from './values.ts';

/** Types that take POST; the others take PUT. */
export type ChangedType = Exclude<MergeTypeName, 'register-lww' | 'register-mv'>;

export const CHANGE_FORMS: Readonly<Record<ChangedType, string>> = {
  'counter-pn': '{"increment": 5}',
  'set-aw': '{"add": ["a"]} or {"remove": ["a"]}',
  'map-lww': '{"set": {"field": "value"}, "remove": ["other"]}',
};

const MEMBERS: Readonly<Record<ChangedType, readonly string[]>> = {
  'counter-pn': ['increment'],
  'set-aw': ['add', 'remove'],
  'map-lww': ['set', 'remove'],
};

export function takesChanges(type: MergeTypeName): type is ChangedType {
  return type in CHANGE_FORMS;
}

/** `text` is JSON. Throws CausewayError INVALID_ARGUMENT, WRONG_OPERATION. */
export function changeOf(type: ChangedType, text: string, expiresAtMs: number | undefined): Intent {
  const document = JSON.parse(text) as unknown;
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new CausewayError(
      'INVALID_ARGUMENT',
      `a change of a ${type} is ${CHANGE_FORMS[type]}; got ${shown(document)}`,
    );
  }
  const members = document as Readonly<Record<string, unknown>>;
  const names = Object.keys(members);
  const strange = names.find((name) => !MEMBERS[type].includes(name));
  if (strange !== undefined || names.length === 0) {
    throw new CausewayError(
      'WRONG_OPERATION',
      `a change of a ${type} is ${CHANGE_FORMS[type]}; got ${strange === undefined ? 'nothing to change' : `'${strange.slice(0, 80)}'`}`,
      { outcome: 'not-applied' },
    );
  }
  switch (type) {
    case 'counter-pn':
      if (expiresAtMs !== undefined) throw noExpiry('a counter does not expire');
      return { kind: 'increment', by: amount(members['increment']) };
    case 'set-aw':
      return setChange(members, expiresAtMs);
    case 'map-lww':
      return mapChange(members, expiresAtMs);
  }
}

function amount(value: unknown): bigint {
  const whole =
    typeof value === 'number' ? Number.isSafeInteger(value) : typeof value === 'string' && /^-?\d{1,19}$/.test(value);
  const by = whole ? BigInt(value as number | string) : undefined;
  if (by === undefined || by > LIMITS.counterMax || by < -LIMITS.counterMax) {
    throw new CausewayError('INVALID_ARGUMENT', `increment is a whole number within ±(2^63 - 1); got ${shown(value)}`, {
      hint: 'beyond ±(2^53 - 1) write it as a string',
    });
  }
  return by;
}

function setChange(members: Readonly<Record<string, unknown>>, expiresAtMs: number | undefined): Intent {
  if ('add' in members && 'remove' in members) {
    throw new CausewayError('INVALID_ARGUMENT', 'one change of a set adds or removes; this one does both', {
      hint: 'send two requests',
    });
  }
  if ('add' in members) {
    const elements = list(members['add'], 'add').map((element, i) => elementBytes(element, `add[${i}]`));
    return { kind: 'set-add', elements, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) };
  }
  if (expiresAtMs !== undefined) throw noExpiry('what is removed does not expire');
  return {
    kind: 'set-remove',
    elements: list(members['remove'], 'remove').map((element, i) => elementBytes(element, `remove[${i}]`)),
  };
}

function mapChange(members: Readonly<Record<string, unknown>>, expiresAtMs: number | undefined): Intent {
  const { set = {}, remove = [] } = members;
  if (typeof set !== 'object' || set === null || Array.isArray(set)) {
    throw new CausewayError('INVALID_ARGUMENT', `set is an object with a value per field; got ${shown(set)}`);
  }
  const put = Object.entries(set).map(([field, value]) => ({
    field,
    value: valueBytes(value, `set.${field.slice(0, 80)}`),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  }));
  const removed = list(remove, 'remove').map((field) => {
    if (typeof field === 'string') return field;
    throw new CausewayError('INVALID_ARGUMENT', `remove names fields as strings; got ${shown(field)}`);
  });
  return { kind: 'map-update', put, remove: removed };
}

function list(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[];
  throw new CausewayError('INVALID_ARGUMENT', `${name} is an array; got ${shown(value)}`);
}

function noExpiry(why: string): CausewayError {
  return new CausewayError('INVALID_ARGUMENT', `ttlMs does not go with this: ${why}`);
}
