// The options as a flat list, read off the schema: what can be set by environment variable, by flag and with --set, and
// what `config print` and docs/OPERATIONS.md list.

import { z } from 'zod';
import { configSchema, optionFacts, type OptionFacts } from './schema.ts';

export type OptionKind = 'text' | 'number' | 'boolean' | 'list';

export interface Option {
  /** `limits.batchOpsMax`. */
  readonly path: string;
  /** `CAUSEWAY_LIMITS_BATCH_OPS_MAX`. */
  readonly env: string;
  readonly kind: OptionKind;
  readonly required: boolean;
  /** undefined: required, or made from other options (facts.defaultText). */
  readonly fallback: unknown;
  readonly facts: OptionFacts;
}

/** A field of a list's entries, `regions[].name`: set within its list only. */
export type EntryField = Omit<Option, 'env'>;

export const ENV_PREFIX = 'CAUSEWAY_';

export const OPTIONS: readonly Option[] = [];
export const ENTRY_FIELDS: readonly EntryField[] = [];

walk(configSchema, '', false, undefined);

const byPath = new Map(OPTIONS.map((option) => [option.path, option]));
const byEnv = new Map(OPTIONS.map((option) => [option.env, option]));

export function optionByPath(path: string): Option | undefined {
  return byPath.get(path);
}

export function optionByEnv(name: string): Option | undefined {
  return byEnv.get(name);
}

/** The schema without what optional() and default() put round it. */
export function bare(schema: z.core.$ZodType): z.core.$ZodType {
  while (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    schema = schema.unwrap();
  }
  return schema;
}

/** What is said of the schema at a place, by whichever of its wrappings says it. */
export function factsOf(schema: z.core.$ZodType): OptionFacts | undefined {
  for (;;) {
    const facts = optionFacts.get(schema as never);
    if (facts !== undefined) return facts;
    if (!(schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)) {
      return undefined;
    }
    schema = schema.unwrap();
  }
}

/** The schema at a path of a value; undefined below something that the schema does not know. */
export function schemaAt(path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  let at: z.core.$ZodType | undefined = configSchema;
  for (const step of path) {
    const inner: z.core.$ZodType = bare(at);
    if (inner instanceof z.ZodObject) at = inner.shape[String(step)] as z.core.$ZodType | undefined;
    else if (inner instanceof z.ZodArray) at = inner.element;
    else return undefined;
    if (at === undefined) return undefined;
  }
  return at;
}

function walk(schema: z.core.$ZodType, path: string, inEntry: boolean, defaultOfAbove: unknown): void {
  const inner = bare(schema);
  if (inner instanceof z.ZodObject && !path.endsWith('coordinates')) {
    for (const [name, each] of Object.entries(inner.shape as Record<string, z.core.$ZodType>)) {
      const fallback = (defaultOfAbove as Record<string, unknown> | undefined)?.[name];
      walk(each, path === '' ? name : `${path}.${name}`, inEntry, fallback);
    }
    return;
  }
  const facts = factsOf(schema);
  if (facts === undefined) throw new TypeError(`option ${path} has no description`);
  const kind: OptionKind =
    inner instanceof z.ZodArray || inner instanceof z.ZodObject
      ? 'list'
      : inner instanceof z.ZodNumber
        ? 'number'
        : inner instanceof z.ZodBoolean
          ? 'boolean'
          : 'text';
  const required = !(
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional
  );
  const own = schema instanceof z.ZodDefault ? schema.parse(undefined) : undefined;
  const option = { path, kind, required, fallback: defaultOfAbove ?? own, facts };
  if (inEntry) (ENTRY_FIELDS as EntryField[]).push(option);
  else (OPTIONS as Option[]).push({ ...option, env: envName(path) });
  if (inner instanceof z.ZodArray && bare(inner.element) instanceof z.ZodObject) {
    walk(inner.element, `${path}[]`, true, undefined);
  }
}

function envName(path: string): string {
  return (
    ENV_PREFIX +
    path
      .replaceAll(/([A-Z])/g, '_$1')
      .replaceAll('.', '_')
      .toUpperCase()
  );
}
