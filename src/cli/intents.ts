// What `causeway put` means for each merge type: from the words on the command line to one change of one key. Pure.

import { CausewayError } from '../errors/errors.ts';

export interface PutFlags {
  readonly add?: readonly string[] | undefined;
  readonly remove?: readonly string[] | undefined;
  readonly delete?: true | undefined;
  /** Of --file or of `-` (standard input), already read. */
  readonly content?: Uint8Array | undefined;
}

export type Change =
  | { readonly kind: 'put'; readonly value: Uint8Array }
  | { readonly kind: 'delete' }
  | { readonly kind: 'increment'; readonly by: bigint }
  | { readonly kind: 'set-update'; readonly add: readonly Uint8Array[]; readonly remove: readonly Uint8Array[] }
  | {
      readonly kind: 'map-update';
      readonly put: readonly (readonly [field: string, value: Uint8Array])[];
      readonly remove: readonly string[];
    };

/** How each type is written, for messages and for --help. */
export const PUT_FORMS = {
  'register-lww': 'one value, e.g. \'{"x":1}\'',
  'register-mv': 'one value, e.g. \'{"x":1}\'',
  'counter-pn': 'a number to add, e.g. +5 or -3',
  'set-aw': 'elements to add, e.g. a b, and --remove c',
  'map-lww': 'fields, e.g. gate=B12 status=boarding, and --remove delay',
} as const;

export type PutType = keyof typeof PUT_FORMS;

/** Throws WRONG_OPERATION or INVALID_ARGUMENT. `name` is the collection's, for messages. */
export function changeOf(type: PutType, name: string, values: readonly string[], flags: PutFlags): Change {
  const wrong = (got: string): CausewayError =>
    new CausewayError('WRONG_OPERATION', `${name} is a ${type}, which takes ${PUT_FORMS[type]}; got ${got}`, {
      outcome: 'not-applied',
      hint: `causeway put --help has an example for each merge type. Every type takes --delete.`,
    });
  const add = flags.add ?? [];
  const remove = flags.remove ?? [];
  if (flags.delete === true) {
    if (values.length > 0 || add.length > 0 || remove.length > 0 || flags.content !== undefined) {
      throw new CausewayError('INVALID_ARGUMENT', '--delete removes the whole key and takes nothing else', {
        hint: 'To remove an element of a set or a field of a map, use --remove.',
      });
    }
    return { kind: 'delete' };
  }
  switch (type) {
    case 'register-lww':
    case 'register-mv': {
      if (add.length > 0) throw wrong('--add');
      if (remove.length > 0) throw wrong('--remove');
      if (flags.content !== undefined && values.length === 0) return { kind: 'put', value: flags.content };
      if (values.length !== 1) {
        throw wrong(values.length === 0 ? 'none' : `${values.length} values: put a value with spaces in quotes`);
      }
      return { kind: 'put', value: utf8(values[0]!) };
    }
    case 'counter-pn': {
      if (add.length > 0 || remove.length > 0 || flags.content !== undefined) throw wrong(flagOf(flags));
      const [text] = values;
      if (text === undefined || values.length > 1) throw wrong(text === undefined ? 'none' : `${values.length} values`);
      if (!/^[+-]?\d+$/.test(text)) throw wrong(`'${text}'`);
      return { kind: 'increment', by: BigInt(text.replace(/^\+/, '')) };
    }
    case 'set-aw': {
      if (flags.content !== undefined) throw wrong('a file');
      const added = [...values, ...add];
      if (added.length + remove.length === 0) throw wrong('none');
      const both = added.find((element) => remove.includes(element));
      if (both !== undefined) {
        throw new CausewayError('INVALID_ARGUMENT', `'${both}' is both added and removed; expected one of the two`);
      }
      return { kind: 'set-update', add: added.map(utf8), remove: remove.map(utf8) };
    }
    case 'map-lww': {
      if (add.length > 0) throw wrong('--add');
      if (flags.content !== undefined) throw wrong('a file');
      const put = fieldsOf(values, wrong);
      if (put.length + remove.length === 0) throw wrong('none');
      const both = remove.find((field) => put.some(([name]) => name === field));
      if (both !== undefined) {
        throw new CausewayError(
          'INVALID_ARGUMENT',
          `field '${both}' is both written and removed; expected one of the two`,
        );
      }
      return { kind: 'map-update', put, remove };
    }
  }
}

/** `field=value …`, or one JSON object: its texts as they are, everything else as JSON. */
function fieldsOf(values: readonly string[], wrong: (got: string) => CausewayError): [string, Uint8Array][] {
  const [first] = values;
  if (values.length === 1 && first !== undefined && first.trimStart().startsWith('{')) {
    let object: unknown;
    try {
      object = JSON.parse(first);
    } catch {
      throw wrong(`'${first}', which is not JSON`);
    }
    return Object.entries(object as Record<string, unknown>).map(([field, value]) => [
      field,
      utf8(typeof value === 'string' ? value : JSON.stringify(value)),
    ]);
  }
  const fields = new Map<string, Uint8Array>();
  for (const value of values) {
    const equals = value.indexOf('=');
    if (equals <= 0) throw wrong(`'${value}', which is not field=value`);
    fields.set(value.slice(0, equals), utf8(value.slice(equals + 1)));
  }
  return [...fields];
}

function flagOf({ add, remove }: PutFlags): string {
  return add !== undefined && add.length > 0
    ? '--add'
    : remove !== undefined && remove.length > 0
      ? '--remove'
      : 'a file';
}

const encoder = new TextEncoder();

function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}
