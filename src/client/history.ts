// What was written to one key, as one region's log has it: for operators and tools.

import type { KeyHistoryResponse__Output } from '../proto/generated/causeway/v1/KeyHistoryResponse.ts';
import { opOf, type DecodedOp, type FeedOp } from './feed-op.ts';
import type { MergeType, Version, View } from './types.ts';
import { mergeTypeOf, viewOf, type DecodedView } from './views.ts';

export interface KeyName {
  readonly namespace: string;
  readonly collection: string;
  readonly key: string;
}

export interface HistoryPageOptions {
  /** 1 to 1000; default 100. */
  readonly pageSize?: number | undefined;
  /** From the page before, of the same region. */
  readonly pageToken?: string | undefined;
}

export interface NodeKeyChange {
  readonly version: Version;
  readonly op: FeedOp;
  /** W3C trace context of the write. */
  readonly trace: Uint8Array | undefined;
  /** In the region's log of the shard. */
  readonly offset: number;
  /** Unix ms, by the node's clock: it landed there between the two. undefined: nothing is known that came before. */
  readonly landedAfterMs: number | undefined;
  readonly landedBeforeMs: number;
  /** Of a write of the region that was asked: who is known to hold it. */
  readonly acknowledgedBy: readonly string[];
}

export interface NodeKeyHistory {
  readonly region: string;
  readonly shard: string;
  readonly type: MergeType;
  /** Newest first. May be fewer than asked for, even none, with more to come. */
  readonly changes: readonly NodeKeyChange[];
  /** undefined: this was the last page. */
  readonly nextPageToken: string | undefined;
  /** What a local read answers now; undefined: the key is absent. */
  readonly value: View | undefined;
  /** Above 1: what was written before it is not told. */
  readonly logStart: number;
  readonly nowMs: number;
}

export function historyOf(message: KeyHistoryResponse__Output): NodeKeyHistory {
  const { origins, changes, nextPageToken } = message;
  return {
    region: message.region,
    shard: message.shard,
    type: mergeTypeOf(message.collection?.mergeType ?? 0),
    changes: changes.flatMap(({ event, offset, landedAfterMs, landedBeforeMs, acknowledgedBy }) =>
      event === null
        ? []
        : [
            {
              version: { origin: origins[event.origin] ?? '', seq: event.seq, stamp: event.stamp },
              op: opOf(event as DecodedOp),
              trace: event.trace.length === 0 ? undefined : event.trace,
              offset,
              landedAfterMs: landedAfterMs === 0 ? undefined : landedAfterMs,
              landedBeforeMs,
              acknowledgedBy,
            },
          ],
    ),
    nextPageToken: nextPageToken === '' ? undefined : nextPageToken,
    value: message.value === null ? undefined : viewOf(message.value as DecodedView),
    logStart: message.logStart,
    nowMs: message.nowMs,
  };
}
