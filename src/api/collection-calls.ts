// The part of causeway.v1.Admin about collections: what there is, and creating, altering and dropping.
// Owns: page tokens, which are opaque to callers.

import { CausewayError } from '../errors/errors.ts';
import type { AlterCollectionRequest__Output } from '../proto/generated/causeway/v1/AlterCollectionRequest.ts';
import type { CreateCollectionRequest__Output } from '../proto/generated/causeway/v1/CreateCollectionRequest.ts';
import type { DropCollectionRequest__Output } from '../proto/generated/causeway/v1/DropCollectionRequest.ts';
import type { ListCollectionsRequest__Output } from '../proto/generated/causeway/v1/ListCollectionsRequest.ts';
import type { MergeTypeName } from '../record/op.ts';
import type { AlterSpec, CollectionInfo, CreateSpec, DropSpec } from '../region/region.ts';
import { checkName } from './limits.ts';
import { mergeTypeNumber } from './views.ts';

const PAGE_MAX = 1000;
/** Besides its texts. */
const ENTRY_BYTES = 200;

export function collectionDocument(info: CollectionInfo): object {
  const { ref, type, created, dropped } = info;
  return {
    namespace: ref.namespace,
    collection: { name: ref.name, id: ref.id, mergeType: type === undefined ? 0 : mergeTypeNumber(type) },
    state: info.state,
    source: info.source,
    description: info.description,
    defaultExpiryMs: info.defaultExpiryMs,
    ...(created === undefined ? {} : { created }),
    createdBy: [...info.createdBy],
    ...(dropped === undefined ? {} : { dropped }),
    settled: info.settled,
  };
}

/** Throws CausewayError INVALID_ARGUMENT. */
export function listPage(
  all: readonly CollectionInfo[],
  request: ListCollectionsRequest__Output,
  region: string,
  bytesMax: number,
): object {
  const { namespace, name, pageSize, pageToken } = request;
  if (name !== '' && namespace === '') {
    throw new CausewayError('INVALID_ARGUMENT', 'a name needs its namespace', { details: { field: 'namespace' } });
  }
  const wanted = all.filter(
    ({ ref, state }) =>
      (namespace === '' || ref.namespace === namespace) &&
      (name === '' || ref.name === name) &&
      (request.dropped || state !== 'dropped'),
  );
  const from = pageToken === '' ? 0 : placeBehind(wanted, pageToken);
  const limit = pageSize === 0 ? PAGE_MAX : Math.min(pageSize, PAGE_MAX);
  let to = from;
  for (let bytes = 0; to < wanted.length && to - from < limit; to++) {
    bytes += ENTRY_BYTES + wanted[to]!.description.length * 3;
    if (bytes > bytesMax && to > from) break;
  }
  return {
    collections: wanted.slice(from, to).map(collectionDocument),
    nextPageToken: to < wanted.length ? tokenOf(wanted[to - 1]!) : '',
    region,
  };
}

const TOKEN_VERSION = 1;

function tokenOf({ ref, created }: CollectionInfo): string {
  const place = [TOKEN_VERSION, `${ref.namespace}/${ref.name}`, created?.stamp ?? 0, ref.id];
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** Also when what the token names is not there any more. */
function placeBehind(all: readonly CollectionInfo[], token: string): number {
  let place: unknown;
  try {
    place = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    place = undefined;
  }
  const [version, full, stamp, id] = Array.isArray(place) ? (place as unknown[]) : [];
  if (version !== TOKEN_VERSION || typeof full !== 'string' || typeof stamp !== 'number' || typeof id !== 'number') {
    throw new CausewayError('INVALID_ARGUMENT', 'this is no page token of ListCollections', {
      details: { field: 'page_token' },
    });
  }
  const at = all.findIndex(({ ref, created }) => {
    const name = `${ref.namespace}/${ref.name}`;
    if (name !== full) return name > full;
    const age = created?.stamp ?? 0;
    return age === stamp ? ref.id > id : age > stamp;
  });
  return at < 0 ? all.length : at;
}

/** Throws CausewayError INVALID_ARGUMENT, as do the two below. */
export function createSpec(request: CreateCollectionRequest__Output): CreateSpec {
  const type = typeOf(request.mergeType);
  if (type === undefined) {
    throw new CausewayError('INVALID_ARGUMENT', 'a collection has a merge type, for ever', {
      details: { field: 'merge_type' },
    });
  }
  return { ...nameOf(request), type, ...attributesOf(request) };
}

export function alterSpec(request: AlterCollectionRequest__Output): AlterSpec {
  return { ...nameOf(request), type: typeOf(request.mergeType), ...attributesOf(request) };
}

export function dropSpec(request: DropCollectionRequest__Output): DropSpec {
  return { ...nameOf(request), ...(request.id === 0 ? {} : { id: request.id }) };
}

function nameOf({ namespace, name }: { readonly namespace: string; readonly name: string }): {
  namespace: string;
  name: string;
} {
  const error = checkName('namespace', namespace) ?? checkName('name', name);
  if (error !== undefined) throw error;
  return { namespace, name };
}

/** What did not come is not there. */
function attributesOf(request: CreateCollectionRequest__Output | AlterCollectionRequest__Output): {
  description?: string;
  defaultExpiryMs?: number;
} {
  const { description, defaultExpiryMs } = request;
  return {
    ...(Object.hasOwn(request, 'description') && typeof description === 'string' ? { description } : {}),
    ...(Object.hasOwn(request, 'defaultExpiryMs') && typeof defaultExpiryMs === 'number' ? { defaultExpiryMs } : {}),
  };
}

const TYPES: Readonly<Record<string, MergeTypeName>> = {
  MERGE_TYPE_REGISTER_LWW: 'register-lww',
  MERGE_TYPE_REGISTER_MV: 'register-mv',
  MERGE_TYPE_COUNTER_PN: 'counter-pn',
  MERGE_TYPE_SET_AW: 'set-aw',
  MERGE_TYPE_MAP_LWW: 'map-lww',
};

function typeOf(mergeType: string | number): MergeTypeName | undefined {
  const type = TYPES[mergeType];
  if (type !== undefined || mergeType === 'MERGE_TYPE_UNSPECIFIED') return type;
  throw new CausewayError('INVALID_ARGUMENT', `merge type ${mergeType} is not known to this node`, {
    details: { field: 'merge_type' },
  });
}
