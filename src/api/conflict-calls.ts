// The conflict journal's part of causeway.v1.Admin: pages, one loser, the stream, and giving a loser back.
// Owns: page tokens and cursors, which are opaque to callers.

import { CausewayError } from '../errors/errors.ts';
import type { ListConflictsRequest__Output } from '../proto/generated/causeway/v1/ListConflictsRequest.ts';
import type { WatchConflictsRequest__Output } from '../proto/generated/causeway/v1/WatchConflictsRequest.ts';
import { isOriginId, type Dot, type ShardId } from '../record/ids.ts';
import type {
  Conflict,
  ConflictCursor,
  ConflictPage,
  ConflictQuery,
  PagePlace,
  TailRequest,
} from '../region/region.ts';
import { checkName } from './limits.ts';
import { collectionMessage } from './views.ts';

const PAGE_DEFAULT = 100;
const PAGE_MAX = 1000;

export function conflictMessage(conflict: Conflict): object {
  const { loserValue } = conflict;
  return {
    atMs: conflict.atMs,
    shard: conflict.shard,
    namespace: conflict.collection.namespace,
    collection: collectionMessage(conflict.collection),
    key: conflict.key,
    field: conflict.field ?? '',
    loser: conflict.loser,
    ...(loserValue === undefined ? {} : { loserValue }),
    winner: conflict.winner,
    loserExpiresAtMs: conflict.loserExpiresAtMs ?? 0,
    winnerDeletes: conflict.winnerDeletes,
    offset: conflict.offset,
    index: conflict.index,
  };
}

/** About what it takes on the wire. */
export function conflictBytes({ key, field, loserValue }: Conflict): number {
  return 320 + key.length + (field?.length ?? 0) + (loserValue?.length ?? 0);
}

/** Throws CausewayError INVALID_ARGUMENT. */
export function queryOf(request: ListConflictsRequest__Output): ConflictQuery {
  const { namespace, collection, keyPrefix, sinceMs, untilMs, pageSize, pageToken } = request;
  checkScope(namespace, collection);
  if (untilMs !== 0 && untilMs <= sinceMs) {
    throw new CausewayError('INVALID_ARGUMENT', `until_ms (${untilMs}) is after since_ms (${sinceMs})`, {
      details: { field: 'until_ms' },
    });
  }
  return {
    namespace,
    collection,
    keyPrefix,
    sinceMs,
    untilMs: untilMs === 0 ? Infinity : untilMs,
    order: request.oldestFirst ? 'oldest' : 'newest',
    limit: Math.min(PAGE_MAX, pageSize === 0 ? PAGE_DEFAULT : pageSize),
    after: pageToken === '' ? undefined : placeOfToken(pageToken),
  };
}

/** As many as fit into an answer; the rest comes with the next page. */
export function pageMessage(page: ConflictPage, region: string, bytesMax: number): object {
  let { conflicts, next } = page;
  let bytes = 0;
  const fitting = conflicts.findIndex((conflict) => (bytes += conflictBytes(conflict)) > bytesMax);
  if (fitting > 0) {
    conflicts = conflicts.slice(0, fitting);
    next = conflicts.at(-1);
  }
  return {
    conflicts: conflicts.map(conflictMessage),
    nextPageToken: next === undefined ? '' : tokenOfPlace(next),
    region,
    total: page.total,
    dropped: page.dropped,
    droppedUntilMs: page.droppedUntilMs,
    shards: [...page.shards],
  };
}

/** Throws CausewayError INVALID_ARGUMENT. */
export function shardNamed(shard: string): ShardId {
  if (isShard(shard)) return shard;
  throw new CausewayError('INVALID_ARGUMENT', `a shard is placement/index, e.g. 1/3; got '${shard.slice(0, 80)}'`, {
    details: { field: 'shard' },
  });
}

/** Throws CausewayError INVALID_ARGUMENT. */
export function loserOf(named: string, loser: { origin: string; seq: number } | null): { shard: ShardId; loser: Dot } {
  const shard = shardNamed(named);
  if (loser === null || !isOriginId(loser.origin) || !(loser.seq >= 1)) {
    throw new CausewayError('INVALID_ARGUMENT', 'a loser is named by its origin (region~incarnation) and its seq', {
      details: { field: 'loser' },
    });
  }
  return { shard, loser: { origin: loser.origin, seq: loser.seq } };
}

/** Throws CausewayError INVALID_ARGUMENT or CURSOR_INVALID. */
export function tailOf(request: WatchConflictsRequest__Output): TailRequest {
  const { namespace, collection, keyPrefix } = request;
  checkScope(namespace, collection);
  const scope = { namespace, collection, keyPrefix };
  if (request.start === 'beginning') return { ...scope, start: 'beginning' };
  if (request.start === 'cursor') return { ...scope, start: cursorOf(request.cursor ?? '') };
  return { ...scope, start: 'now' };
}

function checkScope(namespace: string, collection: string): void {
  if (namespace === '' && collection !== '') {
    throw new CausewayError('INVALID_ARGUMENT', 'a collection is named together with its namespace');
  }
  const error =
    (namespace === '' ? undefined : checkName('namespace', namespace)) ??
    (collection === '' ? undefined : checkName('collection', collection));
  if (error !== undefined) throw error;
}

function isShard(text: string): text is ShardId {
  return /^[1-9]\d{0,4}\/\d{1,4}$/.test(text);
}

export function tokenOfPlace({ atMs, shard, offset, index }: PagePlace): string {
  return tokenOf([atMs, shard, offset, index]);
}

function tokenOf(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function ofToken(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

function isPlace(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Throws CausewayError INVALID_ARGUMENT. */
export function placeOfToken(token: string): PagePlace {
  const value = ofToken(token);
  if (Array.isArray(value) && value.length === 4) {
    const [atMs, shard, offset, index] = value as unknown[];
    if (isPlace(atMs) && typeof shard === 'string' && isShard(shard) && isPlace(offset) && isPlace(index)) {
      return { atMs, shard, offset, index };
    }
  }
  throw new CausewayError('INVALID_ARGUMENT', 'this is no page_token of a list of conflicts', {
    details: { field: 'page_token' },
    hint: 'use it exactly as it was given, or leave it out to begin again',
  });
}

export function cursorText(cursor: ConflictCursor): string {
  return tokenOf(Array.from(cursor, ([shard, { offset, index, loserStamp }]) => [shard, offset, index, loserStamp]));
}

/** Throws CausewayError CURSOR_INVALID. */
export function cursorOf(text: string): ConflictCursor {
  const value = ofToken(text);
  const cursor = new Map<ShardId, { offset: number; index: number; loserStamp: number }>();
  const valid =
    Array.isArray(value) &&
    (value as unknown[]).every((row) => {
      if (!Array.isArray(row) || row.length !== 4) return false;
      const [shard, offset, index, loserStamp] = row as unknown[];
      if (typeof shard !== 'string' || !isShard(shard) || !isPlace(offset) || !isPlace(index) || !isPlace(loserStamp)) {
        return false;
      }
      cursor.set(shard, { offset, index, loserStamp });
      return true;
    });
  if (valid) return cursor;
  throw new CausewayError('CURSOR_INVALID', 'this is no cursor of a stream of conflicts', {
    hint: 'use it exactly as it was given, or begin from the beginning',
  });
}
