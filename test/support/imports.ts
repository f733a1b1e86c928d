// Reads which file of src/ imports which, and judges that against the table in layers.ts.
// Owns: a scanner for imports that needs no compiler (TypeScript 7 has no API), cycle search, and the judgement.
// HAZARD: it reads text, not types. What it cannot judge (an import() of a computed name) it reports, rather than let pass.

import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';

/** Source text by path from the root of the repository, with forward slashes: `src/record/batch.ts`. */
export type Sources = ReadonlyMap<string, string>;

export interface Import {
  /** As written; undefined for an import() whose argument is not a plain string. */
  readonly specifier: string | undefined;
  /** The names between braces, without `type` and without their aliases. */
  readonly names: readonly string[];
  readonly line: number;
}

export interface LayerRules {
  /**
   * What each folder of src/ may import besides itself: folders (`record`) or single files (`log/log.ts`); `*` is anything
   * in src/. A file directly in src/ goes by its own name.
   */
  readonly layers: Readonly<Record<string, readonly string[]>>;
  /** What files of a given pattern may import on top of what their folder may. */
  readonly alsoAllowed: Readonly<Record<string, readonly string[]>>;
  /** Package → patterns of the only files that may import it. */
  readonly vendors: Readonly<Record<string, readonly string[]>>;
  /** Folders that do no I/O: the only packages and Node modules that they may import. */
  readonly pure: Readonly<Record<string, readonly string[]>>;
  /** Patterns of the files that may read the machine's clock, timers and randomness. */
  readonly realWorld: readonly string[];
}

export interface Violation {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

// ---------------------------------------------------------------------------------------------------------------------
// Scanning

/**
 * The text twice, with every character in its place: `code` without comments and the contents of strings, `quoted` without
 * comments and templates only. So a match in `quoted` counts only where `code` shows that it is not inside a string.
 */
export function mask(text: string): { code: string; quoted: string } {
  const code = text.split('');
  const quoted = text.split('');
  const blank = (target: string[], from: number, to: number): void => {
    for (let i = from; i < to; i++) if (target[i] !== '\n') target[i] = ' ';
  };
  /** Depths of braces at which a template's ${…} ends. */
  const templates: number[] = [];
  let depth = 0;
  let i = 0;

  /** From just after the opening backtick, or after the } that ends an expression, to the next ${ or the closing backtick. */
  const template = (): void => {
    const from = i;
    while (i < text.length && text[i] !== '`' && !text.startsWith('${', i)) i += text[i] === '\\' ? 2 : 1;
    blank(code, from, i);
    blank(quoted, from, i);
    if (text[i] === '`') {
      i += 1;
    } else {
      i += 2;
      templates.push(depth);
    }
  };

  while (i < text.length) {
    const c = text[i];
    if (text.startsWith('//', i)) {
      const end = text.indexOf('\n', i);
      const to = end === -1 ? text.length : end;
      blank(code, i, to);
      blank(quoted, i, to);
      i = to;
    } else if (text.startsWith('/*', i)) {
      const end = text.indexOf('*/', i + 2);
      const to = end === -1 ? text.length : end + 2;
      blank(code, i, to);
      blank(quoted, i, to);
      i = to;
    } else if (c === "'" || c === '"') {
      const from = i + 1;
      i = from;
      while (i < text.length && text[i] !== c && text[i] !== '\n') i += text[i] === '\\' ? 2 : 1;
      blank(code, from, i);
      i += 1;
    } else if (c === '`') {
      i += 1;
      template();
    } else if (c === '/' && startsRegExp(code, i)) {
      const from = i + 1;
      let inClass = false;
      i = from;
      while (i < text.length && text[i] !== '\n' && (inClass || text[i] !== '/')) {
        if (text[i] === '[') inClass = true;
        if (text[i] === ']') inClass = false;
        i += text[i] === '\\' ? 2 : 1;
      }
      blank(code, from, i);
      blank(quoted, from, i);
      i += 1;
    } else {
      if (c === '{') depth += 1;
      if (c === '}') {
        if (templates.at(-1) === depth) {
          templates.pop();
          i += 1;
          template();
          continue;
        }
        depth -= 1;
      }
      i += 1;
    }
  }
  return { code: code.join(''), quoted: quoted.join('') };
}

/** A slash divides after a value and starts a regular expression after anything else. */
function startsRegExp(code: readonly string[], at: number): boolean {
  const before = code
    .slice(Math.max(0, at - 20), at)
    .join('')
    .trimEnd();
  return before === '' || /[(,=:[!&|?{};+\-*%<>~^]$/.test(before) || /\b(?:return|typeof|case|of|in)$/.test(before);
}

const STATIC_IMPORT = /\b(?:import|export)\s+(?:type\s+)?([\w*$\s{},]*?)\s*\bfrom\s*(['"])([^'"\n]*)\2/g;
const BARE_IMPORT = /\bimport\s*(['"])([^'"\n]*)\1/g;
const DYNAMIC_IMPORT = /\b(?:import|require)\s*\(\s*(?:(['"])([^'"\n]*)\1\s*[,)])?/g;

export function scanImports(text: string): Import[] {
  const { code, quoted } = mask(text);
  const found: (Import & { at: number })[] = [];
  const add = (match: RegExpMatchArray, specifier: string | undefined, clause: string): void => {
    const at = match.index ?? 0;
    if (!/[a-z]/.test(code[at] ?? '')) return; // inside a string
    if (code[at - 1] === '.') return; // a method of that name
    const names = (/\{([^}]*)\}/.exec(clause)?.[1] ?? '')
      .split(',')
      .map(
        (name) =>
          name
            .trim()
            .replace(/^type\s+/, '')
            .split(/\s/)[0] ?? '',
      )
      .filter((name) => name !== '');
    found.push({ at, specifier, names, line: quoted.slice(0, at).split('\n').length });
  };
  for (const match of quoted.matchAll(STATIC_IMPORT)) add(match, match[3], match[1] ?? '');
  for (const match of quoted.matchAll(BARE_IMPORT)) add(match, match[2], '');
  for (const match of quoted.matchAll(DYNAMIC_IMPORT)) add(match, match[2], '');
  return found.toSorted((a, b) => a.at - b.at).map(({ specifier, names, line }) => ({ specifier, names, line }));
}

/** Every .ts file below `folder` of the repository at `root`. */
export function readSources(root: string, folder: string): Sources {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.m?[jt]s$/.test(name))
    .toSorted();
  return new Map(
    names.map((name) => [
      posix.join(folder, name.replaceAll(sep, '/')),
      readFileSync(join(root, folder, name), 'utf8'),
    ]),
  );
}

// ---------------------------------------------------------------------------------------------------------------------
// Cycles

/** File → the files that it imports, by relative imports of any kind: a cycle of types alone is still a cycle. */
export function importGraph(sources: Sources): Map<string, Set<string>> {
  return new Map(
    [...sources].map(([file, text]) => [file, new Set(scanImports(text).flatMap((i) => target(file, i)))]),
  );
}

/** The file that a relative import names, whether it exists or not; nothing for a package. */
function target(file: string, { specifier }: Import): string[] {
  if (specifier === undefined || !specifier.startsWith('.')) return [];
  return [posix.normalize(posix.join(posix.dirname(file), specifier))];
}

/** One cycle for each group of nodes that reach each other, as a walk that ends where it began. */
export function findCycles(graph: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  for (const start of graph.keys()) {
    if (done.has(start)) continue;
    const cycle = shortestCycle(graph, start);
    if (cycle === undefined) continue;
    cycles.push(cycle);
    for (const node of cycle) done.add(node);
  }
  return cycles;
}

/** Breadth first, so that what a person has to read is as short as it gets. */
function shortestCycle(graph: ReadonlyMap<string, ReadonlySet<string>>, start: string): string[] | undefined {
  const cameFrom = new Map<string, string>();
  let frontier = [start];
  while (frontier.length > 0) {
    const next: string[] = [];
    for (const node of frontier) {
      for (const to of graph.get(node) ?? []) {
        if (to === start) {
          const walk = [start, node];
          for (let at = node; at !== start; at = cameFrom.get(at) ?? start) walk.push(cameFrom.get(at) ?? start);
          return [...new Set(walk.toReversed()), start];
        }
        if (cameFrom.has(to)) continue;
        cameFrom.set(to, node);
        next.push(to);
      }
    }
    frontier = next;
  }
  return undefined;
}

// ---------------------------------------------------------------------------------------------------------------------
// Judgement

/** What reads the real world; in the simulator the same code must read a virtual one. */
const REAL_WORLD_CALLS: readonly (readonly [RegExp, string])[] = [
  [/\bDate\s*\.\s*now\b/g, 'Date.now'],
  [/\bnew\s+Date\s*(?:\(\s*\)|(?![\s(\w]))/g, 'new Date()'],
  [/\bMath\s*\.\s*random\b/g, 'Math.random'],
  [/\bperformance\s*\.\s*now\b/g, 'performance.now'],
  [/\bprocess\s*\.\s*hrtime\b/g, 'process.hrtime'],
  [/\bAbortSignal\s*\.\s*timeout\b/g, 'AbortSignal.timeout'],
  [/\bcrypto\s*\.\s*(?:random\w+|getRandomValues)\b/g, "crypto's randomness"],
  [/(?<![\w$.])setTimeout\b/g, 'setTimeout'],
  [/(?<![\w$.])setInterval\b/g, 'setInterval'],
  [/(?<![\w$.])setImmediate\b/g, 'setImmediate'],
];

const REAL_WORLD_MODULES = new Set(['node:timers', 'node:timers/promises', 'node:perf_hooks']);
const REAL_WORLD_CRYPTO = /^(?:random\w*|getRandomValues|webcrypto|generate\w+)$/;

export function judge(sources: Sources, rules: LayerRules): Violation[] {
  const violations: Violation[] = [];
  for (const [file, text] of sources) {
    const say = (line: number, message: string): void => void violations.push({ file, line, message });
    const layer = layerOf(file);
    if (rules.layers[layer] === undefined) {
      say(1, `${layer} has no row in test/support/layers.ts: add it, with what it may import`);
      continue;
    }
    for (const each of scanImports(text)) judgeImport(file, layer, each, rules, (message) => say(each.line, message));
    if (!matchesAny(file, rules.realWorld)) {
      const { code } = mask(text);
      for (const [pattern, name] of REAL_WORLD_CALLS) {
        for (const match of code.matchAll(pattern)) {
          say(
            code.slice(0, match.index).split('\n').length,
            `${name} outside src/system: take it from the System port`,
          );
        }
      }
    }
  }
  return violations;
}

function judgeImport(
  file: string,
  layer: string,
  { specifier, names }: Import,
  rules: LayerRules,
  say: (message: string) => void,
): void {
  if (specifier === undefined) {
    say('import() of a computed name cannot be checked: write the name out');
    return;
  }
  if (specifier.startsWith('.')) {
    const to = posix.normalize(posix.join(posix.dirname(file), specifier));
    if (!to.startsWith('src/')) {
      say(`${specifier} leaves src/: nothing in src/ may import demo, chaos, test or scripts`);
      return;
    }
    const allowed = [
      ...(rules.layers[layer] ?? []),
      ...Object.entries(rules.alsoAllowed).flatMap(([pattern, more]) => (matches(file, pattern) ? more : [])),
    ];
    const inside = to.slice('src/'.length);
    const toLayer = layerOf(to);
    if (toLayer === layer || allowed.includes('*') || allowed.includes(toLayer) || allowed.includes(inside)) return;
    say(`${layer} may not import ${inside}; it may import ${allowed.join(', ') || 'nothing but itself'}`);
    return;
  }

  const name = specifier.startsWith('node:') ? specifier : packageName(specifier);
  const only = rules.vendors[name];
  if (only !== undefined && !matchesAny(file, only)) say(`only ${only.join(', ')} may import ${name}`);
  const pure = rules.pure[layer];
  if (pure !== undefined && !pure.includes(name)) {
    say(`${layer} is pure and may not import ${name}${pure.length === 0 ? '' : `; it may import ${pure.join(', ')}`}`);
  }
  if (matchesAny(file, rules.realWorld)) return;
  const real = names.filter((each) => REAL_WORLD_CRYPTO.test(each));
  if (REAL_WORLD_MODULES.has(name)) say(`${name} outside src/system: take time and timers from the System port`);
  if (name === 'node:crypto' && real.length > 0)
    say(`${real.join(', ')} outside src/system: take it from the System port`);
}

/** `record` for src/record/batch.ts, `compose.ts` for src/compose.ts. */
function layerOf(file: string): string {
  return file.split('/')[1] ?? file;
}

/** `@grpc/grpc-js` for @grpc/grpc-js/build/src/x. */
function packageName(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

function matchesAny(file: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => matches(file, pattern));
}

/** `*` is anything within a name, `**` anything at all. */
function matches(file: string, pattern: string): boolean {
  const source = pattern
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/\*\*|\*/g, (star) => (star === '*' ? '[^/]*' : '.*'));
  return new RegExp(`^${source}$`).test(file);
}

/** One line each, as compilers print them. */
export function report(violations: readonly Violation[]): string[] {
  return violations.map(({ file, line, message }) => `${file}:${line} ${message}`);
}
