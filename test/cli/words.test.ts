import { expect, test } from 'vitest';
import { table } from '../../src/cli/terminal.ts';
import { addresses, bytes, durationMs, jsonBytes, keyName, printable, span, wholeNumber } from '../../src/cli/words.ts';

test('durations', () => {
  expect(['500ms', '5s', '2m', '1h', '7d', '3', '1.5s'].map(durationMs)).toEqual([
    500, 5000, 120_000, 3_600_000, 604_800_000, 3000, 1500,
  ]);
  for (const wrong of ['', 'soon', '-1s', '1 week', '5S'])
    expect(() => durationMs(wrong)).toThrow('Expected a duration');
});

test('addresses', () => {
  expect(addresses('a:1, b:2')).toEqual(['a:1', 'b:2']);
  expect(() => addresses('a:1,b')).toThrow("got 'b'");
  expect(() => addresses('a:0')).toThrow('Expected host:port');
});

test('names of keys; a key may have slashes', () => {
  expect(keyName('demo/files/a/b.txt')).toEqual({ namespace: 'demo', collection: 'files', key: 'a/b.txt' });
  for (const wrong of ['', 'demo', 'demo/x', 'demo/x/', '/x/y', 'demo//y']) {
    expect(() => keyName(wrong)).toThrow('Expected namespace/collection/key');
  }
});

test('whole numbers within bounds', () => {
  expect(wholeNumber(1, 7)('3')).toBe(3);
  for (const wrong of ['0', '8', '1.5', '', 'x', '1e1']) expect(() => wholeNumber(1, 7)(wrong)).toThrow('from 1 to 7');
});

test('sizes and spans for people', () => {
  expect([0, 1023, 1024, 1536, 200 * 1024, 5 * 1024 ** 3].map(bytes)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '200 KiB',
    '5.0 GiB',
  ]);
  expect([0.4, 12.4, 1500, 61_000, 3_660_000, 90_000_000].map(span)).toEqual([
    '0.4 ms',
    '12 ms',
    '1.5 s',
    '1 min 1 s',
    '1 h 1 min',
    '1 d 1 h',
  ]);
});

test('values are shown as text when they are text, and never act on the terminal', () => {
  const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
  expect(printable(utf8('größe\t1\n'))).toBe('größe\t1\n');
  expect(printable(utf8('\u001b[2J'))).toBe('base64:G1sySg==');
  expect(printable(new Uint8Array([0xff]))).toBe('base64:/w==');
  expect(jsonBytes(utf8('\u001b'))).toBe('\u001b');
  expect(jsonBytes(new Uint8Array([0xff]))).toEqual({ base64: '/w==' });
});

test('columns ignore colour and have no trailing blanks', () => {
  expect(
    table([
      ['a', '\u001b[32mgood\u001b[39m', 'x'],
      ['long', 'b', ''],
    ]),
  ).toEqual(['a     \u001b[32mgood\u001b[39m  x', 'long  b']);
});
