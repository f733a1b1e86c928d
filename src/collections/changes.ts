// Creating, altering and dropping a collection: what to write, or why not. Pure: the row's definitions in, a decision out.

import { CausewayError } from '../errors/errors.ts';
import type { Intent } from '../merge/types.ts';
import { NAME_PATTERN, type RegionId } from '../record/ids.ts';
import { GENERATION_MAX, runTimeId, type MergeTypeName } from '../record/op.ts';
import { attributeField, createdField, droppedField, resolve, type Attributes, type Definition } from './definition.ts';

export const DESCRIPTION_BYTES_MAX = 1024;
export const DEFAULT_EXPIRY_MS_MIN = 1000;
export const DEFAULT_EXPIRY_MS_MAX = 100 * 366 * 24 * 3600 * 1000;

export interface CreateSpec extends Partial<Attributes> {
  readonly namespace: string;
  readonly name: string;
  readonly type: MergeTypeName;
}

export interface AlterSpec extends Partial<Attributes> {
  readonly namespace: string;
  readonly name: string;
  /** What the caller takes it for: another one is refused. */
  readonly type?: MergeTypeName | undefined;
}

export interface DropSpec {
  readonly namespace: string;
  readonly name: string;
  /** undefined: every definition of the name that is not dropped. */
  readonly id?: number | undefined;
}

export type Change =
  | { readonly kind: 'write'; readonly ids: readonly number[]; readonly intent: Intent }
  /** It is as asked already. */
  | { readonly kind: 'nothing'; readonly ids: readonly number[] };

export function create(definitions: readonly Definition[], spec: CreateSpec, region: RegionId): Change | CausewayError {
  const { namespace, name, type } = spec;
  const wrong = wrongName(name) ?? wrongAttributes(spec, type);
  if (wrong !== undefined) return wrong;
  const { served } = resolve(definitions);
  if (served !== undefined) {
    const differs = differing(served, spec);
    if (served.type === type && differs.length === 0) return { kind: 'nothing', ids: [served.id] };
    const what = served.type === type ? `another ${differs.join(' and ')}` : `merge type ${served.type ?? 'unknown'}`;
    return new CausewayError('PRECONDITION_FAILED', `${namespace}/${name} exists, with ${what}`, {
      hint:
        served.type === type
          ? 'alter it instead'
          : 'a merge type is never altered: create it under another name, or drop this one first',
      details: { id: served.id, type: served.type ?? '' },
    });
  }
  const generation = 1 + definitions.reduce((highest, one) => Math.max(highest, one.generation), 0);
  if (generation > GENERATION_MAX) {
    return new CausewayError('TOO_LARGE', `${namespace}/${name} has been created ${GENERATION_MAX} times`, {
      hint: 'take another name',
    });
  }
  const id = runTimeId(generation, type);
  const put = [{ field: createdField(id, region), value: json({ type }) }, ...attributePuts(id, spec)];
  return { kind: 'write', ids: [id], intent: { kind: 'map-update', put, remove: [] } };
}

/** Of the one that is served. */
export function alter(definitions: readonly Definition[], spec: AlterSpec): Change | CausewayError {
  const { namespace, name } = spec;
  const { served } = resolve(definitions);
  if (served === undefined) return noSuchDefinition(definitions, spec);
  if (spec.type !== undefined && spec.type !== served.type) {
    return new CausewayError(
      'PRECONDITION_FAILED',
      `${namespace}/${name} is of merge type ${served.type ?? 'unknown'}, and a merge type is never altered: what is written means something else in another one`,
      { hint: `create another collection of type ${spec.type}, and copy what it is to have` },
    );
  }
  const wrong = wrongAttributes(spec, served.type);
  if (wrong !== undefined) return wrong;
  if (differing(served, spec).length === 0) return { kind: 'nothing', ids: [served.id] };
  const put = attributePuts(served.id, spec);
  return { kind: 'write', ids: [served.id], intent: { kind: 'map-update', put, remove: [] } };
}

export function drop(definitions: readonly Definition[], spec: DropSpec): Change | CausewayError {
  const live = definitions.filter(({ dropped }) => dropped === undefined);
  const ids = live.map(({ id }) => id).filter((id) => spec.id === undefined || id === spec.id);
  if (ids.length === 0) return noSuchDefinition(definitions, spec);
  const put = ids.map((id) => ({ field: droppedField(id), value: json(true) }));
  return { kind: 'write', ids, intent: { kind: 'map-update', put, remove: [] } };
}

function noSuchDefinition(definitions: readonly Definition[], { namespace, name, id }: DropSpec): CausewayError {
  const which = id === undefined ? '' : ` with id ${id}`;
  const message = definitions.some((one) => one.dropped !== undefined && (id === undefined || one.id === id))
    ? `${namespace}/${name}${which} has been dropped`
    : `no ${namespace}/${name}${which} was created at run time`;
  return new CausewayError('UNKNOWN_COLLECTION', message, { hint: 'causeway collection list shows what there is' });
}

function wrongName(name: string): CausewayError | undefined {
  if (NAME_PATTERN.test(name)) return undefined;
  return new CausewayError(
    'INVALID_ARGUMENT',
    `a collection's name has 1 to 64 of a-z, A-Z, 0-9, '_', '.' and '-', not beginning with or ending in '.' or '-'; got '${name.slice(0, 80)}'`,
    { details: { field: 'name' } },
  );
}

function wrongAttributes(
  { description = '', defaultExpiryMs = 0 }: Partial<Attributes>,
  type: MergeTypeName | undefined,
): CausewayError | undefined {
  const bytes = Buffer.byteLength(description);
  if (bytes > DESCRIPTION_BYTES_MAX) {
    return new CausewayError(
      'TOO_LARGE',
      `a description has at most ${DESCRIPTION_BYTES_MAX} bytes; this one has ${bytes}`,
      { details: { field: 'description', limit: DESCRIPTION_BYTES_MAX } },
    );
  }
  if (defaultExpiryMs === 0) return undefined;
  const details = { field: 'default_expiry_ms' };
  if (type === 'counter-pn') {
    return new CausewayError('INVALID_ARGUMENT', 'counters do not expire', { details });
  }
  if (
    !Number.isSafeInteger(defaultExpiryMs) ||
    defaultExpiryMs < DEFAULT_EXPIRY_MS_MIN ||
    defaultExpiryMs > DEFAULT_EXPIRY_MS_MAX
  ) {
    return new CausewayError(
      'INVALID_ARGUMENT',
      `a default expiry is a whole number of milliseconds from ${DEFAULT_EXPIRY_MS_MIN} to ${DEFAULT_EXPIRY_MS_MAX}, or 0 for none; got ${defaultExpiryMs}`,
      { details },
    );
  }
  return undefined;
}

const NAMES: Readonly<Record<keyof Attributes, string>> = {
  description: 'description',
  defaultExpiryMs: 'default expiry',
};
const ATTRIBUTES = Object.keys(NAMES) as (keyof Attributes)[];

/** What is asked for and is not so. */
function differing(definition: Attributes, asked: Partial<Attributes>): string[] {
  return ATTRIBUTES.filter((one) => asked[one] !== undefined && asked[one] !== definition[one]).map(
    (one) => NAMES[one],
  );
}

function attributePuts(id: number, asked: Partial<Attributes>): { field: string; value: Uint8Array }[] {
  return ATTRIBUTES.flatMap((one) =>
    asked[one] === undefined ? [] : [{ field: attributeField(id, one), value: json(asked[one]) }],
  );
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
