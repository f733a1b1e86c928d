// Lines of export and import.

import { describe, expect, test } from 'vitest';
import { BadLine, lineOf, opsOfLine, type LineContext } from '../../src/cli/ndjson.ts';
import { jsonLine } from '../../src/cli/terminal.ts';
import type { MergeType, View } from '../../src/client/types.ts';

const TYPES: Readonly<Record<string, MergeType>> = {
  profiles: 'register-lww',
  notes: 'register-mv',
  counters: 'counter-pn',
  sets: 'set-aw',
  flights: 'map-lww',
};

const context: LineContext = { collection: undefined, typeOf: (name) => TYPES[name] };
const bytes = (text: string): Uint8Array => Buffer.from(text);
const version = { origin: 'us-east~0123456789ab', seq: 1, stamp: 4096 };

describe('a line', () => {
  const rows: readonly (readonly [collection: string, View, intents: readonly object[]])[] = [
    [
      'profiles',
      { type: 'register-lww', value: bytes('{"x":1}'), version, expiresAtMs: 1_800_000_000_000 },
      [{ kind: 'put', value: bytes('{"x":1}'), expiresAtMs: 1_800_000_000_000 }],
    ],
    [
      'profiles',
      { type: 'register-lww', value: Buffer.from([0xff, 0]), version },
      [{ kind: 'put', value: Buffer.from([0xff, 0]) }],
    ],
    [
      'notes',
      {
        type: 'register-mv',
        siblings: [
          { value: bytes('a'), version },
          { value: bytes('b'), version },
        ],
      },
      [
        { kind: 'put', value: bytes('a') },
        { kind: 'put', value: bytes('b'), observed: [] },
      ],
    ],
    ['counters', { type: 'counter-pn', value: -3n }, [{ kind: 'increment', by: -3n }]],
    ['counters', { type: 'counter-pn', value: 2n ** 62n }, [{ kind: 'increment', by: 2n ** 62n }]],
    [
      'sets',
      { type: 'set-aw', elements: [bytes('a'), Buffer.from([0xfe])] },
      [{ kind: 'set-add', elements: [bytes('a'), Buffer.from([0xfe])] }],
    ],
    [
      'flights',
      { type: 'map-lww', fields: [{ field: 'gate', value: bytes('B12'), version }] },
      [{ kind: 'map-update', put: [{ field: 'gate', value: bytes('B12') }], remove: [] }],
    ],
  ];
  test.each(rows)('of %s comes back as what writes the same', (collection, view, intents) => {
    const text = jsonLine(lineOf(collection, 'k', view));
    expect(text.endsWith('\n') && !text.slice(0, -1).includes('\n')).toBe(true);
    expect(opsOfLine(text, context)).toEqual(intents.map((intent) => ({ collection, key: 'k', intent })));
  });

  test('made by hand may hold any JSON, and leave the collection to the command', () => {
    const inProfiles = { ...context, collection: 'profiles' };
    const put = (value: string): object => ({
      collection: 'profiles',
      key: 'k',
      intent: { kind: 'put', value: bytes(value) },
    });
    expect(opsOfLine('{"key":"k","value":{"city":"Oslo"}}', inProfiles)).toEqual([put('{"city":"Oslo"}')]);
    expect(opsOfLine('{"key":"k","value":[1,2]}', inProfiles)).toEqual([put('[1,2]')]);
    expect(opsOfLine('{"key":"k","value":{"base64":"YQ==","more":1}}', inProfiles)).toEqual([
      put('{"base64":"YQ==","more":1}'),
    ]);
    expect(opsOfLine('{"collection":"flights","key":"k","fields":{"delay":5}}', inProfiles)).toMatchObject([
      { intent: { put: [{ field: 'delay', value: bytes('5') }] } },
    ]);
  });

  test('of very many elements is several ops', () => {
    const elements = Array.from({ length: 9000 }, (_, i) => `e${i}`);
    const ops = opsOfLine(JSON.stringify({ collection: 'sets', key: 'k', elements }), context);
    expect(ops.map(({ intent }) => (intent.kind === 'set-add' ? intent.elements.length : 0))).toEqual([
      4000, 4000, 1000,
    ]);
  });

  test.each([
    ['', 'it is not JSON'],
    ['{"key":', 'it is not JSON'],
    ['[]', 'expected a JSON object'],
    ['{"collection":"profiles"}', "expected 'key' to be a text that is not empty"],
    ['{"key":"k"}', "expected 'collection' to be a text"],
    ['{"key":7,"collection":"profiles"}', "expected 'key' to be a text"],
    ['{"key":"k","collection":"nowhere"}', "there is no collection 'nowhere'"],
    [
      '{"key":"k","collection":"profiles","type":"set-aw"}',
      '\'profiles\' is a register-lww here, the line is of a "set-aw"',
    ],
    ['{"key":"k","collection":"profiles"}', "expected 'value' to be there"],
    ['{"key":"k","collection":"profiles","value":null}', "expected 'value' to be there"],
    ['{"key":"k","collection":"profiles","value":{"base64":"!"}}', "expected base64 in 'value'"],
    ['{"key":"k","collection":"profiles","value":"x","expiresAt":"soon"}', "expected 'expiresAt' to be a time"],
    ['{"key":"k","collection":"counters","value":1.5}', "expected 'value' to be a whole number"],
    ['{"key":"k","collection":"counters","value":"many"}', "expected 'value' to be a whole number"],
    ['{"key":"k","collection":"sets","elements":[]}', "expected 'elements' to be a list that is not empty"],
    ['{"key":"k","collection":"flights","fields":["a"]}', "expected 'fields' to hold JSON objects"],
    ['{"key":"k","collection":"flights","fields":{}}', "expected 'fields' to have at least one"],
  ])('%s is refused', (text, says) => {
    expect(() => opsOfLine(text, context)).toThrow(BadLine);
    expect(() => opsOfLine(text, context)).toThrow(says);
  });
});
