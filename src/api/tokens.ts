// Session tokens and cursors: their messages (record.proto) ↔ the maps that a region takes.

import { CausewayError, type ErrorCode } from '../errors/errors.ts';
import {
  INCARNATION_MAX,
  isRegionName,
  originId,
  originIncarnation,
  originRegion,
  shardId,
  shardParts,
} from '../record/ids.ts';
import type { OriginId, ShardId } from '../record/ids.ts';
import type { Cursor__Output } from '../proto/generated/causeway/v1/Cursor.ts';
import type {
  SessionToken as SessionMessage,
  SessionToken__Output,
} from '../proto/generated/causeway/v1/SessionToken.ts';
import { messageType } from '../proto/load.ts';
import type { FeedCursor, SessionToken } from '../region/region.ts';

export const TOKEN_FORMAT = 1;
export const TOKEN_BYTES_MAX = 64 * 1024;

interface TokenShard<E> {
  readonly placementId: number;
  readonly shardIndex: number;
  readonly entries: readonly E[];
}

interface TokenEntry {
  readonly region: string;
  readonly incarnation: number;
}

function toMaps<E extends TokenEntry>(
  code: ErrorCode,
  what: string,
  shards: readonly TokenShard<E>[],
  valueOf: (entry: E) => number,
): Map<ShardId, Map<OriginId, number>> {
  const maps = new Map<ShardId, Map<OriginId, number>>();
  for (const shard of shards) {
    const map = new Map<OriginId, number>();
    for (const entry of shard.entries) {
      const value = valueOf(entry);
      if (
        !isRegionName(entry.region) ||
        !(entry.incarnation <= INCARNATION_MAX) ||
        !(value >= 1) ||
        !Number.isSafeInteger(value)
      ) {
        throw new CausewayError(code, `the ${what} has an entry that no node wrote`, {
          hint: 'use it exactly as it was given',
        });
      }
      map.set(originId(entry.region, entry.incarnation), value);
    }
    maps.set(shardId(shard.placementId, shard.shardIndex), map);
  }
  return maps;
}

function checkFormat(code: ErrorCode, what: string, version: number): void {
  if (version === TOKEN_FORMAT) return;
  throw new CausewayError(code, `the ${what} is of format ${version}; this node knows format ${TOKEN_FORMAT}`);
}

/** Throws CausewayError INVALID_ARGUMENT. */
export function sessionFromMessage(message: SessionToken__Output, clusterId: string): SessionToken {
  checkFormat('INVALID_ARGUMENT', 'session token', message.version);
  if (message.clusterId !== '' && clusterId !== '' && message.clusterId !== clusterId) {
    throw new CausewayError('INVALID_ARGUMENT', 'the session token is of another cluster', {
      hint: 'start a new session',
    });
  }
  return toMaps('INVALID_ARGUMENT', 'session token', message.shards, (entry) => entry.stamp);
}

/** Throws CausewayError CURSOR_INVALID. */
export function cursorFromMessage(message: Cursor__Output, namespace: string, clusterId: string): FeedCursor {
  checkFormat('CURSOR_INVALID', 'cursor', message.version);
  if (message.clusterId !== '' && clusterId !== '' && message.clusterId !== clusterId) {
    throw new CausewayError('CURSOR_INVALID', 'the cursor is of another cluster', {
      hint: "start from 'beginning' or a time",
    });
  }
  if (message.namespace !== '' && message.namespace !== namespace) {
    throw new CausewayError(
      'CURSOR_INVALID',
      `the cursor is of namespace '${message.namespace}', the subscription of '${namespace}'`,
    );
  }
  return toMaps('CURSOR_INVALID', 'cursor', message.shards, (entry) => entry.seq);
}

export function sessionToMessage(session: SessionToken, clusterId: string): SessionMessage {
  const shards = [];
  for (const [shard, stamps] of session) {
    const { placementId, index } = shardParts(shard);
    const entries = [];
    for (const [origin, stamp] of stamps) {
      entries.push({ region: originRegion(origin), incarnation: originIncarnation(origin), stamp });
    }
    shards.push({ placementId, shardIndex: index, entries });
  }
  return { version: TOKEN_FORMAT, clusterId, shards };
}

/** As HTTP headers and clients' strings carry it: base64url of the message. Throws CausewayError INVALID_ARGUMENT. */
export function sessionFromText(text: string, clusterId: string): SessionToken {
  const message = fromText('INVALID_ARGUMENT', 'session token', 'causeway.v1.SessionToken', text);
  return sessionFromMessage(message as SessionToken__Output, clusterId);
}

export function sessionToText(session: SessionToken, clusterId: string): string {
  return toText('causeway.v1.SessionToken', sessionToMessage(session, clusterId));
}

/** Throws CausewayError CURSOR_INVALID. */
export function cursorFromText(text: string, namespace: string, clusterId: string): FeedCursor {
  const message = fromText('CURSOR_INVALID', 'cursor', 'causeway.v1.Cursor', text);
  return cursorFromMessage(message as Cursor__Output, namespace, clusterId);
}

/** A causeway.v1.Cursor. */
export function cursorToMessage(cursor: FeedCursor, namespace: string, clusterId: string): object {
  const shards = Array.from(cursor, ([shard, vector]) => {
    const { placementId, index } = shardParts(shard);
    const entries = Array.from(vector, ([origin, seq]) => ({
      region: originRegion(origin),
      incarnation: originIncarnation(origin),
      seq,
    }));
    return { placementId, shardIndex: index, entries: entries.filter(({ seq }) => seq > 0) };
  });
  return { version: TOKEN_FORMAT, clusterId, namespace, shards };
}

export function cursorToText(cursor: FeedCursor, namespace: string, clusterId: string): string {
  return toText('causeway.v1.Cursor', cursorToMessage(cursor, namespace, clusterId));
}

function toText(type: string, message: object): string {
  const bytes = messageType(type)
    .encode(message as never)
    .finish();
  return Buffer.from(bytes).toString('base64url');
}

function fromText(code: ErrorCode, what: string, type: string, text: string): unknown {
  const hint = 'use it exactly as it was given';
  if (text.length > (TOKEN_BYTES_MAX * 4) / 3 + 4) {
    throw new CausewayError(code, `a ${what} has at most ${TOKEN_BYTES_MAX} bytes; this one has more`, { hint });
  }
  try {
    if (!/^[A-Za-z0-9_-]+$/.test(text)) throw new RangeError('it is not base64url');
    return messageType(type).decode(Buffer.from(text, 'base64url'));
  } catch (error) {
    throw new CausewayError(code, `this is no ${what}: ${(error as Error).message}`, { hint, cause: error });
  }
}
