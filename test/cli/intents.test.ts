import { describe, expect, test } from 'vitest';
import { changeOf, type Change, type PutFlags, type PutType } from '../../src/cli/intents.ts';
import { CausewayError } from '../../src/errors/errors.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('what is put', () => {
  const rows: readonly (readonly [PutType, string[], PutFlags, Change])[] = [
    ['register-lww', ['{"x":1}'], {}, { kind: 'put', value: utf8('{"x":1}') }],
    ['register-mv', [''], {}, { kind: 'put', value: utf8('') }],
    ['register-lww', [], { content: utf8('from a file') }, { kind: 'put', value: utf8('from a file') }],
    ['counter-pn', ['+5'], {}, { kind: 'increment', by: 5n }],
    ['counter-pn', ['-3'], {}, { kind: 'increment', by: -3n }],
    ['counter-pn', ['9007199254740993'], {}, { kind: 'increment', by: 9007199254740993n }],
    [
      'set-aw',
      ['a'],
      { add: ['b'], remove: ['c'] },
      { kind: 'set-update', add: [utf8('a'), utf8('b')], remove: [utf8('c')] },
    ],
    [
      'map-lww',
      ['gate=B12', 'note=a=b'],
      { remove: ['delay'] },
      {
        kind: 'map-update',
        put: [
          ['gate', utf8('B12')],
          ['note', utf8('a=b')],
        ],
        remove: ['delay'],
      },
    ],
    [
      'map-lww',
      ['{"a":"x","b":{"c":1}}'],
      {},
      {
        kind: 'map-update',
        put: [
          ['a', utf8('x')],
          ['b', utf8('{"c":1}')],
        ],
        remove: [],
      },
    ],
    ['set-aw', [], { delete: true }, { kind: 'delete' }],
  ];
  test.each(rows)('%s %j %j', (type, values, flags, change) => {
    expect(changeOf(type, 'demo/x', values, flags)).toEqual(change);
  });
});

describe('what does not fit', () => {
  const rows: readonly (readonly [PutType, string[], PutFlags, code: string, says: string])[] = [
    [
      'counter-pn',
      ['hello'],
      {},
      'WRONG_OPERATION',
      "demo/x is a counter-pn, which takes a number to add, e.g. +5 or -3; got 'hello'",
    ],
    ['counter-pn', ['1.5'], {}, 'WRONG_OPERATION', "got '1.5'"],
    ['counter-pn', [], { add: ['a'] }, 'WRONG_OPERATION', 'got --add'],
    ['register-lww', [], {}, 'WRONG_OPERATION', 'which takes one value'],
    ['register-lww', ['a', 'b'], {}, 'WRONG_OPERATION', 'got 2 values: put a value with spaces in quotes'],
    ['register-lww', ['a'], { remove: ['b'] }, 'WRONG_OPERATION', 'got --remove'],
    ['set-aw', [], {}, 'WRONG_OPERATION', 'got none'],
    ['set-aw', ['a'], { remove: ['a'] }, 'INVALID_ARGUMENT', "'a' is both added and removed"],
    ['map-lww', ['gate'], {}, 'WRONG_OPERATION', "got 'gate', which is not field=value"],
    ['map-lww', ['{"a"'], {}, 'WRONG_OPERATION', 'which is not JSON'],
    ['map-lww', ['a=1'], { remove: ['a'] }, 'INVALID_ARGUMENT', "field 'a' is both written and removed"],
    ['map-lww', ['a=1'], { delete: true }, 'INVALID_ARGUMENT', '--delete removes the whole key and takes nothing else'],
  ];
  test.each(rows)('%s %j %j', (type, values, flags, code, says) => {
    const put = (): Change => changeOf(type, 'demo/x', values, flags);
    expect(put).toThrow(CausewayError);
    expect(put).toThrow(says);
    try {
      put();
    } catch (error) {
      expect((error as CausewayError).code).toBe(code);
      expect((error as CausewayError).exitCode).toBe(2);
    }
  });
});
