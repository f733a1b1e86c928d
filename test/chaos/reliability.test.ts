// docs/RELIABILITY.md names the test behind each promise: what it names is there.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checks } from '../../chaos/check/recorded/checks.ts';
import { MUTANT_NAMES } from '../../chaos/mutants/mutants.ts';
import { scenarios as real } from '../../chaos/scenarios/index.ts';
import { scenarios as simulated } from '../../chaos/sim/scenarios/index.ts';

const page = readFileSync('docs/RELIABILITY.md', 'utf8');

/** `file` “name”, “name”: each name with the file before it. */
function named(): { readonly file: string; readonly name: string }[] {
  const found: { file: string; name: string }[] = [];
  let file = '';
  for (const [, path, name] of page.matchAll(/`(test\/[^`]+\.ts)`|“([^”]+)”/g)) {
    if (path !== undefined) file = path;
    else found.push({ file, name: name! });
  }
  return found;
}

/** Names in backticks behind a word, in one cell of a table. */
function behind(word: RegExp): string[] {
  const lists = page.matchAll(new RegExp(`${word.source} ((?:\`[a-zA-Z-]+\`(?:, )?)+)`, 'g'));
  return [...lists].flatMap(([, list]) => [...list!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
}

describe('docs/RELIABILITY.md', () => {
  test('files are there', () => {
    const files = [...page.matchAll(/`((?:test|src|chaos)\/[^`]+\.ts)`/g)].map(([, file]) => file!);
    expect(files.length).toBeGreaterThan(20);
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
  });

  test('tests are there, by their names', () => {
    expect(named().length).toBeGreaterThan(20);
    expect(named().filter(({ file, name }) => !readFileSync(file, 'utf8').includes(name))).toEqual([]);
  });

  test('scenarios and checks are there', () => {
    const sims = simulated.map(({ name }) => name);
    expect(behind(/sim(?: \([^)]*\),)? scenarios?/).filter((name) => !sims.includes(name))).toEqual([]);
    const reals = real.map(({ name }) => name);
    expect(behind(/chaos/).length).toBeGreaterThan(8);
    expect(behind(/chaos/).filter((name) => !reals.includes(name))).toEqual([]);
    const judged = checks.map(({ name }) => name);
    expect(behind(/checks?/).length).toBeGreaterThan(8);
    expect(behind(/checks?/).filter((name) => !judged.includes(name))).toEqual([]);
  });

  test('the table has every mutant, once', () => {
    const rows = [...page.matchAll(/^\| `([a-zA-Z]+)` \|/gm)].map(([, name]) => name!);
    expect(rows.toSorted()).toEqual(MUTANT_NAMES.toSorted());
  });
});
