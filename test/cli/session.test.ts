// Sessions kept in a file.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { keepSession, sessionOf } from '../../src/cli/session.ts';

const directory = mkdtempSync(join(tmpdir(), 'causeway-session-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('a file that is not there is a session that begins; it is kept for its owner alone', () => {
  const sessionFile = join(directory, 'token');
  expect(sessionOf({ sessionFile })).toBeUndefined();
  keepSession({ sessionFile }, 'abc');
  expect(readFileSync(sessionFile, 'utf8')).toBe('abc\n');
  expect(statSync(sessionFile).mode & 0o777).toBe(0o600);
  expect(sessionOf({ sessionFile })).toBe('abc');
  writeFileSync(sessionFile, '\n');
  expect(sessionOf({ sessionFile })).toBeUndefined();
});

test('a token by value, none, and mistakes', () => {
  expect(sessionOf({ session: 'abc' })).toBe('abc');
  expect(sessionOf({})).toBeUndefined();
  keepSession({ session: 'abc' }, 'new');
  expect(() => sessionOf({ session: 'a', sessionFile: 'b' })).toThrow('expected one of --session and --session-file');
  expect(() => sessionOf({ sessionFile: directory })).toThrow('cannot read');
  expect(() => keepSession({ sessionFile: join(directory, 'none', 'token') }, 'x')).toThrow('cannot write');
});
