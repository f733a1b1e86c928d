// The conflict journal of one region, for operators and tools: the shapes, and the stream.

import { Metadata, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import type { Conflict__Output } from '../proto/generated/causeway/v1/Conflict.ts';
import type { ListConflictsResponse__Output } from '../proto/generated/causeway/v1/ListConflictsResponse.ts';
import type { RestoreConflictResponse__Output } from '../proto/generated/causeway/v1/RestoreConflictResponse.ts';
import type { WatchConflictsResponse__Output } from '../proto/generated/causeway/v1/WatchConflictsResponse.ts';
import { wireMethod } from '../proto/load.ts';
import { wireMethodOnce, type Endpoint } from './endpoint.ts';
import { fromServiceError } from './status.ts';
import type { MergeType, Version } from './types.ts';
import { mergeTypeOf, versionOf } from './views.ts';

/** `loser` was the current value of its region when `winner`, which had not seen it, displaced it. */
export interface NodeConflict {
  /** Unix ms of the verdict. */
  readonly atMs: number;
  readonly shard: string;
  readonly collection: {
    readonly namespace: string;
    readonly name: string;
    readonly id: number;
    readonly type: MergeType;
  };
  readonly key: string;
  /** map-lww. */
  readonly field: string | undefined;
  readonly loser: Version;
  /** undefined: a delete. */
  readonly loserValue: Uint8Array | undefined;
  readonly loserExpiresAtMs: number | undefined;
  readonly winner: Version;
  readonly winnerDeletes: boolean;
}

/** What was written and lost: its dot within its shard. */
export interface LoserName {
  /** `placement/index`. */
  readonly shard: string;
  /** `region~incarnation`. */
  readonly origin: string;
  readonly seq: number;
}

export interface ConflictScope {
  readonly namespace?: string | undefined;
  readonly collection?: string | undefined;
  readonly keyPrefix?: string | undefined;
}

export interface ConflictFilter extends ConflictScope {
  /** Unix ms. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Default: newest first. */
  readonly oldestFirst?: boolean | undefined;
  /** 1 to 1000; default 100. */
  readonly pageSize?: number | undefined;
  /** From the page before. */
  readonly pageToken?: string | undefined;
}

export interface NodeConflictPage {
  readonly conflicts: readonly NodeConflict[];
  /** undefined: this was the last page. */
  readonly nextPageToken: string | undefined;
  readonly region: string;
  /** All that are kept. */
  readonly total: number;
  /** Dropped for want of room, and when the last of those was judged (Unix ms). */
  readonly dropped: number;
  readonly droppedUntilMs: number;
}

export interface NodeRestored {
  readonly conflicts: readonly NodeConflict[];
  /** Of the new write. */
  readonly version: Version;
  readonly region: string;
}

export interface WatchConflictsOptions extends ConflictScope {
  /** Default: 'now'. */
  readonly from?: 'now' | 'beginning' | { readonly cursor: string };
  /** Ends the stream, without an error. */
  readonly signal?: AbortSignal;
}

/** What came together. The first one comes at once, maybe without conflicts. */
export interface ConflictBatch {
  readonly conflicts: readonly NodeConflict[];
  /** Watch from here to get what comes after these; undefined: go on with the one before. */
  readonly cursor: string | undefined;
  /** Entries between what came before and these have been dropped. */
  readonly lost: boolean;
  readonly region: string;
}

export function conflictOf(message: Conflict__Output): NodeConflict {
  const { collection } = message;
  return {
    atMs: message.atMs,
    shard: message.shard,
    collection: {
      namespace: message.namespace,
      name: collection?.name ?? '',
      id: collection?.id ?? 0,
      type: mergeTypeOf(collection?.mergeType ?? 0),
    },
    key: message.key,
    field: message.field === '' ? undefined : message.field,
    loser: versionOf(message.loser),
    loserValue: message.loserValue,
    loserExpiresAtMs: message.loserExpiresAtMs === 0 ? undefined : message.loserExpiresAtMs,
    winner: versionOf(message.winner),
    winnerDeletes: message.winnerDeletes,
  };
}

export function listRequest(filter: ConflictFilter): object {
  return {
    namespace: filter.namespace ?? '',
    collection: filter.collection ?? '',
    keyPrefix: filter.keyPrefix ?? '',
    sinceMs: filter.sinceMs ?? 0,
    untilMs: filter.untilMs ?? 0,
    oldestFirst: filter.oldestFirst ?? false,
    pageSize: filter.pageSize ?? 0,
    pageToken: filter.pageToken ?? '',
  };
}

export function pageOf(message: ListConflictsResponse__Output): NodeConflictPage {
  const { conflicts, nextPageToken, region, total, dropped, droppedUntilMs } = message;
  return {
    conflicts: conflicts.map(conflictOf),
    nextPageToken: nextPageToken === '' ? undefined : nextPageToken,
    region,
    total,
    dropped,
    droppedUntilMs,
  };
}

export function restoredOf({ conflicts, version, region }: RestoreConflictResponse__Output): NodeRestored {
  return { conflicts: conflicts.map(conflictOf), version: versionOf(version), region };
}

/** Asked anew: it changes while somebody waits. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

const WATCH_METHOD = wireMethodOnce('WatchConflicts', () =>
  wireMethod<object, WatchConflictsResponse__Output>('causeway.v1.Admin', 'WatchConflicts'),
);

/** Entries as they come, until the signal or the consumer ends it. Throws CausewayError when the node does. */
export async function* watchConflicts(
  endpoint: Endpoint,
  { namespace = '', collection = '', keyPrefix = '', from = 'now', signal }: WatchConflictsOptions,
): AsyncGenerator<ConflictBatch, void, undefined> {
  if (isAborted(signal)) return;
  const method = WATCH_METHOD();
  const start = from === 'now' ? {} : from === 'beginning' ? { beginning: true } : { cursor: from.cursor };
  const call: ClientReadableStream<WatchConflictsResponse__Output> = endpoint.client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    { namespace, collection, keyPrefix, ...start },
    new Metadata(),
  );
  const cancel = (): void => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    // The stream reads ahead by its own bound; then flow control stops the node.
    for await (const message of call as AsyncIterable<WatchConflictsResponse__Output>) {
      const { conflicts, cursor, lost, region } = message;
      yield { conflicts: conflicts.map(conflictOf), cursor: cursor === '' ? undefined : cursor, lost, region };
    }
  } catch (error) {
    if (!isAborted(signal)) throw fromServiceError(error as ServiceError, endpoint.address);
  } finally {
    signal?.removeEventListener('abort', cancel);
    // A consumer that stops early leaves no error behind that nobody hears.
    call.on('error', () => undefined);
    call.cancel();
  }
}
