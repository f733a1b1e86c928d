// What a node of the region says of its own shards: messages of causeway.v1.Admin as what a region answers.

import { placeOfToken, tokenOfPlace } from '../api/conflict-calls.ts';
import { historyPlace, historyToken } from '../api/history-calls.ts';
import { statusOf } from '../client/admin.ts';
import { definitionOf } from '../client/collections.ts';
import { conflictOf } from '../client/conflicts.ts';
import { historyOf } from '../client/history.ts';
import { versionOf } from '../client/views.ts';
import type { OpDescription, View } from '../merge/types.ts';
import type { Collection__Output } from '../proto/generated/causeway/v1/Collection.ts';
import type { Conflict__Output } from '../proto/generated/causeway/v1/Conflict.ts';
import type { DigestsResponse__Output } from '../proto/generated/causeway/v1/DigestsResponse.ts';
import type { KeyHistoryResponse__Output } from '../proto/generated/causeway/v1/KeyHistoryResponse.ts';
import type { ListConflictsResponse__Output } from '../proto/generated/causeway/v1/ListConflictsResponse.ts';
import type { RestoreConflictResponse__Output } from '../proto/generated/causeway/v1/RestoreConflictResponse.ts';
import type { SharedStateResponse__Output } from '../proto/generated/causeway/v1/SharedStateResponse.ts';
import type { StatusResponse__Output } from '../proto/generated/causeway/v1/StatusResponse.ts';
import type { OriginId, RegionId, ShardId, Version } from '../record/ids.ts';
import type {
  CollectionInfo,
  Conflict,
  ConflictPage,
  ConflictQuery,
  HistoryRequest,
  KeyHistory,
  RegionStatus,
  Restored,
  ShardDigest,
  SharedState,
} from '../region/region.ts';

export function digestsOf({ digests }: DigestsResponse__Output): ShardDigest[] {
  return digests.map(({ shard, digest, keys, asOfMs, vector }) => ({
    shard: shard as ShardId,
    digest,
    keys,
    asOfMs,
    vector: new Map(vector.map(({ origin, seq }) => [origin as OriginId, seq])),
  }));
}

export function collectionOf(message: Collection__Output | null): CollectionInfo {
  const {
    namespace,
    name,
    id,
    type,
    state,
    source,
    description,
    defaultExpiryMs = 0,
    createdBy,
    settled,
    ...when
  } = definitionOf(message);
  return {
    ref: { namespace, name, id },
    type,
    state: state as CollectionInfo['state'],
    source: source as CollectionInfo['source'],
    description,
    defaultExpiryMs,
    created: when.created as Version | undefined,
    createdBy,
    dropped: when.dropped as Version | undefined,
    settled,
  };
}

/** `unless`: the revision that was named. */
export function sharedStateOf(unless: string, message: SharedStateResponse__Output): SharedState {
  const { revision, definitions, shards, staleness } = message;
  return {
    revision,
    definitions: revision === unless ? undefined : definitions.map(collectionOf),
    shards: shards as ShardId[],
    stalenessMs: new Map(staleness.map(({ placementId, stalenessMs }) => [placementId, stalenessMs])),
  };
}

/** But for what only its own API knows (certificates). */
export function regionStatusOf(message: StatusResponse__Output): RegionStatus {
  const { log, ...status } = statusOf(message);
  const { engine, durable, detail, bytes, state, stateReason } = log;
  const logState = state === 'ready' ? { kind: state } : { kind: state, reason: stateReason };
  return {
    ...status,
    log: { engine, durable, detail, bytes, state: logState },
  } as unknown as RegionStatus;
}

export function conflictMessageOf(message: Conflict__Output): Conflict {
  const { shard, loser, winner, ...rest } = conflictOf(message);
  return {
    ...rest,
    shard: shard as ShardId,
    loser: loser as Version,
    winner: winner as Version,
    offset: message.offset,
    index: message.index,
  };
}

export function conflictsRequest(query: ConflictQuery): object {
  const { namespace, collection, keyPrefix, sinceMs, untilMs, order, limit, after } = query;
  return {
    namespace,
    collection,
    keyPrefix,
    sinceMs,
    untilMs: untilMs === Infinity ? 0 : untilMs,
    oldestFirst: order === 'oldest',
    pageSize: limit,
    pageToken: after === undefined ? '' : tokenOfPlace(after),
  };
}

export function conflictPageOf(message: ListConflictsResponse__Output): ConflictPage {
  const { conflicts, nextPageToken, total, dropped, droppedUntilMs, shards } = message;
  return {
    conflicts: conflicts.map(conflictMessageOf),
    next: nextPageToken === '' ? undefined : placeOfToken(nextPageToken),
    total,
    dropped,
    droppedUntilMs,
    shards: shards as ShardId[],
  };
}

export function restoredMessageOf({ conflicts, version }: RestoreConflictResponse__Output): Restored {
  return { conflicts: conflicts.map(conflictMessageOf), version: versionOf(version) as Version };
}

export function keyHistoryRequest({ namespace, collection, key, limit, before }: HistoryRequest): object {
  const of = { namespace, collection, key };
  return { ...of, pageSize: limit, pageToken: before === undefined ? '' : historyToken(of, before) };
}

export function keyHistoryOf(
  { namespace, collection, key }: HistoryRequest,
  message: KeyHistoryResponse__Output,
): KeyHistory {
  const { shard, type, changes, nextPageToken, value, logStart, nowMs } = historyOf(message);
  return {
    shard: shard as ShardId,
    collection: { namespace, name: collection, id: message.collection?.id ?? 0, type },
    changes: changes.map((change) => ({
      ...change,
      version: change.version as Version,
      op: change.op as OpDescription,
      acknowledgedBy: change.acknowledgedBy as RegionId[],
    })),
    next:
      nextPageToken === undefined ? undefined : historyPlace({ namespace, collection, key, pageToken: nextPageToken }),
    view: value as View | undefined,
    logStart,
    nowMs,
  };
}
