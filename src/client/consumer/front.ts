// Where the end of the changes is now, in a region, by shard: what a subscription from 'now' begins with.

import type { EndpointSource } from '../endpoints.ts';
import { Subscription } from '../subscribe.ts';
import type { System } from '../../system/system.ts';
import type { Vector } from './progress.ts';

export interface FrontParts {
  readonly endpoints: EndpointSource;
  readonly system: System;
  readonly namespace: string;
}

/** Throws CausewayError. */
export async function readFront(
  parts: FrontParts,
  shards: readonly string[],
  collections: readonly string[],
  limits: { readonly signal: AbortSignal; readonly deadlineMs: number },
): Promise<ReadonlyMap<string, Vector>> {
  if (shards.length === 0) return new Map();
  const subscription = new Subscription(
    parts,
    { from: 'now', shards, collections, signal: limits.signal },
    () => undefined,
  );
  const timer = parts.system.timers.after(limits.deadlineMs, () => subscription.close());
  try {
    return await subscription.whole();
  } finally {
    timer.cancel();
    subscription.close();
  }
}
