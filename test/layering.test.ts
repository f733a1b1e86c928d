// The arrows between the folders of src/ go one way, and only the files meant to touch the outside world do.

import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  findCycles,
  importGraph,
  judge,
  mask,
  readSources,
  report,
  scanImports,
  type LayerRules,
} from './support/imports.ts';
import { RULES } from './support/layers.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

describe('src/', () => {
  const sources = readSources(root, 'src');

  test('is read at all', () => {
    // Guards the two tests below against passing because they looked in an empty place.
    expect(sources.has('src/system/real.ts')).toBe(true);
    const imports = scanImports(sources.get('src/system/real.ts') ?? '').map(({ specifier }) => specifier);
    expect(imports).toEqual(['node:crypto', './system.ts']);
  });

  test('has no import cycle', () => {
    // Messages of the protocol may hold each other; what is generated from them are types alone.
    const written = new Map([...sources].filter(([path]) => !path.startsWith('src/proto/generated/')));
    expect(findCycles(importGraph(written)).map((cycle) => cycle.join(' → '))).toEqual([]);
  });

  test('has only the arrows of test/support/layers.ts, and keeps vendors, time and randomness in their files', () => {
    expect(report(judge(sources, RULES))).toEqual([]);
  });
});

test('the table itself has no cycle between folders', () => {
  // A port's file counts as its folder here: two folders that see each other's ports are a cycle all the same.
  const folderOf = (entry: string): string => entry.split('/')[0] ?? entry;
  const folders = new Map(
    Object.entries(RULES.layers).map(([layer, may]) => [layer, new Set(may.filter((to) => to !== '*').map(folderOf))]),
  );
  expect(findCycles(folders)).toEqual([]);
});

// A checker that has never failed proves nothing: each rule is broken here on purpose.
describe('the checker finds', () => {
  const rules: LayerRules = {
    layers: { low: [], port: [], high: ['low', 'port/port.ts'], 'root.ts': ['*'] },
    alsoAllowed: { 'src/low/grpc-*.ts': ['port'] },
    vendors: { '@scope/vendor': ['src/port/vendor.ts'] },
    pure: { low: ['node:buffer'] },
    realWorld: ['src/port/real.ts'],
  };
  const judged = (file: string, text: string): string[] => report(judge(new Map([[file, text]]), rules));

  test('a cycle of two, through a type-only import and a re-export', () => {
    const graph = importGraph(
      new Map([
        ['src/low/a.ts', "import type { B } from './b.ts';"],
        ['src/low/b.ts', "export { a } from './a.ts';"],
        ['src/low/c.ts', "import { a } from './a.ts';"],
      ]),
    );
    expect(findCycles(graph)).toEqual([['src/low/a.ts', 'src/low/b.ts', 'src/low/a.ts']]);
  });

  test('a cycle across folders, a self-import, and the shortest walk of several', () => {
    const graph = new Map(
      Object.entries({ a: ['b'], b: ['c', 'd'], c: ['a'], d: ['c'], e: ['e'], f: ['a'] }).map(
        ([from, to]) => [from, new Set(to)] as const,
      ),
    );
    expect(findCycles(graph)).toEqual([
      ['a', 'b', 'c', 'a'],
      ['d', 'c', 'a', 'b', 'd'],
      ['e', 'e'],
    ]);
  });

  test('an arrow that goes up', () => {
    expect(judged('src/low/a.ts', "\nimport { x } from '../high/x.ts';")).toEqual([
      'src/low/a.ts:2 low may not import high/x.ts; it may import nothing but itself',
    ]);
  });

  test('an engine where only its port is allowed', () => {
    expect(judged('src/high/a.ts', "import { p } from '../port/port.ts';")).toEqual([]);
    expect(judged('src/high/a.ts', "import { p } from '../port/vendor.ts';")).toHaveLength(1);
  });

  test('what is allowed to some files of a folder, in others', () => {
    expect(judged('src/low/grpc-link.ts', "import { p } from '../port/wire.ts';")).toEqual([]);
    expect(judged('src/low/link.ts', "import { p } from '../port/wire.ts';")).toHaveLength(1);
  });

  test('an arrow by import(), by a type of import(), by export * and by a bare import', () => {
    expect(judged('src/low/a.ts', "const x = await import('../high/x.ts');")).toHaveLength(1);
    expect(judged('src/low/a.ts', "type X = import('../high/x.ts').X;")).toHaveLength(1);
    expect(judged('src/low/a.ts', "export * from '../high/x.ts';")).toHaveLength(1);
    expect(judged('src/low/a.ts', "import '../high/x.ts';")).toHaveLength(1);
    expect(judged('src/low/a.ts', "import {\n  type X,\n  y as z,\n} from '../high/x.ts';")).toHaveLength(1);
  });

  test('an import() that it cannot read', () => {
    expect(judged('src/high/a.ts', 'await import(name);')).toHaveLength(1);
    expect(judged('src/high/a.ts', 'await import(`../low/${name}.ts`);')).toHaveLength(1);
  });

  test('a way out of src/', () => {
    expect(judged('src/root.ts', "import { sim } from '../chaos/sim/main.ts';")).toHaveLength(1);
    expect(judged('src/high/a.ts', "import { x } from '../../test/support/x.ts';")).toHaveLength(1);
  });

  test('a folder that nobody put in the table', () => {
    expect(judged('src/utils/a.ts', '')).toHaveLength(1);
  });

  test('a vendor outside its file, by a deep path too', () => {
    expect(judged('src/port/vendor.ts', "import v from '@scope/vendor';")).toEqual([]);
    expect(judged('src/port/other.ts', "import v from '@scope/vendor';")).toHaveLength(1);
    expect(judged('src/port/other.ts', "import v from '@scope/vendor/build/x.js';")).toHaveLength(1);
  });

  test('I/O in a pure folder', () => {
    expect(judged('src/low/a.ts', "import { Buffer } from 'node:buffer';")).toEqual([]);
    expect(judged('src/low/a.ts', "import { open } from 'node:fs/promises';")).toHaveLength(1);
    expect(judged('src/low/a.ts', "import pino from 'pino';")).toHaveLength(1);
  });

  test.each([
    'Date.now()',
    'const now = Date.now;',
    'new Date()',
    'new Date;',
    'Math.random()',
    'performance.now()',
    'process.hrtime.bigint()',
    'crypto.randomUUID()',
    'AbortSignal.timeout(5)',
    'setTimeout(f, 1)',
    'const t = setInterval;',
    'setImmediate(f)',
    '`${Date.now()}`',
    "import { randomBytes } from 'node:crypto';",
    "import { setTimeout as sleep } from 'node:timers/promises';",
    "import { performance } from 'node:perf_hooks';",
  ])('the real world in %s', (text) => {
    expect(judged('src/high/a.ts', text)).not.toEqual([]);
    expect(judged('src/port/real.ts', text)).toEqual([]);
  });

  test.each([
    '// import { x } from "../high/x.ts"; Date.now()',
    '/* Math.random() */',
    'const s = "Date.now()";',
    'const s = \'import x from "../high/x.ts"\';',
    'const s = `setTimeout(${x}) import("y")`;',
    'new Date(stampMs).toISOString()',
    'timers.setTimeout(f)',
    'const mySetTimeoutMs = 5;',
    "import { createHash } from 'node:crypto';",
    'const r = /["\'`]/; const t = a / b; // "',
    'const { imports, from } = exported;',
    'return this.import(x.y);',
  ])('nothing in %s', (text) => {
    expect(judged('src/high/a.ts', text)).toEqual([]);
  });
});

describe('the scanner', () => {
  test('gives specifiers, names and lines in order', () => {
    const text = [
      "import fs, { readFileSync as read, type Stats } from 'node:fs';",
      '/* import x from "no" */',
      'export type { A } from "./a.ts"; export * as b from "./b.ts";',
      "const c = () => import('./c.ts');",
    ].join('\n');
    expect(scanImports(text)).toEqual([
      { specifier: 'node:fs', names: ['readFileSync', 'Stats'], line: 1 },
      { specifier: './a.ts', names: ['A'], line: 3 },
      { specifier: './b.ts', names: [], line: 3 },
      { specifier: './c.ts', names: [], line: 4 },
    ]);
  });

  test('keeps every character in its place', () => {
    const text = 'a /* b\n c */ `d ${ {e: `f${g}`} } h` + "i\\"j" + /k[/]"/.x // l';
    const { code, quoted } = mask(text);
    expect(code).toHaveLength(text.length);
    expect(quoted).toHaveLength(text.length);
    expect(code.replace(/\s+/g, ' ')).toBe('a ` ${ {e: ` ${g}`} } ` + " " + / /.x ');
    expect(code.split('\n')).toHaveLength(2);
  });
});
