// The lines of export and import: one key each, as a JSON document. Pure.
//
// A line is what `scan --json` prints of a key, with its collection. Texts stand for their UTF-8 bytes, {"base64": …} for bytes that are no
// text; import takes any other JSON value as its JSON text too, so that lines can be written by hand.
// Not in it, because readers do not see them: versions are there to be looked at and are not written back; the expiry of elements and fields.

import type { Intent, MergeType, Op, View } from '../client/types.ts';
import { viewDocument } from './view-words.ts';

/** What stands in one line. */
export function lineOf(collection: string, key: string, view: View): object {
  return { collection, type: view.type, key, ...viewDocument(view) };
}

/** Why a line cannot be imported; for people. */
export class BadLine extends Error {}

/** Elements or fields of one op; nodes take 4096. */
const PARTS_PER_OP_MAX = 4000;

export interface LineContext {
  /** For lines that name none. */
  readonly collection: string | undefined;
  /** undefined: there is no such collection. */
  typeOf(collection: string): MergeType | undefined;
}

/** The ops that write what the line holds. Throws BadLine. */
export function opsOfLine(text: string, context: LineContext): Op[] {
  const line = objectOf(text);
  const collection = textOf(line, 'collection', context.collection);
  const key = textOf(line, 'key', undefined);
  const type = context.typeOf(collection);
  if (type === undefined) throw new BadLine(`there is no collection '${collection}'`);
  const said = line['type'];
  if (said !== undefined && said !== type)
    throw new BadLine(`'${collection}' is a ${type} here, the line is of a ${JSON.stringify(said)}`);
  return intentsOf(type, line).map((intent) => ({ collection, key, intent }));
}

function intentsOf(type: MergeType, line: Readonly<Record<string, unknown>>): Intent[] {
  switch (type) {
    case 'register-lww':
      return [{ kind: 'put', value: bytesOf(line, 'value'), ...expiryOf(line) }];
    case 'register-mv': {
      const values =
        line['values'] === undefined ? [line] : listOf(line, 'values').map((each) => recordOf(each, 'values'));
      // The first replaces what is there, the others stand beside it.
      return values.map((each, i) => ({
        kind: 'put',
        value: bytesOf(each, 'value'),
        ...(i === 0 ? {} : { observed: [] }),
      }));
    }
    case 'counter-pn': {
      const { value } = line;
      const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
      if (typeof text !== 'string' || !/^-?\d{1,19}$/.test(text))
        throw new BadLine("expected 'value' to be a whole number");
      return [{ kind: 'increment', by: BigInt(text) }];
    }
    case 'set-aw':
      return pieces(listOf(line, 'elements')).map((some) => ({
        kind: 'set-add',
        elements: some.map((each) => bytes(each, 'elements')),
      }));
    case 'map-lww': {
      const fields = Object.entries(recordOf(line['fields'], 'fields'));
      return pieces(fields).map((some) => ({
        kind: 'map-update',
        put: some.map(([field, value]) => ({ field, value: bytes(value, `fields.${field}`) })),
        remove: [],
      }));
    }
  }
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new BadLine(`it is not JSON: ${(error as Error).message}`, { cause: error });
  }
  return recordOf(value, undefined);
}

function recordOf(value: unknown, name: string | undefined): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new BadLine(`expected ${name === undefined ? 'a JSON object' : `'${name}' to hold JSON objects`}`);
}

function listOf(line: Readonly<Record<string, unknown>>, name: string): readonly unknown[] {
  const value = line[name];
  if (Array.isArray(value) && value.length > 0) return value as unknown[];
  throw new BadLine(`expected '${name}' to be a list that is not empty`);
}

function textOf(line: Readonly<Record<string, unknown>>, name: string, fallback: string | undefined): string {
  const value = line[name] ?? fallback;
  if (typeof value === 'string' && value !== '') return value;
  throw new BadLine(`expected '${name}' to be a text that is not empty`);
}

function bytesOf(line: Readonly<Record<string, unknown>>, name: string): Uint8Array {
  return bytes(line[name], name);
}

function bytes(value: unknown, name: string): Uint8Array {
  if (value === undefined || value === null) throw new BadLine(`expected '${name}' to be there`);
  if (typeof value === 'string') return Buffer.from(value);
  const { base64, ...rest } = value as { readonly base64?: unknown };
  if (base64 !== undefined && Object.keys(rest).length === 0) {
    if (typeof base64 === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return Buffer.from(base64, 'base64');
    throw new BadLine(`expected base64 in '${name}'`);
  }
  return Buffer.from(JSON.stringify(value));
}

function expiryOf(line: Readonly<Record<string, unknown>>): { readonly expiresAtMs?: number } {
  const { expiresAt } = line;
  if (expiresAt === undefined) return {};
  const expiresAtMs = typeof expiresAt === 'string' ? Date.parse(expiresAt) : Number.NaN;
  if (Number.isNaN(expiresAtMs)) throw new BadLine("expected 'expiresAt' to be a time such as 2026-01-31T12:00:00Z");
  return { expiresAtMs };
}

function pieces<T>(all: readonly T[]): (readonly T[])[] {
  const some: (readonly T[])[] = [];
  for (let i = 0; i < all.length; i += PARTS_PER_OP_MAX) some.push(all.slice(i, i + PARTS_PER_OP_MAX));
  if (some.length === 0) throw new BadLine("expected 'fields' to have at least one");
  return some;
}
