// A collection that was created at run time: what its row in `_system/collections` says, and which one of a name is served. Pure.
//
// A row has one key for each name, `namespace/name`, and is a map-lww of facts. Facts about what exists are written once and never
// taken back, so merging two regions' rows is a union and every order of arrival ends alike:
//   ID/created/REGION   {"type": …}: this region created it. Every region may, for the same id: then they meant the same collection
//   ID/dropped          for good: whoever creates the name again takes the next generation, so nothing old comes back (I9)
//   ID/description      JSON, as are all that can be altered; last writer wins, each by itself
//   ID/defaultExpiryMs
// Fields and values that this version does not know are passed over.
//
// An id has its merge type in it (record/op.ts), and stands in every op and state key: ops of another definition of the same name
// touch other keys, and no state ever meets an op of another type.

import type { View } from '../merge/types.ts';
import { compareVersions, isRegionName, type RegionId, type StateKey, type Version } from '../record/ids.ts';
import { DEFINITIONS, mergeTypeOfCode, runTimeIdParts, stateKey, type MergeTypeName } from '../record/op.ts';

export function definitionKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

export function definitionStateKey(namespace: string, name: string): StateKey {
  return stateKey(DEFINITIONS, definitionKey(namespace, name));
}

/** What can be altered. */
export interface Attributes {
  /** For people; empty: none. */
  readonly description: string;
  /** A value that is written without an expiry gets this one, ms from the write; 0: none. */
  readonly defaultExpiryMs: number;
}

export interface Definition extends Attributes {
  readonly namespace: string;
  readonly name: string;
  readonly id: number;
  readonly generation: number;
  /** undefined: of a merge type that only a newer version knows. */
  readonly type: MergeTypeName | undefined;
  /** The first creation of this id. */
  readonly created: Version;
  /** Every region that created it, by name. */
  readonly createdBy: readonly RegionId[];
  readonly dropped: Version | undefined;
}

interface Found {
  created: Version | undefined;
  readonly createdBy: RegionId[];
  dropped: Version | undefined;
  description: string;
  defaultExpiryMs: number;
}

/** Every definition that the row of a name holds, by id. */
export function definitionsOf(key: string, view: View | undefined): Definition[] {
  const slash = key.indexOf('/');
  if (view?.type !== 'map-lww' || slash < 1) return [];
  const found = new Map<number, Found>();
  for (const { field, value, version } of view.fields) {
    const [, digits = '', fact = '', region = ''] = FIELD.exec(field) ?? [];
    const id = Number(digits);
    if (runTimeIdParts(id) === undefined) continue;
    let of = found.get(id);
    if (of === undefined) {
      of = { created: undefined, createdBy: [], dropped: undefined, description: '', defaultExpiryMs: 0 };
      found.set(id, of);
    }
    if (fact === 'created' && isRegionName(region)) {
      of.createdBy.push(region);
      if (of.created === undefined || compareVersions(version, of.created) < 0) of.created = version;
    } else if (fact === 'dropped') of.dropped = version;
    else if (fact === 'description') {
      const text = parsed(value);
      if (typeof text === 'string') of.description = text;
    } else if (fact === 'defaultExpiryMs') {
      const ms = parsed(value);
      if (typeof ms === 'number' && Number.isSafeInteger(ms) && ms > 0) of.defaultExpiryMs = ms;
    }
  }
  const definitions: Definition[] = [];
  for (const [id, { created, createdBy, ...rest }] of found) {
    // Its creation comes from another region, and has not arrived yet.
    if (created === undefined) continue;
    const { generation, typeCode } = runTimeIdParts(id)!;
    definitions.push({
      namespace: key.slice(0, slash),
      name: key.slice(slash + 1),
      id,
      generation,
      type: mergeTypeOfCode(typeCode),
      created,
      createdBy: createdBy.sort(),
      ...rest,
    });
  }
  return definitions.sort((a, b) => a.id - b.id);
}

/** As another node of the region has told it; undefined: it is of the configuration alone, or no definition of run time. */
export function definitionOfStatus(status: {
  readonly ref: { readonly namespace: string; readonly name: string; readonly id: number };
  readonly description: string;
  readonly defaultExpiryMs: number;
  readonly created: Version | undefined;
  readonly createdBy: readonly string[];
  readonly dropped: Version | undefined;
}): Definition | undefined {
  const { ref, description, defaultExpiryMs, created, createdBy, dropped } = status;
  const parts = runTimeIdParts(ref.id);
  if (created === undefined || parts === undefined) return undefined;
  return {
    namespace: ref.namespace,
    name: ref.name,
    id: ref.id,
    generation: parts.generation,
    type: mergeTypeOfCode(parts.typeCode),
    created,
    createdBy: createdBy.filter(isRegionName) as RegionId[],
    description,
    defaultExpiryMs,
    dropped,
  };
}

const FIELD = /^(\d{1,10})\/(created|dropped|description|defaultExpiryMs)(?:\/([a-z0-9-]+))?$/;

export interface Resolved {
  /** What the name means, unless the configuration says otherwise. */
  readonly served: Definition | undefined;
  /** Created at the same time elsewhere, with another type, and later: with data of their own that nobody is shown. */
  readonly lost: readonly Definition[];
}

/** The same in every region that holds the same row. The first one created has been written to for longest, and stays what it is once
 *  every region has passed its stamp: then nothing can come that was before it. */
export function resolve(definitions: readonly Definition[]): Resolved {
  const live = definitions.filter(({ dropped }) => dropped === undefined);
  const [served, ...lost] = live.sort((a, b) => compareVersions(a.created, b.created) || a.id - b.id);
  return { served, lost };
}

export function createdField(id: number, region: RegionId): string {
  return `${id}/created/${region}`;
}

export function droppedField(id: number): string {
  return `${id}/dropped`;
}

export function attributeField(id: number, attribute: keyof Attributes): string {
  return `${id}/${attribute}`;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function parsed(value: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(value));
  } catch {
    return undefined;
  }
}
