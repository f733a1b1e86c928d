// What is wrong with a configuration, said so that a person can mend all of it in one go.

import { z } from 'zod';
import { CausewayError } from '../errors/errors.ts';
import { ENTRY_FIELDS, OPTIONS, bare, factsOf, schemaAt } from './options.ts';
import { closest } from './suggest.ts';

export interface Problem {
  /** `regions[1].peers[0]`; empty for the file as a whole. */
  readonly path: string;
  /** Where the value came from: `node.yaml:12`, `CAUSEWAY_MAX_SKEW_MS`, `--max-skew-ms`; empty when nobody gave one. */
  readonly where: string;
  readonly expected: string;
  readonly got: string;
  /** What to do. */
  readonly remedy?: string | undefined;
}

export type Path = readonly (string | number)[];

/** A problem of which it is not yet known where its value came from. */
export type Finding = Omit<Problem, 'path' | 'where'> & {
  readonly at: Path;
  /** The key itself is wrong, not its value. */
  readonly key?: boolean;
};

export function pathText(path: Path): string {
  return path.reduce<string>(
    (text, step) =>
      typeof step === 'number' ? `${text}[${step}]` : `${text}${text === '' ? '' : '.'}${printable(step)}`,
    '',
  );
}

export function problemText(problem: Problem): string {
  const where = problem.where === '' ? '' : `${problem.where}: `;
  const path = problem.path === '' ? '' : `${problem.path}: `;
  const remedy = problem.remedy === undefined ? '' : ` ${problem.remedy}`;
  return `${where}${path}expected ${problem.expected}; got ${problem.got}.${remedy}`;
}

const HINT =
  '`causeway config check` looks again without starting anything; `causeway config schema` lists every option.';

export function configInvalid(problems: readonly Problem[], of = 'the configuration', hint = HINT): CausewayError {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  return new CausewayError(
    'CONFIG_INVALID',
    `${of} has ${count}:\n${problems.map((each) => `  ${problemText(each)}`).join('\n')}`,
    {
      details: { problems },
      hint,
    },
  );
}

const SHOWN_CHARACTERS_MAX = 60;

/** A value in a sentence. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'string') {
    const cut = value.length > SHOWN_CHARACTERS_MAX ? `${value.slice(0, SHOWN_CHARACTERS_MAX)}…` : value;
    return `'${printable(cut)}'`;
  }
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (typeof value === 'object') return 'a mapping';
  return String(value as number | boolean | bigint);
}

/** Control characters would let a config file write to the terminal of whoever checks it. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (c) => `\\u${c.codePointAt(0)!.toString(16).padStart(4, '0')}`);
}

/** All that zod found, one finding for each wrong place. `raw` is what it looked at. */
export function findingsOf(error: z.ZodError, raw: unknown): Finding[] {
  const findings = new Map<string, Finding>();
  for (const issue of error.issues) {
    const at = issue.path as Path;
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        const path = [...at, key];
        findings.set(pathText(path), unknownKey(path, valueAt(raw, path)));
      }
      continue;
    }
    const path = pathText(at);
    if (!findings.has(path)) findings.set(path, wrongValue(at, valueAt(raw, at)));
  }
  return [...findings.values()];
}

function wrongValue(at: Path, value: unknown): Finding {
  const schema = schemaAt(at);
  const facts = schema === undefined ? undefined : factsOf(schema);
  const missing = value === undefined || value === null;
  return {
    at,
    expected: facts?.expected ?? 'something else',
    got: shown(value),
    remedy: missing
      ? facts === undefined
        ? undefined
        : `Add it: ${lowerFirst(facts.is)}`
      : schema === undefined
        ? undefined
        : remedyOf(bare(schema), value),
  };
}

function remedyOf(schema: z.core.$ZodType, value: unknown): string | undefined {
  if (schema instanceof z.ZodEnum && typeof value === 'string') {
    const guess = closest(value, schema.options.map(String));
    return guess === undefined ? undefined : `Did you mean '${guess}'?`;
  }
  if (
    schema instanceof z.ZodNumber &&
    typeof value === 'string' &&
    value.trim() !== '' &&
    Number.isFinite(Number(value))
  ) {
    return 'Write the number without quotes.';
  }
  if (schema instanceof z.ZodBoolean && typeof value === 'string') {
    return 'YAML 1.2 knows only true and false, without quotes; yes, no, on and off are texts.';
  }
  if (schema instanceof z.ZodString && (typeof value === 'number' || typeof value === 'boolean')) {
    return `Put it in quotes: "${String(value)}".`;
  }
  if (schema instanceof z.ZodArray && typeof value !== 'object')
    return "Start each entry on a line of its own with '- '.";
  return undefined;
}

function unknownKey(at: Path, value: unknown): Finding {
  const key = String(at.at(-1));
  const above = schemaAt(at.slice(0, -1));
  const inner = above === undefined ? undefined : bare(above);
  const known = inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
  const guess = closest(key, known);
  const elsewhere = [...OPTIONS, ...ENTRY_FIELDS].find(({ path }) => path.split('.').at(-1) === key);
  return {
    at,
    key: true,
    expected: 'an option that exists',
    got: `the unknown option ${shown(key)}${value === undefined ? '' : ` (${shown(value)})`}`,
    remedy:
      guess !== undefined
        ? `Did you mean '${guess}'?`
        : elsewhere !== undefined
          ? `It belongs in ${elsewhere.path.slice(0, -key.length - 1) || 'the file itself, not under anything'}.`
          : `Here there are: ${known.join(', ')}.`,
  };
}

export function valueAt(value: unknown, path: Path): unknown {
  let at: unknown = value;
  for (const step of path) {
    if (at === null || typeof at !== 'object') return undefined;
    at = (at as Record<PropertyKey, unknown>)[step];
  }
  return at;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
