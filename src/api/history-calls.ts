// KeyHistory: requests and answers, and its page tokens: base64url without padding of JSON [format, hash of the key's name, offset, time]. A token is a place in one
// region's log.

import { CausewayError } from '../errors/errors.ts';
import type { OpDescription } from '../merge/types.ts';
import type { KeyHistoryRequest__Output } from '../proto/generated/causeway/v1/KeyHistoryRequest.ts';
import { textHash } from '../record/hash.ts';
import type { OriginId } from '../record/ids.ts';
import type { HistoryPlace, HistoryRequest, KeyChange, KeyHistory } from '../region/region.ts';
import { checkKey, checkName } from './limits.ts';
import { collectionMessage, viewMessage } from './views.ts';

const FORMAT = 1;
const PAGE_SIZE_DEFAULT = 100;
const PAGE_SIZE_MAX = 1000;

/** Throws CausewayError INVALID_ARGUMENT, TOO_LARGE. */
export function historyRequest(request: KeyHistoryRequest__Output): HistoryRequest {
  const { namespace, collection, key, pageSize, pageToken } = request;
  const wrong = checkName('namespace', namespace) ?? checkName('collection', collection) ?? checkKey(key);
  if (wrong !== undefined) throw wrong;
  return {
    namespace,
    collection,
    key,
    limit: Math.min(pageSize === 0 ? PAGE_SIZE_DEFAULT : pageSize, PAGE_SIZE_MAX),
    before: pageToken === '' ? undefined : historyPlace(request),
  };
}

/** Values beyond `bytesMax` are left to the next page; one change is always told. */
export function historyMessage(
  request: KeyHistoryRequest__Output,
  history: KeyHistory,
  region: string,
  bytesMax: number,
): object {
  const origins = new Map<OriginId, number>();
  const { changes, next } = fitting(history, bytesMax);
  return {
    changes: changes.map((change) => changeMessage(change, origins)),
    nextPageToken: next === undefined ? '' : historyToken(request, next),
    region,
    shard: history.shard,
    collection: collectionMessage(history.collection),
    origins: [...origins.keys()],
    value: viewMessage(history.view),
    logStart: history.logStart,
    nowMs: history.nowMs,
  };
}

function fitting(
  { changes, next }: KeyHistory,
  bytesMax: number,
): { changes: readonly KeyChange[]; next: HistoryPlace | undefined } {
  let bytes = 0;
  for (const [i, change] of changes.entries()) {
    bytes += opBytes(change.op);
    // Pages part between batches.
    if (i === 0 || bytes <= bytesMax || changes[i - 1]!.offset === change.offset) continue;
    return { changes: changes.slice(0, i), next: { offset: change.offset + 1, landedBeforeMs: change.landedBeforeMs } };
  }
  return { changes, next };
}

function opBytes(op: OpDescription): number {
  const all = (values: readonly Uint8Array[]): number => values.reduce((sum, { length }) => sum + length, 0);
  switch (op.kind) {
    case 'put':
      return op.value.length;
    case 'set-add':
    case 'set-remove':
      return all(op.elements);
    case 'map-update':
      return all(op.put.map(({ value }) => value));
    case 'delete':
    case 'increment':
      return 0;
  }
}

function changeMessage(change: KeyChange, origins: Map<OriginId, number>): object {
  const { version, op, trace, offset, landedAfterMs, landedBeforeMs, acknowledgedBy } = change;
  let origin = origins.get(version.origin);
  if (origin === undefined) {
    origin = origins.size;
    origins.set(version.origin, origin);
  }
  return {
    event: {
      origin,
      seq: version.seq,
      stamp: version.stamp,
      ...opMessage(op),
      ...(trace === undefined ? {} : { trace }),
    },
    offset,
    landedAfterMs: Math.max(0, landedAfterMs ?? 0),
    landedBeforeMs,
    acknowledgedBy,
  };
}

function opMessage(op: OpDescription): object {
  switch (op.kind) {
    case 'put':
      return { put: op.value, ...(op.expiresAtMs === undefined ? {} : { expiresAtMs: op.expiresAtMs }) };
    case 'delete':
      return { delete: true };
    case 'increment':
      return { increment: op.by.toString() };
    case 'set-add':
      return { setAdd: { elements: op.elements } };
    case 'set-remove':
      return { setRemove: { elements: op.elements } };
    case 'map-update':
      return { mapUpdate: { put: op.put, remove: op.remove } };
  }
}

type Named = Pick<KeyHistoryRequest__Output, 'namespace' | 'collection' | 'key' | 'pageToken'>;

export function historyToken(
  of: Pick<Named, 'namespace' | 'collection' | 'key'>,
  { offset, landedBeforeMs }: HistoryPlace,
): string {
  return Buffer.from(JSON.stringify([FORMAT, hashOf(of), offset, landedBeforeMs])).toString('base64url');
}

/** Throws CausewayError INVALID_ARGUMENT. */
export function historyPlace(of: Named): HistoryPlace {
  const [format, hash, offset, landedBeforeMs] = partsOf(of.pageToken);
  if (format === FORMAT && hash === hashOf(of) && isPlace(offset) && isPlace(landedBeforeMs)) {
    return { offset, landedBeforeMs };
  }
  throw new CausewayError('INVALID_ARGUMENT', 'the page token is not of this history, or none that a node wrote', {
    details: { field: 'page_token' },
    hint: 'use it exactly as it was given, for the same key and at the same region, or start from the newest',
  });
}

function isPlace(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function partsOf(token: string): readonly unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    return Array.isArray(parts) ? parts : [];
  } catch {
    return [];
  }
}

function hashOf({ namespace, collection, key }: Omit<Named, 'pageToken'>): string {
  return textHash(JSON.stringify([namespace, collection, key]));
}
