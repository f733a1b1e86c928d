// What one write did to its key, as the feed and the history of a key tell it.

import type { DecodedView } from './views.ts';

export type FeedOp =
  | { readonly kind: 'put'; readonly value: Uint8Array; readonly expiresAtMs?: number | undefined }
  /** Deleted, reset or cleared. */
  | { readonly kind: 'delete' }
  /** Of this op alone. */
  | { readonly kind: 'increment'; readonly by: bigint }
  | { readonly kind: 'set-add'; readonly elements: readonly Uint8Array[] }
  | { readonly kind: 'set-remove'; readonly elements: readonly Uint8Array[] }
  | {
      readonly kind: 'map-update';
      readonly put: readonly { readonly field: string; readonly value: Uint8Array }[];
      readonly remove: readonly string[];
    }
  /** Of a newer node. */
  | { readonly kind: 'unknown' };

/** As Type.decode gives it. */
export interface DecodedOp {
  readonly put?: Uint8Array;
  readonly delete?: boolean;
  readonly increment?: string;
  readonly setAdd?: { readonly elements: readonly Uint8Array[] } | null;
  readonly setRemove?: { readonly elements: readonly Uint8Array[] } | null;
  readonly mapUpdate?: {
    readonly put: readonly { readonly field: string; readonly value: Uint8Array }[];
    readonly remove: readonly string[];
  } | null;
  readonly expiresAtMs: number;
}

/** One op of the feed. */
export interface DecodedEvent extends DecodedOp {
  /** Of the message's collections. */
  readonly collection: number;
  readonly key: string;
  /** Of the message's origins. */
  readonly origin: number;
  readonly seq: number;
  readonly stamp: number;
  readonly trace: Uint8Array;
  readonly value: DecodedView | null;
}

export function opOf(event: DecodedOp): FeedOp {
  const { put, increment, setAdd, setRemove, mapUpdate } = event;
  // Scalars that did not come have their default, but not as the message's own.
  if (put !== undefined && Object.hasOwn(event, 'put')) {
    return { kind: 'put', value: put, expiresAtMs: event.expiresAtMs === 0 ? undefined : event.expiresAtMs };
  }
  if (event.delete === true) return { kind: 'delete' };
  if (increment !== undefined && Object.hasOwn(event, 'increment')) return { kind: 'increment', by: BigInt(increment) };
  if (setAdd) return { kind: 'set-add', elements: setAdd.elements };
  if (setRemove) return { kind: 'set-remove', elements: setRemove.elements };
  if (mapUpdate) return { kind: 'map-update', put: mapUpdate.put, remove: mapUpdate.remove };
  return { kind: 'unknown' };
}
