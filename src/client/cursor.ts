// Where a consumer stands: per shard, a vector. As text: base64url of a Cursor message, valid in every region.

import { CausewayError } from '../errors/errors.ts';
import { messageType } from '../proto/load.ts';
import type { Cursor__Output } from '../proto/generated/causeway/v1/Cursor.ts';

const FORMAT = 1;

/** By `placement/index`, then by `region~incarnation`, the highest seq. Values are never changed in place. */
export type Position = ReadonlyMap<string, ReadonlyMap<string, number>>;

export interface DecodedCursor {
  readonly position: Position;
  readonly clusterId: string;
  readonly namespace: string;
}

/** The message, for Type.encode. */
export function cursorMessage(position: Position, namespace: string, clusterId: string): object {
  const shards = Array.from(position, ([shard, vector]) => {
    const [placementId, shardIndex] = shard.split('/').map(Number);
    const entries = Array.from(vector, ([origin, seq]) => ({
      region: origin.slice(0, -13),
      incarnation: Number.parseInt(origin.slice(-12), 16),
      seq,
    }));
    return { placementId, shardIndex, entries: entries.filter((entry) => entry.seq > 0) };
  });
  return { version: FORMAT, clusterId, namespace, shards };
}

export function encodeCursor(position: Position, namespace: string, clusterId: string): string {
  const type = messageType('causeway.v1.Cursor');
  const message = cursorMessage(position, namespace, clusterId);
  return Buffer.from(type.encode(message as never).finish()).toString('base64url');
}

/** Throws CausewayError CURSOR_INVALID. */
export function decodeCursor(text: string): DecodedCursor {
  let message: Cursor__Output;
  try {
    if (text === '' || !/^[A-Za-z0-9_-]+$/.test(text)) throw new RangeError('not base64url');
    message = messageType('causeway.v1.Cursor').decode(Buffer.from(text, 'base64url')) as unknown as Cursor__Output;
  } catch (error) {
    throw new CausewayError('CURSOR_INVALID', 'this is no cursor', {
      cause: error,
      hint: "a cursor is what an event's `cursor` says; 'beginning', 'now' and a Date are other places to start from",
    });
  }
  if (message.version !== FORMAT) {
    throw new CausewayError(
      'CURSOR_INVALID',
      `a cursor of format ${message.version}; this client knows format ${FORMAT}`,
    );
  }
  const position = new Map<string, ReadonlyMap<string, number>>();
  for (const { placementId, shardIndex, entries } of message.shards) {
    const vector = new Map<string, number>();
    for (const { region, incarnation, seq } of entries) {
      vector.set(`${region}~${incarnation.toString(16).padStart(12, '0')}`, seq);
    }
    position.set(`${placementId}/${shardIndex}`, vector);
  }
  return { position, clusterId: message.clusterId, namespace: message.namespace };
}
