// RESYNC: the changes that a group lacks are gone, so the consumer takes the state, and goes on from a place that the state covers.

import { toCausewayError, type CausewayError } from '../../errors/errors.ts';
import { readFront } from './front.ts';
import type { ConsumerOptions, StateEntry } from './options.ts';
import type { Progress } from './progress.ts';
import type { Sitting } from './sitting.ts';

const PAGE_SIZE = 1000;

/** The region failed, not the consumer: it is to be tried again. */
export class RegionFailure extends Error {
  readonly error: CausewayError;

  constructor(error: CausewayError) {
    super(error.message, { cause: error });
    this.error = error;
  }
}

/** What is no use to try again stays what it is. */
export function failureOf(error: CausewayError): RegionFailure | CausewayError {
  return error.retriable || error.code === 'CANCELLED' ? new RegionFailure(error) : error;
}

/** `epochs`: of the shards that are to begin anew, those in which they were refused. Where each goes on. Throws RegionFailure, or what
 *  the consumer's own hand throws. */
export async function takeState(
  sitting: Sitting,
  options: ConsumerOptions,
  epochs: ReadonlyMap<string, number>,
  reason: CausewayError,
): Promise<Map<string, Progress>> {
  const shards = [...epochs.keys()].toSorted();
  let failure: CausewayError | undefined;
  const noted = (error: unknown): never => {
    failure = toCausewayError(error);
    throw error;
  };
  try {
    // First the place, then the state, in one region: so the state has everything up to the place, and perhaps some of what comes behind.
    const front = await readFront(sitting.parts, shards, options.collections, sitting.callOptions).catch(noted);
    await options.onResync?.({ shards, reason, state: () => scanState(sitting, options, shards, noted) });
    const stored = await sitting.state.cursors().catch(noted);
    return new Map(
      shards.map((shard): [string, Progress] => {
        const epoch = Math.max(epochs.get(shard) ?? 0, stored.get(shard)?.epoch ?? 0) + 1;
        return [shard, { epoch, vector: front.get(shard) ?? new Map<string, number>() }];
      }),
    );
  } catch (error) {
    // The consumer may have made another error of it.
    throw failure === undefined ? error : failureOf(failure);
  }
}

async function* scanState(
  sitting: Sitting,
  { collections, keyPrefix: prefix }: ConsumerOptions,
  shards: readonly string[],
  noted: (error: unknown) => never,
): AsyncGenerator<StateEntry, void, undefined> {
  const { signal } = sitting.callOptions;
  for (const collection of collections) {
    let pageToken = '';
    do {
      const options = { prefix, shards, pageToken, pageSize: PAGE_SIZE, signal };
      const page = await sitting.calls.scan(collection, options).catch(noted);
      for (const { key, view } of page.entries) yield { collection, key, view };
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
  }
}
